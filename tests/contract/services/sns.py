"""SNS: topics, subscriptions, messages, and where they end up."""

import contextlib
import json
import re
import urllib.request

import botocore
import botocore.config
import boto3
from harness import ACCOUNT, REGION, equal, wait_until
from services import refused

ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}"


def run(checks, aws):
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topics(checks, sns)
    tags(checks, sns)
    subscriptions(checks, sns, sqs)
    pages(checks, sns)
    messages(checks, sns, sqs)
    filters(checks, sns, sqs)
    batches(checks, sns, sqs)
    mail(checks, aws, sns)


def new_topic(sns, name, **keywords):
    return sns.create_topic(Name=f"contract-{name}", **keywords)["TopicArn"]


def new_queue(sqs, name):
    url = sqs.create_queue(QueueName=f"contract-sns-{name}")["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs, url, **keywords):
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"], **keywords)
    return answer.get("Messages", [])


def topics(checks, sns):
    with checks.check("SNS CreateTopic makes a topic once"):
        arn = new_topic(sns, "a", Attributes={"DisplayName": "<Shop> & \"Co\""}, Tags=[{"Key": "k", "Value": "v"}])
        equal(arn, f"{ARN}:contract-a")
        equal(new_topic(sns, "a"), arn)
        equal(new_topic(sns, "a", Attributes={"DisplayName": "<Shop> & \"Co\""}, Tags=[{"Key": "k", "Value": "v"}]), arn)
        with refused("InvalidParameter", "Attributes Reason: Topic already exists with different attributes"):
            new_topic(sns, "a", Attributes={"DisplayName": "Other"})
        with refused("InvalidParameter", "Tags Reason: Topic already exists with different tags"):
            new_topic(sns, "a", Tags=[{"Key": "k", "Value": "w"}])
    with checks.check("SNS CreateTopic refuses names and attributes that AWS does"):
        for name in ("a b", "", "x" * 257, "a.fifo"):
            with refused("InvalidParameter", "Topic Name"):
                sns.create_topic(Name=name)
        with refused("InvalidParameter", "Fifo Topic names must end with .fifo"):
            sns.create_topic(Name="contract-x", Attributes={"FifoTopic": "true"})
        with refused("NotEmulated", "FIFO"):
            sns.create_topic(Name="contract-x.fifo", Attributes={"FifoTopic": "true"})
        for attribute, value in [("Colour", "blue"), ("Policy", "x"), ("SignatureVersion", "3"), ("TracingConfig", "On"),
                                 ("MaximumMessageSize", "1048577"), ("DisplayName", "x" * 101)]:
            with refused("InvalidParameter", attribute):
                new_topic(sns, "x", Attributes={attribute: value})
    with checks.check("SNS GetTopicAttributes has what a fresh topic has"):
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        equal(sorted(attributes), ["DisplayName", "EffectiveDeliveryPolicy", "Owner", "Policy", "SubscriptionsConfirmed",
                                   "SubscriptionsDeleted", "SubscriptionsPending", "TopicArn"])
        equal((attributes["DisplayName"], attributes["Owner"]), ("<Shop> & \"Co\"", ACCOUNT))
        equal(json.loads(attributes["Policy"])["Statement"][0]["Resource"], arn)
        equal(json.loads(attributes["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"], 3)
    with checks.check("SNS SetTopicAttributes sets and takes away"):
        set_ = lambda name, value: sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
        read = lambda: sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        set_("DisplayName", "New")
        set_("SQSFailureFeedbackRoleArn", "arn:aws:iam::123456789012:role/x")
        equal((read()["DisplayName"], read()["SQSFailureFeedbackRoleArn"]), ("New", "arn:aws:iam::123456789012:role/x"))
        set_("DisplayName", "")
        equal(read()["DisplayName"], "")
        for name, value in [("Colour", "blue"), ("FifoTopic", "false"), ("TopicArn", "x")]:
            with refused("InvalidParameter", "AttributeName"):
                set_(name, value)
        with refused("InvalidParameter", "SignatureVersion"):
            set_("SignatureVersion", "3")
    with checks.check("SNS tells what is not there from what is no ARN, and from what is somebody else's"):
        for missing in (sns.get_topic_attributes, sns.list_subscriptions_by_topic):
            with refused("NotFound", "Topic does not exist"):
                missing(TopicArn=f"{ARN}:nope")
            with refused("InvalidParameter", "TopicArn Reason: An ARN must have at least 6 elements, not 1"):
                missing(TopicArn="nope")
            with refused("InvalidParameter", "TopicArn"):
                missing(TopicArn=f"arn:aws:sns:eu-west-2:{ACCOUNT}:contract-a")
            with refused("AuthorizationError", "not authorized to perform"):
                missing(TopicArn=f"arn:aws:sns:{REGION}:999999999999:contract-a")
        with refused("NotFound"):
            sns.set_topic_attributes(TopicArn=f"{ARN}:nope", AttributeName="DisplayName", AttributeValue="x")
    with checks.check("SNS ListTopics lists it, and DeleteTopic takes it away, twice if need be"):
        assert arn in [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
        with refused("InvalidParameter", "NextToken"):
            sns.list_topics(NextToken="?")
        sns.delete_topic(TopicArn=arn)
        sns.delete_topic(TopicArn=arn)
        assert arn not in [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
        with refused("InvalidParameter"):
            sns.delete_topic(TopicArn="nope")


def tags(checks, sns):
    arn = new_topic(sns, "tags")
    read = lambda: {tag["Key"]: tag["Value"] for tag in sns.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    with checks.check("SNS TagResource, UntagResource and ListTagsForResource"):
        equal(read(), {})
        sns.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": str(n)} for n in range(12)])
        sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "k1", "Value": "new"}])
        sns.untag_resource(ResourceArn=arn, TagKeys=["k0", "nope"])
        equal((len(read()), read()["k1"], read()["k11"]), (11, "new", "11"))
    with checks.check("SNS refuses tags that AWS refuses"):
        with refused("InvalidParameter", "Duplicated keys are not allowed."):
            sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}])
        with refused("TagLimitExceeded", "quota"):
            sns.tag_resource(ResourceArn=arn, Tags=[{"Key": f"x{n}", "Value": ""} for n in range(51)])
        with refused("InvalidParameter"):
            sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": ""}])
        for call, keywords in [(sns.tag_resource, {"Tags": []}), (sns.untag_resource, {"TagKeys": []}),
                               (sns.list_tags_for_resource, {})]:
            with refused("ResourceNotFound", "Resource does not exist"):
                call(ResourceArn=f"{ARN}:nope", **keywords)


def subscriptions(checks, sns, sqs):
    topic = new_topic(sns, "subscriptions")
    _, queue = new_queue(sqs, "subscriptions")
    _, dead = new_queue(sqs, "subscriptions-dead")
    subscribe = lambda protocol, endpoint, **attributes: sns.subscribe(
        TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)["SubscriptionArn"]
    with checks.check("SNS Subscribe makes a subscription of a queue once, and confirms it"):
        arn = subscribe("sqs", queue)
        assert re.fullmatch(re.escape(topic) + ":[0-9a-f-]{36}", arn), arn
        equal(subscribe("sqs", queue), arn)
        equal(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"], {
            "SubscriptionArn": arn, "TopicArn": topic, "Protocol": "sqs", "Endpoint": queue, "Owner": ACCOUNT,
            "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT}:root", "PendingConfirmation": "false",
            "ConfirmationWasAuthenticated": "true", "RawMessageDelivery": "false"})
        with refused("InvalidParameter", "Subscription already exists with different attributes"):
            subscribe("sqs", queue, RawMessageDelivery="true")
    with checks.check("SNS Subscribe refuses endpoints and protocols that AWS does"):
        with refused("NotFound", "Topic does not exist"):
            sns.subscribe(TopicArn=f"{ARN}:nope", Protocol="sqs", Endpoint=queue)
        cases = [
            ("pigeon", "x", "Amazon SNS does not support this protocol string: pigeon"),
            ("email", "nobody", "Email address"), ("email", "", "Endpoint"),
            ("sqs", "https://sqs.us-east-1.amazonaws.com/123456789012/x", "SQS endpoint ARN"),
            ("sqs", f"arn:aws:sqs:{REGION}:{ACCOUNT}:x.fifo", "FIFO SQS Queues can not be subscribed to standard SNS topics"),
            ("lambda", "nobody", "Lambda endpoint ARN"),
        ]
        for protocol, endpoint, saying in cases:
            with refused("InvalidParameter", saying):
                subscribe(protocol, endpoint)
        for protocol in ("http", "https", "sms", "application", "firehose"):
            with refused("NotEmulated", protocol):
                subscribe(protocol, "x")
        with refused("NotEmulated", "another account"):
            subscribe("sqs", f"arn:aws:sqs:{REGION}:999999999999:x")
    with checks.check("SNS SetSubscriptionAttributes sets and takes away"):
        set_ = lambda name, value: sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        read = lambda: sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        redrive = json.dumps({"deadLetterTargetArn": dead})
        set_("RawMessageDelivery", "True")
        set_("RedrivePolicy", redrive)
        set_("FilterPolicyScope", "MessageBody")
        assert "FilterPolicyScope" not in read()
        set_("FilterPolicy", json.dumps({"a": {"b": ["x"]}}))
        equal((read()["RawMessageDelivery"], read()["RedrivePolicy"]), ("true", redrive))
        equal((json.loads(read()["FilterPolicy"]), read()["FilterPolicyScope"]), ({"a": {"b": ["x"]}}, "MessageBody"))
        with refused("InvalidParameter", "does not support nested filter policy"):
            set_("FilterPolicyScope", "MessageAttributes")
        set_("FilterPolicy", "{}")
        set_("RedrivePolicy", "")
        assert not {"FilterPolicy", "RedrivePolicy"} & set(read()), read()
    with checks.check("SNS refuses attributes of a subscription in AWS's words"):
        lambda_ = subscribe("lambda", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody")
        cases = [
            ("Colour", "blue", "AttributeName"),
            ("RawMessageDelivery", "yes", "RawMessageDelivery: Invalid value [yes]. Must be true or false."),
            ("FilterPolicyScope", "Both", "FilterPolicyScope: Invalid value [Both]. Please use either MessageBody or MessageAttributes"),
            ("FilterPolicy", "{x}", "FilterPolicy: failed to parse JSON."),
            ("RedrivePolicy", "{x}", "RedrivePolicy: failed to parse JSON."),
            ("RedrivePolicy", json.dumps({"deadLetterTargetArn": "x"}), "RedrivePolicy: deadLetterTargetArn is an invalid arn"),
        ]
        for name, value, saying in cases:
            with refused("InvalidParameter", f"Invalid parameter: {saying}"):
                sns.set_subscription_attributes(SubscriptionArn=lambda_, AttributeName=name, AttributeValue=value)
            with refused("InvalidParameter", f"Invalid parameter: Attributes Reason: {saying}"):
                subscribe("lambda", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other", **{name: value})
        with refused("InvalidParameter", "Delivery protocol [lambda] does not support raw message delivery."):
            sns.set_subscription_attributes(
                SubscriptionArn=lambda_, AttributeName="RawMessageDelivery", AttributeValue="true")
    with checks.check("SNS lists subscriptions, of a topic and of all"):
        entry = {"SubscriptionArn": arn, "Owner": ACCOUNT, "Protocol": "sqs", "Endpoint": queue, "TopicArn": topic}
        of_topic = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        equal(len(of_topic), 2)
        assert entry in of_topic and entry in sns.list_subscriptions()["Subscriptions"]
    with checks.check("SNS Unsubscribe ends it, and again"):
        sns.unsubscribe(SubscriptionArn=arn)
        sns.unsubscribe(SubscriptionArn=arn)
        equal(len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]), 1)
        for call in (sns.get_subscription_attributes,
                     lambda **where: sns.set_subscription_attributes(AttributeName="FilterPolicy", **where)):
            with refused("NotFound", "Subscription does not exist"):
                call(SubscriptionArn=arn)
        with refused("InvalidParameter", "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"):
            sns.unsubscribe(SubscriptionArn="pending confirmation")
        with refused("InvalidParameter", "SubscriptionId"):
            sns.unsubscribe(SubscriptionArn=topic)


def pages(checks, sns):
    with checks.check("SNS lists come in pages of 100, and botocore reads them to the end"):
        arns = {new_topic(sns, f"page-{number}") for number in range(105)}
        for number in range(102):
            sns.subscribe(TopicArn=f"{ARN}:contract-page-0", Protocol="sqs",
                          Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:page-{number}")
        equal(len(sns.list_topics()["Topics"]), 100)
        everything = lambda name, **keywords: sns.get_paginator(name).paginate(**keywords).build_full_result()
        assert arns <= {topic["TopicArn"] for topic in everything("list_topics")["Topics"]}
        found = everything("list_subscriptions_by_topic", TopicArn=f"{ARN}:contract-page-0")["Subscriptions"]
        equal(len({each["Endpoint"] for each in found}), 102)
        assert len(everything("list_subscriptions")["Subscriptions"]) >= 102
        for arn in arns:
            sns.delete_topic(TopicArn=arn)


def messages(checks, sns, sqs):
    topic = new_topic(sns, "messages")
    url, queue = new_queue(sqs, "messages")
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    attributes = {
        "text": {"DataType": "String", "StringValue": "Grüße"},
        "number": {"DataType": "Number", "StringValue": "12.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x02\x03\x04"},
        "list": {"DataType": "String.Array", "StringValue": '["a"]'},
    }
    with checks.check("SNS Publish reaches a queue in an envelope"):
        sent = sns.publish(TopicArn=topic, Message="Grüße & <mehr>\n", Subject="Größe", MessageAttributes=attributes)
        (message,) = received(sqs, url)
        envelope = json.loads(message["Body"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", envelope["Timestamp"]), envelope
        assert envelope["SigningCertURL"].startswith(f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-")
        assert envelope["UnsubscribeURL"].endswith(f"?Action=Unsubscribe&SubscriptionArn={arn}"), envelope
        kept = ("Type", "MessageId", "TopicArn", "Subject", "Message", "SignatureVersion", "MessageAttributes")
        equal({name: envelope[name] for name in kept}, {
            "Type": "Notification", "MessageId": sent["MessageId"], "TopicArn": topic, "Subject": "Größe",
            "Message": "Grüße & <mehr>\n", "SignatureVersion": "1", "MessageAttributes": {
                "text": {"Type": "String", "Value": "Grüße"}, "number": {"Type": "Number", "Value": "12.5"},
                "bytes": {"Type": "Binary", "Value": "AgME"}, "list": {"Type": "String.Array", "Value": '["a"]'}}})
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("SNS Publish reaches a queue raw, with attributes as SQS has them"):
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue="true")
        sns.publish(TargetArn=topic, Message="raw", MessageAttributes=attributes)
        (message,) = received(sqs, url)
        equal((message["Body"], message["MessageAttributes"]), ("raw", attributes))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("SNS Publish gives each protocol its own text"):
        structure = json.dumps({"default": "for all", "sqs": "for queues"})
        sns.publish(TopicArn=topic, Message=structure, MessageStructure="json")
        (message,) = received(sqs, url)
        equal(message["Body"], "for queues")
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("SNS puts what a missing queue does not take into the dead-letter queue"):
        dead_url, dead = new_queue(sqs, "messages-dead")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:nowhere",
                      Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead})})
        sns.publish(TopicArn=topic, Message="lost")
        (message,) = received(sqs, dead_url)
        equal(json.loads(message["Body"])["Message"], "lost")
    with checks.check("SNS Publish refuses messages that AWS refuses"):
        cases = [
            ({"Message": ""}, "Empty message"), ({"Message": "x" * 262_145}, "Message too long"),
            ({"Message": "x", "Subject": ""}, "Subject"), ({"Message": "x", "Subject": "x" * 101}, "Subject"),
            ({"Message": "x", "Subject": "a\nb"}, "Subject"),
            ({"Message": "x", "MessageStructure": "json"}, "Message Structure - JSON message body failed to parse"),
            ({"Message": "{}", "MessageStructure": "json"}, "Message Structure - No default entry in JSON message body"),
            ({"Message": "x", "MessageStructure": "xml"}, "MessageStructure"),
            ({"Message": "x", "MessageDeduplicationId": "1"}, "MessageDeduplicationId Reason"),
            ({"Message": "x", "MessageGroupId": "a b"}, "MessageGroupId"),
        ]
        for keywords, saying in cases:
            with refused("InvalidParameter", f"Invalid parameter: {saying}"):
                sns.publish(TopicArn=topic, **keywords)
        with refused("InvalidParameter", "TopicArn or TargetArn"):
            sns.publish(Message="x")
        with refused("NotFound", "Topic does not exist"):
            sns.publish(TopicArn=f"{ARN}:nope", Message="x")
        with refused("InvalidParameter", "TopicArn"):
            sns.publish(TopicArn=f"arn:aws:sns:eu-west-2:{ACCOUNT}:contract-messages", Message="x")
        with refused("NotEmulated", "phone"):
            sns.publish(PhoneNumber="+15555550100", Message="x")
        with refused("NotEmulated", "endpoint"):
            sns.publish(TargetArn=f"{ARN}:endpoint/GCM/a/b", Message="x")
    with checks.check("SNS Publish refuses attributes that AWS refuses"):
        text = {"DataType": "String", "StringValue": "x"}
        cases = [
            ({"a": {"DataType": "String", "StringValue": ""}}, "must contain non-empty message attribute value"),
            ({"a": {"DataType": "String"}}, "must contain non-empty message attribute value"),
            ({"a": {"DataType": "Binary", "StringValue": "x"}}, "with type 'Binary' must use field 'Binary'"),
            ({"a": {"DataType": "Float", "StringValue": "1"}}, "invalid message attribute type"),
            ({"a": {"DataType": "String.", "StringValue": "1"}}, "invalid message attribute type"),
            ({"a": {"DataType": "Number", "StringValue": "many"}}, "'a' value to number"),
            ({"a^b": text}, "'#x5E'"), ({".a": text}, "starting with"), ({"a.": text}, "ending with"),
            ({"a..b": text}, "successive"), ({"a" * 257: text}, "less than 256 bytes"),
        ]
        for given, saying in cases:
            with refused("ParameterValueInvalid", saying):
                sns.publish(TopicArn=topic, Message="x", MessageAttributes=given)


def filters(checks, sns, sqs):
    topic = new_topic(sns, "filters")
    url, queue = new_queue(sqs, "filters")
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue,
                        Attributes={"RawMessageDelivery": "true", "FilterPolicy": '{"kind": ["wanted"]}'})["SubscriptionArn"]
    set_ = lambda name, value: sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName=name, AttributeValue=json.dumps(value) if name == "FilterPolicy" else value)

    def passes(message="m", **attributes):
        """Publishes, and whether that arrived before a message that does."""
        sns.publish(TopicArn=topic, Message=message, MessageAttributes=attributes)
        return bool(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, VisibilityTimeout=0).get("Messages")) and drain()

    def drain():
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return True

    text = lambda value: {"DataType": "String", "StringValue": value}
    number = lambda value: {"DataType": "Number", "StringValue": value}
    with checks.check("SNS filters by message attributes"):
        equal((passes(kind=text("wanted")), passes(kind=text("other")), passes()), (True, False, False))
        set_("FilterPolicy", {"n": [{"numeric": [">", 5]}], "kind": [{"anything-but": {"prefix": "x-"}}]})
        equal((passes(n=number("7"), kind=text("y")), passes(n=number("7"), kind=text("x-y"))), (True, False))
    with checks.check("SNS filters by the message's body"):
        set_("FilterPolicyScope", "MessageBody")
        set_("FilterPolicy", {"alarm": {"state": ["ALARM"]}})
        equal((passes('{"alarm": {"state": "ALARM"}}'), passes('{"alarm": {"state": "OK"}}')), (True, False))
        equal(passes("no JSON"), False)
    with checks.check("SNS refuses filter policies in AWS's words"):
        cases = [
            ({"a": "x"}, '"a" must be an object or an array'), ({"a": []}, "Empty arrays are not allowed"),
            ({"a": [["x"]]}, "Match value must be String, number, true, false, or null"),
            ({"a": [{"like": "x"}]}, "Unrecognized match type like"),
            ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed in match expression"),
            ({"a": [{"suffix": 100}]}, "suffix match pattern must be a string"),
            ({"a": [{"exists": "no"}]}, "exists match pattern must be either true or false."),
            ({name: ["x"] for name in "abcdef"}, "Filter policy can not have more than 5 keys"),
            ({"a": list(range(151))}, "Filter policy is too complex"),
        ]
        for policy, saying in cases:
            with refused("InvalidParameter", f"Invalid parameter: FilterPolicy: {saying}"):
                set_("FilterPolicy", policy)
    with checks.check("SNS has 200 filter policies a topic"):
        crowd = new_topic(sns, "crowd")
        subscribe = lambda number: sns.subscribe(
            TopicArn=crowd, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{number}",
            Attributes={"FilterPolicy": '{"a": ["x"]}'})
        for each in range(200):
            subscribe(each)
        with refused("FilterPolicyLimitExceeded"):
            subscribe(200)
        sns.delete_topic(TopicArn=crowd)


def batches(checks, sns, sqs):
    topic = new_topic(sns, "batches")
    url, queue = new_queue(sqs, "batches")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    send = lambda *entries: sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=list(entries))
    entry = lambda identity, message="x", **keywords: {"Id": identity, "Message": message, **keywords}
    with checks.check("SNS PublishBatch publishes each entry"):
        text = {"DataType": "String", "StringValue": "v"}
        answer = send(*[entry(str(number), f"m{number}", MessageAttributes={"a": text}) for number in range(10)])
        equal(([each["Id"] for each in answer["Successful"]], answer["Failed"]), ([str(n) for n in range(10)], []))
        seen = {}
        def all_there():
            for each in received(sqs, url, MaxNumberOfMessages=10):
                seen[each["Body"]] = each["MessageAttributes"]
            return len(seen) == 10
        wait_until("ten messages", all_there)
        equal(seen, {f"m{n}": {"a": text} for n in range(10)})
    with checks.check("SNS PublishBatch refuses batches that AWS refuses"):
        large = "x" * 150_000
        cases = [
            ([], "EmptyBatchRequest"), ([entry(str(n)) for n in range(11)], "TooManyEntriesInBatchRequest"),
            ([entry("a"), entry("a")], "BatchEntryIdsNotDistinct"), ([entry("a b")], "InvalidBatchEntryId"),
            ([entry("x" * 81)], "InvalidBatchEntryId"), ([entry("a", large), entry("b", large)], "BatchRequestTooLong"),
            ([entry("a", "")], "InvalidParameter"), ([entry("a", "{}", MessageStructure="json")], "InvalidParameter"),
            ([entry("a", MessageAttributes={"a": {"DataType": "String"}})], "ParameterValueInvalid"),
        ]
        for entries, expected in cases:
            with refused(expected):
                send(*entries)
        with refused("NotFound", "Topic does not exist"):
            sns.publish_batch(TopicArn=f"{ARN}:nope", PublishBatchRequestEntries=[entry("a")])


@contextlib.contextmanager
def unsigned(aws):
    """A client that signs nothing: whoever was forwarded a mail."""
    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    yield boto3.client("sns", endpoint_url=aws.endpoint, region_name=REGION, config=config)


def mail(checks, aws, sns):
    topic, address = new_topic(sns, "mail"), "alice@example.com"

    def mails():
        with urllib.request.urlopen(f"{aws.endpoint}/_local/mail") as answer:
            return [each for each in json.loads(answer.read()) if each["to"] == address]

    def newest(part):
        return wait_until(f"a mail with {part!r}", lambda: next((m for m in reversed(mails()) if part in m["body"]), None))

    token = lambda: re.search(r"Token=([0-9a-f]+)&", newest("&Token=")["body"])[1]
    subscribe = lambda **keywords: sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address, **keywords)
    listed = lambda: [each["SubscriptionArn"] for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]]
    with checks.check("SNS asks a person by mail, and waits"):
        equal(subscribe()["SubscriptionArn"], "pending confirmation")
        arn = subscribe(ReturnSubscriptionArn=True)["SubscriptionArn"]
        equal(listed(), ["PendingConfirmation"])
        attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        equal((attributes["PendingConfirmation"], attributes["ConfirmationWasAuthenticated"]), ("true", "false"))
        equal(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"], "1")
        with refused("InvalidParameter", "pending confirmation"):
            sns.unsubscribe(SubscriptionArn=arn)
        equal(sorted(mails()[0]), ["at", "body", "subject", "to"])
    with checks.check("SNS ConfirmSubscription takes the token that was sent, and no other"):
        with refused("InvalidParameter", "Invalid token"):
            sns.confirm_subscription(TopicArn=topic, Token="randomtoken")
        with refused("InvalidParameter", "Invalid parameter: Token"):
            sns.confirm_subscription(TopicArn=topic, Token="0" * 288)
        with refused("InvalidParameter", "Invalid parameter: Topic"):
            sns.confirm_subscription(TopicArn="nope", Token="0" * 288)
        equal(sns.confirm_subscription(TopicArn=topic, Token=token())["SubscriptionArn"], arn)
        equal(listed(), [arn])
        sns.publish(TopicArn=topic, Message="first", Subject="Ship it?")
        sent = newest("first")
        equal(sent["subject"], "Ship it?")
        link = f"https://sns.{REGION}.amazonaws.com/unsubscribe.html?SubscriptionArn={arn}&Endpoint={address}"
        assert f"\n--\n" in sent["body"] and link in sent["body"], sent["body"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", sent["at"]), sent["at"]
    with checks.check("whoever has a mail can end it, and have it back"):
        with unsigned(aws) as anybody:
            anybody.unsubscribe(SubscriptionArn=arn)
            equal(listed(), ["Deleted"])
            equal(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsDeleted"], "1")
            anybody.confirm_subscription(TopicArn=topic, Token=token())
            equal(listed(), [arn])
            with refused("MissingAuthenticationToken"):
                anybody.publish(TopicArn=topic, Message="x")
    with checks.check("unless the confirmation asked for a signature"):
        sns.unsubscribe(SubscriptionArn=arn)
        again = subscribe(ReturnSubscriptionArn=True)["SubscriptionArn"]
        newest("You have chosen to subscribe")
        with unsigned(aws) as anybody:
            with refused("AuthorizationError"):
                anybody.confirm_subscription(TopicArn=topic, Token=token(), AuthenticateOnUnsubscribe="true")
            sns.confirm_subscription(TopicArn=topic, Token=token(), AuthenticateOnUnsubscribe="true")
            with refused("AuthorizationError"):
                anybody.unsubscribe(SubscriptionArn=again)
        equal(listed(), [again])
        equal(sns.get_subscription_attributes(SubscriptionArn=again)["Attributes"]["ConfirmationWasAuthenticated"], "true")
    with checks.check("more than ten mails in a second have to be confirmed again"):
        for number in range(2):
            sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
                {"Id": str(n), "Message": f"burst {number}"} for n in range(10)])
        wait_until("the fall back", lambda: listed() == ["PendingConfirmation"])
        sns.confirm_subscription(TopicArn=topic, Token=token())
        equal(listed(), [again])
