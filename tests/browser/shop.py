"""The shop of the stories: each has a branch, a pipeline and an environment of its own, and waits for its approvers."""

import dataclasses
import datetime
import hashlib
import json
import re
import urllib.request

from harness import EVENTS, equal, wait_until

OVER = {"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"}

GROUPS = """
version = 1
[approvers.devops]
members = [{ email = "ada@example.com", github = "ada" }, { email = "bob@example.com", github = "bob" }]
[approvers.product]
members = [{ email = "eve@example.com", github = "eve" }]
"""

ENVIRONMENT = """
[environments.NAME]
deploys = [{ region = "us-east-1", pipeline = "NAME", stage = "Deploy", ecs = { cluster = "NAME", service = "web" } }]
[environments.NAME.approval]
require = REQUIRE
EXTRA
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["NAME"]
pipeline = "NAME"
environment = "NAME"
"""


def frozen(name):
    """A freeze that is on today, whatever the day, and that `product` may override."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    start, end = (today + datetime.timedelta(days=days) for days in (-2, 2))
    return (f"[environments.{name}.freeze]\noverride = \"product\"\nwindows = "
            f"[{{ from = \"{start}T00:00\", to = \"{end}T00:00\", timezone = \"Europe/London\" }}]")


def gated(name):
    """A gate for which an image must have been scanned. Nothing here scans any."""
    return f"[environments.{name}.gate]\nfindings = [\"CRITICAL\"]\nwait_for_scan = \"15m\""


@dataclasses.dataclass(frozen=True)
class Place:
    """What one story happens in."""

    name: str
    require: str
    extra: str

    def configuration(self):
        text = ENVIRONMENT.replace("REQUIRE", self.require).replace("EXTRA", self.extra)
        return text.replace("NAME", self.name)

    @property
    def commit(self):
        return hashlib.sha1(self.name.encode()).hexdigest()

    def push(self):
        """Grace, who approves nothing, merges something into the branch."""
        push = json.loads((EVENTS / "push-production.json").read_text())
        push.update(ref=f"refs/heads/{self.name}", after=self.commit)
        for commit in [push["head_commit"], *push["commits"]]:
            commit["id"] = self.commit
        return json.dumps(push).encode()


class Case:
    """A place whose approval is asked for, seen from the mail and from CodePipeline."""

    def __init__(self, local, place):
        self.local, self.place = local, place
        self.digits = place.commit[:7]
        self.codepipeline = local.client("codepipeline")

    def link(self, who):
        """The link of the mail to this person."""
        return wait_until(f"the mail to {who}", lambda: self.mailed(who))

    def mailed(self, who):
        with urllib.request.urlopen(f"{self.local.endpoint}/_local/mail") as answer:
            mails = json.loads(answer.read())
        # The branch and the commit tell the stories' mails apart.
        ours = [mail["body"] for mail in mails if mail["to"] == f"{who}@example.com" and self.digits in mail["body"]]
        links = [re.search(r"https?://\S+/approvals/[A-Za-z0-9_-]{43}", body) for body in ours]
        return next((link[0] for link in reversed(links) if link), None)

    def actions(self):
        """What CodePipeline says of each action that began."""
        answer = self.codepipeline.list_action_executions(pipelineName=self.place.name)
        return {detail["actionName"]: detail["status"] for detail in answer["actionExecutionDetails"]}

    def waits(self):
        """CodePipeline has no answer yet."""
        equal(self.actions().get("Approve"), "InProgress", "the approval in CodePipeline")

    def ends(self, approve, status):
        """CodePipeline has this answer, and the execution came to this end."""
        wait_until(f"an execution that {status}", lambda: self.execution()["status"] in OVER)
        equal((self.actions().get("Approve"), self.execution()["status"]), (approve, status), self.place.name)
        equal("Deploy" in self.actions(), status == "Succeeded", "deployed")

    def execution(self):
        (one,) = self.codepipeline.list_pipeline_executions(pipelineName=self.place.name)["pipelineExecutionSummaries"]
        return one

    def stop(self):
        """Somebody stops the execution in AWS."""
        self.codepipeline.stop_pipeline_execution(
            pipelineName=self.place.name, pipelineExecutionId=self.execution()["pipelineExecutionId"], abandon=True)
