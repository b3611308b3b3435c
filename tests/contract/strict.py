"""Holds raw answers against botocore's models. Botocore itself passes over what it does not know; this does not.

An answer may hold only members that the model names, of the types that it names, and must hold those that the model
requires. An error must be one that the operation, or every operation of the service, declares. What came as XML or as
CBOR is first made into what would have come as JSON, and held against its envelope on the way.
"""

import datetime
import json
import re
import xml.etree.ElementTree

import botocore.parsers

# Errors that any operation may answer with, and models leave out. Source: "Common Errors" of each service's API reference.
COMMON = {
    "AccessDeniedException", "IncompleteSignature", "InvalidAction", "InvalidParameterValue", "MissingParameter",
    "MissingAuthenticationToken", "SerializationException", "ThrottlingException", "UnknownOperationException",
    "ValidationException", "ValidationError",
    # The __type of InvalidParameterValue and MissingParameter as SQS's JSON protocol spells it.
    "InvalidParameterValueException", "MissingRequiredParameterException",
}

# Members that the service sends, as clients that print raw answers show, and botocore's model does not name.
UNDOCUMENTED = {("TableDescription", "TableThroughputModeSummary")}

# How a time looks in XML.
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


class Strict:
    """Watches clients and keeps what their raw answers did wrong."""

    def __init__(self):
        self.answers, self.faults = 0, []

    def watch(self, client):
        client.meta.events.register("before-parse.*.*", self._see)
        return client

    def _see(self, operation_model, response_dict, **_):
        self.answers += 1
        service = operation_model.service_model
        where = f"{service.service_name}.{operation_model.name}"
        failed = response_dict["status_code"] >= 300
        content_type = response_dict["headers"].get("content-type", "")
        if content_type == "text/xml":
            body = self._from_xml(where, operation_model, response_dict["body"], failed)
        elif content_type == "application/cbor":
            body = self._from_cbor(where, response_dict)
        else:
            body = json.loads(response_dict["body"] or b"{}")
        if body is None:
            return
        if failed:
            self._error(where, operation_model, body, response_dict["status_code"])
        elif operation_model.output_shape is not None:
            self._shape(where, operation_model.output_shape, body)
        elif body:
            self.faults.append(f"{where}: {sorted(body)} where the model has no output")

    def _from_cbor(self, where, response_dict):
        if response_dict["headers"].get("smithy-protocol") != "rpc-v2-cbor":
            self.faults.append(f"{where}: CBOR without the header smithy-protocol")
        parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
        return plain(parser.parse_data_item(parser.get_peekable_stream_from_bytes(response_dict["body"])))

    def _from_xml(self, where, operation_model, body, failed):
        """The members of an answer, or `__type` and `message` of an error; None where the envelope is wrong."""
        metadata = operation_model.metadata
        root = xml.etree.ElementTree.fromstring(body)
        namespace = "{" + metadata["xmlNamespace"] + "}"
        name = "ErrorResponse" if failed else f"{operation_model.name}Response"
        if root.tag != namespace + name:
            self.faults.append(f"{where}: the root is {root.tag}, and not {namespace}{name}")
            return None
        for node in root.iter():
            node.tag = node.tag.removeprefix(namespace)
        if failed:
            error = root.find("Error")
            if [node.tag for node in error] != ["Type", "Code", "Message"] or not root.findtext("RequestId"):
                self.faults.append(f"{where}: an error of {[node.tag for node in error]}")
            return {"__type": error.findtext("Code"), "message": error.findtext("Message") or ""}
        shape = operation_model.output_shape
        wanted = [f"{operation_model.name}Result"] if shape is not None else []
        if [node.tag for node in root] != [*wanted, "ResponseMetadata"] or not root.findtext("ResponseMetadata/RequestId"):
            self.faults.append(f"{where}: an answer of {[node.tag for node in root]}")
            return None
        return self._value(where, shape, root[0]) if shape is not None else {}

    def _value(self, where, shape, node):
        """A node as JSON would have it. What the model does not know stays, for `_shape` to find."""
        tags = {child.tag for child in node}
        if shape.type_name == "structure":
            members = {}
            for child in node:
                if child.tag in members:
                    self.faults.append(f"{where}: {child.tag} twice")
                known = shape.members.get(child.tag)
                members[child.tag] = self._value(f"{where}.{child.tag}", known, child) if known else child.text
            return members
        if shape.type_name == "list":
            if tags - {"member"}:
                self.faults.append(f"{where}: a list of {sorted(tags)}")
            return [self._value(f"{where}[]", shape.member, child) for child in node]
        if shape.type_name == "map":
            if tags - {"entry"} or any([part.tag for part in entry] != ["key", "value"] for entry in node):
                self.faults.append(f"{where}: a map of {sorted(tags)}")
            return {entry.findtext("key"): self._value(f"{where}{{}}", shape.value, entry.find("value")) for entry in node}
        text = node.text or ""
        if tags:
            self.faults.append(f"{where}: {sorted(tags)} where the model has a {shape.type_name}")
        if shape.type_name == "timestamp":
            return 0.0 if ISO.fullmatch(text) else text
        if shape.type_name == "boolean":
            return {"true": True, "false": False}.get(text, text)
        kind = {"integer": int, "long": int, "double": float, "float": float}.get(shape.type_name, str)
        try:
            return kind(text)
        except ValueError:
            return text

    def _error(self, where, operation_model, body, status):
        code = str(body.get("__type", "")).rsplit("#", 1)[-1]
        if (status, code) == (501, "NotEmulated"):
            return  # ours, and it says so
        known = set()
        for shape in [*operation_model.error_shapes, *operation_model.service_model.error_shapes]:
            known |= {shape.name, shape.error_code}
        if code not in known | COMMON:
            self.faults.append(f"{where}: answers with the error {code!r}, which its service does not have")
        if not isinstance(body.get("message", body.get("Message")), str):
            self.faults.append(f"{where}: the error {code} has no message")

    def _shape(self, where, shape, value):
        if value is None:
            self.faults.append(f"{where}: null, which AWS leaves out")
            return
        kinds = {
            "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "blob": str,
            "integer": int, "long": int, "double": (int, float), "float": (int, float), "timestamp": (int, float),
        }
        kind = kinds[shape.type_name]
        if not isinstance(value, kind) or (isinstance(value, bool) and shape.type_name != "boolean"):
            self.faults.append(f"{where}: {value!r} where the model has a {shape.type_name}")
        elif shape.type_name == "structure":
            for name, member in value.items():
                if name in shape.members:
                    self._shape(f"{where}.{name}", shape.members[name], member)
                elif (shape.name, name) not in UNDOCUMENTED:
                    self.faults.append(f"{where}: unknown member {name}")
            for name in set(shape.required_members) - set(value):
                self.faults.append(f"{where}: the required member {name} is missing")
        elif shape.type_name == "list":
            for each in value:
                self._shape(f"{where}[]", shape.member, each)
        elif shape.type_name == "map":
            for each in value.values():
                self._shape(f"{where}{{}}", shape.value, each)
        elif shape.type_name == "string" and shape.enum and value not in shape.enum:
            self.faults.append(f"{where}: {value!r} is none of {shape.enum}")

    def unique(self):
        return sorted(set(self.faults))


def plain(value):
    """What a CBOR parser made, as JSON would have it: times are numbers again."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.timestamp() if isinstance(value, datetime.datetime) else value
