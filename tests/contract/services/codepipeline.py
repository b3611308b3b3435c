"""CodePipeline: every operation, its refusals, and what an execution goes through."""

import uuid

from harness import ACCOUNT, REGION, equal, wait_until

from . import refused

NAME = "contract-codepipeline"
ARN = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{NAME}"
SHA = "98c2b849863fbcfd70f8c43fa20141c88fa66e74"
NOBODY = "00000000-0000-4000-8000-000000000000"


def action(name, category, provider, **rest):
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actionTypeId": kind, **rest}


def declaration(name, **changes):
    """Source, Approve, Deploy: enough to wait, to be answered, and to go back."""
    source = action(
        "GitHub", "Source", "CodeStarSourceConnection", outputArtifacts=[{"name": "Code"}], namespace="Code",
        configuration={"ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/1",
                       "FullRepositoryId": "acme/contract", "BranchName": "main", "DetectChanges": "false"})
    deploy = action(
        "Site", "Deploy", "S3", inputArtifacts=[{"name": "Code"}],
        configuration={"BucketName": "site", "Extract": "true"})
    return {
        "name": name, "roleArn": f"arn:aws:iam::{ACCOUNT}:role/pipeline", "pipelineType": "V2",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "variables": [{"name": "SERVICE", "defaultValue": "web"}],
        "stages": [
            {"name": "Source", "actions": [source]},
            {"name": "Approve", "actions": [action("Ask", "Approval", "Manual")]},
            {"name": "Deploy", "actions": [deploy]},
        ],
        **changes,
    }


class Pipeline:
    """One pipeline, with the few things that every check asks of it."""

    def __init__(self, client, name):
        self.client, self.name = client, name

    def start(self, **rest):
        return self.client.start_pipeline_execution(name=self.name, **rest)["pipelineExecutionId"]

    def execution(self, id_):
        asked = self.client.get_pipeline_execution(pipelineName=self.name, pipelineExecutionId=id_)
        return asked["pipelineExecution"]

    def stage(self, name):
        stages = self.client.get_pipeline_state(name=self.name)["stageStates"]
        return next(stage for stage in stages if stage["stageName"] == name)

    def token(self, id_):
        """The token of the approval that `id_` waits at."""
        def ask():
            stage = self.stage("Approve")
            latest = stage.get("latestExecution", {})
            if latest.get("pipelineExecutionId") == id_ and latest["status"] == "InProgress":
                return stage["actionStates"][0].get("latestExecution", {}).get("token")
            return None
        return wait_until(f"the approval of {id_}", ask)

    def answer(self, token, status="Approved", **changes):
        arguments = {"pipelineName": self.name, "stageName": "Approve", "actionName": "Ask", "token": token,
                     "result": {"status": status, "summary": "seen"}, **changes}
        return self.client.put_approval_result(**arguments)

    def ends(self, id_, status):
        wait_until(f"{id_} {status}", lambda: self.execution(id_)["status"] == status)

    def run(self, **rest):
        id_ = self.start(**rest)
        self.answer(self.token(id_))
        self.ends(id_, "Succeeded")
        return id_


def run(checks, aws):
    client = aws.client("codepipeline")
    pipeline = Pipeline(client, NAME)
    declared(checks, client)
    first = approvals(checks, client, pipeline)
    rollbacks(checks, client, pipeline, first)
    transitions(checks, client, pipeline)
    stops(checks, client, pipeline)
    retries(checks, client, pipeline)
    modes(checks, client)
    tags(checks, client)
    listings(checks, client, pipeline)
    with checks.check("codepipeline: delete_pipeline, twice"):
        client.delete_pipeline(name=NAME)
        client.delete_pipeline(name=NAME)
        with refused("PipelineNotFoundException"):
            client.get_pipeline(name=NAME)


def declared(checks, client):
    with checks.check("codepipeline: create_pipeline starts a first execution"):
        made = client.create_pipeline(pipeline=declaration(NAME), tags=[{"key": "team", "value": "web"}])
        equal((made["pipeline"]["version"], made["tags"]), (1, [{"key": "team", "value": "web"}]))
        (only,) = client.list_pipeline_executions(pipelineName=NAME)["pipelineExecutionSummaries"]
        equal(only["trigger"]["triggerType"], "CreatePipeline")
    with checks.check("codepipeline: get_pipeline and list_pipelines show it"):
        got = client.get_pipeline(name=NAME, version=1)
        equal(got["metadata"]["pipelineArn"], ARN)
        listed = client.list_pipelines(maxResults=1)
        assert listed["nextToken"], listed
        pages = client.get_paginator("list_pipelines").paginate(PaginationConfig={"PageSize": 1})
        assert NAME in [each["name"] for page in pages for each in page["pipelines"]]
    one_stage = declaration("other")["stages"][:1]
    v1 = {"pipelineType": "V1"}
    bad_action = declaration("other")["stages"]
    bad_action[2]["actions"][0]["configuration"] = {}
    empty = declaration("other")["stages"]
    empty[2]["actions"] = []
    cases = [
        (declaration(NAME), "PipelineNameInUseException", "the name is taken"),
        (declaration("other", stages=one_stage), "InvalidStructureException", "one stage"),
        (declaration("other", **v1), "InvalidStructureException", "V1 has no variables"),
        (declaration("other", stages=bad_action), "InvalidActionDeclarationException", "a missing setting"),
        (declaration("other", stages=empty), "InvalidStageDeclarationException", "a stage without actions"),
        (declaration("other", executionMode="FAST"), "ValidationException", "no such mode"),
    ]
    for pipeline, code, why in cases:
        with checks.check(f"codepipeline: create_pipeline is refused with {code}: {why}"), refused(code):
            client.create_pipeline(pipeline=pipeline)
    with checks.check("codepipeline: create_pipeline refuses 51 tags and a reserved one"):
        many = [{"key": f"k{n}", "value": ""} for n in range(51)]
        with refused("TooManyTagsException"):
            client.create_pipeline(pipeline=declaration("other"), tags=many)
        with refused("InvalidTagsException"):
            client.create_pipeline(pipeline=declaration("other"), tags=[{"key": "aws:x", "value": ""}])
    with checks.check("codepipeline: get_pipeline of another name or version"):
        with refused("PipelineNotFoundException"):
            client.get_pipeline(name="nope")
        with refused("PipelineVersionNotFoundException"):
            client.get_pipeline(name=NAME, version=7)
    with checks.check("codepipeline: update_pipeline cancels what runs"):
        pipeline = Pipeline(client, NAME)
        (first,) = client.list_pipeline_executions(pipelineName=NAME)["pipelineExecutionSummaries"]
        running = first["pipelineExecutionId"]
        pipeline.token(running)
        equal(client.update_pipeline(pipeline=declaration(NAME))["pipeline"]["version"], 2)
        equal(pipeline.execution(running)["status"], "Cancelled")
        with refused("PipelineNotFoundException"):
            client.update_pipeline(pipeline=declaration("nope"))


def approvals(checks, client, pipeline):
    with checks.check("codepipeline: start_pipeline_execution with a revision, variables and a token"):
        revision = {"actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": SHA}
        again = {"sourceRevisions": [revision], "variables": [{"name": "SERVICE", "value": "music"}],
                 "clientRequestToken": str(uuid.uuid4())}
        id_ = pipeline.start(**again)
        equal(pipeline.start(**again), id_)
        token = pipeline.token(id_)
    cases = [
        ({"pipelineName": "nope"}, "PipelineNotFoundException", "no such pipeline"),
        ({"stageName": "Nope"}, "StageNotFoundException", "no such stage"),
        ({"actionName": "Nope"}, "ActionNotFoundException", "no such action"),
        ({"token": NOBODY}, "InvalidApprovalTokenException", "nobody's token"),
        ({"token": "x"}, "ValidationException", "not a token"),
        ({"result": {"status": "Approved", "summary": "x" * 513}}, "ValidationException", "513 characters"),
    ]
    for changes, code, why in cases:
        with checks.check(f"codepipeline: put_approval_result is refused with {code}: {why}"), refused(code):
            pipeline.answer(changes.pop("token", token), **changes)
    with checks.check("codepipeline: put_approval_result lets it pass, once"):
        assert pipeline.answer(token)["approvedAt"]
        with refused("ApprovalAlreadyCompletedException"):
            pipeline.answer(token, "Rejected")
        pipeline.ends(id_, "Succeeded")
        equal(pipeline.execution(id_)["artifactRevisions"][0]["revisionId"], SHA)
    with checks.check("codepipeline: a rejection fails the execution and says who rejected"):
        rejected = pipeline.start()
        pipeline.answer(pipeline.token(rejected), "Rejected")
        pipeline.ends(rejected, "Failed")
        listed = client.list_action_executions(pipelineName=NAME, filter={"pipelineExecutionId": rejected})
        ask = listed["actionExecutionDetails"][0]
        equal((ask["actionName"], ask["status"]), ("Ask", "Failed"))
        equal(ask["output"]["executionResult"]["externalExecutionSummary"], "seen")
        equal(ask["updatedBy"], f"arn:aws:iam::{ACCOUNT}:root")
    starts = [
        ({"name": "nope"}, "PipelineNotFoundException", "no such pipeline"),
        ({"name": NAME, "clientRequestToken": "a_b"}, "ValidationException", "an underscore"),
        ({"name": NAME, "variables": [{"name": "NOPE", "value": "x"}]}, "ValidationException", "not declared"),
        ({"name": NAME, "sourceRevisions": [
            {"actionName": "Nope", "revisionType": "COMMIT_ID", "revisionValue": SHA}]}, "ValidationException", "no source"),
    ]
    for arguments, code, why in starts:
        with checks.check(f"codepipeline: start_pipeline_execution is refused with {code}: {why}"), refused(code):
            client.start_pipeline_execution(**arguments)
    return id_


def rollbacks(checks, client, pipeline, good):
    def roll_back(**changes):
        arguments = {"pipelineName": NAME, "stageName": "Deploy", "targetPipelineExecutionId": good, **changes}
        return client.rollback_stage(**arguments)["pipelineExecutionId"]

    pipeline.run()
    with checks.check("codepipeline: rollback_stage makes an execution of type ROLLBACK"):
        back = roll_back()
        pipeline.ends(back, "Succeeded")
        seen = pipeline.execution(back)
        equal((seen["executionType"], seen["trigger"]["triggerType"]), ("ROLLBACK", "ManualRollback"))
        equal(seen["rollbackMetadata"], {"rollbackTargetPipelineExecutionId": good})
        equal(seen["artifactRevisions"][0]["revisionId"], SHA)
        equal(pipeline.stage("Deploy")["latestExecution"]["type"], "ROLLBACK")
    cases = [
        ({"pipelineName": "nope"}, "PipelineNotFoundException", "no such pipeline"),
        ({"stageName": "Nope"}, "StageNotFoundException", "no such stage"),
        ({"targetPipelineExecutionId": NOBODY}, "PipelineExecutionNotFoundException", "no such execution"),
        ({"targetPipelineExecutionId": back}, "UnableToRollbackStageException", "a rollback itself"),
        ({"stageName": "Source"}, "UnableToRollbackStageException", "the source stage"),
    ]
    for changes, code, why in cases:
        with checks.check(f"codepipeline: rollback_stage is refused with {code}: {why}"), refused(code):
            roll_back(**changes)
    with checks.check("codepipeline: an edit ends every candidate"):
        client.update_pipeline(pipeline=declaration(NAME))
        with refused("PipelineExecutionOutdatedException"):
            roll_back()


def transitions(checks, client, pipeline):
    def disable(**changes):
        arguments = {"pipelineName": NAME, "stageName": "Deploy", "transitionType": "Inbound", "reason": "frozen",
                     **changes}
        return client.disable_stage_transition(**arguments)

    def enable(**changes):
        arguments = {"pipelineName": NAME, "stageName": "Deploy", "transitionType": "Inbound", **changes}
        return client.enable_stage_transition(**arguments)

    with checks.check("codepipeline: disable_stage_transition holds, the newest only; enable_stage_transition lets go"):
        disable()
        shown = pipeline.stage("Deploy")["inboundTransitionState"]
        equal((shown["enabled"], shown["disabledReason"]), (False, "frozen"))
        waiting = []
        for _ in range(2):
            waiting.append(pipeline.start())
            pipeline.answer(pipeline.token(waiting[-1]))
        pipeline.ends(waiting[0], "Superseded")
        inbound = lambda: pipeline.stage("Deploy").get("inboundExecution", {}).get("pipelineExecutionId")
        wait_until("the newer one to wait", lambda: inbound() == waiting[1])
        enable()
        pipeline.ends(waiting[1], "Succeeded")
    cases = [
        (disable, {"pipelineName": "nope"}, "PipelineNotFoundException", "no such pipeline"),
        (disable, {"stageName": "Nope"}, "StageNotFoundException", "no such stage"),
        (disable, {"reason": "no: colon"}, "ValidationException", "a colon"),
        (disable, {"transitionType": "Up"}, "ValidationException", "no such side"),
        (enable, {"pipelineName": "nope"}, "PipelineNotFoundException", "no such pipeline"),
        (enable, {"stageName": "Nope"}, "StageNotFoundException", "no such stage"),
    ]
    for call, changes, code, why in cases:
        with checks.check(f"codepipeline: {call.__name__} is refused with {code}: {why}"), refused(code):
            call(**changes)


def stops(checks, client, pipeline):
    def stop(id_, **rest):
        return client.stop_pipeline_execution(pipelineName=NAME, pipelineExecutionId=id_, **rest)

    with checks.check("codepipeline: stop_pipeline_execution waits for an approval, or abandons it"):
        id_ = pipeline.start()
        pipeline.token(id_)
        stop(id_, reason="enough")
        equal(pipeline.execution(id_)["status"], "Stopping")
        with refused("DuplicatedStopRequestException"):
            stop(id_)
        stop(id_, abandon=True)
        pipeline.ends(id_, "Stopped")
        with refused("PipelineExecutionNotStoppableException"):
            stop(id_)
        with refused("ValidationException"):
            stop(id_, reason="x" * 201)
        with refused("PipelineNotFoundException"):
            client.stop_pipeline_execution(pipelineName="nope", pipelineExecutionId=id_)


def retries(checks, client, pipeline):
    def retry(id_, **changes):
        arguments = {"pipelineName": NAME, "stageName": "Deploy", "pipelineExecutionId": id_,
                     "retryMode": "FAILED_ACTIONS", **changes}
        return client.retry_stage_execution(**arguments)

    with checks.check("codepipeline: retry_stage_execution runs what failed once more"):
        tag = {"key": "local:Deploy/Site", "value": "fail"}
        client.tag_resource(resourceArn=ARN, tags=[tag])
        id_ = pipeline.start()
        pipeline.answer(pipeline.token(id_))
        pipeline.ends(id_, "Failed")
        client.untag_resource(resourceArn=ARN, tagKeys=[tag["key"]])
        retry(id_)
        pipeline.ends(id_, "Succeeded")
        equal(pipeline.stage("Deploy")["retryStageMetadata"],
              {"manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry"})
        every = {"latestInPipelineExecution": {"pipelineExecutionId": id_, "startTimeRange": "All"}}
        latest = {"latestInPipelineExecution": {"pipelineExecutionId": id_, "startTimeRange": "Latest"}}
        count = lambda filter_: len(client.list_action_executions(pipelineName=NAME, filter=filter_)["actionExecutionDetails"])
        equal((count(every), count(latest)), (4, 3))
    with checks.check("codepipeline: retry_stage_execution of what did not fail, or no longer counts"):
        with refused("StageNotRetryableException"):
            retry(id_)
        with refused("NotLatestPipelineExecutionException"):
            retry(NOBODY)
        with refused("StageNotFoundException"):
            retry(id_, stageName="Nope")
        with refused("PipelineNotFoundException"):
            retry(id_, pipelineName="nope")


def modes(checks, client):
    with checks.check("codepipeline: mode QUEUED keeps order, and is full at 50"):
        name = f"{NAME}-queued"
        client.create_pipeline(pipeline=declaration(name, executionMode="QUEUED"))
        ids = [client.start_pipeline_execution(name=name)["pipelineExecutionId"] for _ in range(49)]
        with refused("ConcurrentPipelineExecutionsLimitExceededException"):
            client.start_pipeline_execution(name=name)
        queued = Pipeline(client, name)
        wait_until("49 to wait", lambda: len(queued.stage("Approve").get("inboundExecutions", [])) == 49)
        waiting = [each["pipelineExecutionId"] for each in queued.stage("Approve")["inboundExecutions"]]
        equal(waiting, ids)
        client.delete_pipeline(name=name)
    with checks.check("codepipeline: in mode PARALLEL the token is the external execution id, and nothing rolls back"):
        name = f"{NAME}-parallel"
        client.create_pipeline(pipeline=declaration(name, executionMode="PARALLEL"))
        parallel = Pipeline(client, name)
        ids = [parallel.start(), parallel.start()]

        def asked(id_):
            listed = client.list_action_executions(pipelineName=name, filter={"pipelineExecutionId": id_})
            found = [each for each in listed["actionExecutionDetails"] if each["actionName"] == "Ask"]
            return found and found[0]["output"]["executionResult"]["externalExecutionId"]

        tokens = [wait_until("the approval", lambda id_=id_: asked(id_)) for id_ in ids]
        assert "token" not in parallel.stage("Approve")["actionStates"][0]["latestExecution"]
        parallel.answer(tokens[1])
        parallel.ends(ids[1], "Succeeded")
        equal(parallel.execution(ids[0])["status"], "InProgress")
        with refused("UnableToRollbackStageException"):
            client.rollback_stage(pipelineName=name, stageName="Deploy", targetPipelineExecutionId=ids[1])
        client.delete_pipeline(name=name)


def tags(checks, client):
    with checks.check("codepipeline: tag_resource, list_tags_for_resource, untag_resource"):
        client.tag_resource(resourceArn=ARN, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        listed = client.list_tags_for_resource(resourceArn=ARN, maxResults=1)
        assert listed["nextToken"], listed
        client.untag_resource(resourceArn=ARN, tagKeys=["a", "b"])
        equal(client.list_tags_for_resource(resourceArn=ARN)["tags"], [{"key": "team", "value": "web"}])
    for call in ("tag_resource", "untag_resource", "list_tags_for_resource"):
        more = {"tag_resource": {"tags": []}, "untag_resource": {"tagKeys": []}}.get(call, {})
        with checks.check(f"codepipeline: {call} of something else"):
            with refused("ResourceNotFoundException"):
                getattr(client, call)(resourceArn=f"{ARN}-nope", **more)
            with refused("InvalidArnException"):
                getattr(client, call)(resourceArn="arn:aws:s3:::bucket", **more)


def listings(checks, client, pipeline):
    with checks.check("codepipeline: executions by page, and those that succeeded in a stage"):
        pages = client.get_paginator("list_pipeline_executions").paginate(
            pipelineName=NAME, PaginationConfig={"PageSize": 2})
        all_ = [each for page in pages for each in page["pipelineExecutionSummaries"]]
        equal(len({each["pipelineExecutionId"] for each in all_}), len(all_))
        good = client.list_pipeline_executions(pipelineName=NAME, filter={"succeededInStage": {"stageName": "Deploy"}})
        assert 0 < len(good["pipelineExecutionSummaries"]) < len(all_)
        pages = client.get_paginator("list_action_executions").paginate(
            pipelineName=NAME, PaginationConfig={"PageSize": 5})
        ids = [each["actionExecutionId"] for page in pages for each in page["actionExecutionDetails"]]
        equal(len(set(ids)), len(ids))
    with checks.check("codepipeline: listings and state of what is not there"):
        for call in (client.list_pipeline_executions, client.list_action_executions):
            with refused("PipelineNotFoundException"):
                call(pipelineName="nope")
            with refused("InvalidNextTokenException"):
                call(pipelineName=NAME, nextToken="nonsense")
        with refused("PipelineNotFoundException"):
            client.get_pipeline_state(name="nope")
        with refused("PipelineExecutionNotFoundException"):
            client.get_pipeline_execution(pipelineName=NAME, pipelineExecutionId=NOBODY)
        with refused("PipelineExecutionNotFoundException"):
            client.list_action_executions(pipelineName=NAME, filter={"pipelineExecutionId": NOBODY})
        with refused("PipelineNotFoundException"):
            client.get_pipeline_execution(pipelineName="nope", pipelineExecutionId=NOBODY)
