"""Boto3 against `cargo local`: the main job, seen and driven by a client that we did not write.

A signed push starts a pipeline and is read back through every API that shows it; a pipeline started by hand is
recorded as not started by Pointsman; what does not exist is refused with the service's own codes. Every raw answer
is held against botocore's model.
"""

import json
import uuid

import botocore.exceptions
from harness import ACCOUNT, EVENTS, REGION, Checks, equal, runner, wait_until
from strict import Strict

SHA = "98c2b849863fbcfd70f8c43fa20141c88fa66e74"
QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}"
OVER = {"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"}


def main():
    checks = Checks("boto3")
    strict = Strict()
    with runner("--strict") as local:
        names = ["codepipeline", "codebuild", "dynamodb", "sqs", "events", "secretsmanager"]
        aws = {name: strict.watch(local.client(name)) for name in names}
        pushed = signed_push(checks, local, aws)
        by_hand(checks, aws)
        states(checks, aws)
        ledger(checks, aws, pushed)
        queues(checks, aws["sqs"])
        builds(checks, aws["codebuild"])
        wiring(checks, aws)
        refusals(checks, aws)
    with checks.check(f"{strict.answers} raw answers are what botocore's models say"):
        assert not strict.unique(), "\n          ".join(["", *strict.unique()])
    checks.end()


def finished(codepipeline, name, execution):
    """Waits for the end of an execution and returns it."""
    def ask():
        found = codepipeline.get_pipeline_execution(pipelineName=name, pipelineExecutionId=execution)
        return found["pipelineExecution"] if found["pipelineExecution"]["status"] in OVER else None
    return wait_until(f"{name} {execution}", ask)


def signed_push(checks, local, aws):
    delivery = str(uuid.uuid4())
    codepipeline = aws["codepipeline"]
    with checks.check("a signed push is taken"):
        status, answer = local.post((EVENTS / "push.json").read_bytes(), delivery=delivery)
        equal((status, answer["delivery"]), (202, delivery))
    with checks.check("a push with a wrong signature is refused"):
        status, _ = local.post((EVENTS / "push.json").read_bytes(), secret="another-webhook-secret")
        equal(status, 401)
    with checks.check("its pipeline runs once, at the pushed commit, and succeeds"):
        list_ = lambda: codepipeline.list_pipeline_executions(pipelineName="shop-development")["pipelineExecutionSummaries"]
        (summary,) = wait_until("the execution", list_)
        execution = finished(codepipeline, "shop-development", summary["pipelineExecutionId"])
        equal(execution["status"], "Succeeded")
        equal([revision["revisionId"] for revision in execution["artifactRevisions"]], [SHA])
        equal(execution["trigger"]["triggerType"], "StartPipelineExecution")
        equal(len(list_()), 1, "executions")
    with checks.check("its actions can be read, the newest first"):
        details = codepipeline.list_action_executions(pipelineName="shop-development")["actionExecutionDetails"]
        equal({each["status"] for each in details}, {"Succeeded"})
        equal([each["stageName"] for each in details], ["Deploy", "Build", "Source"])
        starts = [each["startTime"] for each in details]
        equal(starts, sorted(starts, reverse=True))
    with checks.check("pages of one action each hold the same actions"):
        pages = codepipeline.get_paginator("list_action_executions")
        found = pages.paginate(pipelineName="shop-development", PaginationConfig={"PageSize": 1}).build_full_result()
        equal([each["actionName"] for each in found["actionExecutionDetails"]], ["Deploy", "Build", "GitHub"])
    return delivery


def by_hand(checks, aws):
    codepipeline = aws["codepipeline"]
    revision = {"actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": SHA}
    token = str(uuid.uuid4())
    start = lambda: codepipeline.start_pipeline_execution(
        name="shop-staging", sourceRevisions=[revision], clientRequestToken=token)["pipelineExecutionId"]
    with checks.check("a pipeline started by hand, asked for twice with one token, starts once"):
        execution = start()
        equal(start(), execution)
        equal(finished(codepipeline, "shop-staging", execution)["status"], "Succeeded")
    with checks.check("it is recorded as not started by Pointsman"):
        mine = lambda: [item for item in executions(aws["dynamodb"]) if aws_id(item) == execution]
        (item,) = wait_until("its record", lambda: [item for item in mine() if item["status"]["S"] == "succeeded"])
        equal(item["origin"]["M"]["by"]["S"], "external")
        assert item["note"]["S"].startswith("not started by Pointsman"), item["note"]
        equal(item["actor"]["S"], f"arn:aws:iam::{ACCOUNT}:root")
        equal(len(mine()), 1, "records")
    with checks.check("a second one with its own token is a second execution, and both are listed"):
        again = codepipeline.start_pipeline_execution(name="shop-staging")["pipelineExecutionId"]
        finished(codepipeline, "shop-staging", again)
        listed = codepipeline.list_pipeline_executions(pipelineName="shop-staging")["pipelineExecutionSummaries"]
        equal([each["pipelineExecutionId"] for each in listed], [again, execution])


def states(checks, aws):
    codepipeline = aws["codepipeline"]
    with checks.check("the state of a pipeline names its stages, and what each last did"):
        state = codepipeline.get_pipeline_state(name="shop-development")
        equal([stage["stageName"] for stage in state["stageStates"]], ["Source", "Build", "Deploy"])
        equal({stage["latestExecution"]["status"] for stage in state["stageStates"]}, {"Succeeded"})
    with checks.check("a pipeline can be read, and written back as the next version"):
        read = codepipeline.get_pipeline(name="shop-development")
        written = codepipeline.update_pipeline(pipeline=read["pipeline"])["pipeline"]
        equal(written["version"], read["pipeline"]["version"] + 1)
        listed = {each["name"]: each["version"] for each in codepipeline.list_pipelines()["pipelines"]}
        equal(listed["shop-development"], written["version"])
    with checks.check("a pipeline can be stopped while its approval waits"):
        execution = codepipeline.start_pipeline_execution(name="shop-production")["pipelineExecutionId"]
        stages = lambda: codepipeline.get_pipeline_state(name="shop-production")["stageStates"]
        inside = lambda: [s["stageName"] for s in stages() if s.get("latestExecution", {}).get("status") == "InProgress"]
        wait_until("the approval", lambda: inside() == ["Approve"])
        codepipeline.stop_pipeline_execution(
            pipelineName="shop-production", pipelineExecutionId=execution, abandon=True, reason="contract")
        equal(finished(codepipeline, "shop-production", execution)["status"], "Stopped")


def executions(dynamodb):
    """The ledger's executions, by a scan in small pages."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName="pointsman", FilterExpression="sk = :sk", ExpressionAttributeValues={":sk": {"S": "execution"}},
        PaginationConfig={"PageSize": 5})
    return [item for page in pages for item in page["Items"]]


def aws_id(item):
    return item["start"]["M"].get("aws_id", {}).get("S")


def ledger(checks, aws, pushed):
    dynamodb = aws["dynamodb"]
    with checks.check("GetItem reads the delivery"):
        key = {"pk": {"S": f"delivery#{pushed}"}, "sk": {"S": "delivery"}}
        item = dynamodb.get_item(TableName="pointsman", Key=key, ConsistentRead=True)["Item"]
        equal(item["status"]["S"], "executed")
    with checks.check("Query reads the executions of a commit, and GetItem each"):
        found = dynamodb.query(
            TableName="pointsman", KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"executions#sha#{SHA}"}})
        assert found["Count"] >= 2, found["Count"]
        for each in found["Items"]:
            name = each["sk"]["S"].split("#", 1)[1]
            key = {"pk": {"S": f"execution#{name}"}, "sk": {"S": "execution"}}
            equal(dynamodb.get_item(TableName="pointsman", Key=key)["Item"]["id"]["S"], name)
    with checks.check("one execution was started by the delivery, and it succeeded"):
        (item,) = [each for each in executions(dynamodb) if each["origin"]["M"]["by"]["S"] == "delivery"]
        equal(item["origin"]["M"]["delivery"]["S"], pushed)
        equal((item["status"]["S"], item["sha"]["S"]), ("succeeded", SHA))
    with checks.check("the audit log of an execution is numbered without a gap, each entry after the one before"):
        audit = dynamodb.query(
            TableName="pointsman-audit", KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"execution#{item['id']['S']}"}})["Items"]
        equal([int(entry["sequence"]["N"]) for entry in audit], list(range(1, len(audit) + 1)))
        equal([entry["previous"]["S"] for entry in audit[1:]], [entry["hash"]["S"] for entry in audit[:-1]])
    with checks.check("the tables are as the template has them"):
        table = dynamodb.describe_table(TableName="pointsman")["Table"]
        equal(table["TableStatus"], "ACTIVE")
        equal([index["IndexName"] for index in table["GlobalSecondaryIndexes"]], ["due"])
        life = dynamodb.describe_time_to_live(TableName="pointsman")["TimeToLiveDescription"]
        equal(life, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"})


def queues(checks, sqs):
    changes = f"{QUEUE}/pointsman-changes.fifo"
    with checks.check("the queues are there, and the changes were all taken off theirs"):
        equal(len(sqs.list_queues(QueueNamePrefix="pointsman-")["QueueUrls"]), 4)
        equal(sqs.get_queue_url(QueueName="pointsman-changes.fifo")["QueueUrl"], changes)
        read = lambda: sqs.get_queue_attributes(QueueUrl=changes, AttributeNames=["All"])["Attributes"]
        counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        wait_until("an empty queue", lambda: {read()[name] for name in counts} == {"0"})
        equal(read()["FifoThroughputLimit"], "perMessageGroupId")
        redrive = json.loads(read()["RedrivePolicy"])
        equal(redrive["deadLetterTargetArn"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:pointsman-changes-dead.fifo")
    with checks.check("a message goes in and comes out"):
        queue = f"{QUEUE}/pointsman-events-dead"
        sent = sqs.send_message(QueueUrl=queue, MessageBody="Grüße", MessageAttributes={
            "n": {"DataType": "Number", "StringValue": "7"}})
        (message,) = sqs.receive_message(
            QueueUrl=queue, WaitTimeSeconds=5, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
        equal((message["MessageId"], message["Body"]), (sent["MessageId"], "Grüße"))
        equal(message["MessageAttributes"]["n"], {"DataType": "Number", "StringValue": "7"})
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("a message that dispatch cannot read ends as a dead letter"):
        sqs.send_message(
            QueueUrl=changes, MessageBody="not a change", MessageGroupId="poison", MessageDeduplicationId=str(uuid.uuid4()))
        # Its group is held back for the visibility timeout after each of the five tries: only the first is waited for.
        ask = lambda: sqs.get_queue_attributes(QueueUrl=changes, AttributeNames=["All"])["Attributes"]
        wait_until("a first try", lambda: ask()["ApproximateNumberOfMessagesNotVisible"] == "1")


def builds(checks, codebuild):
    with checks.check("a build can be started by hand, and ends"):
        build = codebuild.start_build(projectName="shop-release", sourceVersion=SHA)["build"]
        ask = lambda: codebuild.batch_get_builds(ids=[build["id"]])["builds"][0]
        done = wait_until("the build", lambda: ask() if ask()["buildComplete"] else None)
        equal(done["buildStatus"], "SUCCEEDED")
        assert build["id"] in codebuild.list_builds_for_project(projectName="shop-release")["ids"]


def wiring(checks, aws):
    with checks.check("the rules are there, and each has a target"):
        rules = aws["events"].list_rules(NamePrefix="pointsman-")["Rules"]
        equal(len(rules), 17)
        for rule in rules:
            (target,) = aws["events"].list_targets_by_rule(Rule=rule["Name"])["Targets"]
            assert target["Arn"].startswith(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"), target
    with checks.check("the webhook secret can be read"):
        secret = aws["secretsmanager"].get_secret_value(SecretId="pointsman/github-webhook")
        equal(secret["VersionStages"], ["AWSCURRENT"])


def refusals(checks, aws):
    nobody = str(uuid.uuid4())
    key = {"pk": {"S": "x"}, "sk": {"S": "x"}}
    conditional = {"TableName": "pointsman", "Item": {**key}, "ConditionExpression": "attribute_exists(pk)"}
    start = {"name": "shop-staging", "sourceRevisions": [
        {"actionName": "Nobody", "revisionType": "COMMIT_ID", "revisionValue": SHA}]}
    cases = [
        ("codepipeline", "get_pipeline", {"name": "nope"}, "PipelineNotFoundException"),
        ("codepipeline", "get_pipeline", {"name": "shop-staging", "version": 99}, "PipelineVersionNotFoundException"),
        ("codepipeline", "get_pipeline_state", {"name": "nope"}, "PipelineNotFoundException"),
        ("codepipeline", "start_pipeline_execution", {"name": "nope"}, "PipelineNotFoundException"),
        ("codepipeline", "start_pipeline_execution", start, "ValidationException"),
        ("codepipeline", "list_action_executions", {"pipelineName": "nope"}, "PipelineNotFoundException"),
        ("codepipeline", "list_pipeline_executions", {"pipelineName": "nope"}, "PipelineNotFoundException"),
        ("codepipeline", "get_pipeline_execution", {"pipelineName": "shop-staging", "pipelineExecutionId": nobody},
         "PipelineExecutionNotFoundException"),
        ("codepipeline", "stop_pipeline_execution", {"pipelineName": "nope", "pipelineExecutionId": nobody},
         "PipelineNotFoundException"),
        ("codebuild", "start_build", {"projectName": "nope"}, "ResourceNotFoundException"),
        ("codebuild", "list_builds_for_project", {"projectName": "nope"}, "ResourceNotFoundException"),
        ("dynamodb", "get_item", {"TableName": "nope", "Key": key}, "ResourceNotFoundException"),
        ("dynamodb", "query", {"TableName": "pointsman", "KeyConditionExpression": "nonsense"}, "ValidationException"),
        ("dynamodb", "put_item", conditional, "ConditionalCheckFailedException"),
        ("events", "describe_rule", {"Name": "nope"}, "ResourceNotFoundException"),
        ("secretsmanager", "get_secret_value", {"SecretId": "nope"}, "ResourceNotFoundException"),
        ("sqs", "get_queue_url", {"QueueName": "nope"}, "AWS.SimpleQueueService.NonExistentQueue"),
        ("sqs", "send_message", {"QueueUrl": f"{QUEUE}/nope", "MessageBody": "x"},
         "AWS.SimpleQueueService.NonExistentQueue"),
        ("sqs", "send_message", {"QueueUrl": f"{QUEUE}/pointsman-changes.fifo", "MessageBody": "x"}, "MissingParameter"),
    ]
    for service, operation, arguments, expected in cases:
        with checks.check(f"{service} {operation} is refused with {expected}"):
            try:
                answer = getattr(aws[service], operation)(**arguments)
            except botocore.exceptions.ClientError as error:
                equal(error.response["Error"]["Code"], expected)
            else:
                raise AssertionError(f"it was answered: {answer}")
    with checks.check("QueueDoesNotExist is an exception of its own in boto3"):
        try:
            aws["sqs"].get_queue_url(QueueName="nope")
        except aws["sqs"].exceptions.QueueDoesNotExist:
            pass


if __name__ == "__main__":
    main()
