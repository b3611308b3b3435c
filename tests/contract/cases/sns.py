"""SNS: topics, subscriptions, messages on their way to queues, filters, batches."""

import json

from cases import case, code, members

TEXT = {"DataType": "String", "StringValue": "x"}


def arn_like(aws, name):
    """The ARN of a topic that nobody made."""
    return aws.topic().rsplit(":", 1)[0] + f":{name}"


def subscribed(aws, **attributes):
    """A topic, a queue, and the ARN of the subscription between them."""
    topic, queue = aws.topic(), aws.queue()
    answer = aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=aws.arn_of(queue), Attributes=attributes)
    return topic, queue, answer["SubscriptionArn"]


def received(aws, queue, count=1):
    """So many messages, or as many as come."""
    messages = []
    while len(messages) < count:
        answer = aws.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5, MessageAttributeNames=["All"])
        if "Messages" not in answer:
            break
        messages += answer["Messages"]
    return messages


def passed(aws, policy, *published, scope="MessageAttributes"):
    """Which of some messages, each with its attributes, a filter policy lets through to a queue."""
    topic, queue, _ = subscribed(
        aws, RawMessageDelivery="true", FilterPolicy=json.dumps(policy), FilterPolicyScope=scope)
    end = aws.topic()
    aws.sns.subscribe(
        TopicArn=end, Protocol="sqs", Endpoint=aws.arn_of(queue), Attributes={"RawMessageDelivery": "true"})
    for message, attributes_ in published:
        aws.sns.publish(TopicArn=topic, Message=message, MessageAttributes=attributes_)
    aws.sns.publish(TopicArn=end, Message="the end")
    seen = []
    while "the end" not in seen:
        seen += [message["Body"] for message in received(aws, queue)]
    return sorted(set(seen) - {"the end"})


@case
def names(aws):
    create = lambda name, **attributes: code(aws.sns.create_topic, Name=name, Attributes=attributes)
    return {
        "a space": create("a b"),
        "256 characters": create("x" * 256),
        "257 characters": create("x" * 257),
        "a standard topic called .fifo": create("contract.fifo"),
        "a FIFO topic not called .fifo": create("contract", FifoTopic="true"),
    }


@case
def creating_twice(aws):
    name = aws.name()
    create = lambda **keywords: aws.sns.create_topic(Name=name, **keywords)
    first = create(Attributes={"DisplayName": "Shop"}, Tags=[{"Key": "a", "Value": "1"}])["TopicArn"]
    return {
        "the same": create()["TopicArn"] == first,
        "another attribute": code(create, Attributes={"DisplayName": "Other"}),
        "another tag": code(create, Tags=[{"Key": "a", "Value": "2"}]),
        "an unknown attribute": code(aws.sns.create_topic, Name=aws.name(), Attributes={"Colour": "blue"}),
    }


@case
def attributes(aws):
    topic = aws.topic()
    read = lambda: aws.sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    set_ = lambda name, value: code(aws.sns.set_topic_attributes, TopicArn=topic, AttributeName=name, AttributeValue=value)
    fresh = read()
    return {
        "of a fresh topic": {name: value for name, value in fresh.items() if "Policy" not in name and name != "TopicArn"},
        "its policy allows": json.loads(fresh["Policy"])["Statement"][0]["Action"],
        "set": (set_("DisplayName", "Shop"), read()["DisplayName"]),
        "an unknown one": set_("Colour", "blue"),
        "made FIFO": set_("FifoTopic", "true"),
        "a policy that is none": set_("Policy", "x"),
        "a signature version that is none": set_("SignatureVersion", "3"),
    }


@case
def what_is_not_there(aws):
    nope, subscription = arn_like(aws, "nope"), arn_like(aws, "nope") + ":00000000-0000-0000-0000-000000000000"
    elsewhere = aws.topic().replace("us-east-1", "eu-west-2")
    return {
        "read": code(aws.sns.get_topic_attributes, TopicArn=nope),
        "set": code(aws.sns.set_topic_attributes, TopicArn=nope, AttributeName="DisplayName", AttributeValue="x"),
        "published to": code(aws.sns.publish, TopicArn=nope, Message="x"),
        "subscribed to": code(aws.sns.subscribe, TopicArn=nope, Protocol="email", Endpoint="a@example.com"),
        "listed": code(aws.sns.list_subscriptions_by_topic, TopicArn=nope),
        "deleted": code(aws.sns.delete_topic, TopicArn=nope),
        "tagged": code(aws.sns.tag_resource, ResourceArn=nope, Tags=[{"Key": "a", "Value": "1"}]),
        "in another region": code(aws.sns.publish, TopicArn=elsewhere, Message="x"),
        "no ARN": code(aws.sns.publish, TopicArn="nope", Message="x"),
        "a subscription read": code(aws.sns.get_subscription_attributes, SubscriptionArn=subscription),
        "a subscription ended": code(aws.sns.unsubscribe, SubscriptionArn=subscription),
        "no subscription's ARN": code(aws.sns.unsubscribe, SubscriptionArn="pending confirmation"),
        "a topic's ARN": code(aws.sns.unsubscribe, SubscriptionArn=nope),
    }


@case
def subscribing(aws):
    topic, queue, arn = subscribed(aws)
    subscribe = lambda **keywords: aws.sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=aws.arn_of(queue), **keywords)
    listed = aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    attributes_ = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    fixed = ("SubscriptionArn", "TopicArn", "Endpoint", "SubscriptionPrincipal")
    return {
        "again": subscribe()["SubscriptionArn"] == arn,
        "again with another attribute": code(subscribe, Attributes={"RawMessageDelivery": "true"}),
        "listed": [(members(each), each["Protocol"], each["SubscriptionArn"] == arn) for each in listed],
        "members": members(attributes_),
        "attributes": {name: value for name, value in attributes_.items() if name not in fixed},
        "confirmed": aws.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"],
        "ended": code(aws.sns.unsubscribe, SubscriptionArn=arn),
        "listed then": aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"],
    }


@case
def endpoints_that_are_refused(aws):
    topic = aws.topic()
    subscribe = lambda protocol, endpoint: code(aws.sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    return {
        "no such protocol": subscribe("pigeon", "x"),
        "no address": subscribe("email", "nobody"),
        "a queue's URL": subscribe("sqs", "https://sqs.us-east-1.amazonaws.com/123456789012/x"),
        "a FIFO queue": subscribe("sqs", aws.arn_of(aws.queue(".fifo"))),
        "no function": subscribe("lambda", "nobody"),
    }


@case
def attributes_of_a_subscription(aws):
    topic, queue, arn = subscribed(aws)
    set_ = lambda name, value: code(
        aws.sns.set_subscription_attributes, SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
    read = lambda: aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    refused = {
        "an unknown one": set_("Colour", "blue"),
        "raw, or what": set_("RawMessageDelivery", "maybe"),
        "a scope that is none": set_("FilterPolicyScope", "Both"),
        "a filter policy that is no JSON": set_("FilterPolicy", "{x}"),
        "a redrive policy that is no JSON": set_("RedrivePolicy", "{x}"),
        "a redrive policy of no queue": set_("RedrivePolicy", '{"deadLetterTargetArn": "x"}'),
        "nested, on attributes": set_("FilterPolicy", '{"a": {"b": ["x"]}}'),
        "six keys": set_("FilterPolicy", json.dumps({name: ["x"] for name in "abcdef"})),
        "151 values": set_("FilterPolicy", json.dumps({"a": list(range(151))})),
        "no list": set_("FilterPolicy", '{"a": "x"}'),
    }
    set_("FilterPolicy", '{"a": ["x"]}')
    return {**refused, "a filter policy": {name: read()[name] for name in ("FilterPolicy", "FilterPolicyScope")}}


@case
def a_message_in_its_envelope(aws):
    topic, queue, arn = subscribed(aws)
    sent = aws.sns.publish(TopicArn=topic, Subject="s", Message="Grüße, 世界", MessageAttributes={
        "text": TEXT, "number": {"DataType": "Number", "StringValue": "12.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x02\x03"}})
    (message,) = received(aws, queue)
    envelope = json.loads(message["Body"])
    return {
        "sent": members(sent),
        "members": members(envelope),
        "the same id": envelope["MessageId"] == sent["MessageId"],
        "what does not change": {name: envelope[name] for name in ("Type", "Subject", "Message", "SignatureVersion")},
        "attributes": envelope["MessageAttributes"],
        "attributes of the message": members(message.get("MessageAttributes", {})),
        "a time with milliseconds": len(envelope["Timestamp"]) == len("2026-08-31T12:00:00.000Z"),
        "the way out": envelope["UnsubscribeURL"].endswith(f"Action=Unsubscribe&SubscriptionArn={arn}"),
    }


@case
def a_message_as_it_is(aws):
    topic, queue, _ = subscribed(aws, RawMessageDelivery="true")
    attributes_ = {"text": TEXT, "number": {"DataType": "Number", "StringValue": "12.5"}}
    aws.sns.publish(TopicArn=topic, Subject="s", Message="as it is", MessageAttributes=attributes_)
    (message,) = received(aws, queue)
    return {"body": message["Body"], "attributes": message.get("MessageAttributes") == attributes_}


@case
def a_text_for_each_protocol(aws):
    topic, queue, _ = subscribed(aws, RawMessageDelivery="true")
    publish = lambda structure: aws.sns.publish(TopicArn=topic, Message=structure, MessageStructure="json")
    for structure in ('{"default": "all", "sqs": "queues"}', '{"default": "all", "email": "people"}'):
        publish(structure)
    return {
        "what a queue gets": sorted(message["Body"] for message in received(aws, queue, 2)),
        "no default": code(publish, '{"sqs": "x"}'),
        "no JSON": code(publish, "x"),
    }


@case
def messages_that_are_refused(aws):
    topic = aws.topic()
    publish = lambda **keywords: code(aws.sns.publish, TopicArn=topic, **keywords)
    attribute = lambda name, **value: publish(Message="x", MessageAttributes={name: value})
    return {
        "empty": publish(Message=""),
        "256 KiB": publish(Message="x" * 262_144),
        "a byte more": publish(Message="x" * 262_145),
        "with attributes a byte more": publish(Message="x" * 262_137, MessageAttributes={"a": TEXT}),
        "an empty subject": publish(Message="x", Subject=""),
        "a subject of 100 characters": publish(Message="x", Subject="x" * 100),
        "a subject of 101": publish(Message="x", Subject="x" * 101),
        "a subject of two lines": publish(Message="x", Subject="a\nb"),
        "a deduplication id": publish(Message="x", MessageDeduplicationId="1"),
        "to nobody": code(aws.sns.publish, Message="x"),
        "an attribute of no type": attribute("a", DataType="Float", StringValue="1"),
        "an attribute that is empty": attribute("a", DataType="String", StringValue=""),
        "an attribute in the other field": attribute("a", DataType="Binary", StringValue="x"),
        "an attribute with a space": attribute("a b", **TEXT),
        "an attribute with two dots": attribute("a..b", **TEXT),
    }


@case
def filtering_by_attributes(aws):
    text = lambda value: {"a": {"DataType": "String", "StringValue": value}}
    number = lambda value: {"a": {"DataType": "Number", "StringValue": value}}
    array = lambda value: {"a": {"DataType": "String.Array", "StringValue": value}}
    of = lambda rules, *published: passed(aws, {"a": rules}, *published)
    return {
        "a value": of(["x", "y"], ("x", text("x")), ("z", text("z")), ("none", {})),
        "a prefix": of([{"prefix": "x"}], ("xy", text("xy")), ("yx", text("yx"))),
        "a suffix": of([{"suffix": "x"}], ("xy", text("xy")), ("yx", text("yx"))),
        "anything but": of([{"anything-but": ["x"]}], ("x", text("x")), ("y", text("y")), ("none", {})),
        "anything but a prefix": of([{"anything-but": {"prefix": "x"}}], ("xy", text("xy")), ("y", text("y"))),
        "there": of([{"exists": True}], ("x", text("x")), ("none", {})),
        "not there": of([{"exists": False}], ("x", text("x")), ("none", {})),
        "a range": of([{"numeric": [">", 5, "<=", 7]}], ("5", number("5")), ("7.0", number("7.0")), ("text", text("6"))),
        "without case": of([{"equals-ignore-case": "X"}], ("x", text("x")), ("y", text("y"))),
        "in an array": of(["x"], ("in", array('["x", "y"]')), ("out", array('["y"]')), ("no array", array("x"))),
        "two keys": passed(aws, {"a": ["x"], "b": ["x"]}, ("one", {"a": TEXT}), ("both", {"a": TEXT, "b": TEXT})),
        "either of two": passed(aws, {"$or": [{"a": ["x"]}, {"b": ["x"]}]}, ("one", {"b": TEXT}), ("none", {})),
    }


@case
def filtering_by_the_body(aws):
    policy = {"alarm": {"state": ["ALARM"]}, "tags": ["x"]}
    bodies = ['{"alarm": {"state": "ALARM"}, "tags": ["x", "y"]}', '{"alarm": {"state": "OK"}, "tags": ["x"]}',
              '{"alarm": {"state": "ALARM"}}', "no JSON"]
    return passed(aws, policy, *[(body, {}) for body in bodies], scope="MessageBody")


@case
def a_queue_that_is_not_there(aws):
    topic, dead = aws.topic(), aws.queue()
    aws.sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=aws.arn_of(dead) + "-nope",
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": aws.arn_of(dead)})})
    aws.sns.publish(TopicArn=topic, Message="lost")
    return [json.loads(message["Body"])["Message"] for message in received(aws, dead)]


@case
def batches(aws):
    topic, queue, _ = subscribed(aws, RawMessageDelivery="true")
    send = lambda *entries: aws.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
        {"Id": identity, "Message": message} for identity, message in entries])
    answer = send(("a", "first"), ("b", "second"))
    return {
        "members": sorted(answer.keys() - {"ResponseMetadata"}),
        "each": [(each["Id"], members(each)) for each in answer["Successful"]],
        "what arrived": sorted(message["Body"] for message in received(aws, queue, 2)),
        "none": code(send),
        "eleven": code(send, *[(str(n), "x") for n in range(11)]),
        "one id twice": code(send, ("a", "x"), ("a", "y")),
        "an id with a space": code(send, ("a b", "x")),
        "256 KiB together": code(send, ("a", "x" * 150_000), ("b", "x" * 150_000)),
    }


@case
def people(aws):
    topic = aws.topic()
    subscribe = lambda **keywords: aws.sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="a@example.com", **keywords)["SubscriptionArn"]
    first = subscribe()
    arn = subscribe(ReturnSubscriptionArn=True)
    attributes_ = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    listed = aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return {
        "at first": first == "pending confirmation",
        "asked for": arn.startswith(topic + ":"),
        "listed without an ARN": [each["SubscriptionArn"] == "PendingConfirmation" for each in listed],
        "attributes": {name: attributes_.get(name) for name in ("PendingConfirmation", "ConfirmationWasAuthenticated")},
        "pending": aws.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"],
        "another token": code(aws.sns.confirm_subscription, TopicArn=topic, Token="0" * 288),
        "no token": code(aws.sns.confirm_subscription, TopicArn=topic, Token="x"),
    }


@case
def tags(aws):
    topic = aws.topic()
    aws.sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    aws.sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "3"}])
    aws.sns.untag_resource(ResourceArn=topic, TagKeys=["a", "z"])
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    return {
        "left": aws.sns.list_tags_for_resource(ResourceArn=topic)["Tags"],
        "one key twice": code(aws.sns.tag_resource, ResourceArn=topic, Tags=twice),
        "51 tags": code(aws.sns.tag_resource, ResourceArn=topic, Tags=[{"Key": str(n), "Value": ""} for n in range(51)]),
    }


@case
def listing(aws):
    arns = {aws.topic() for _ in range(101)}
    first = aws.sns.list_topics()
    listed = aws.sns.get_paginator("list_topics").paginate().build_full_result()["Topics"]
    return {
        "a page": (len(first["Topics"]), "NextToken" in first),
        "all": arns <= {topic["TopicArn"] for topic in listed},
        "no token": code(aws.sns.list_topics, NextToken="?"),
    }
