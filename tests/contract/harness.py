"""What every part shares: the local runner as a process, clients pointed at it, and a count of checks."""

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
REGION = "us-east-1"
ACCOUNT = "123456789012"
SECRET = "local-webhook-secret"

# How long anything that should happen may take, in seconds. Generous: other builds may share the machine.
PATIENCE_SECONDS = 60


class Checks:
    """Counts what held and what did not; the last line says how many."""

    def __init__(self, part):
        self.part, self.passed, self.failed = part, 0, 0

    @contextlib.contextmanager
    def check(self, what):
        """Everything in the block must hold."""
        try:
            yield
        except Exception as error:  # a check may fail in any way, and the others still run
            self.failed += 1
            print(f"  FAILED  {what}: {type(error).__name__}: {error}")
            if not isinstance(error, AssertionError):
                traceback.print_exc(limit=-3)
        else:
            self.passed += 1
            print(f"  ok      {what}")

    def fail(self, what):
        self.failed += 1
        print(f"  FAILED  {what}")

    def end(self):
        """Prints the sum and leaves, with 1 if anything failed or nothing ran."""
        print(f"{self.part}: {self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def equal(seen, expected, what=""):
    """An assertion that says what it saw."""
    assert seen == expected, f"{what} expected {expected!r}, saw {seen!r}"


def wait_until(what, ask, seconds=PATIENCE_SECONDS):
    """Asks until the answer is truthy, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Runner:
    """`cargo local` as a process of its own, on ports that the system chose."""

    def __init__(self, process, log, service, aws):
        self.process, self.log, self.service, self.endpoint = process, log, service, aws

    def client(self, service, key="AKIDEXAMPLE", region=REGION):
        return client(service, self.endpoint, key, region)

    def post(self, body, event="push", delivery=None, secret=SECRET):
        """Posts a payload as GitHub does, signed; returns the status and the answer."""
        delivery = delivery or str(uuid.uuid4())
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/contract",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return post(f"{self.service}/webhook", body, headers)


def post(url, body, headers, seconds=PATIENCE_SECONDS):
    """One POST; returns the status and the JSON of the answer."""
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


@contextlib.contextmanager
def runner(*arguments):
    """Starts the runner named by POINTSMAN_LOCAL, waits until it answers, and stops it afterwards."""
    program = os.environ.get("POINTSMAN_LOCAL")
    assert program, "POINTSMAN_LOCAL must name the runner: start this through `cargo xtask`"
    log = tempfile.NamedTemporaryFile(prefix="pointsman-local-", suffix=".log", delete=False)
    command = [program, "--port", "0", "--aws-port", "0", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def greeting():
        assert process.poll() is None, f"the runner ended with {process.returncode}; see {log.name}"
        return re.search(r"webhook +(http://\S+)/webhook\s+all of AWS +(http://\S+)", text_of(log.name))

    try:
        found = wait_until("the runner's greeting", greeting)
        service, aws = found.groups()
        wait_until("/healthz", lambda: is_up(f"{service}/healthz"))
        yield Runner(process, log.name, service, aws)
        assert process.poll() is None, f"the runner ended with {process.returncode}; see {log.name}"
        os.unlink(log.name)
    finally:
        stop(process)


def text_of(path):
    return pathlib.Path(path).read_text(errors="replace")


def is_up(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def stop(process, seconds=15):
    """SIGTERM, and SIGKILL for one that does not listen. Only a process that was started here."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def client(service, endpoint, key="AKIDEXAMPLE", region=REGION):
    """A botocore client that tries once, so that what it sees is what was answered."""
    once = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, config=once,
        aws_access_key_id=key, aws_secret_access_key="secret",
    )
