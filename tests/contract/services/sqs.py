"""SQS: every operation, and its refusals. How queues behave is in `cases/sqs.py`."""

import json

from harness import ACCOUNT, REGION, equal, wait_until

from . import refused

NAME = "contract-services"
URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}"
NOBODY = f"{URL}/contract-nobody"
# What botocore shows is the code of the query protocol, which comes in a header: older tools wait for it.
GONE = "AWS.SimpleQueueService.NonExistentQueue"


def arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def run(checks, aws):
    client = aws.client("sqs")
    with checks.check("sqs: queues are made, and found by name"):
        for name, attributes in ((NAME, {"VisibilityTimeout": "5"}), (f"{NAME}.fifo", {"FifoQueue": "true"})):
            made = client.create_queue(QueueName=name, Attributes=attributes, tags={"team": "shop"})
            equal(made["QueueUrl"], f"{URL}/{name}")
            equal(client.get_queue_url(QueueName=name)["QueueUrl"], f"{URL}/{name}")
    queues(checks, client)
    messages(checks, client)
    batches(checks, client)
    dead_letters(checks, client)
    refusals(checks, client)
    with checks.check("sqs: a deleted queue is gone"):
        client.delete_queue(QueueUrl=f"{URL}/{NAME}")
        with refused(GONE):
            client.get_queue_url(QueueName=NAME)
    with checks.check("sqs: what is not emulated says so"), refused("NotEmulated", "AddPermission"):
        getattr(aws, "local", aws).client("sqs").add_permission(
            QueueUrl=f"{URL}/{NAME}.fifo", Label="x", AWSAccountIds=[ACCOUNT], Actions=["*"])


def queues(checks, client):
    queue = f"{URL}/{NAME}"
    with checks.check("sqs: attributes are set and read"):
        client.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "1", "Policy": '{"Statement": []}'})
        client.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "0", "Policy": ""})
        asked = ["VisibilityTimeout", "DelaySeconds", "Policy", "QueueArn"]
        read = client.get_queue_attributes(QueueUrl=queue, AttributeNames=asked)["Attributes"]
        equal(read, {"VisibilityTimeout": "5", "DelaySeconds": "0", "QueueArn": arn(NAME)})
    with checks.check("sqs: tags are given and taken"):
        client.tag_queue(QueueUrl=queue, Tags={"cost": "1"})
        client.untag_queue(QueueUrl=queue, TagKeys=["team", "nothing"])
        equal(client.list_queue_tags(QueueUrl=queue)["Tags"], {"cost": "1"})
    with checks.check("sqs: queues are listed in pages where a page is asked for"):
        first = client.list_queues(QueueNamePrefix=NAME, MaxResults=1)
        rest = client.list_queues(QueueNamePrefix=NAME, MaxResults=1, NextToken=first["NextToken"])
        equal(first["QueueUrls"] + rest["QueueUrls"], [queue, f"{queue}.fifo"])
        assert "NextToken" not in rest, rest
        assert "NextToken" not in client.list_queues(QueueNamePrefix=NAME)


def received(client, queue, **more):
    answer = client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
        **more)
    return answer.get("Messages", [])


def messages(checks, client):
    queue = f"{URL}/{NAME}"
    with checks.check("sqs: a message is sent, received, hidden, shown again and deleted"):
        attribute = {"n": {"DataType": "Number", "StringValue": "7"}}
        trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
        sent = client.send_message(
            QueueUrl=queue, MessageBody="Grüße", MessageAttributes=attribute, MessageSystemAttributes=trace)
        (message,) = received(client, queue)
        for member, of in (("MessageId", "MessageId"), ("MD5OfBody", "MD5OfMessageBody"),
                           ("MD5OfMessageAttributes", "MD5OfMessageAttributes")):
            equal(message[member], sent[of], member)
        equal((message["MessageAttributes"], message["Attributes"]["AWSTraceHeader"]), (attribute, "Root=1"))
        equal(received(client, queue), [])
        shown = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
        client.change_message_visibility(**shown, VisibilityTimeout=0)
        (again,) = received(client, queue)
        equal(again["Attributes"]["ApproximateReceiveCount"], "2")
        client.delete_message(QueueUrl=queue, ReceiptHandle=again["ReceiptHandle"])
        equal(received(client, queue), [])
    with checks.check("sqs: a long poll ends with the message that comes during it"):
        client.send_message(QueueUrl=queue, MessageBody="late", DelaySeconds=1)
        (message,) = received(client, queue, WaitTimeSeconds=10)
        client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("sqs: a FIFO queue numbers its messages, and takes one twice for one"):
        one = {"QueueUrl": f"{queue}.fifo", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "1"}
        first, again = client.send_message(**one), client.send_message(**one)
        equal((first["MessageId"], first["SequenceNumber"]), (again["MessageId"], again["SequenceNumber"]))
    with checks.check("sqs: a purge takes everything, once a minute"):
        client.purge_queue(QueueUrl=f"{queue}.fifo")
        equal(received(client, f"{queue}.fifo"), [])
        with refused("AWS.SimpleQueueService.PurgeQueueInProgress"):
            client.purge_queue(QueueUrl=f"{queue}.fifo")


def batches(checks, client):
    queue = f"{URL}/{NAME}"
    with checks.check("sqs: a batch is sent, hidden and deleted, each entry with its own outcome"):
        sent = client.send_message_batch(QueueUrl=queue, Entries=[
            {"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x", "DelaySeconds": 901}])
        equal([each["Id"] for each in sent["Successful"]], ["good"])
        outcome = lambda answer: [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]]
        equal(outcome(sent), [("bad", "InvalidParameterValue", True)])
        (message,) = received(client, queue)
        handles = {"good": message["ReceiptHandle"], "bad": "nonsense"}
        entries = lambda **more: [{"Id": id_, "ReceiptHandle": handle, **more} for id_, handle in handles.items()]
        hidden = client.change_message_visibility_batch(QueueUrl=queue, Entries=entries(VisibilityTimeout=60))
        equal([each["Id"] for each in hidden["Successful"]], ["good"])
        deleted = client.delete_message_batch(QueueUrl=queue, Entries=entries())
        equal([each["Id"] for each in deleted["Successful"]], ["good"])
        for answer in (hidden, deleted):
            equal(outcome(answer), [("bad", "ReceiptHandleIsInvalid", True)])


def dead_letters(checks, client):
    dead, work = f"{NAME}-dead", f"{NAME}-work"
    with checks.check("sqs: dead letters are found, counted by their sources, and moved back"):
        client.create_queue(QueueName=dead)
        policy = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})
        client.create_queue(QueueName=work, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
        sources = client.list_dead_letter_source_queues(QueueUrl=f"{URL}/{dead}")
        equal(sources["queueUrls"], [f"{URL}/{work}"])
        client.send_message(QueueUrl=f"{URL}/{work}", MessageBody="poison")
        equal([len(received(client, f"{URL}/{work}")) for _ in range(2)], [1, 0])
        handle = client.start_message_move_task(SourceArn=arn(dead), MaxNumberOfMessagesPerSecond=500)["TaskHandle"]
        assert handle
        task = lambda: client.list_message_move_tasks(SourceArn=arn(dead))["Results"][0]
        done = wait_until("the end of the task", lambda: task() if task()["Status"] == "COMPLETED" else None)
        equal((done["ApproximateNumberOfMessagesMoved"], done["MaxNumberOfMessagesPerSecond"]), (1, 500))
        equal([each["Body"] for each in received(client, f"{URL}/{work}")], ["poison"])


def refusals(checks, client):
    queue, fifo = f"{URL}/{NAME}", f"{URL}/{NAME}.fifo"
    here, gone = {"QueueUrl": queue}, {"QueueUrl": NOBODY}
    entry = lambda id_="a", **more: {"Id": id_, "MessageBody": "x", **more}
    receipt = {"ReceiptHandle": "nonsense"}
    bad, value, missing = "InvalidParameterValue", "InvalidAttributeValue", "MissingParameter"
    batch = "AWS.SimpleQueueService."
    dead_letter = json.dumps({"deadLetterTargetArn": arn("contract-nobody"), "maxReceiveCount": 1})
    rows = [
        # operation, arguments, the code that botocore shows, why
        ("create_queue", {"QueueName": "a b"}, bad, "a space"),
        ("create_queue", {"QueueName": "x" * 81}, bad, "81 characters"),
        ("create_queue", {"QueueName": "x.fifo"}, bad, "a standard queue with a dot"),
        ("create_queue", {"QueueName": "x", "Attributes": {"FifoQueue": "true"}}, bad, "FIFO, and its name is not"),
        ("create_queue", {"QueueName": NAME, "Attributes": {"VisibilityTimeout": "6"}}, "QueueAlreadyExists",
         "made with another timeout"),
        ("create_queue", {"QueueName": "x", "Attributes": {"Colour": "blue"}}, "InvalidAttributeName",
         "no such attribute"),
        ("create_queue", {"QueueName": "x", "Attributes": {"DelaySeconds": "901"}}, value, "15 minutes at most"),
        ("create_queue", {"QueueName": "x", "Attributes": {"RedrivePolicy": dead_letter}}, bad, "no such queue"),
        ("set_queue_attributes", {**gone, "Attributes": {}}, GONE, "no such queue"),
        ("set_queue_attributes", {**here, "Attributes": {"FifoQueue": "true"}}, "InvalidAttributeName",
         "a queue does not become FIFO"),
        ("set_queue_attributes", {**here, "Attributes": {"RedrivePolicy": "{}"}}, value, "names no queue"),
        ("get_queue_attributes", {**gone, "AttributeNames": ["All"]}, GONE, "no such queue"),
        ("get_queue_attributes", {**here, "AttributeNames": ["Colour"]}, "InvalidAttributeName", "no such attribute"),
        ("get_queue_url", {"QueueName": "contract-nobody"}, GONE, "no such queue"),
        ("list_queues", {"NextToken": "nonsense"}, bad, "no such token"),
        ("list_queues", {"MaxResults": 1001}, bad, "a page has up to 1000"),
        ("delete_queue", gone, GONE, "no such queue"),
        ("purge_queue", gone, GONE, "no such queue"),
        ("tag_queue", {**gone, "Tags": {"a": "1"}}, GONE, "no such queue"),
        ("untag_queue", {**gone, "TagKeys": ["a"]}, GONE, "no such queue"),
        ("list_queue_tags", gone, GONE, "no such queue"),
        ("list_dead_letter_source_queues", gone, GONE, "no such queue"),
        ("send_message", {**gone, "MessageBody": "x"}, GONE, "no such queue"),
        ("send_message", {**here, "MessageBody": ""}, missing, "empty"),
        ("send_message", {**here, "MessageBody": "a\x00b"}, "InvalidMessageContents", "a NUL"),
        ("send_message", {**here, "MessageBody": "x" * 1_048_577}, bad, "above 1 MiB"),
        ("send_message", {**here, "MessageBody": "x", "DelaySeconds": 901}, bad, "15 minutes at most"),
        ("send_message", {"QueueUrl": fifo, "MessageBody": "x"}, missing, "no group"),
        ("send_message", {"QueueUrl": fifo, "MessageBody": "x", "MessageGroupId": "g"}, bad, "no deduplication id"),
        ("send_message", {**here, "MessageBody": "x", "MessageDeduplicationId": "1"}, bad, "not FIFO"),
        ("send_message", {**here, "MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Colour"}}}, bad,
         "no such type"),
        ("send_message_batch", {**gone, "Entries": [entry()]}, GONE, "no such queue"),
        ("send_message_batch", {**here, "Entries": []}, f"{batch}EmptyBatchRequest", "nothing to send"),
        ("send_message_batch", {**here, "Entries": [entry(str(n)) for n in range(11)]},
         f"{batch}TooManyEntriesInBatchRequest", "ten at most"),
        ("send_message_batch", {**here, "Entries": [entry(), entry()]}, f"{batch}BatchEntryIdsNotDistinct",
         "one id twice"),
        ("send_message_batch", {**here, "Entries": [entry("a b")]}, f"{batch}InvalidBatchEntryId", "a space"),
        ("send_message_batch", {**here, "Entries": [{**entry(id_), "MessageBody": "x" * 600_000} for id_ in "ab"]},
         f"{batch}BatchRequestTooLong", "above 1 MiB together"),
        ("receive_message", gone, GONE, "no such queue"),
        ("receive_message", {**here, "MaxNumberOfMessages": 11}, bad, "ten at most"),
        ("receive_message", {**here, "WaitTimeSeconds": 21}, bad, "20 seconds at most"),
        ("receive_message", {**here, "VisibilityTimeout": 43_201}, bad, "12 hours at most"),
        ("delete_message", {**gone, **receipt}, GONE, "no such queue"),
        ("delete_message", {**here, **receipt}, "ReceiptHandleIsInvalid", "no receipt"),
        ("delete_message_batch", {**gone, "Entries": [{"Id": "a", **receipt}]}, GONE, "no such queue"),
        ("delete_message_batch", {**here, "Entries": []}, f"{batch}EmptyBatchRequest", "nothing to delete"),
        ("change_message_visibility", {**gone, **receipt, "VisibilityTimeout": 1}, GONE, "no such queue"),
        ("change_message_visibility", {**here, **receipt, "VisibilityTimeout": 1}, "ReceiptHandleIsInvalid",
         "no receipt"),
        ("change_message_visibility", {**here, **receipt, "VisibilityTimeout": 43_201}, bad, "12 hours at most"),
        ("change_message_visibility_batch", {**gone, "Entries": [{"Id": "a", **receipt}]}, GONE, "no such queue"),
        ("start_message_move_task", {"SourceArn": arn("contract-nobody")}, "ResourceNotFoundException",
         "no such queue"),
        ("start_message_move_task", {"SourceArn": arn(NAME)}, bad, "nobody's dead letters"),
        ("start_message_move_task", {"SourceArn": arn(f"{NAME}-dead"), "DestinationArn": arn("contract-nobody")},
         "ResourceNotFoundException", "nowhere to move to"),
        ("start_message_move_task", {"SourceArn": arn(f"{NAME}-dead"), "MaxNumberOfMessagesPerSecond": 501}, bad,
         "500 a second at most"),
        ("list_message_move_tasks", {"SourceArn": arn("contract-nobody")}, "ResourceNotFoundException",
         "no such queue"),
        ("list_message_move_tasks", {"SourceArn": arn(f"{NAME}-dead"), "MaxResults": 11}, bad, "ten at most"),
    ]
    for operation, arguments, code, why in rows:
        with checks.check(f"sqs {operation} is refused with {code}: {why}"), refused(code):
            getattr(client, operation)(**arguments)
    with checks.check("sqs: a message that is not in flight cannot be hidden"):
        client.send_message(QueueUrl=queue, MessageBody="x")
        (message,) = received(client, queue)
        shown = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
        client.change_message_visibility(**shown)
        with refused("AWS.SimpleQueueService.MessageNotInflight"):
            client.change_message_visibility(**shown)
