"""A second opinion: the same cases on `cargo local` and on ministack, and every difference accounted for.

Neither of the two is AWS. Where they differ, differences.toml says which document of AWS decides, and for whom. A
difference that is not listed is a failure; so is a listed one that is gone.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import tomllib

from cases import Aws, cases_of, dynamodb, eventbridge, sns, sqs
from harness import ACCOUNT, Checks, client, is_up, runner, stop, text_of, wait_until
from strict import Strict

LISTED = pathlib.Path(__file__).with_name("differences.toml")


def main():
    checks = Checks("ministack")
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    listed = tomllib.loads(LISTED.read_text())
    strict = Strict()
    with runner("--strict") as local, ministack() as second:
        ours = Aws(lambda service: strict.watch(local.client(service)))
        theirs = Aws(lambda service: client(service, second))
        for module in (sqs, eventbridge, dynamodb, sns):
            for name, case in cases_of(module):
                if wanted in name:
                    compare(checks, name, run(case, ours), run(case, theirs), listed)
    if not wanted:
        for name in sorted(set(listed) - SEEN):
            checks.fail(f"{name}: listed in {LISTED.name}, and no longer a difference")
    with checks.check(f"{strict.answers} raw answers of ours are what botocore's models say"):
        assert not strict.unique(), "\n          ".join(["", *strict.unique()])
    checks.end()


# Names of the differences that were seen.
SEEN = set()


def run(case, aws):
    """What a case saw, as JSON. One that ends with an error has seen that error."""
    try:
        seen = case(aws)
    except Exception as error:  # a case that cannot go on has seen that, and nothing else
        seen = f"ended with {type(error).__name__}: {error}"
    return json.loads(json.dumps(seen))


def compare(checks, name, ours, theirs, listed):
    """One check a case: all its differences are listed, with what each side says."""
    both = [ours, theirs]
    if not all(isinstance(each, dict) for each in both):
        both = [{"": each} for each in both]
    keys = sorted(set(both[0]) | set(both[1]))
    with checks.check(name):
        unlisted = []
        for key in keys:
            mine, other = (each.get(key, "(nothing)") for each in both)
            if mine == other:
                continue
            difference = f"{name}: {key}" if key else name
            SEEN.add(difference)
            entry = listed.get(difference)
            if entry is None or (json.loads(entry["ours"]), json.loads(entry["theirs"])) != (mine, other):
                unlisted.append(f"{difference}\n            ours   {json.dumps(mine)}\n            theirs {json.dumps(other)}")
            else:
                assert entry["right"] in ("ours", "theirs"), f"{difference}: right must be ours or theirs"
                print(f"          as listed: {difference}; {entry['right']} by {entry['aws']}")
        assert not unlisted, "differs:\n          " + "\n          ".join(unlisted)


@contextlib.contextmanager
def ministack():
    """Starts the program named by MINISTACK on this machine only, and stops it as it asks to be stopped."""
    program = os.environ.get("MINISTACK")
    assert program, "MINISTACK must name the program: start this through `cargo xtask contract`"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        **os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "SERVICES": "sqs,events,dynamodb,sns", "LOG_LEVEL": "WARNING", "DOCKER_HOST": "unix:///nonexistent",
    }
    log = tempfile.NamedTemporaryFile(prefix="ministack-", suffix=".log", delete=False)
    process = subprocess.Popen([program], env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def healthy():
        assert process.poll() is None, f"ministack ended with {process.returncode}:\n{text_of(log.name)[-2000:]}"
        return is_up(f"http://127.0.0.1:{port}/_ministack/health")

    try:
        wait_until("ministack", healthy)
        yield f"http://127.0.0.1:{port}"
        os.unlink(log.name)
    finally:
        stop(process)


if __name__ == "__main__":
    main()
