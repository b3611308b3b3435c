"""SQS: queues and their attributes, messages, FIFO, batches, dead letters."""

import json

from cases import case, code, members


def bodies(answer):
    return [message["Body"] for message in answer.get("Messages", [])]


def receive(aws, queue, **keywords):
    return aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"], **keywords)


@case
def names(aws):
    create = aws.sqs.create_queue
    fifo = {"FifoQueue": "true"}
    return {
        "a space": code(create, QueueName="a b"),
        "80 characters": code(create, QueueName="x" * 80),
        "81 characters": code(create, QueueName="x" * 81),
        "a standard queue called .fifo": code(create, QueueName="contract-name.fifo"),
        "a FIFO queue not called .fifo": code(create, QueueName="contract-name", Attributes=fifo),
    }


@case
def creating_twice(aws):
    name = aws.name()
    first = aws.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "40"})["QueueUrl"]
    second = aws.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "40"})["QueueUrl"]
    return {
        "the same": first == second,
        "another attribute": code(aws.sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "41"}),
        "no attribute": code(aws.sqs.create_queue, QueueName=name),
    }


@case
def what_is_not_there(aws):
    nope = aws.queue().rsplit("/", 1)[0] + "/nope"
    return {
        "url": code(aws.sqs.get_queue_url, QueueName="nope"),
        "attributes": code(aws.sqs.get_queue_attributes, QueueUrl=nope, AttributeNames=["All"]),
        "send": code(aws.sqs.send_message, QueueUrl=nope, MessageBody="x"),
        "receive": code(aws.sqs.receive_message, QueueUrl=nope),
        "purge": code(aws.sqs.purge_queue, QueueUrl=nope),
        "delete": code(aws.sqs.delete_queue, QueueUrl=nope),
    }


@case
def attributes(aws):
    read = lambda queue, *names: aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names))
    fixed = lambda all_: {name: value for name, value in all_["Attributes"].items()
                          if name not in ("QueueArn", "CreatedTimestamp", "LastModifiedTimestamp")}
    queue = aws.queue()
    return {
        "of a standard queue": fixed(read(queue, "All")),
        "of a FIFO queue": fixed(read(aws.queue(".fifo"), "All")),
        "one": fixed(read(queue, "VisibilityTimeout")),
        "none asked for": members(aws.sqs.get_queue_attributes(QueueUrl=queue)),
        "an unknown one": code(read, queue, "Nonsense"),
    }


@case
def attributes_that_are_refused(aws):
    queue, fifo = aws.queue(), aws.queue(".fifo")
    set_ = lambda to, **attributes: code(aws.sqs.set_queue_attributes, QueueUrl=to, Attributes=attributes)
    return {
        "visibility over 12 hours": set_(queue, VisibilityTimeout="43201"),
        "delay over 15 minutes": set_(queue, DelaySeconds="901"),
        "retention under a minute": set_(queue, MessageRetentionPeriod="59"),
        "a waiting time over 20 seconds": set_(queue, ReceiveMessageWaitTimeSeconds="21"),
        "no number": set_(queue, VisibilityTimeout="soon"),
        "an unknown one": set_(queue, Nonsense="1"),
        "a standard queue made FIFO": set_(queue, FifoQueue="true"),
        "content-based deduplication of a standard queue": set_(queue, ContentBasedDeduplication="true"),
        "a dead-letter queue that is not there": set_(queue, RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": aws.arn_of(queue) + "-nope", "maxReceiveCount": 3})),
        "a dead-letter queue of the other kind": set_(queue, RedrivePolicy=json.dumps(
            {"deadLetterTargetArn": aws.arn_of(fifo), "maxReceiveCount": 3})),
        "a redrive policy that is no JSON": set_(queue, RedrivePolicy="soon"),
    }


@case
def a_message_and_its_attributes(aws):
    queue = aws.queue()
    sent = aws.sqs.send_message(QueueUrl=queue, MessageBody="Grüße, 世界", MessageAttributes={
        "text": {"DataType": "String", "StringValue": "a"},
        "number": {"DataType": "Number", "StringValue": "12.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "labelled": {"DataType": "String.label", "StringValue": "b"},
    })
    answer = aws.sqs.receive_message(
        QueueUrl=queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])
    (message,) = answer["Messages"]
    empty = aws.sqs.receive_message(QueueUrl=queue)
    return {
        "sent": {name: sent[name] for name in members(sent) if name != "MessageId"},
        "members": members(message),
        "body": (message["Body"], message["MD5OfBody"], message.get("MD5OfMessageAttributes")),
        "attributes": {name: {k: repr(v) for k, v in value.items()} for name, value in message["MessageAttributes"].items()},
        "system attributes": members(message["Attributes"]),
        "the same id": message["MessageId"] == sent["MessageId"],
        "an empty queue": members(empty),
    }


@case
def attributes_of_messages_are_chosen_by_name(aws):
    queue = aws.queue()
    attribute = {"DataType": "String", "StringValue": "x"}
    aws.sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes={"a.b": attribute, "a.c": attribute, "d": attribute})
    def names_of(asked):
        message = aws.sqs.receive_message(QueueUrl=queue, MessageAttributeNames=asked, VisibilityTimeout=0)["Messages"][0]
        return sorted(message.get("MessageAttributes", {}))
    return {"none": names_of([]), "one": names_of(["d"]), "a prefix": names_of(["a.*"]), "unknown": names_of(["z"])}


@case
def messages_that_are_refused(aws):
    queue = aws.queue()
    send = lambda **keywords: code(aws.sqs.send_message, QueueUrl=queue, **keywords)
    attribute = lambda name, **value: send(MessageBody="x", MessageAttributes={name: value})
    return {
        "empty": send(MessageBody=""),
        "a NUL": send(MessageBody="a\x00b"),
        "U+FFFF": send(MessageBody="a\uffffb"),
        "exactly 1 MiB": send(MessageBody="x" * 1_048_576),
        "over 1 MiB": send(MessageBody="x" * 1_048_577),
        "delayed over 15 minutes": send(MessageBody="x", DelaySeconds=901),
        "an attribute of no type": attribute("a", DataType="Float", StringValue="1"),
        "an attribute that is empty": attribute("a", DataType="String", StringValue=""),
        "a number that is none": attribute("a", DataType="Number", StringValue="many"),
        "an attribute called AWS.x": attribute("AWS.x", DataType="String", StringValue="1"),
        "an attribute with a space": attribute("a b", DataType="String", StringValue="1"),
        "eleven attributes": send(MessageBody="x", MessageAttributes={
            f"a{n}": {"DataType": "String", "StringValue": "1"} for n in range(11)}),
    }


@case
def receiving_bounds(aws):
    queue = aws.queue()
    ask = lambda **keywords: code(aws.sqs.receive_message, QueueUrl=queue, **keywords)
    return {
        "no message": ask(MaxNumberOfMessages=0), "eleven": ask(MaxNumberOfMessages=11),
        "21 seconds": ask(WaitTimeSeconds=21), "visibility over 12 hours": ask(VisibilityTimeout=43_201),
    }


@case
def visibility(aws):
    queue = aws.queue()
    aws.sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = receive(aws, queue)["Messages"]
    hidden = bodies(receive(aws, queue))
    change = lambda handle, seconds: code(
        aws.sqs.change_message_visibility, QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=seconds)
    released = change(first["ReceiptHandle"], 0)
    (second,) = receive(aws, queue)["Messages"]
    too_long = change(second["ReceiptHandle"], 43_201)
    aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    delete = lambda handle: code(aws.sqs.delete_message, QueueUrl=queue, ReceiptHandle=handle)
    return {
        "hidden": hidden, "released": released, "over 12 hours": too_long,
        "receives": (first["Attributes"]["ApproximateReceiveCount"], second["Attributes"]["ApproximateReceiveCount"]),
        "deleted twice": delete(second["ReceiptHandle"]),
        "changed after deletion": change(second["ReceiptHandle"], 10),
        "a handle that is none": (delete("nonsense"), change("nonsense", 10)),
    }


@case
def counts(aws):
    queue = aws.queue()
    aws.sqs.send_message(QueueUrl=queue, MessageBody="1")
    aws.sqs.send_message(QueueUrl=queue, MessageBody="2")
    aws.sqs.send_message(QueueUrl=queue, MessageBody="3", DelaySeconds=900)
    aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)
    all_ = aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return {name: value for name, value in all_.items() if name.startswith("Approximate")}


@case
def fifo_needs(aws):
    queue, by_content = aws.queue(".fifo"), aws.queue(".fifo", ContentBasedDeduplication="true")
    send = lambda to, **keywords: code(aws.sqs.send_message, QueueUrl=to, MessageBody="x", **keywords)
    return {
        "a group": send(queue, MessageDeduplicationId="1"),
        "a deduplication id": send(queue, MessageGroupId="g"),
        "no id when deduplicating by content": send(by_content, MessageGroupId="g"),
        "no delay of one message": send(queue, MessageGroupId="g", MessageDeduplicationId="1", DelaySeconds=5),
        "a group of 128 characters": send(queue, MessageGroupId="g" * 128, MessageDeduplicationId="1"),
        "not 129": send(queue, MessageGroupId="g" * 129, MessageDeduplicationId="1"),
        "no space in a group": send(queue, MessageGroupId="a b", MessageDeduplicationId="1"),
        "a deduplication id on a standard queue": send(aws.queue(), MessageDeduplicationId="1"),
        "a group on a standard queue": send(aws.queue(), MessageGroupId="g"),
    }


@case
def fifo_deduplicates(aws):
    queue = aws.queue(".fifo")
    send = lambda body, group, identity: aws.sqs.send_message(
        QueueUrl=queue, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=identity)
    first, again = send("one", "g", "1"), send("two", "g", "1")
    elsewhere = send("three", "h", "1")
    send("four", "g", "2")
    return {
        "the same message": (first["MessageId"] == again["MessageId"], first["SequenceNumber"] == again["SequenceNumber"]),
        "the MD5 is that of what was sent": first["MD5OfMessageBody"] != again["MD5OfMessageBody"],
        "another group is no other queue": first["MessageId"] == elsewhere["MessageId"],
        "what is there": sorted(bodies(receive(aws, queue))),
        "20 digits": len(first["SequenceNumber"]),
    }


@case
def fifo_deduplicates_within_a_group_where_asked(aws):
    queue = aws.queue(".fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in "gh":
        aws.sqs.send_message(QueueUrl=queue, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="1")
    return sorted(bodies(receive(aws, queue)))


@case
def fifo_keeps_the_order_of_a_group(aws):
    queue = aws.queue(".fifo", ContentBasedDeduplication="true")
    for body, group in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")]:
        aws.sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=group)
    one = lambda: aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1, MessageSystemAttributeNames=["All"])
    first, second, third = one(), one(), one()
    aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["Messages"][0]["ReceiptHandle"])
    return {
        "a group waits for its first": [bodies(each) for each in (first, second, third)],
        "and goes on after it": bodies(one()),
        "system attributes": members(first["Messages"][0]["Attributes"]),
    }


@case
def batches(aws):
    queue, fifo = aws.queue(), aws.queue(".fifo")
    send = lambda *entries: aws.sqs.send_message_batch(QueueUrl=queue, Entries=[
        {"Id": identity, "MessageBody": body} for identity, body in entries])
    refused = lambda *entries: code(send, *entries)
    mixed = send(("good", "x"), ("bad", ""))
    sent = aws.sqs.send_message_batch(QueueUrl=fifo, Entries=[
        {"Id": str(n), "MessageBody": str(n), "MessageGroupId": "g", "MessageDeduplicationId": str(n)} for n in range(3)])
    handles = [message["ReceiptHandle"] for message in receive(aws, fifo)["Messages"]]
    deleted = aws.sqs.delete_message_batch(QueueUrl=fifo, Entries=[
        {"Id": "0", "ReceiptHandle": handles[0]}, {"Id": "1", "ReceiptHandle": "nonsense"}])
    short = lambda all_: [(each["Id"], each["Code"], each["SenderFault"]) for each in all_.get("Failed", [])]
    return {
        "one of two": ([each["Id"] for each in mixed["Successful"]], short(mixed)),
        "members of a FIFO entry": members(sent["Successful"][0]),
        "deletion": ([each["Id"] for each in deleted["Successful"]], short(deleted)),
        "none": code(aws.sqs.send_message_batch, QueueUrl=queue, Entries=[]),
        "eleven": refused(*[(str(n), "x") for n in range(11)]),
        "one id twice": refused(("a", "x"), ("a", "y")),
        "an id with a space": refused(("a b", "x")),
        "1 MiB together": refused(*[(str(n), "x" * 200_000) for n in range(6)]),
    }


@case
def dead_letters(aws):
    dead = aws.queue()
    queue = aws.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": aws.arn_of(dead), "maxReceiveCount": 2}))
    sent = aws.sqs.send_message(QueueUrl=queue, MessageBody="poison")["MessageId"]
    tries = [bodies(receive(aws, queue, VisibilityTimeout=0)) for _ in range(3)]
    (message,) = receive(aws, dead)["Messages"]
    return {
        "tries": tries,
        "the same id": message["MessageId"] == sent,
        "where it comes from": message["Attributes"].get("DeadLetterQueueSourceArn") == aws.arn_of(queue),
        "receives": message["Attributes"]["ApproximateReceiveCount"],
    }


@case
def whose_dead_letters(aws):
    dead = aws.queue()
    queue = aws.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": aws.arn_of(dead), "maxReceiveCount": 2}))
    sources = aws.sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"]
    return [url.rsplit("/", 1)[-1] == queue.rsplit("/", 1)[-1] for url in sources]


@case
def moving_dead_letters_back(aws):
    dead, other = aws.queue(), aws.queue()
    queue = aws.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": aws.arn_of(dead), "maxReceiveCount": 1}))
    aws.sqs.send_message(QueueUrl=queue, MessageBody="again")
    for _ in range(2):
        receive(aws, queue, VisibilityTimeout=0)
    start = lambda source: aws.sqs.start_message_move_task(SourceArn=source)
    not_dead = code(start, aws.arn_of(other))
    not_there = code(start, aws.arn_of(other) + "-nope")
    start(aws.arn_of(dead))
    moved = bodies(receive(aws, queue, WaitTimeSeconds=5))
    return {"moved": moved, "not a dead-letter queue": not_dead, "not there": not_there}


@case
def purging(aws):
    queue = aws.queue()
    aws.sqs.send_message(QueueUrl=queue, MessageBody="x")
    first = code(aws.sqs.purge_queue, QueueUrl=queue)
    return {"first": first, "left": bodies(receive(aws, queue)), "again": code(aws.sqs.purge_queue, QueueUrl=queue)}


@case
def tags(aws):
    queue = aws.queue()
    aws.sqs.tag_queue(QueueUrl=queue, Tags={"a": "1", "b": "2"})
    aws.sqs.untag_queue(QueueUrl=queue, TagKeys=["a", "z"])
    return aws.sqs.list_queue_tags(QueueUrl=queue)["Tags"]


@case
def listing(aws):
    prefix = aws.name("-list-")
    for each in "cab":
        aws.sqs.create_queue(QueueName=prefix + each)
    list_ = lambda **keywords: aws.sqs.list_queues(QueueNamePrefix=prefix, **keywords)
    first = list_(MaxResults=2)
    rest = list_(MaxResults=2, NextToken=first["NextToken"])
    names_of = lambda answer: sorted(url.rsplit("-", 1)[-1] for url in answer["QueueUrls"])
    return {"all": names_of(list_()), "pages": (len(first["QueueUrls"]), len(rest["QueueUrls"]), "NextToken" in rest)}
