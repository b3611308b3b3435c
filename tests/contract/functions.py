"""The functions' own binaries under `cargo lambda watch`, which speaks Lambda's runtime API to them.

What is answered here is answered by the program that is deployed: its `main`, its reading of the environment, its
clients over TCP. AWS is `cargo local`. webhook queues to a queue of this part's own, so that its message can be handed
to dispatch by hand, as Lambda's event source mapping would.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import uuid

from harness import ACCOUNT, EVENTS, REGION, ROOT, Checks, equal, post, runner, stop, text_of, wait_until

# A cold build of the functions is part of the first answer, in seconds.
BUILD_SECONDS = 1200
FUNCTIONS = ["webhook", "dispatch", "record", "gate", "approve", "guard", "rollback", "sweep"]
SECRET = b"local-webhook-secret"
DEADLINE = pathlib.Path(__file__).with_name("deadline.py")


def main():
    checks = Checks("lambda")
    with runner("--strict") as local:
        sqs = local.client("sqs")
        queue = sqs.create_queue(QueueName="contract-lambda.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        with watch(local.endpoint, queue, checks) as invoke:
            body = webhook(checks, sqs, queue, invoke)
            dispatch(checks, local.client("dynamodb"), invoke, body)
            record(checks, local.client("dynamodb"), local.client("codepipeline"), invoke)
            gate(checks, invoke)
            approve(checks, invoke)
            guard(checks, invoke)
            rollback(checks, invoke)
            sweep(checks, invoke)
    checks.end()


def settings(endpoint, queue):
    """What the template would put into each function's environment; the names are those of `cargo local`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        # The account sees the caller as dispatch's role.
        "AWS_ACCESS_KEY_ID": "LOCALROLEpointsman-DispatchRole",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "POINTSMAN_TABLE": "pointsman",
        "POINTSMAN_AUDIT_TABLE": "pointsman-audit",
        "POINTSMAN_STARTER_ROLES": "pointsman-DispatchRole,pointsman-SweepRole,pointsman-RollbackRole",
        "POINTSMAN_WEBHOOK_SECRET_ID": "pointsman/github-webhook",
        "POINTSMAN_CHANGES_QUEUE_URL": queue,
        "POINTSMAN_BASE_URL": "http://127.0.0.1:3000",
        "POINTSMAN_APPROVER_TOPICS": f"arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-approver-",
        "POINTSMAN_DEAD_LETTERS_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/pointsman-changes-dead.fifo",
        "POINTSMAN_APPROVER_TOPICS": f"arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-approver-",
        "POINTSMAN_BUS": "pointsman",
        "POINTSMAN_SETTLING_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/pointsman-settling",
        "POINTSMAN_INCIDENTS_TOPIC": f"arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-incidents",
        "POINTSMAN_ACCOUNT": ACCOUNT,
    }


def host():
    """The platform that cargo builds for, as it is spelled in the names of cargo's variables."""
    said = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    (name,) = [line.split()[1] for line in said.splitlines() if line.startswith("host:")]
    return name.upper().replace("-", "_")


@contextlib.contextmanager
def watch(endpoint, queue, checks):
    """Builds the functions, serves them, and yields a function that invokes one of them by name. Prints what they
    wrote if a check failed."""
    program = os.environ.get("CARGO_LAMBDA")
    assert program, "CARGO_LAMBDA must name the program: start this through `cargo xtask contract`"
    # The functions are built in the build that everything else shares, so that watch only starts them.
    subprocess.run(["cargo", "build", "--quiet", *[f"--bin={name}" for name in FUNCTIONS]], cwd=ROOT, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "lambda", "watch", "--ignore-changes", "--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    log = tempfile.NamedTemporaryFile(prefix="cargo-lambda-", suffix=".log", delete=False)
    environment = {**os.environ, **settings(endpoint, queue), f"CARGO_TARGET_{host()}_RUNNER": f"{sys.executable} {DEADLINE}"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def ready():
        assert process.poll() is None, f"cargo lambda watch ended with {process.returncode}:\n{text_of(log.name)[-2000:]}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def invoke(function, event):
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/{function}/invocations"
        return post(url, json.dumps(event).encode(), {"Content-Type": "application/json"}, BUILD_SECONDS)

    try:
        wait_until("cargo lambda watch", ready)
        yield invoke
    finally:
        stop(process)
        if checks.failed:
            print("          " + text_of(log.name)[-6000:].replace("\n", "\n          "))
        os.unlink(log.name)


def api_gateway(body, delivery, secret=SECRET):
    """API Gateway's event of events/, with another body, signed again, as base64."""
    event = json.loads((EVENTS / "api-gateway-webhook.json").read_text())
    signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    changed = {"X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature}
    event["headers"] |= changed
    event["multiValueHeaders"] |= {name: [value] for name, value in changed.items()}
    return {**event, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def webhook(checks, sqs, queue, invoke):
    """Returns the body of the message that a good delivery left in the queue."""
    receive = lambda seconds: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds).get("Messages", [])
    with checks.check("webhook answers API Gateway's event with 202, and queues the change"):
        event = json.loads((EVENTS / "api-gateway-webhook.json").read_text())
        status, answer = invoke("webhook", event)
        equal((status, answer["statusCode"]), (200, 202), answer)
        equal(json.loads(answer["body"])["delivery"], event["headers"]["X-GitHub-Delivery"])
        (message,) = receive(10)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    push = (EVENTS / "push.json").read_bytes()
    with checks.check("a body in base64 is the same to it"):
        _, answer = invoke("webhook", api_gateway(push, str(uuid.uuid4())))
        equal(answer["statusCode"], 202, answer)
        (message,) = receive(10)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    with checks.check("a wrong signature is refused with 401, and queues nothing"):
        _, answer = invoke("webhook", api_gateway(push, str(uuid.uuid4()), b"another-webhook-secret"))
        equal(answer["statusCode"], 401, answer)
        equal(receive(1), [])
    return message["Body"]


def sqs_event(body):
    """One message as Lambda's event source mapping hands it over."""
    return {"Records": [{
        "messageId": str(uuid.uuid4()), "receiptHandle": "handle", "body": body, "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode()).hexdigest(), "eventSource": "aws:sqs", "awsRegion": REGION,
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:contract-lambda.fifo",
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1772447468214", "SenderId": "contract",
            "ApproximateFirstReceiveTimestamp": "1772447468214", "MessageGroupId": "group",
            "MessageDeduplicationId": "1", "SequenceNumber": "18849496460467696128"},
    }]}


def dispatch(checks, dynamodb, invoke, body):
    delivery = json.loads(body)["change"]["delivery"] if "change" in json.loads(body) else json.loads(body)["delivery"]
    key = {"pk": {"S": f"delivery#{delivery}"}, "sk": {"S": "delivery"}}
    with checks.check("dispatch takes the message that webhook queued, and starts its pipeline"):
        status, answer = invoke("dispatch", sqs_event(body))
        equal((status, answer["batchItemFailures"]), (200, []), answer)
        item = dynamodb.get_item(TableName="pointsman", Key=key, ConsistentRead=True)["Item"]
        equal(item["status"]["S"], "executed", item.get("reason"))
    with checks.check("what dispatch cannot read comes again"):
        event = sqs_event("not a change")
        _, answer = invoke("dispatch", event)
        equal([each["itemIdentifier"] for each in answer["batchItemFailures"]], [event["Records"][0]["messageId"]])


def record(checks, dynamodb, codepipeline, invoke):
    with checks.check("record takes CodePipeline's event, and keeps what it says"):
        event = json.loads((EVENTS / "codepipeline-pipeline.json").read_text())
        # `record` asks AWS whose it is, so the event must be of an execution that runs.
        pipeline = event["detail"]["pipeline"]
        started = codepipeline.start_pipeline_execution(name=pipeline)
        event["detail"]["execution-id"] = started["pipelineExecutionId"]
        status, answer = invoke("record", event)
        equal((status, answer), (200, None))
        pipeline, execution = event["detail"]["pipeline"], event["detail"]["execution-id"]
        key = {"pk": {"S": f"run#{event['region']}#pipeline#{pipeline}#{execution}"}, "sk": {"S": "run"}}
        assert "Item" in dynamodb.get_item(TableName="pointsman", Key=key, ConsistentRead=True), key
    for name in ["codepipeline-stage", "codepipeline-action", "codebuild-build", "ecr-push"]:
        with checks.check(f"record takes {name}"):
            equal(invoke("record", json.loads((EVENTS / f"{name}.json").read_text()))[0], 200)


def gate(checks, invoke):
    for name in ["approval-started", "approval-notification"]:
        with checks.check(f"gate takes {name}, of an execution that CodePipeline does not know"):
            equal(invoke("gate", json.loads((EVENTS / f"{name}.json").read_text())), (200, None))


def approve(checks, invoke):
    with checks.check("approve answers 404 to a link that nobody was sent"):
        link = "A" * 43
        event = json.loads((EVENTS / "api-gateway-webhook.json").read_text()) | {
            "httpMethod": "GET", "path": f"/approvals/{link}", "resource": "/approvals/{link}",
            "pathParameters": {"link": link}, "body": None, "isBase64Encoded": False}
        status, answer = invoke("approve", event)
        equal((status, answer["statusCode"]), (200, 404), answer)


def guard(checks, invoke):
    for name in ["cloudwatch-alarm", "cloudwatch-alarm-composite", "inspector-finding", "devops-guru-insight", "guardduty-finding"]:
        with checks.check(f"guard takes {name}"):
            equal(invoke("guard", json.loads((EVENTS / f"{name}.json").read_text())), (200, None))
    with checks.check("guard answers a batch of what has settled as a batch"):
        status, answer = invoke("guard", sqs_event("{}"))
        equal(status, 200, answer)
        assert isinstance(answer["batchItemFailures"], list), answer


def rollback(checks, invoke):
    request = {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": "Rollback Requested", "source": "pointsman", "account": ACCOUNT,
        "time": "2026-03-02T15:01:13Z", "region": REGION, "resources": [], "detail": {"incident": "in-00000000000000000000"},
    }
    samples = [("a request of an incident that is not known", request)]
    samples += [(name, json.loads((EVENTS / f"{name}.json").read_text())) for name in ["codedeploy-deployment", "ecs-deployment"]]
    for name, event in samples:
        with checks.check(f"rollback takes {name}"):
            equal(invoke("rollback", event), (200, None))


def sweep(checks, invoke):
    with checks.check("sweep runs on its schedule's event"):
        status, answer = invoke("sweep", {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
        equal(status, 200, answer)
        assert isinstance(answer, dict) and "errorType" not in answer, answer


if __name__ == "__main__":
    main()
