"""Boto3 against every operation that the local AWS has: taken, refused, and read by a client that we did not write.

Each module of `services` tests one service. What the runner says it emulates (`GET /_local/operations`) is held
against what was really called: an operation that no test has had answered is a failure.
"""

import importlib
import json
import pkgutil
import sys
import urllib.request

import services
from harness import Checks, runner
from strict import Strict


class Watched:
    """A runner whose clients are held against botocore's models, and remember what was answered."""

    def __init__(self, local, strict):
        self.local, self.strict, self.answered, self.refused = local, strict, set(), set()

    def __getattr__(self, name):
        return getattr(self.local, name)

    def client(self, service, **options):
        client = self.strict.watch(self.local.client(service, **options))
        client.meta.events.register("before-parse.*.*", self._see)
        return client

    def _see(self, operation_model, response_dict, **_):
        # ECR's is `api.ecr`, and it signs as `ecr`.
        service = operation_model.service_model.endpoint_prefix.removeprefix("api.")
        seen = self.answered if response_dict["status_code"] < 300 else self.refused
        seen.add((service, operation_model.name))


def main():
    checks = Checks("emulated")
    wanted = sys.argv[1:]
    strict = Strict()
    with runner("--strict") as local:
        aws = Watched(local, strict)
        for module in sorted(each.name for each in pkgutil.iter_modules(services.__path__)):
            if not wanted or module in wanted:
                importlib.import_module(f"services.{module}").run(checks, aws)
        with urllib.request.urlopen(f"{local.endpoint}/_local/operations") as answer:
            emulated = {(each, name) for each, names in json.loads(answer.read()).items() for name in names}
        if not wanted:
            with checks.check("every operation that is emulated was called here, and answered"):
                assert not emulated - aws.answered, sorted(emulated - aws.answered)
            with checks.check("and nothing else was"):
                assert not aws.answered - emulated, sorted(aws.answered - emulated)
    with checks.check(f"{strict.answers} raw answers are what botocore's models say"):
        assert not strict.unique(), "\n          ".join(["", *strict.unique()])
    checks.end()


if __name__ == "__main__":
    main()
