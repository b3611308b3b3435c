"""Holds raw answers against botocore's models. Botocore itself passes over what it does not know; this does not.

An answer may hold only members that the model names, of the types that it names, and must hold those that the model
requires. An error must be one that the operation, or every operation of the service, declares.
"""

import json

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


class Strict:
    """Watches clients and keeps what their raw answers did wrong."""

    def __init__(self):
        self.answers, self.faults = 0, []

    def watch(self, client):
        client.meta.events.register("before-parse.*.*", self._see)
        return client

    def _see(self, operation_model, response_dict, **_):
        self.answers += 1
        where = f"{operation_model.service_model.service_name}.{operation_model.name}"
        body = json.loads(response_dict["body"] or b"{}")
        if response_dict["status_code"] >= 300:
            self._error(where, operation_model, body)
        elif operation_model.output_shape is not None:
            self._shape(where, operation_model.output_shape, body)
        elif body:
            self.faults.append(f"{where}: {sorted(body)} where the model has no output")

    def _error(self, where, operation_model, body):
        code = str(body.get("__type", "")).rsplit("#", 1)[-1]
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
