"""The same alarm through each protocol that CloudWatch speaks: awsJson, CBOR and the old query form.

boto3 takes the one that it likes best. Here it is told another, by a model that names no other.
"""

import contextlib
import gzip
import json
import os
import pathlib
import tempfile

import boto3
import botocore.config
import botocore.loaders
import botocore.session
from harness import ACCOUNT, REGION, equal
from services import refused

MODEL = pathlib.Path("cloudwatch") / "2010-08-01" / "service-2.json.gz"


@contextlib.contextmanager
def speaking(aws, protocol):
    """A client of CloudWatch that speaks this protocol and no other."""
    with tempfile.TemporaryDirectory() as folder:
        model = json.loads(gzip.decompress((pathlib.Path(botocore.loaders.Loader.BUILTIN_DATA_PATH) / MODEL).read_bytes()))
        model["metadata"].update(protocol=protocol, protocols=[protocol])
        path = pathlib.Path(folder) / MODEL
        os.makedirs(path.parent)
        path.write_bytes(gzip.compress(json.dumps(model).encode()))
        session = botocore.session.get_session()
        session.register_component("data_loader", botocore.loaders.Loader(extra_search_paths=[folder]))
        once = botocore.config.Config(retries={"total_max_attempts": 1})
        yield aws.strict.watch(boto3.Session(botocore_session=session, region_name=REGION).client(
            "cloudwatch", endpoint_url=aws.endpoint, config=once,
            aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"))


def run(checks, aws):
    for protocol in ("json", "smithy-rpc-v2-cbor", "query"):
        with checks.check(f"CloudWatch speaks {protocol}"), speaking(aws, protocol) as cloudwatch:
            equal(cloudwatch.meta.service_model.resolved_protocol, protocol)
            name = f"contract-{protocol}"
            cloudwatch.put_metric_alarm(
                AlarmName=name, Namespace="Contract", MetricName="Errors & <failures>", Statistic="Sum", Period=60,
                EvaluationPeriods=2, Threshold=80, ComparisonOperator="GreaterThanThreshold", ActionsEnabled=True,
                AlarmDescription="Größe", Dimensions=[{"Name": "service", "Value": "shop"}])
            (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            kept = ("AlarmArn", "MetricName", "Threshold", "Period", "ActionsEnabled", "AlarmDescription", "Dimensions")
            equal({member: alarm[member] for member in kept}, {
                "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}", "MetricName": "Errors & <failures>",
                "Threshold": 80.0, "Period": 60, "ActionsEnabled": True, "AlarmDescription": "Größe",
                "Dimensions": [{"Name": "service", "Value": "shop"}]})
            age = alarm["AlarmConfigurationUpdatedTimestamp"].timestamp() - alarm["StateUpdatedTimestamp"].timestamp()
            assert abs(age) < 60 and alarm["StateUpdatedTimestamp"].year > 2000, alarm
            with refused("ValidationError", "Threshold"):
                cloudwatch.put_metric_alarm(
                    AlarmName=name, Namespace="Contract", MetricName="x", Statistic="Sum", Period=60,
                    EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold")
            cloudwatch.delete_alarms(AlarmNames=[name])
            equal(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"], [])
