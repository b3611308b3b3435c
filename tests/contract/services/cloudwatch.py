"""CloudWatch: alarms, what they are made of, and what they refuse."""

import json
import time

from harness import ACCOUNT, REGION, equal, wait_until
from services import refused

ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:"
BASE = {
    "Namespace": "Contract", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
}


def run(checks, aws):
    cloudwatch = aws.client("cloudwatch")
    metric_alarms(checks, cloudwatch)
    metric_refusals(checks, cloudwatch)
    composites(checks, cloudwatch)
    states(checks, cloudwatch)
    data(checks, cloudwatch)
    history(checks, cloudwatch)
    events(checks, aws, cloudwatch)
    topics(checks, aws, cloudwatch)
    deletion(checks, cloudwatch)


def put(cloudwatch, name, **more):
    """BASE with `more`; a member that is None is left out."""
    settings = {**BASE, **more}
    cloudwatch.put_metric_alarm(AlarmName=name, **{key: value for key, value in settings.items() if value is not None})


def only(cloudwatch, name, kind="MetricAlarm"):
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=[kind])[f"{kind}s"]
    return alarm


def metric_alarms(checks, cloudwatch):
    with checks.check("a metric alarm is described as it was put, in INSUFFICIENT_DATA"):
        dimensions = [{"Name": "Service", "Value": "shop"}]
        put(cloudwatch, "m-full", Dimensions=dimensions, AlarmDescription="too many", DatapointsToAlarm=1,
            TreatMissingData="ignore", Unit="Count", OKActions=[f"arn:aws:sns:{REGION}:{ACCOUNT}:ok"],
            Tags=[{"Key": "a", "Value": "1"}])
        alarm = only(cloudwatch, "m-full")
        times = [alarm.pop(key) for key in ("AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp")]
        equal(len(set(times)), 1)
        equal(alarm, {
            **BASE, "AlarmName": "m-full", "AlarmArn": f"{ARN}m-full", "AlarmDescription": "too many",
            "ActionsEnabled": True, "OKActions": [f"arn:aws:sns:{REGION}:{ACCOUNT}:ok"], "AlarmActions": [],
            "InsufficientDataActions": [], "StateValue": "INSUFFICIENT_DATA",
            "StateReason": "Unchecked: Initial alarm creation", "Dimensions": dimensions, "DatapointsToAlarm": 1,
            "TreatMissingData": "ignore", "Unit": "Count",
        })
    with checks.check("an edit overwrites all of it, except the state and the tags"):
        cloudwatch.set_alarm_state(AlarmName="m-full", StateValue="OK", StateReason="by hand")
        put(cloudwatch, "m-full", Threshold=7.5, Tags=[{"Key": "a", "Value": "2"}])
        alarm = only(cloudwatch, "m-full")
        equal((alarm["StateValue"], alarm["Threshold"], alarm.get("Unit")), ("OK", 7.5, None))
        equal(cloudwatch.list_tags_for_resource(ResourceARN=f"{ARN}m-full")["Tags"], [{"Key": "a", "Value": "1"}])
    with checks.check("periods of seconds, percentiles, expressions and anomaly bands"):
        put(cloudwatch, "m-fast", Period=10)
        put(cloudwatch, "m-p99", Statistic=None, ExtendedStatistic="p99.9", EvaluateLowSampleCountPercentile="ignore")
        equal(only(cloudwatch, "m-p99")["ExtendedStatistic"], "p99.9")
        metric = {"Metric": {"Namespace": "Contract", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
        nothing = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
        put(cloudwatch, "m-math", **nothing, Metrics=[
            {"Id": "m1", "MetricStat": metric, "ReturnData": False},
            {"Id": "e1", "Expression": "m1 * 2", "Label": "twice", "ReturnData": True},
        ])
        equal([each["Id"] for each in only(cloudwatch, "m-math")["Metrics"]], ["m1", "e1"])
        put(cloudwatch, "m-band", **nothing, Threshold=None, ThresholdMetricId="ad1",
            ComparisonOperator="LessThanLowerOrGreaterThanUpperThreshold", Metrics=[
                {"Id": "m1", "MetricStat": metric, "ReturnData": True},
                {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": True},
            ])
        equal(only(cloudwatch, "m-band")["ThresholdMetricId"], "ad1")
    with checks.check("alarms are found by prefix, state, action and metric, in pages"):
        names = lambda **filters: [each["AlarmName"] for each in cloudwatch.describe_alarms(**filters)["MetricAlarms"]]
        equal(names(AlarmNamePrefix="m-f"), ["m-fast", "m-full"])
        equal(names(AlarmNamePrefix="m-", StateValue="OK"), ["m-full"])
        equal(names(AlarmNamePrefix="m-", ActionPrefix="arn:aws:sns"), [])
        equal(names(AlarmNames=["m-fast", "nobody", "m-fast"]), ["m-fast"])
        pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="m-", PaginationConfig={"PageSize": 2})
        equal([len(page["MetricAlarms"]) for page in pages], [2, 2, 1])
        found = cloudwatch.describe_alarms_for_metric(Namespace="Contract", MetricName="Errors", Statistic="Sum", Period=10)
        equal([each["AlarmName"] for each in found["MetricAlarms"]], ["m-fast"])
        found = cloudwatch.describe_alarms_for_metric(Namespace="Contract", MetricName="Errors",
                                                      Dimensions=[{"Name": "Service", "Value": "shop"}])
        equal(found["MetricAlarms"], [])
    with checks.check("actions are switched off and on, and names that are nobody's passed over"):
        cloudwatch.disable_alarm_actions(AlarmNames=["m-full", "nobody"])
        equal(only(cloudwatch, "m-full")["ActionsEnabled"], False)
        cloudwatch.enable_alarm_actions(AlarmNames=["m-full", "nobody"])
        equal(only(cloudwatch, "m-full")["ActionsEnabled"], True)
    with checks.check("tags are set, replaced and removed"):
        cloudwatch.tag_resource(ResourceARN=f"{ARN}m-fast", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        cloudwatch.tag_resource(ResourceARN=f"{ARN}m-fast", Tags=[{"Key": "a", "Value": "2"}])
        cloudwatch.untag_resource(ResourceARN=f"{ARN}m-fast", TagKeys=["b", "never"])
        equal(cloudwatch.list_tags_for_resource(ResourceARN=f"{ARN}m-fast")["Tags"], [{"Key": "a", "Value": "2"}])
    with checks.check("tags of what does not exist, and tags that are not allowed"):
        for call in (
            lambda arn: cloudwatch.list_tags_for_resource(ResourceARN=arn),
            lambda arn: cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}]),
            lambda arn: cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["a"]),
        ):
            with refused("ResourceNotFoundException"):
                call(f"{ARN}nobody")
            with refused("InvalidParameterValue"):
                call("arn:aws:sqs:us-east-1:123456789012:queue")
        with refused("AccessDeniedException", "aws:"):
            cloudwatch.tag_resource(ResourceARN=f"{ARN}m-fast", Tags=[{"Key": "aws:x", "Value": "1"}])
        with refused("InvalidParameterValue", "50"):
            many = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
            cloudwatch.tag_resource(ResourceARN=f"{ARN}m-fast", Tags=many)


def metric_refusals(checks, cloudwatch):
    metric = {"Metric": {"Namespace": "Contract", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
    one = [{"Id": "m1", "MetricStat": metric}]
    nothing = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    cases = [
        ("a name that is too long", "ValidationError", "less than or equal to 255", {"AlarmName": "x" * 256}),
        ("a name with a control character", "ValidationError", "Control characters", {"AlarmName": "a\tb"}),
        ("a period that is not a multiple of 60", "ValidationError", "multiple of 60", {"Period": 45}),
        ("periods of more than a day", "ValidationError", "more than a day", {"Period": 60, "EvaluationPeriods": 1441}),
        ("periods of more than a week", "ValidationError", "more than a week", {"Period": 3600, "EvaluationPeriods": 169}),
        ("no statistic", "ValidationError", "Statistic", {"Statistic": None}),
        ("both statistics", "ValidationError", "both Statistic and ExtendedStatistic", {"ExtendedStatistic": "p90"}),
        ("a percentile above 100", "InvalidParameterValue", "p101", {"Statistic": None, "ExtendedStatistic": "p101"}),
        ("an unknown statistic", "ValidationError", "enum value set", {"Statistic": "Median"}),
        ("an unknown operator", "ValidationError", "enum value set", {"ComparisonOperator": "Equal"}),
        ("no operator", "ValidationError", "ComparisonOperator", {"ComparisonOperator": None}),
        ("no threshold", "ValidationError", "Threshold", {"Threshold": None}),
        ("no evaluation periods", "ValidationError", "evaluationPeriods", {"EvaluationPeriods": None}),
        ("no period", "ValidationError", "Period", {"Period": None}),
        ("an unknown unit", "ValidationError", "enum value set", {"Unit": "Furlongs"}),
        ("more datapoints than periods", "ValidationError", "less than or equal to EvaluationPeriods", {"DatapointsToAlarm": 2}),
        ("an unknown treatment of missing data", "ValidationError", "TreatMissingData", {"TreatMissingData": "maybe"}),
        ("an option for percentiles on a sum", "ValidationError", "percentile", {"EvaluateLowSampleCountPercentile": "ignore"}),
        ("an unknown option for percentiles", "ValidationError", "not supported", {"EvaluateLowSampleCountPercentile": "no"}),
        ("an action that is no ARN", "ValidationError", "Invalid arn syntax", {"AlarmActions": ["topic"]}),
        ("a topic in another region", "ValidationError", "Invalid region", {"AlarmActions": [f"arn:aws:sns:eu-west-2:{ACCOUNT}:t"]}),
        ("more than five actions", "ValidationError", "less than or equal to 5", {"OKActions": [f"arn:aws:sns:{REGION}:{ACCOUNT}:{n}" for n in range(6)]}),
        ("a metric and a list of metrics", "ValidationError", "should not be set if list of Metrics is set", {"Metrics": one}),
        ("no metric", "ValidationError", "metricName", {"MetricName": None}),
        ("a namespace that begins with a colon", "ValidationError", "namespace", {"Namespace": ":x"}),
        ("an id that begins with a capital", "ValidationError", "pattern", {**nothing, "Metrics": [{"Id": "M1", "MetricStat": metric}]}),
        ("the same id twice", "ValidationError", "unique", {**nothing, "Metrics": one * 2}),
        ("two metrics that return data", "ValidationError", "return data", {**nothing, "Metrics": [*one, {"Id": "m2", "MetricStat": metric}]}),
        ("neither metric nor expression", "ValidationError", "either", {**nothing, "Metrics": [{"Id": "m1"}]}),
        ("an unknown statistic in the list", "InvalidParameterValue", "Stat", {**nothing, "Metrics": [{"Id": "m1", "MetricStat": {**metric, "Stat": "x"}}]}),
        ("a band with a threshold", "ValidationError", "Threshold", {**nothing, "Metrics": one, "ThresholdMetricId": "m1"}),
        ("a band that is not in the list", "ValidationError", "ThresholdMetricId", {**nothing, "Metrics": one, "Threshold": None, "ThresholdMetricId": "ad1", "ComparisonOperator": "GreaterThanUpperThreshold"}),
        ("a band's operator without a band", "ValidationError", "ThresholdMetricId", {"ComparisonOperator": "GreaterThanUpperThreshold"}),
    ]
    for what, code, saying, change in cases:
        with checks.check(f"PutMetricAlarm refuses {what}"), refused(code, saying):
            change = dict(change)
            put(cloudwatch, change.pop("AlarmName", "refused"), **change)
    with checks.check("nothing of what was refused is there"):
        equal(cloudwatch.describe_alarms(AlarmNames=["refused"])["MetricAlarms"], [])
    with checks.check("queries that are refused"):
        with refused("InvalidNextToken"):
            cloudwatch.describe_alarms(NextToken="forged")
        with refused("InvalidNextToken"):
            cloudwatch.describe_alarm_history(NextToken="forged")
        with refused("ValidationError", "enum value set"):
            cloudwatch.describe_alarms(StateValue="FINE")
        with refused("ValidationError", "enum value set"):
            cloudwatch.describe_alarms(AlarmTypes=["Any"])
        with refused("ValidationError", "maxRecords"):
            cloudwatch.describe_alarms(MaxRecords=101)
        with refused("ValidationError", "can only be used with"):
            cloudwatch.describe_alarms(ChildrenOfAlarmName="a", StateValue="OK")


def composites(checks, cloudwatch):
    rule = "ALARM(c-one) AND NOT OK(\"c-two\")"
    with checks.check("a composite alarm follows its children"):
        for name in ("c-one", "c-two"):
            put(cloudwatch, name)
        cloudwatch.put_composite_alarm(AlarmName="c-both", AlarmRule=rule, AlarmDescription="both")
        alarm = only(cloudwatch, "c-both", "CompositeAlarm")
        equal((alarm["StateValue"], alarm["AlarmRule"]), ("OK", rule))
        equal(alarm["StateReason"], f"{ARN}c-both was created and its alarm rule evaluates to OK")
        cloudwatch.set_alarm_state(AlarmName="c-one", StateValue="ALARM", StateReason="by hand")
        alarm = only(cloudwatch, "c-both", "CompositeAlarm")
        equal(alarm["StateValue"], "ALARM")
        assert alarm["StateReason"].startswith(f"{ARN}c-one transitioned to ALARM at "), alarm["StateReason"]
        (trigger,) = json.loads(alarm["StateReasonData"])["triggeringAlarms"]
        equal((trigger["arn"], trigger["state"]["value"]), (f"{ARN}c-one", "ALARM"))
    with checks.check("only metric alarms are described unless it is asked for others"):
        equal(cloudwatch.describe_alarms(AlarmNames=["c-both"])["CompositeAlarms"], [])
    with checks.check("children and parents"):
        children = cloudwatch.describe_alarms(ChildrenOfAlarmName="c-both")["MetricAlarms"]
        equal([set(each) for each in children], [{"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}] * 2)
        parents = cloudwatch.describe_alarms(ParentsOfAlarmName="c-one")["CompositeAlarms"]
        equal(parents, [{"AlarmName": "c-both", "AlarmArn": f"{ARN}c-both"}])
    with checks.check("a suppressor is kept"):
        cloudwatch.put_composite_alarm(AlarmName="c-quiet", AlarmRule="FALSE", ActionsSuppressor="c-two",
                                       ActionsSuppressorWaitPeriod=60, ActionsSuppressorExtensionPeriod=30)
        alarm = only(cloudwatch, "c-quiet", "CompositeAlarm")
        equal((alarm["ActionsSuppressor"], alarm["ActionsSuppressorWaitPeriod"]), ("c-two", 60))
    cases = [
        ("a word that it does not know", "Unsupported token 'true' at char 0", {"AlarmRule": "true"}),
        ("an open parenthesis", "must be: ')'", {"AlarmRule": "(TRUE"}),
        ("an alarm that does not exist", f"alarms [{ARN}nobody] in the alarm rule do not exist", {"AlarmRule": "ALARM(nobody)"}),
        ("an alarm of another region", "Wrong ARN region", {"AlarmRule": f"OK(arn:aws:cloudwatch:eu-west-2:{ACCOUNT}:alarm:a)"}),
        ("an alarm of another account", "another AWS account", {"AlarmRule": f"OK(arn:aws:cloudwatch:{REGION}:111111111111:alarm:a)"}),
        ("itself", "circular dependency", {"AlarmName": "c-both", "AlarmRule": "ALARM(c-both)"}),
        ("space at its end", "whitespace", {"AlarmRule": "TRUE "}),
        ("a suppressor that does not exist", "does not exist", {"AlarmRule": "TRUE", "ActionsSuppressor": "nobody", "ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}),
        ("a suppressor without its periods", "actionsSuppressorWaitPeriod", {"AlarmRule": "TRUE", "ActionsSuppressor": "c-one"}),
        ("a period without a suppressor", "ActionsSuppressor is set", {"AlarmRule": "TRUE", "ActionsSuppressorWaitPeriod": 1}),
        ("the name of a metric alarm", "different type", {"AlarmName": "c-one", "AlarmRule": "TRUE"}),
    ]
    for what, saying, change in cases:
        with checks.check(f"PutCompositeAlarm refuses {what}"), refused("ValidationError", saying):
            cloudwatch.put_composite_alarm(**{"AlarmName": "refused", **change})
    with checks.check("a metric alarm cannot have the name of a composite one"), refused("ValidationError", "different type"):
        put(cloudwatch, "c-both")


def states(checks, cloudwatch):
    with checks.check("a state that is set comes with its reason and data"):
        put(cloudwatch, "s-one")
        cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="ALARM", StateReason="first", StateReasonData='{"a": 1}')
        alarm = only(cloudwatch, "s-one")
        equal((alarm["StateValue"], alarm["StateReason"], alarm["StateReasonData"]), ("ALARM", "first", '{"a": 1}'))
    with checks.check("to set the state that it is in changes nothing"):
        cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="ALARM", StateReason="second")
        equal(only(cloudwatch, "s-one"), alarm)
    with checks.check("what SetAlarmState refuses"):
        with refused("ResourceNotFound"):
            cloudwatch.set_alarm_state(AlarmName="nobody", StateValue="OK", StateReason="x")
        with refused("InvalidFormat"):
            cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="OK", StateReason="x", StateReasonData="{")
        with refused("ValidationError", "[INSUFFICIENT_DATA, ALARM, OK]"):
            cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="FINE", StateReason="x")
        with refused("ValidationError", "less than or equal to 1023"):
            cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="OK", StateReason="x" * 1024)
        with refused("ValidationError", "less than or equal to 4000"):
            cloudwatch.set_alarm_state(AlarmName="s-one", StateValue="OK", StateReason="x", StateReasonData='"' + "x" * 4000 + '"')
        equal(only(cloudwatch, "s-one")["StateValue"], "ALARM")


def data(checks, cloudwatch):
    def publish(*data, namespace="Contract/Data"):
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=list(data))

    with checks.check("a thousand data at once, which botocore compresses; one more is refused"):
        many = [{"MetricName": f"Many-{number}", "Value": 1.0} for number in range(1001)]
        publish(*many[:1000])
        with refused("InvalidParameterValue"):
            publish(*many)
    with checks.check("data above the threshold has the alarm ring"):
        put(cloudwatch, "d-sum", Namespace="Contract/Data", MetricName="Sum", Period=3600)
        publish({"MetricName": "Sum", "Value": 1.0}, {"MetricName": "Sum", "Values": [2.0, 1.0], "Counts": [2.0, 1.0]},
                {"MetricName": "Sum", "Unit": "Count", "StorageResolution": 1,
                 "StatisticValues": {"SampleCount": 2.0, "Sum": 4.0, "Minimum": 1.0, "Maximum": 3.0}})
        wait_until("ALARM", lambda: only(cloudwatch, "d-sum")["StateValue"] == "ALARM")
        alarm = only(cloudwatch, "d-sum")
        assert alarm["StateReason"].startswith("Threshold Crossed: 1 datapoint [10.0 ("), alarm["StateReason"]
        equal(json.loads(alarm["StateReasonData"])["recentDatapoints"], [10.0])
    with checks.check("data below it does not"):
        put(cloudwatch, "d-max", Namespace="Contract/Data", MetricName="Max", Statistic="Maximum", Period=3600)
        publish({"MetricName": "Max", "Value": 5.0})
        wait_until("OK", lambda: only(cloudwatch, "d-max")["StateValue"] == "OK")
    now = time.time()
    cases = [
        ("no value", "MissingParameter", "Value", {}),
        ("a value and values", "InvalidParameterCombination", "mutually exclusive", {"Value": 1.0, "Values": [1.0]}),
        ("values and counts of different sizes", "InvalidParameterValue", "same size", {"Values": [1.0], "Counts": [1.0, 2.0]}),
        ("more than 150 values", "InvalidParameterValue", "150", {"Values": [1.0] * 151}),
        ("a value that is too large", "InvalidParameterValue", "invalid", {"Value": 1e120}),
        ("a resolution of ten seconds", "InvalidParameterValue", "StorageResolution", {"Value": 1.0, "StorageResolution": 10}),
        ("a time of three weeks ago", "InvalidParameterValue", "two weeks", {"Value": 1.0, "Timestamp": now - 21 * 86400}),
        ("a time of tomorrow", "InvalidParameterValue", "two hours", {"Value": 1.0, "Timestamp": now + 86400}),
        ("a set without samples", "InvalidParameterValue", "SampleCount", {"StatisticValues": {"SampleCount": 0.0, "Sum": 0.0, "Minimum": 0.0, "Maximum": 0.0}}),
        ("a set upside down", "InvalidParameterValue", "Minimum", {"StatisticValues": {"SampleCount": 1.0, "Sum": 0.0, "Minimum": 2.0, "Maximum": 1.0}}),
        ("an unknown unit", "ValidationError", "enum value set", {"Value": 1.0, "Unit": "Furlongs"}),
    ]
    for what, code, saying, datum in cases:
        with checks.check(f"PutMetricData refuses {what}"), refused(code, saying):
            publish({"MetricName": "Refused", **datum})
    # More than a thousand data are refused too; but botocore compresses so large a request (see the unit tests).
    with checks.check("PutMetricData refuses AWS's own namespaces, and no data"):
        with refused("InvalidParameterValue", "Namespace"):
            publish({"MetricName": "x", "Value": 1.0}, namespace="AWS/EC2")
        with refused("MissingParameter"):
            publish()


def history(checks, cloudwatch):
    with checks.check("history tells what was done and what changed, the newest first"):
        put(cloudwatch, "h-one")
        cloudwatch.set_alarm_state(AlarmName="h-one", StateValue="ALARM", StateReason="by hand")
        put(cloudwatch, "h-one", Threshold=6.0)
        items = cloudwatch.describe_alarm_history(AlarmName="h-one")["AlarmHistoryItems"]
        equal([each["HistorySummary"] for each in items], [
            'Alarm "h-one" updated', "Alarm updated from INSUFFICIENT_DATA to ALARM", 'Alarm "h-one" created',
        ])
        equal(json.loads(items[0]["HistoryData"])["originalUpdatedFields"]["threshold"], 5.0)
        equal(json.loads(items[1]["HistoryData"])["newState"], {"stateValue": "ALARM", "stateReason": "by hand"})
    with checks.check("it can be asked for by type, by date, and the oldest first"):
        ask = lambda **more: cloudwatch.describe_alarm_history(AlarmName="h-one", **more)["AlarmHistoryItems"]
        equal(len(ask(HistoryItemType="StateUpdate")), 1)
        equal([each["HistorySummary"] for each in ask(ScanBy="TimestampAscending")][0], 'Alarm "h-one" created')
        equal(ask(StartDate=time.time() + 60), [])
        equal(ask(EndDate=time.time() - 3600), [])
        pages = cloudwatch.get_paginator("describe_alarm_history").paginate(AlarmName="h-one", PaginationConfig={"PageSize": 2})
        equal([len(page["AlarmHistoryItems"]) for page in pages], [2, 1])
    with checks.check("it outlives the alarm"):
        cloudwatch.delete_alarms(AlarmNames=["h-one"])
        equal(ask()[0]["HistorySummary"], 'Alarm "h-one" deleted')


def events(checks, aws, cloudwatch):
    queue, bus = aws.client("sqs"), aws.client("events")
    url = queue.create_queue(QueueName="cloudwatch-events")["QueueUrl"]
    pattern = json.dumps({"source": ["aws.cloudwatch"], "resources": [f"{ARN}e-one"]})
    bus.put_rule(Name="cloudwatch-events", EventPattern=pattern)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:cloudwatch-events"
    bus.put_targets(Rule="cloudwatch-events", Targets=[{"Id": "1", "Arn": arn}])

    def next_event():
        ask = lambda: queue.receive_message(QueueUrl=url).get("Messages")
        (message,) = wait_until("an event", ask)
        queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    with checks.check("every change of an alarm is told on the bus"):
        put(cloudwatch, "e-one")
        event = next_event()
        equal((event["detail-type"], event["detail"]["operation"]), ("CloudWatch Alarm Configuration Change", "create"))
        cloudwatch.set_alarm_state(AlarmName="e-one", StateValue="ALARM", StateReason="by hand")
        event = next_event()
        equal(event["detail-type"], "CloudWatch Alarm State Change")
        equal((event["detail"]["state"]["value"], event["detail"]["previousState"]["value"]), ("ALARM", "INSUFFICIENT_DATA"))
        put(cloudwatch, "e-one", Threshold=6.0)
        detail = next_event()["detail"]
        equal((detail["operation"], detail["previousConfiguration"]["threshold"]), ("update", 5.0))
        cloudwatch.delete_alarms(AlarmNames=["e-one"])
        equal(next_event()["detail"]["operation"], "delete")


def topics(checks, aws, cloudwatch):
    """What an alarm does is noted, whether it could be done or not."""
    def noted(name):
        ask = lambda: cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
        (item,) = wait_until("the action", ask)
        return item

    with checks.check("an action that is not emulated is noted as failed"):
        target = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
        put(cloudwatch, "t-other", AlarmActions=[target])
        cloudwatch.set_alarm_state(AlarmName="t-other", StateValue="ALARM", StateReason="by hand")
        item = noted("t-other")
        assert item["HistorySummary"].startswith(f"Failed to execute action {target}"), item
        equal(json.loads(item["HistoryData"])["actionState"], "Failed")
    with checks.check("a topic that does not exist is noted as failed"):
        target = f"arn:aws:sns:{REGION}:{ACCOUNT}:cloudwatch-nobody"
        put(cloudwatch, "t-nobody", AlarmActions=[target])
        cloudwatch.set_alarm_state(AlarmName="t-nobody", StateValue="ALARM", StateReason="by hand")
        assert noted("t-nobody")["HistorySummary"].startswith(f"Failed to execute action {target}")
    with checks.check("a topic gets AWS's message, under AWS's subject"):
        queue, topic = aws.client("sqs"), aws.client("sns")
        url = queue.create_queue(QueueName="cloudwatch-topic")["QueueUrl"]
        arn = topic.create_topic(Name="cloudwatch-topic")["TopicArn"]
        topic.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:cloudwatch-topic")
        put(cloudwatch, "t-one", AlarmDescription="too many", AlarmActions=[arn])
        cloudwatch.set_alarm_state(AlarmName="t-one", StateValue="ALARM", StateReason="by hand")
        (message,) = wait_until("the message", lambda: queue.receive_message(QueueUrl=url).get("Messages"))
        notice = json.loads(message["Body"])
        equal(notice["Subject"], 'ALARM: "t-one" in US East (N. Virginia)')
        alarm = json.loads(notice["Message"])
        equal((alarm["NewStateValue"], alarm["OldStateValue"], alarm["AlarmArn"]), ("ALARM", "INSUFFICIENT_DATA", f"{ARN}t-one"))
        equal(alarm["Trigger"], {
            "MetricName": "Errors", "Namespace": "Contract", "StatisticType": "Statistic", "Statistic": "SUM", "Unit": None,
            "Dimensions": [], "Period": 60, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 5.0, "TreatMissingData": "", "EvaluateLowSampleCountPercentile": "",
        })
        equal(noted("t-one")["HistorySummary"], f"Successfully executed action {arn}")


def deletion(checks, cloudwatch):
    with checks.check("what a composite alarm needs cannot be deleted, nor anything with it"):
        with refused("ValidationError", "Cannot delete c-one as there are composite alarm(s) depending on it."):
            cloudwatch.delete_alarms(AlarmNames=["c-one", "s-one"])
        equal(only(cloudwatch, "s-one")["AlarmName"], "s-one")
        with refused("ValidationError", "composite"):
            cloudwatch.delete_alarms(AlarmNames=["c-both", "c-quiet"])
    with checks.check("names that are nobody's are passed over"):
        cloudwatch.delete_alarms(AlarmNames=["c-both", "nobody"])
        cloudwatch.delete_alarms(AlarmNames=["c-quiet"])
        cloudwatch.delete_alarms(AlarmNames=["c-one", "c-two"])
        equal(cloudwatch.describe_alarms(AlarmNamePrefix="c-", AlarmTypes=["MetricAlarm", "CompositeAlarm"])["MetricAlarms"], [])
    with checks.check("more than a hundred at once are refused"), refused("ValidationError", "less than or equal to 100"):
        cloudwatch.delete_alarms(AlarmNames=[f"a{number}" for number in range(101)])
