"""What `docs/local-aws.md` shows, run again: the story that its AWS CLI tells, and its table of operations.

Every command of the story runs, in order, in one bash, against a runner of its own, and what it prints must be what
the page shows, except for what differs between any two runs. `--update` writes what was printed into the page.
"""

import difflib
import json
import os
import re
import subprocess
import sys
import urllib.request

import botocore.session
from harness import ROOT, Checks, runner

PAGE = ROOT / "docs/local-aws.md"
STORY = "## A story, told by the AWS CLI"
TABLE = re.compile(r"(<!-- operations:.*?-->\n).*?(<!-- end of operations -->)", re.S)

# What differs between runs. Each becomes its kind and a number, in the order of first appearance.
DIFFERS = [
    ("uuid", r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ("deployment", r"\bd-[A-Z0-9]{9}\b"),
    ("ecs", r"\becs-svc/\d+\b"),
    ("time", r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?|\b1\d{9}\.\d+\b"),
    ("token", r"\b[0-9a-f]{200,}\b"),
]
ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in DIFFERS))

# For the whole story: some fifty calls of the CLI, each a second or more where other builds share the machine.
STORY_SECONDS = 240


class Page:
    """The page as lines, and where each command of the story and its output stand."""

    def __init__(self, text):
        self.lines = text.split("\n")
        self.steps = []  # (the command, where its output begins, where it ends)
        start = self.lines.index(STORY)
        at, in_block = start + 1, False
        while at < len(self.lines) and not self.lines[at].startswith("## "):
            line = self.lines[at]
            at += 1
            if line.startswith("```"):
                in_block = line == "```console"
            elif in_block and line.startswith("$ "):
                command = [line[2:]]
                # A backslash goes on in the next line, and a function up to the brace that closes it.
                while command[-1].endswith("\\") or (command[0].endswith("() {") and command[-1] != "  }"):
                    command.append(self.lines[at])
                    at += 1
                begin = at
                while not self.lines[at].startswith(("$ ", "```")):
                    at += 1
                self.steps.append(("\n".join(command), begin, at))

    def outputs(self):
        return ["\n".join(self.lines[begin:end]).strip("\n") for _, begin, end in self.steps]

    def with_outputs(self, outputs):
        """The page's text with other outputs. From the end, so that the places before stay where they are."""
        lines = list(self.lines)
        for (_, begin, end), output in reversed(list(zip(self.steps, outputs))):
            lines[begin:end] = output.split("\n") if output else []
        return "\n".join(lines)


def alike(outputs):
    """The outputs with a placeholder for each thing that differs between runs."""
    seen = {}

    def name(found):
        kind = found.lastgroup
        known = seen.setdefault(kind, {})
        return known.setdefault(found[0], f"<{kind} {len(known) + 1}>")

    return [ANY.sub(name, output) for output in outputs]


def told(commands, endpoint):
    """Runs the commands in one bash, and returns what each printed."""
    script = "".join(f"{command}\nprintf '\\0'\n" for command in commands)
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1", "COLUMNS": "120"}
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-c", script], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        printed, _ = bash.communicate(timeout=STORY_SECONDS)
    except subprocess.TimeoutExpired:
        bash.kill()
        printed, _ = bash.communicate()
    outputs = ["\n".join(line.rstrip() for line in each.strip("\n").split("\n")) for each in printed.split("\0")[:-1]]
    if len(outputs) < len(commands):
        outputs_so_far = "\n".join(f"$ {command}\n{output}" for command, output in zip(commands, outputs))
        raise AssertionError(f"{outputs_so_far}\nit ended in: {commands[len(outputs)]}")
    return outputs


def table(endpoint):
    """The table of operations: what the runner says that it has, beside what botocore says that AWS has."""
    with urllib.request.urlopen(f"{endpoint}/_local/operations") as answer:
        emulated = json.loads(answer.read())
    session = botocore.session.get_session()
    rows = ["| service | emulated | not emulated |", "|---|---|---|"]
    for prefix, names in sorted(emulated.items()):
        # CloudWatch is the one whose endpoint is called otherwise.
        service = "cloudwatch" if prefix == "monitoring" else prefix
        known = set(session.get_service_model(service).operation_names)
        assert set(names) <= known, f"AWS has no {service} {sorted(set(names) - known)}"
        rows.append(f"| `{service}` | {', '.join(sorted(names))} | {len(known - set(names))} of {len(known)} |")
    return "\n".join(rows) + "\n"


def difference(shown, seen):
    lines = difflib.unified_diff(shown.splitlines(), seen.splitlines(), "the page", "this run", lineterm="", n=1)
    return "\n          ".join(["it differs; `story.py --update` writes what is:", *lines])


def main():
    update = "--update" in sys.argv[1:]
    checks = Checks("story")
    text = PAGE.read_text()
    with runner() as local:
        with checks.check("the table of operations is what the runner says"):
            made = TABLE.sub(lambda found: found[1] + table(local.endpoint) + found[2], text)
            assert TABLE.search(text), "the page has no table of operations"
            assert update or made == text, difference(text, made)
        page = Page(made if update else text)
        commands, shown = [command for command, _, _ in page.steps], page.outputs()
        assert commands, f"the page has no section {STORY!r} with commands"
        printed = told(commands, local.endpoint)
    for command, before, now in zip(commands, alike(shown), alike(printed)):
        if not update:
            with checks.check(command.split("\n")[0]):
                assert before == now, difference(before, now)
    if update:
        # What differs in nothing but its ids stays as it is.
        PAGE.write_text(page.with_outputs(printed if alike(shown) != alike(printed) else shown))
        print(f"{len(commands)} commands, written to {PAGE.relative_to(ROOT)}")
    else:
        checks.end()


if __name__ == "__main__":
    main()
