"""The AWS CLI against `cargo local`: what a person would type, and what a script would read."""

import json
import os
import subprocess

from harness import EVENTS, Checks, equal, runner, wait_until


def main():
    checks = Checks("cli")
    with runner("--strict") as local:
        def aws(*words):
            """Runs `aws WORDS` and returns its exit code, its JSON, and what it complained of."""
            environment = {**os.environ, "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
            # As an option: for SQS, version 1 of the CLI passes over AWS_ENDPOINT_URL.
            command = ["aws", "--endpoint-url", local.endpoint, *words, "--output", "json"]
            ended = subprocess.run(command, env=environment, capture_output=True, text=True)
            return ended.returncode, json.loads(ended.stdout or "null"), ended.stderr.strip()

        def answer(*words):
            code, output, complaint = aws(*words)
            assert code == 0, complaint
            return output

        with checks.check("list-pipelines shows the three that the example names"):
            names = [each["name"] for each in answer("codepipeline", "list-pipelines")["pipelines"]]
            equal(sorted(names), ["shop-development", "shop-production", "shop-staging"])
        with checks.check("a pushed commit is seen running to its end"):
            equal(local.post((EVENTS / "push.json").read_bytes())[0], 202)
            words = ["codepipeline", "list-pipeline-executions", "--pipeline-name", "shop-development",
                     "--query", "pipelineExecutionSummaries[].status"]
            wait_until("the execution", lambda: answer(*words) == ["Succeeded"])
        with checks.check("dynamodb scan finds the delivery of today"):
            found = answer("dynamodb", "scan", "--table-name", "pointsman", "--filter-expression", "sk = :sk",
                           "--expression-attribute-values", '{":sk":{"S":"delivery"}}', "--query", "Items[].status.S")
            equal(found, ["executed"])
        with checks.check("sqs get-queue-url and get-queue-attributes agree"):
            url = answer("sqs", "get-queue-url", "--queue-name", "pointsman-changes.fifo")["QueueUrl"]
            all_ = answer("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
            equal(all_["FifoQueue"], "true")
        with checks.check("secretsmanager get-secret-value reads the secret"):
            words = ["--secret-id", "pointsman/github-webhook", "--query", "SecretString"]
            equal(answer("secretsmanager", "get-secret-value", *words), "local-webhook-secret")
        with checks.check("events put-events takes an event of ours"):
            entry = [{"Source": "contract", "DetailType": "Test", "Detail": "{}"}]
            equal(answer("events", "put-events", "--entries", json.dumps(entry))["FailedEntryCount"], 0)
        with checks.check("what is not there is refused by name, with an exit code"):
            code, _, complaint = aws("codepipeline", "get-pipeline", "--name", "nope")
            assert code != 0 and "PipelineNotFoundException" in complaint, (code, complaint)
        with checks.check("a service that is not emulated says so by name"):
            code, _, complaint = aws("kinesis", "list-streams")
            assert code != 0 and "not emulated" in complaint, (code, complaint)
    checks.end()


if __name__ == "__main__":
    main()
