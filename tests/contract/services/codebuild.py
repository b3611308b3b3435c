"""CodeBuild: every operation, and its refusals."""

from harness import ACCOUNT, REGION, equal, wait_until

from . import refused

NAME = "contract-services"
ARN = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{NAME}"
SHA = "98c2b849863fbcfd70f8c43fa20141c88fa66e74"
GONE = "ResourceNotFoundException"
INVALID = "InvalidInputException"


def declaration(name, buildspec="version: 0.2\n", **changes):
    return {
        "name": name, "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/build", "artifacts": {"type": "NO_ARTIFACTS"},
        "source": {"type": "GITHUB", "location": "https://github.com/acme/shop.git", "buildspec": buildspec},
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
        **changes,
    }


def run(checks, aws):
    client = aws.client("codebuild")
    projects(checks, client)
    builds(checks, client)
    refusals(checks, client)
    with checks.check("codebuild: a deleted project is gone, and to delete it again is no error"):
        for name in (NAME, f"{NAME}-2", f"{NAME}-fails", NAME):
            client.delete_project(name=name)
        equal(client.batch_get_projects(names=[NAME])["projectsNotFound"], [NAME])
        with refused(GONE):
            client.start_build(projectName=NAME)
    with checks.check("codebuild: what is not emulated says so"), refused("NotEmulated", "RetryBuild"):
        getattr(aws, "local", aws).client("codebuild").retry_build(id="x")


def projects(checks, client):
    with checks.check("codebuild: a project is made as it was declared"):
        made = client.create_project(**declaration(
            NAME, description="ours", badgeEnabled=True, timeoutInMinutes=30, tags=[{"key": "team", "value": "shop"}],
            logsConfig={"cloudWatchLogs": {"status": "DISABLED"}}, concurrentBuildLimit=2))["project"]
        equal((made["arn"], made["timeoutInMinutes"], made["queuedTimeoutInMinutes"]), (ARN, 30, 480))
        equal((made["badge"]["badgeEnabled"], made["tags"]), (True, [{"key": "team", "value": "shop"}]))
        equal(made["environment"]["privilegedMode"], False)
    with checks.check("codebuild: projects are read by name and by ARN"):
        found = client.batch_get_projects(names=[NAME, ARN, "contract-nobody"])
        equal(([each["name"] for each in found["projects"]], found["projectsNotFound"]),
              ([NAME, NAME], ["contract-nobody"]))
        equal(found["projects"][0], made)
    with checks.check("codebuild: a project is changed where it is told to"):
        changed = client.update_project(name=NAME, description="theirs", badgeEnabled=False)["project"]
        equal((changed["description"], changed["badge"]["badgeEnabled"]), ("theirs", False))
        equal((changed["source"], changed["created"]), (made["source"], made["created"]))
        assert changed["lastModified"] >= made["lastModified"], changed
    with checks.check("codebuild: projects are listed in the order that is asked for"):
        client.create_project(**declaration(f"{NAME}-2"))
        names = lambda **more: [name for name in client.list_projects(**more)["projects"] if name.startswith(NAME)]
        equal(names(), [NAME, f"{NAME}-2"])
        equal(names(sortBy="NAME", sortOrder="DESCENDING"), [f"{NAME}-2", NAME])
        equal(names(sortBy="CREATED_TIME"), [NAME, f"{NAME}-2"])
        client.update_project(name=NAME, description="again")
        equal(names(sortBy="LAST_MODIFIED_TIME", sortOrder="ASCENDING"), [f"{NAME}-2", NAME])


def ended(client, id_):
    def ask():
        (build,) = client.batch_get_builds(ids=[id_])["builds"]
        return build if build["buildComplete"] else None
    return wait_until(f"the end of {id_}", ask)


def builds(checks, client):
    with checks.check("codebuild: a build runs with its overrides, and exports what it was told to"):
        spec = "version: 0.2\nenv:\n  exported-variables: [A, B]\n"
        start = {"projectName": NAME, "sourceVersion": SHA, "buildspecOverride": spec, "idempotencyToken": "once",
                 "timeoutInMinutesOverride": 10, "environmentVariablesOverride": [{"name": "B", "value": "2"}]}
        build = client.start_build(**start)["build"]
        equal((build["buildStatus"], build["buildNumber"], build["initiator"]), ("IN_PROGRESS", 1, "root"))
        equal((build["resolvedSourceVersion"], build["timeoutInMinutes"]), (SHA, 10))
        equal(client.start_build(**start)["build"]["id"], build["id"], "the token")
        done = ended(client, build["id"])
        equal((done["buildStatus"], done["currentPhase"]), ("SUCCEEDED", "COMPLETED"))
        equal(done["exportedEnvironmentVariables"], [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
        assert done["startTime"] < done["endTime"], done
    with checks.check("codebuild: a build that fails says in which phase, and why"):
        client.create_project(**declaration(f"{NAME}-fails", "phases: {pre_build: {commands: ['exit 3']}}"))
        failed = ended(client, client.start_build(projectName=f"{NAME}-fails")["build"]["id"])
        equal(failed["buildStatus"], "FAILED")
        (phase,) = [each for each in failed["phases"] if each.get("phaseStatus") == "FAILED"]
        equal((phase["phaseType"], phase["contexts"][0]["statusCode"]), ("PRE_BUILD", "COMMAND_EXECUTION_ERROR"))
    with checks.check("codebuild: a build is stopped, and stays so"):
        running = client.start_build(projectName=NAME)["build"]["id"]
        for _ in range(2):
            equal(client.stop_build(id=running)["build"]["buildStatus"], "STOPPED")
        found = client.batch_get_builds(ids=[running, f"{NAME}:nobody"])
        equal((found["builds"][0]["buildStatus"], found["buildsNotFound"]), ("STOPPED", [f"{NAME}:nobody"]))
    with checks.check("codebuild: builds are listed, the newest first unless asked otherwise"):
        equal(client.list_builds_for_project(projectName=NAME)["ids"], [running, build["id"]])
        equal(client.list_builds_for_project(projectName=NAME, sortOrder="ASCENDING")["ids"], [build["id"], running])
        equal(client.list_builds()["ids"][:3], [running, failed["id"], build["id"]])


def refusals(checks, client):
    other = {"projectName": NAME, "idempotencyToken": "once"}
    rows = [
        # operation, arguments, AWS's code, why
        ("create_project", declaration(NAME), "ResourceAlreadyExistsException", "made twice"),
        ("create_project", declaration("a b"), INVALID, "a space"),
        ("create_project", declaration("-ab"), INVALID, "a hyphen first"),
        ("create_project", declaration("x" * 151), INVALID, "151 characters"),
        ("create_project", declaration("ab", source={"type": ""}), INVALID, "no type of source"),
        ("create_project", declaration("ab", serviceRole=f"arn:aws:iam::{ACCOUNT}:role/x", timeoutInMinutes=2161),
         INVALID, "36 hours at most"),
        ("update_project", {"name": "contract-nobody"}, GONE, "no such project"),
        ("update_project", {"name": NAME, "queuedTimeoutInMinutes": 481}, INVALID, "8 hours at most"),
        ("batch_get_projects", {"names": ["x"] * 101}, INVALID, "100 at most"),
        ("list_projects", {"sortBy": "COLOUR"}, INVALID, "nothing to sort by"),
        ("list_projects", {"sortOrder": "UP"}, INVALID, "no such order"),
        ("list_projects", {"nextToken": "nonsense"}, INVALID, "no such token"),
        ("start_build", {"projectName": "contract-nobody"}, GONE, "no such project"),
        ("start_build", other, INVALID, "a token with other parameters"),
        ("stop_build", {"id": f"{NAME}:nobody"}, GONE, "no such build"),
        ("batch_get_builds", {"ids": ["x"] * 101}, INVALID, "100 at most"),
        ("list_builds", {"nextToken": "nonsense"}, INVALID, "no such token"),
        ("list_builds", {"sortOrder": "UP"}, INVALID, "no such order"),
        ("list_builds_for_project", {"projectName": "contract-nobody"}, GONE, "no such project"),
    ]
    for operation, arguments, code, why in rows:
        with checks.check(f"codebuild {operation} is refused with {code}: {why}"), refused(code):
            getattr(client, operation)(**arguments)
