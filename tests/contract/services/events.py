"""EventBridge: every operation, and its refusals. Patterns and what targets get are in `cases/eventbridge.py`."""

import json

from harness import ACCOUNT, REGION, equal

from . import refused

NAME = "contract-services"
PREFIX = f"arn:aws:events:{REGION}:{ACCOUNT}"
PATTERN = json.dumps({"source": [NAME]})
GONE = "ResourceNotFoundException"
INVALID = "ValidationException"


def run(checks, aws):
    client, sqs = aws.client("events"), aws.client("sqs")
    buses(checks, client)
    rules(checks, client)
    targets(checks, client, sqs)
    events(checks, client, sqs)
    tags(checks, client)
    refusals(checks, client)
    endings(checks, client, sqs)
    with checks.check("events: what is not emulated says so"), refused("NotEmulated", "CreateArchive"):
        getattr(aws, "local", aws).client("events").create_archive(
            ArchiveName="x", EventSourceArn=f"{PREFIX}:event-bus/default")


def buses(checks, client):
    with checks.check("events: a bus is made, described and listed"):
        dead = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"}
        made = client.create_event_bus(
            Name=NAME, Description="ours", DeadLetterConfig=dead, Tags=[{"Key": "team", "Value": "shop"}])
        equal((made["EventBusArn"], made["Description"]), (f"{PREFIX}:event-bus/{NAME}", "ours"))
        described = client.describe_event_bus(Name=NAME)
        equal((described["Arn"], described["Description"], described["DeadLetterConfig"]),
              (made["EventBusArn"], "ours", dead))
        equal(client.describe_event_bus(Name=made["EventBusArn"])["CreationTime"], described["CreationTime"])
        equal(client.describe_event_bus()["Name"], "default")
        (listed,) = client.list_event_buses(NamePrefix=NAME)["EventBuses"]
        equal((listed["Name"], listed["Description"]), (NAME, "ours"))
        first = client.list_event_buses(Limit=1)
        rest = client.list_event_buses(NextToken=first["NextToken"])
        # Pointsman's own bus is there too, where it runs.
        names = [each["Name"] for each in (*first["EventBuses"], *rest["EventBuses"])]
        equal([name for name in names if name != "pointsman"], [NAME, "default"])


def rules(checks, client):
    with checks.check("events: a rule is put, described, changed and listed"):
        arn = client.put_rule(Name=NAME, EventPattern=PATTERN, Description="ours", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/x")
        equal(arn["RuleArn"], f"{PREFIX}:rule/{NAME}")
        described = client.describe_rule(Name=NAME)
        equal((described["State"], described["EventPattern"], described["CreatedBy"]), ("ENABLED", PATTERN, ACCOUNT))
        client.put_rule(Name=f"{NAME}-2", ScheduleExpression="rate(1 day)", State="DISABLED")
        listed = lambda **more: client.list_rules(NamePrefix=NAME, **more)
        equal([(each["Name"], each["State"]) for each in listed()["Rules"]],
              [(NAME, "ENABLED"), (f"{NAME}-2", "DISABLED")])
        first = listed(Limit=1)
        rest = listed(Limit=1, NextToken=first["NextToken"])
        equal((rest["Rules"][0]["ScheduleExpression"], "NextToken" in rest), ("rate(1 day)", False))
    with checks.check("events: a rule belongs to its bus"):
        arn = client.put_rule(Name=NAME, EventBusName=NAME, EventPattern=PATTERN)["RuleArn"]
        equal(arn, f"{PREFIX}:rule/{NAME}/{NAME}")
        equal(client.describe_rule(Name=NAME, EventBusName=f"{PREFIX}:event-bus/{NAME}")["EventBusName"], NAME)
    with checks.check("events: a rule is switched off and on"):
        state = lambda: client.describe_rule(Name=NAME)["State"]
        client.disable_rule(Name=NAME)
        equal(state(), "DISABLED")
        client.enable_rule(Name=NAME)
        equal(state(), "ENABLED")


def targets(checks, client, sqs):
    with checks.check("events: targets are put, listed in pages and removed"):
        sqs.create_queue(QueueName=NAME)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
        retry = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
        put = client.put_targets(Rule=NAME, Targets=[
            {"Id": "a", "Arn": arn, "RetryPolicy": retry}, {"Id": "b", "Arn": arn, "Input": "{}"}])
        equal(put["FailedEntryCount"], 0)
        first = client.list_targets_by_rule(Rule=NAME, Limit=1)
        equal(first["Targets"], [{"Id": "a", "Arn": arn, "RetryPolicy": retry}])
        rest = client.list_targets_by_rule(Rule=NAME, Limit=1, NextToken=first["NextToken"])
        equal((rest["Targets"][0]["Id"], "NextToken" in rest), ("b", False))
        equal(client.remove_targets(Rule=NAME, Ids=["b"])["FailedEntryCount"], 0)
        equal([each["Id"] for each in client.list_targets_by_rule(Rule=NAME)["Targets"]], ["a"])


def events(checks, client, sqs):
    entry = {"Source": NAME, "DetailType": "Test", "Detail": '{"n": 1}', "Resources": ["arn:a"]}
    with checks.check("events: an event goes to the target of the rule that matches it"):
        answer = client.put_events(Entries=[entry, {**entry, "EventBusName": NAME}])
        equal(answer["FailedEntryCount"], 0)
        queue = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10, MaxNumberOfMessages=10)["Messages"]
        event = json.loads(message["Body"])
        equal((event["id"], event["detail"]), (answer["Entries"][0]["EventId"], {"n": 1}))
    with checks.check("events: entries are refused one by one"):
        without = lambda member: {name: value for name, value in entry.items() if name != member}
        rows = [
            # entry, code, why
            (entry, None, "as it should be"),
            (without("Source"), "InvalidArgument", "no source"),
            (without("DetailType"), "InvalidArgument", "no type"),
            (without("Detail"), "InvalidArgument", "no detail"),
            ({**entry, "Detail": "{"}, "MalformedDetail", "no JSON"),
            ({**entry, "Detail": "[]"}, "MalformedDetail", "no object"),
            ({**entry, "Source": "aws.ec2"}, "NotAuthorizedForSourceException", "AWS's own source"),
            ({**entry, "EventBusName": "contract-nobody"}, None, "AWS takes an event for no bus, and drops it"),
        ]
        answer = client.put_events(Entries=[row[0] for row in rows])
        for (_, code, why), seen in zip(rows, answer["Entries"], strict=True):
            equal(seen.get("ErrorCode"), code, why)
        equal(answer["FailedEntryCount"], 6)
    with checks.check("events: a pattern is tried on an event"):
        event = json.dumps({
            "id": "1", "account": ACCOUNT, "time": "2026-01-01T00:00:00Z", "region": REGION, "source": NAME,
            "detail-type": "Test", "resources": [], "detail": {}})
        for pattern, expected in ((PATTERN, True), ('{"source": ["other"]}', False)):
            equal(client.test_event_pattern(EventPattern=pattern, Event=event)["Result"], expected)
        with refused("InvalidEventPatternException"):
            client.test_event_pattern(EventPattern="{}", Event=event)


def tags(checks, client):
    with checks.check("events: tags are given to rules and buses, and taken"):
        for arn, before in ((f"{PREFIX}:event-bus/{NAME}", {"team": "shop"}), (f"{PREFIX}:rule/{NAME}", {}),
                            (f"{PREFIX}:rule/{NAME}/{NAME}", {})):
            read = lambda: {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=arn)["Tags"]}
            equal(read(), before)
            client.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])
            equal(read(), {**before, "cost": "1"})
            client.untag_resource(ResourceARN=arn, TagKeys=["cost", "nothing"])
            equal(read(), before)


def refusals(checks, client):
    nobody = {"Name": "contract-nobody"}
    no_bus = {"EventBusName": "contract-nobody"}
    no_rule = {"Rule": "contract-nobody"}
    no_arn = {"ResourceARN": f"{PREFIX}:rule/contract-nobody"}
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
    put = lambda **changes: {"Rule": NAME, "Targets": [{"Id": "x", "Arn": queue, **changes}]}
    rule = lambda **changes: {"Name": "x", "EventPattern": PATTERN, **changes}
    entry = {"Source": NAME, "DetailType": "Test", "Detail": "{}"}
    large = {**entry, "Detail": json.dumps({"x": "x" * 262_144})}
    rows = [
        # operation, arguments, AWS's code, why
        ("create_event_bus", {"Name": NAME}, "ResourceAlreadyExistsException", "made twice"),
        ("create_event_bus", {"Name": "default"}, "ResourceAlreadyExistsException", "every region has one"),
        ("create_event_bus", {"Name": "a/b"}, INVALID, "a slash is for partners"),
        ("create_event_bus", {"Name": "a b"}, INVALID, "a space"),
        ("delete_event_bus", {"Name": "default"}, INVALID, "that one stays"),
        ("delete_event_bus", {"Name": NAME}, INVALID, "it has rules"),
        ("describe_event_bus", nobody, GONE, "no such bus"),
        ("list_event_buses", {"Limit": 101}, INVALID, "a page has up to 100"),
        ("list_event_buses", {"NextToken": "nonsense"}, INVALID, "no such token"),
        ("put_rule", {"Name": "x"}, INVALID, "neither pattern nor schedule"),
        ("put_rule", rule(Name="a b"), INVALID, "a space"),
        ("put_rule", rule(EventPattern="{}"), "InvalidEventPatternException", "no pattern"),
        ("put_rule", {"Name": "x", "ScheduleExpression": "rate(1 minutes)"}, INVALID, "no schedule"),
        ("put_rule", {"Name": "x", "ScheduleExpression": "rate(1 day)", "EventBusName": NAME}, INVALID,
         "schedules are for the default bus"),
        ("put_rule", rule(State="ON"), INVALID, "no such state"),
        ("put_rule", rule(**no_bus), GONE, "no such bus"),
        ("delete_rule", {"Name": NAME}, INVALID, "it has targets"),
        ("delete_rule", {"Name": NAME, **no_bus}, GONE, "no such bus"),
        ("describe_rule", nobody, GONE, "no such rule"),
        ("describe_rule", {"Name": NAME, **no_bus}, GONE, "no such bus"),
        ("list_rules", no_bus, GONE, "no such bus"),
        ("list_rules", {"Limit": 101}, INVALID, "a page has up to 100"),
        ("enable_rule", nobody, GONE, "no such rule"),
        ("disable_rule", nobody, GONE, "no such rule"),
        ("put_targets", {**put(), **no_rule}, GONE, "no such rule"),
        ("put_targets", put(Arn="queue"), INVALID, "not an ARN"),
        ("put_targets", put(Id="a b"), INVALID, "a space in an id"),
        ("put_targets", put(Arn=f"{queue}.fifo"), INVALID, "a FIFO queue wants a group"),
        ("put_targets", put(Input="{}", InputPath="$"), INVALID, "two inputs"),
        ("put_targets", put(Input="{"), INVALID, "an input is JSON"),
        ("put_targets", put(RetryPolicy={"MaximumRetryAttempts": 186}), INVALID, "185 retries at most"),
        ("put_targets", {"Rule": NAME, "Targets": [{"Id": str(n), "Arn": queue} for n in range(5)]},
         "LimitExceededException", "five targets at most"),
        ("remove_targets", {**no_rule, "Ids": ["a"]}, GONE, "no such rule"),
        ("list_targets_by_rule", no_rule, GONE, "no such rule"),
        ("list_targets_by_rule", {"Rule": NAME, "NextToken": "nonsense"}, INVALID, "no such token"),
        ("put_events", {"Entries": [entry] * 11}, INVALID, "ten at most"),
        ("put_events", {"Entries": [large]}, INVALID, "above 256 KiB"),
        ("test_event_pattern", {"EventPattern": PATTERN, "Event": "{"}, INVALID, "no JSON"),
        ("test_event_pattern", {"EventPattern": PATTERN, "Event": "{}"}, INVALID, "no event"),
        ("tag_resource", {**no_arn, "Tags": [{"Key": "a", "Value": "1"}]}, GONE, "no such rule"),
        ("untag_resource", {**no_arn, "TagKeys": ["a"]}, GONE, "no such rule"),
        ("list_tags_for_resource", no_arn, GONE, "no such rule"),
    ]
    for operation, arguments, code, why in rows:
        with checks.check(f"events {operation} is refused with {code}: {why}"), refused(code):
            getattr(client, operation)(**arguments)


def endings(checks, client, sqs):
    with checks.check("events: a rule without targets is deleted, and its bus after it"):
        client.remove_targets(Rule=NAME, Ids=["a"])
        for rule in ({"Name": NAME}, {"Name": f"{NAME}-2"}, {"Name": NAME, "EventBusName": NAME}):
            client.delete_rule(**rule)
            client.delete_rule(**rule)
        client.delete_event_bus(Name=NAME)
        client.delete_event_bus(Name=NAME)
        equal(client.list_rules(NamePrefix=NAME)["Rules"], [])
        with refused(GONE):
            client.describe_event_bus(Name=NAME)
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=NAME)["QueueUrl"])
