"""EventBridge: patterns, rules, targets, PutEvents and what arrives."""

import json

from cases import case, code

EVENT = {
    "id": "1", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "version": "0",
    "source": "contract", "detail-type": "Test", "resources": ["arn:aws:codepipeline:us-east-1:123456789012:shop"],
    "detail": {
        "state": "SUCCEEDED", "count": 7, "flag": True, "nothing": None, "address": "10.1.2.3", "empty": "",
        "tags": ["red", "green"], "nested": {"deep": {"name": "shop-production"}}, "list": [{"a": 1}, {"a": 2, "b": 3}],
    },
}


def put_rule(aws, pattern=None, **keywords):
    name = aws.name()
    aws.events.put_rule(Name=name, EventPattern=json.dumps(pattern or {"source": [name]}), **keywords)
    return name


def wired(aws, pattern=None, **target):
    """A queue that gets what a rule matches; also the rule, whose name is the source that it matches."""
    queue = aws.queue()
    rule = put_rule(aws, pattern)
    aws.events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": aws.arn_of(queue), **target}])
    return queue, rule


def arrived(aws, queue, seconds=3):
    found = aws.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in found.get("Messages", [])]


def entry(source, **members):
    return {"Source": source, "DetailType": "Test", "Detail": json.dumps({"n": 1}), **members}


@case
def patterns(aws):
    def test(detail):
        answer = aws.events.test_event_pattern(EventPattern=json.dumps({"detail": detail}), Event=json.dumps(EVENT))
        return answer["Result"]
    name = lambda value: {"nested": {"deep": {"name": [value]}}}
    cases = {
        "equal": {"state": ["SUCCEEDED"]}, "one of": {"state": ["FAILED", "SUCCEEDED"]}, "case counts": {"state": ["succeeded"]},
        "ignoring case": {"state": [{"equals-ignore-case": "succeeded"}]},
        "a number": {"count": [7]}, "a number as text": {"count": ["7"]}, "7.0 is 7": {"count": [7.0]}, "true": {"flag": [True]},
        "null": {"nothing": [None]}, "null is not missing": {"missing": [None]}, "empty": {"empty": [""]},
        "any of an array": {"tags": ["green"]}, "none of an array": {"tags": ["blue"]},
        "inside an array of objects": {"list": {"a": [2]}},
        "two members of different elements": {"list": {"a": [1], "b": [3]}},
        "prefix": name({"prefix": "shop-"}), "no prefix": name({"prefix": "web-"}),
        "prefix ignoring case": name({"prefix": {"equals-ignore-case": "SHOP-"}}),
        "suffix": name({"suffix": "-production"}), "suffix ignoring case": name({"suffix": {"equals-ignore-case": "-PRODUCTION"}}),
        "wildcard": name({"wildcard": "shop-*"}), "wildcards": name({"wildcard": "*-prod*"}), "no wildcard": name({"wildcard": "shop"}),
        "anything but": {"state": [{"anything-but": ["FAILED"]}]}, "anything but this": {"state": [{"anything-but": "SUCCEEDED"}]},
        "anything but a prefix": {"state": [{"anything-but": {"prefix": "FAIL"}}]},
        "anything but a suffix": {"state": [{"anything-but": {"suffix": "EDED"}}]},
        "anything but a wildcard": {"state": [{"anything-but": {"wildcard": "SUCC*"}}]},
        "anything but, missing": {"missing": [{"anything-but": "x"}]},
        "anything but a number": {"count": [{"anything-but": [1, 2]}]},
        "at least": {"count": [{"numeric": [">=", 7]}]}, "between": {"count": [{"numeric": [">", 0, "<", 7]}]},
        "equals": {"count": [{"numeric": ["=", 7]}]}, "a number where text is": {"state": [{"numeric": [">", 0]}]},
        "exists": {"state": [{"exists": True}]}, "does not exist": {"missing": [{"exists": False}]},
        "null exists": {"nothing": [{"exists": True}]}, "exists, on an object": {"nested": [{"exists": True}]},
        "address": {"address": [{"cidr": "10.1.0.0/16"}]}, "another network": {"address": [{"cidr": "10.2.0.0/16"}]},
        "either": {"$or": [{"state": ["FAILED"]}, {"count": [{"numeric": [">", 5]}]}]},
        "neither": {"$or": [{"state": ["FAILED"]}, {"count": [{"numeric": [">", 9]}]}]},
    }
    return {what: test(detail) for what, detail in cases.items()}


@case
def patterns_that_are_refused(aws):
    put = lambda text: code(aws.events.put_rule, Name=aws.name(), EventPattern=text)
    return {
        "no JSON": put("{"), "not an object": put("[]"), "empty": put("{}"), "a value outside an array": put('{"source": "a"}'),
        "an empty array": put('{"source": []}'), "an unknown matcher": put('{"source": [{"sounds-like": "a"}]}'),
        "a bad range": put('{"detail": {"n": [{"numeric": [">", "a"]}]}}'),
        "a bad network": put('{"detail": {"n": [{"cidr": "10.0.0.0/99"}]}}'),
        "two stars together": put('{"source": [{"wildcard": "a**b"}]}'),
        "exists that is no boolean": put('{"source": [{"exists": "yes"}]}'),
    }


@case
def rules(aws):
    name = aws.name()
    put = lambda **keywords: code(aws.events.put_rule, **{"Name": name, **keywords})
    return {
        "neither pattern nor schedule": put(),
        "a rate": put(ScheduleExpression="rate(5 minutes)"),
        "one minutes": put(ScheduleExpression="rate(1 minutes)"),
        "zero": put(ScheduleExpression="rate(0 minutes)"),
        "seconds": put(ScheduleExpression="rate(30 seconds)"),
        "cron": put(ScheduleExpression="cron(0 10 ? * MON-FRI *)"),
        "cron with five fields": put(ScheduleExpression="cron(0 10 * * ?)"),
        "cron with both days": put(ScheduleExpression="cron(0 10 1 * MON *)"),
        "not a schedule": put(ScheduleExpression="now and then"),
        "a name with a space": put(Name="a b", ScheduleExpression="rate(5 minutes)"),
        "another bus": put(EventBusName="nope", EventPattern='{"source": ["a"]}'),
    }


@case
def rules_and_their_targets(aws):
    queue, rule = wired(aws)
    arn = aws.arn_of(queue)
    put = lambda *ids: aws.events.put_targets(Rule=rule, Targets=[{"Id": each, "Arn": arn} for each in ids])
    described = aws.events.describe_rule(Name=rule)
    six = code(put, *"abcdef")
    removed = aws.events.remove_targets(Rule=rule, Ids=["queue", "nope", *"abcdef"])
    left = aws.events.list_targets_by_rule(Rule=rule)["Targets"]
    put("queue")
    refused = code(aws.events.delete_rule, Name=rule)
    aws.events.remove_targets(Rule=rule, Ids=["queue"]) if refused != "ok" else None
    return {
        "described": (described["State"], described["EventBusName"], described["Arn"].split(":", 5)[-1] == f"rule/{rule}"),
        "deleted with targets": refused,
        "more than five targets": six,
        "removed": removed["FailedEntryCount"], "left": left,
        "deleted": code(aws.events.delete_rule, Name=rule), "deleted twice": code(aws.events.delete_rule, Name=rule),
        "described after that": code(aws.events.describe_rule, Name=rule),
        "targets of nothing": code(aws.events.put_targets, Rule=rule, Targets=[{"Id": "a", "Arn": arn}]),
        "targets listed of nothing": code(aws.events.list_targets_by_rule, Rule=rule),
        "enabling nothing": code(aws.events.enable_rule, Name=rule),
    }


@case
def an_event_arrives(aws):
    queue, rule = wired(aws)
    answer = aws.events.put_events(Entries=[entry(rule, Resources=["arn:a"]), entry(f"{rule}-other")])
    (event,) = arrived(aws, queue)
    return {
        "answer": (answer["FailedEntryCount"], [sorted(each) for each in answer["Entries"]]),
        "its id": event["id"] == answer["Entries"][0]["EventId"],
        "members": sorted(event), "resources": event["resources"], "detail": event["detail"], "source": event["source"] == rule,
    }


@case
def a_disabled_rule_is_silent(aws):
    queue, rule = wired(aws)
    aws.events.disable_rule(Name=rule)
    aws.events.put_events(Entries=[entry(rule)])
    silent = arrived(aws, queue, 1)
    aws.events.enable_rule(Name=rule)
    aws.events.put_events(Entries=[entry(rule)])
    return {"disabled": silent, "enabled": len(arrived(aws, queue))}


@case
def what_a_target_gets(aws):
    def get(**target):
        queue, rule = wired(aws, **target)
        aws.events.put_events(Entries=[entry(rule, Detail=json.dumps({"n": 1, "text": 'a"b', "list": [1, {"x": 2}]}))])
        return [event if isinstance(event, (str, int, list)) or "source" not in event else "the event" for event in arrived(aws, queue)]
    return {
        "everything": get(), "a constant": get(Input='{"fixed": true}'), "a part": get(InputPath="$.detail"),
        "a part of the part": get(InputPath="$.detail.list"),
    }


@case
def entries_that_are_refused(aws):
    def put(**members):
        answer = aws.events.put_events(Entries=[{**entry("contract"), **members}])
        return answer["FailedEntryCount"], answer["Entries"][0].get("ErrorCode")
    without = lambda member: aws.events.put_events(
        Entries=[{name: value for name, value in entry("contract").items() if name != member}])["Entries"][0].get("ErrorCode")
    return {
        "no source": without("Source"), "no detail type": without("DetailType"), "no detail": without("Detail"),
        "a detail that is no JSON": put(Detail="{"), "a detail that is no object": put(Detail="[1]"),
        "a source of AWS": put(Source="aws.codepipeline"),
        "another bus": put(EventBusName="nope"),
        "eleven": code(aws.events.put_events, Entries=[entry("contract")] * 11),
        "none": code(aws.events.put_events, Entries=[]),
        "over 256 KiB": code(aws.events.put_events, Entries=[entry("contract", Detail=json.dumps({"x": "x" * 262_144}))]),
    }


@case
def buses(aws):
    bus = aws.name()
    made = aws.events.create_event_bus(Name=bus)["EventBusArn"]
    queue = aws.queue()
    aws.events.put_rule(Name="only", EventBusName=bus, EventPattern='{"source": ["contract-bus"]}')
    aws.events.put_targets(Rule="only", EventBusName=bus, Targets=[{"Id": "queue", "Arn": aws.arn_of(queue)}])
    aws.events.put_events(Entries=[entry("contract-bus"), entry("contract-bus", EventBusName=bus)])
    return {
        "arn": made.split(":", 5)[-1] == f"event-bus/{bus}",
        "arrived": len(arrived(aws, queue)),
        "a schedule on it": code(aws.events.put_rule, Name="x", EventBusName=bus, ScheduleExpression="rate(1 hour)"),
        "made twice": code(aws.events.create_event_bus, Name=bus),
        "called default": code(aws.events.create_event_bus, Name="default"),
        "the default deleted": code(aws.events.delete_event_bus, Name="default"),
        "deleted with a rule": code(aws.events.delete_event_bus, Name=bus),
        "described": code(aws.events.describe_event_bus, Name="nope"),
    }
