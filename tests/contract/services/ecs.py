"""ECS: clusters, task definitions, services under three controllers, their deployments, and what runs."""

import datetime
import json
import re

from harness import ACCOUNT, REGION, equal, wait_until
from services import refused

CLUSTER = "contract"
ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
DIGEST = "sha256:" + "c" * 64
FAILS = [{"key": "local:deploy", "value": "fail"}]


def run(checks, aws):
    ecs = aws.client("ecs")
    clusters(checks, ecs)
    definitions(checks, ecs)
    containers(checks, ecs)
    services(checks, ecs)
    updates(checks, ecs)
    deployments(checks, ecs)
    rollbacks(checks, ecs)
    alarms(checks, aws, ecs)
    stops(checks, ecs)
    controllers(checks, ecs)
    task_sets(checks, ecs)
    tags(checks, ecs)
    events(checks, aws, ecs)
    ends(checks, ecs)


# What the tests share.

def app(image="shop:1", **more):
    return {"name": "app", "image": image, "memory": 128, **more}


def register(ecs, family="contract", image="shop:1", **more):
    """Registers a revision and returns its ARN."""
    found = ecs.register_task_definition(family=family, containerDefinitions=[app(image)], **more)
    return found["taskDefinition"]["taskDefinitionArn"]


def create(ecs, name, definition="contract", desired=1, **more):
    return ecs.create_service(
        cluster=CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=desired, **more)["service"]


def shown(ecs, name, **more):
    (service,) = ecs.describe_services(cluster=CLUSTER, services=[name], **more)["services"]
    return service


def stable(ecs, name):
    """Waits as `aws ecs wait services-stable` does, and returns the service."""
    def ask():
        service = shown(ecs, name)
        settled = len(service["deployments"]) <= 1 and service["runningCount"] == service["desiredCount"]
        going = [each for each in service["deployments"] if each["rolloutState"] == "IN_PROGRESS"]
        return service if settled and not going else None
    return wait_until(f"{name} to be stable", ask)


def newest(ecs, name):
    """The newest service deployment."""
    listed = ecs.list_service_deployments(cluster=CLUSTER, service=name)["serviceDeployments"]
    arn = listed[0]["serviceDeploymentArn"]
    return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]


def ended(ecs, name):
    over = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}
    ask = lambda: newest(ecs, name)
    return wait_until(f"the end of {name}'s deployment", lambda: (lambda found: found["status"] in over and found)(ask()))


def breaker(rollback):
    return {"deploymentCircuitBreaker": {"enable": True, "rollback": rollback}}


# The parts.

def clusters(checks, ecs):
    with checks.check("a cluster is created, and creating it again answers with it"):
        with refused("ClusterNotFoundException"):
            ecs.list_services(cluster=CLUSTER)
        cluster = ecs.create_cluster(clusterName=CLUSTER, tags=[{"key": "team", "value": "a"}])["cluster"]
        equal((cluster["clusterArn"], cluster["status"]), (f"{ARN}:cluster/{CLUSTER}", "ACTIVE"))
        equal(cluster["activeServicesCount"], 0)
        equal(ecs.create_cluster(clusterName=CLUSTER)["cluster"]["tags"], [{"key": "team", "value": "a"}])
    with checks.check("a cluster without a name is called default"):
        equal(ecs.create_cluster()["cluster"]["clusterName"], "default")
        equal(ecs.describe_clusters()["clusters"][0]["clusterName"], "default")
    with checks.check("clusters are described by name and ARN, and what is not there is MISSING"):
        found = ecs.describe_clusters(clusters=[f"{ARN}:cluster/{CLUSTER}", "nobody"], include=["TAGS"])
        equal([each["tags"] for each in found["clusters"]], [[{"key": "team", "value": "a"}]])
        equal(found["failures"], [{"arn": f"{ARN}:cluster/nobody", "reason": "MISSING"}])
        with refused("InvalidParameterException"):
            ecs.describe_clusters(clusters=["x"] * 101)
    with checks.check("clusters are listed in pages"):
        pages = ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1})
        arns = pages.build_full_result()["clusterArns"]
        assert {f"{ARN}:cluster/{CLUSTER}", f"{ARN}:cluster/default"} <= set(arns), arns
        with refused("InvalidParameterException"):
            ecs.list_clusters(nextToken="forged")
        with refused("InvalidParameterException"):
            ecs.list_clusters(maxResults=101)
    with checks.check("a cluster's name has letters, digits, hyphens and underscores"):
        with refused("InvalidParameterException"):
            ecs.create_cluster(clusterName="no spaces")
    with checks.check("a deleted cluster is inactive"):
        equal(ecs.delete_cluster(cluster="default")["cluster"]["status"], "INACTIVE")
        equal(ecs.describe_clusters()["clusters"][0]["status"], "INACTIVE")
        with refused("ClusterNotFoundException", "inactive"):
            ecs.list_services()
        with refused("ClusterNotFoundException"):
            ecs.delete_cluster(cluster="nobody")


def definitions(checks, ecs):
    with checks.check("revisions of a task definition count up"):
        first = ecs.register_task_definition(
            family="counting", containerDefinitions=[app(portMappings=[{"containerPort": 80}])],
            tags=[{"key": "a", "value": "b"}])
        definition = first["taskDefinition"]
        equal((definition["revision"], definition["status"]), (1, "ACTIVE"))
        equal(definition["taskDefinitionArn"], f"{ARN}:task-definition/counting:1")
        equal(definition["containerDefinitions"][0]["essential"], True)
        equal(definition["containerDefinitions"][0]["portMappings"][0]["protocol"], "tcp")
        assert "EC2" in definition["compatibilities"]
        equal(first["tags"], [{"key": "a", "value": "b"}])
        equal(register(ecs, "counting"), f"{ARN}:task-definition/counting:2")
    with checks.check("a family means its newest active revision"):
        describe = lambda name: ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
        equal(describe("counting")["taskDefinition"]["revision"], 2)
        equal(describe("counting:1")["tags"], [{"key": "a", "value": "b"}])
        equal(describe(f"{ARN}:task-definition/counting:1")["taskDefinition"]["revision"], 1)
        for nobody in ["nobody", "counting:9", "counting:latest"]:
            with refused("ClientException", "Unable to describe task definition."):
                describe(nobody)
    with checks.check("a deregistered revision is inactive, and its number is not used again"):
        equal(ecs.deregister_task_definition(taskDefinition="counting:2")["taskDefinition"]["status"], "INACTIVE")
        equal(describe("counting")["taskDefinition"]["revision"], 1)
        equal(register(ecs, "counting"), f"{ARN}:task-definition/counting:3")
        with refused("ClientException", "Invalid revision"):
            ecs.deregister_task_definition(taskDefinition="counting")
        with refused("ClientException"):
            ecs.deregister_task_definition(taskDefinition="counting:9")
    listing(checks, ecs)
    with checks.check("only what is inactive can be deleted"):
        answer = ecs.delete_task_definitions(taskDefinitions=["counting:1", "counting:2", "counting:9", "counting"])
        equal([each["status"] for each in answer["taskDefinitions"]], ["DELETE_IN_PROGRESS"])
        equal([each["arn"] for each in answer["failures"]], ["counting:1", "counting:9", "counting"])
        assert "still in ACTIVE status" in answer["failures"][0]["reason"]
        with refused("ClientException", "being deleted"):
            ecs.deregister_task_definition(taskDefinition="counting:2")
        for wanted in [[], ["a:1"] * 11]:
            with refused("InvalidParameterException"):
                ecs.delete_task_definitions(taskDefinitions=wanted)


def listing(checks, ecs):
    with checks.check("task definitions are listed by family, status and order, in pages"):
        register(ecs, "listed-a"), register(ecs, "listed-b")
        for _ in range(9):
            register(ecs, "listed-a")
        list_ = lambda **more: [
            arn.rsplit("/", 1)[1] for arn in ecs.list_task_definitions(**more)["taskDefinitionArns"]]
        equal(list_(familyPrefix="listed-a"), [f"listed-a:{n}" for n in range(1, 11)])
        equal(list_(familyPrefix="listed-a", sort="DESC", maxResults=2), ["listed-a:10", "listed-a:9"])
        equal(list_(familyPrefix="listed"), [], "it is the full name")
        equal(list_(familyPrefix="counting", status="INACTIVE"), ["counting:2"])
        pages = ecs.get_paginator("list_task_definitions").paginate(PaginationConfig={"PageSize": 3})
        assert len(pages.build_full_result()["taskDefinitionArns"]) >= 12
        with refused("ClientException"):
            ecs.list_task_definitions(status="GONE")
        with refused("InvalidParameterException"):
            ecs.list_task_definitions(sort="UP")
    with checks.check("families are listed by prefix and status"):
        ecs.deregister_task_definition(taskDefinition="listed-b:1")
        list_ = lambda **more: ecs.list_task_definition_families(familyPrefix="listed-", **more)["families"]
        equal(list_(), ["listed-a", "listed-b"])
        equal(list_(status="ACTIVE"), ["listed-a"])
        equal(list_(status="INACTIVE"), ["listed-b"])
        with refused("ClientException"):
            list_(status="GONE")


def containers(checks, ecs):
    fargate = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc"}
    one = [{"name": "app", "image": "shop:1"}]
    cases = [
        ("a family with spaces", {"family": "no spaces"}, "Family"),
        ("no containers", {"containerDefinitions": []}, "empty"),
        ("no name", {"containerDefinitions": [{"image": "x", "memory": 4}]}, "Container.name"),
        ("a strange name", {"containerDefinitions": [{"name": "a b", "image": "x", "memory": 4}]}, "Container.name"),
        ("no image", {"containerDefinitions": [{"name": "a", "memory": 4}]}, "Container.image"),
        ("two of one name", {"containerDefinitions": [app(), app()]}, "unique"),
        ("no memory", {"containerDefinitions": one}, "At least one of 'memory' or 'memoryReservation'"),
        ("none essential", {"containerDefinitions": [app(essential=False)]}, "essential"),
        ("a port out of range", {"containerDefinitions": [app(portMappings=[{"containerPort": 70000}])]}, "containerPort"),
        ("a dependency on nobody", {"containerDefinitions": [
            app(dependsOn=[{"containerName": "nobody", "condition": "START"}])]}, "depends"),
        ("another launch type", {"requiresCompatibilities": ["MOON"]}, "compatibility"),
        ("Fargate without CPU", fargate | {"memory": "512", "containerDefinitions": one}, "'cpu' be defined"),
        ("Fargate without memory", fargate | {"cpu": "256"}, "'memory' be defined"),
        ("Fargate of a strange size", fargate | {"cpu": "256", "memory": "8192"}, "No Fargate configuration"),
        ("Fargate on a bridge", fargate | {"cpu": "256", "memory": "512", "networkMode": "bridge"}, "awsvpc"),
        ("CPU that is no number", {"cpu": "much"}, "'cpu'"),
        ("memory that is no number", {"memory": "much"}, "'memory'"),
    ]
    for what, change, saying in cases:
        with checks.check(f"a task definition is refused with {what}"):
            with refused("ClientException", saying):
                ecs.register_task_definition(**{"family": "bad", "containerDefinitions": [app()], **change})
    with checks.check("sizes with units come back as numbers"):
        sizes = fargate | {"cpu": ".25 vCPU", "memory": "0.5GB"}
        definition = ecs.register_task_definition(family="fargate", containerDefinitions=one, **sizes)["taskDefinition"]
        equal((definition["cpu"], definition["memory"]), ("256", "512"))
        assert "FARGATE" in definition["compatibilities"]


def services(checks, ecs):
    register(ecs)
    with checks.check("a service comes up"):
        service = create(ecs, "shop", desired=2, tags=[{"key": "a", "value": "b"}], clientToken="once")
        equal(service["serviceArn"], f"{ARN}:service/{CLUSTER}/shop")
        equal((service["status"], service["runningCount"], service["desiredCount"]), ("ACTIVE", 0, 2))
        (deployment,) = service["deployments"]
        equal((deployment["status"], deployment["rolloutState"]), ("PRIMARY", "IN_PROGRESS"))
        assert re.fullmatch(r"ecs-svc/\d{19}", deployment["id"]), deployment["id"]
        equal(deployment["rolloutStateReason"], f"ECS deployment {deployment['id']} in progress.")
        service = stable(ecs, "shop")
        equal((service["runningCount"], service["pendingCount"]), (2, 0))
        equal(service["deployments"][0]["rolloutState"], "COMPLETED")
        assert service["events"][0]["message"].endswith("has reached a steady state."), service["events"][0]
        equal(service["deploymentConfiguration"]["maximumPercent"], 200)
    with checks.check("botocore's own waiter finds it stable"):
        ecs.get_waiter("services_stable").wait(
            cluster=CLUSTER, services=["shop"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    with checks.check("the same request with its token answers with the service, another is refused"):
        equal(create(ecs, "shop", desired=2, tags=[{"key": "a", "value": "b"}], clientToken="once")["runningCount"], 2)
        with refused("InvalidParameterException", "not idempotent"):
            create(ecs, "shop", desired=2)
        with refused("InvalidParameterException", "36"):
            create(ecs, "other", clientToken="x" * 37)
    with checks.check("services are described by name and ARN, with tags where asked for"):
        found = ecs.describe_services(
            cluster=CLUSTER, services=[f"{ARN}:service/{CLUSTER}/shop", "nobody"], include=["TAGS"])
        equal(found["services"][0]["tags"], [{"key": "a", "value": "b"}])
        equal(found["failures"], [{"arn": f"{ARN}:service/{CLUSTER}/nobody", "reason": "MISSING"}])
        assert "tags" not in shown(ecs, "shop")
        with refused("ClusterNotFoundException"):
            ecs.describe_services(cluster="nobody", services=["shop"])
        with refused("InvalidParameterException", "Identifier is for cluster"):
            ecs.describe_services(cluster=CLUSTER, services=[f"{ARN}:service/other/shop"])
        for wanted in [[], ["x"] * 11]:
            with refused("InvalidParameterException"):
                ecs.describe_services(cluster=CLUSTER, services=wanted)
    with checks.check("services are listed in pages"):
        create(ecs, "second", desired=0)
        pages = ecs.get_paginator("list_services").paginate(cluster=CLUSTER, PaginationConfig={"PageSize": 1})
        equal(pages.build_full_result()["serviceArns"], [f"{ARN}:service/{CLUSTER}/{n}" for n in ["second", "shop"]])
        equal(ecs.list_services(cluster=CLUSTER, launchType="FARGATE")["serviceArns"], [])
        equal(ecs.list_services(cluster=CLUSTER, resourceManagementType="ECS")["serviceArns"], [])
        with refused("InvalidParameterException"):
            ecs.list_services(cluster=CLUSTER, nextToken="forged")
    with checks.check("its tasks can be read, each with its image"):
        arns = ecs.list_tasks(cluster=CLUSTER, serviceName="shop")["taskArns"]
        found = ecs.describe_tasks(cluster=CLUSTER, tasks=[*arns, "nobody"])
        equal([task["lastStatus"] for task in found["tasks"]], ["RUNNING", "RUNNING"])
        equal({task["containers"][0]["image"] for task in found["tasks"]}, {"shop:1"})
        assert found["tasks"][0]["containers"][0]["imageDigest"].startswith("sha256:")
        equal(found["failures"], [{"arn": f"{ARN}:task/{CLUSTER}/nobody", "reason": "MISSING"}])
        for given in [{"family": "nobody"}, {"startedBy": "x"}, {"desiredStatus": "PENDING"}, {"launchType": "FARGATE"}]:
            equal(ecs.list_tasks(cluster=CLUSTER, **given)["taskArns"], [], given)
        with refused("ServiceNotFoundException"):
            ecs.list_tasks(cluster=CLUSTER, serviceName="nobody")
        with refused("InvalidParameterException"):
            ecs.list_tasks(cluster=CLUSTER, desiredStatus="DEAD")
        for wanted in [[], ["x"] * 101]:
            with refused("InvalidParameterException"):
                ecs.describe_tasks(cluster=CLUSTER, tasks=wanted)
        with refused("ClusterNotFoundException"):
            ecs.describe_tasks(cluster="nobody", tasks=arns)
    service_refusals(checks, ecs)


def service_refusals(checks, ecs):
    inactive = register(ecs, "inactive")
    ecs.deregister_task_definition(taskDefinition=inactive)
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    provider = [{"capacityProvider": "FARGATE"}]
    cases = [
        ("a name with spaces", {"serviceName": "no spaces"}, "InvalidParameterException", "name"),
        ("a cluster that is not there", {"cluster": "nobody"}, "ClusterNotFoundException", ""),
        ("a task definition that is not there", {"taskDefinition": "nobody"}, "ClientException", "not found"),
        ("an inactive task definition", {"taskDefinition": inactive}, "ClientException", "inactive"),
        ("no task definition", {"taskDefinition": ""}, "InvalidParameterException", "TaskDefinition"),
        ("no count", {"desiredCount": None}, "InvalidParameterException", "DesiredCount"),
        ("a negative count", {"desiredCount": -1}, "InvalidParameterException", "DesiredCount"),
        ("a strange controller", {"deploymentController": {"type": "ME"}}, "InvalidParameterException", "ontroller"),
        ("a strange schedule", {"schedulingStrategy": "ME"}, "InvalidParameterException", "Scheduling"),
        ("Fargate for what is not fit", {"launchType": "FARGATE"}, "InvalidParameterException", "launch_type FARGATE"),
        ("a launch type and a provider", {"launchType": "EC2", "capacityProviderStrategy": provider},
         "InvalidParameterException", "launch type"),
        ("no network for awsvpc", {"taskDefinition": "fargate"}, "InvalidParameterException", "Network"),
        ("a network for a bridge", {"networkConfiguration": network}, "InvalidParameterException", "Network"),
        ("no room to deploy", {"deploymentConfiguration": {"maximumPercent": 100}}, "InvalidParameterException", "100"),
        ("less than nothing", {"deploymentConfiguration": {"minimumHealthyPercent": -1}}, "InvalidParameterException", ""),
        ("a minimum above the maximum", {"deploymentConfiguration": {"minimumHealthyPercent": 90, "maximumPercent": 80}},
         "InvalidParameterException", ""),
        ("alarms without names", {"deploymentConfiguration": {"alarms": {
            "alarmNames": [], "enable": True, "rollback": True}}}, "InvalidParameterException", "alarmNames"),
        ("a task definition for EXTERNAL", {"deploymentController": {"type": "EXTERNAL"}},
         "InvalidParameterException", "EXTERNAL"),
        ("a circuit breaker under CODE_DEPLOY", {"deploymentController": {"type": "CODE_DEPLOY"},
         "deploymentConfiguration": breaker(True)}, "InvalidParameterException", "circuit breaker"),
        ("a reserved tag", {"tags": [{"key": "aws:x", "value": ""}]}, "InvalidParameterException", "aws:"),
    ]
    for what, change, code, saying in cases:
        with checks.check(f"a service is refused with {what}"):
            usual = {"cluster": CLUSTER, "serviceName": "bad", "taskDefinition": "contract", "desiredCount": 1}
            given = {key: value for key, value in {**usual, **change}.items() if value is not None}
            with refused(code, saying):
                ecs.create_service(**given)
    with checks.check("Fargate tasks run where the network is given"):
        service = create(ecs, "fargate", "fargate", launchType="FARGATE", networkConfiguration=network)
        equal((service["platformVersion"], service["platformFamily"]), ("LATEST", "Linux"))
        equal(stable(ecs, "fargate")["deployments"][0]["launchType"], "FARGATE")


def updates(checks, ecs):
    with checks.check("a new task definition is rolled out, the old tasks go as the new ones come"):
        before = stable(ecs, "shop")
        second = register(ecs, image=f"shop@{DIGEST}")
        service = ecs.update_service(cluster=CLUSTER, service="shop", taskDefinition="contract")["service"]
        equal([each["status"] for each in service["deployments"]], ["PRIMARY", "ACTIVE"])
        equal(service["taskDefinition"], second)
        after = stable(ecs, "shop")
        assert after["deployments"][0]["id"] != before["deployments"][0]["id"]
        messages = [each["message"] for each in after["events"]]
        for part in ["has started 2 tasks: (task ", "has stopped 2 running tasks: (task ", "deployment completed."]:
            assert any(part in message for message in messages), (part, messages)
        (task, _) = ecs.describe_tasks(cluster=CLUSTER, tasks=ecs.list_tasks(
            cluster=CLUSTER, serviceName="shop")["taskArns"])["tasks"]
        equal((task["taskDefinitionArn"], task["containers"][0]["imageDigest"]), (second, DIGEST))
        assert ecs.list_tasks(cluster=CLUSTER, serviceName="shop", desiredStatus="STOPPED")["taskArns"]
    with checks.check("the same again is no deployment, unless it is forced"):
        same = ecs.update_service(cluster=CLUSTER, service="shop", taskDefinition=second)["service"]
        equal(same["deployments"][0]["id"], after["deployments"][0]["id"])
        forced = ecs.update_service(cluster=CLUSTER, service="shop", forceNewDeployment=True)["service"]
        assert forced["deployments"][0]["id"] != after["deployments"][0]["id"]
        stable(ecs, "shop")
    with checks.check("scaling is no deployment"):
        deployment = stable(ecs, "shop")["deployments"][0]["id"]
        for count in [4, 1]:
            ecs.update_service(cluster=CLUSTER, service=f"{ARN}:service/{CLUSTER}/shop", desiredCount=count)
            service = stable(ecs, "shop")
            equal((service["runningCount"], service["deployments"][0]["id"]), (count, deployment))
    with checks.check("what an update does not name stays as it is"):
        ecs.update_service(cluster=CLUSTER, service="shop", deploymentConfiguration={"maximumPercent": 150})
        configuration = ecs.update_service(
            cluster=CLUSTER, service="shop", deploymentConfiguration=breaker(True))["service"]["deploymentConfiguration"]
        equal((configuration["maximumPercent"], configuration["minimumHealthyPercent"]), (150, 100))
        equal(configuration["deploymentCircuitBreaker"], {"enable": True, "rollback": True})
    cases = [
        ({"service": "nobody"}, "ServiceNotFoundException"),
        ({"cluster": "nobody"}, "ClusterNotFoundException"),
        ({"taskDefinition": "nobody"}, "ClientException"),
        ({"desiredCount": -1}, "InvalidParameterException"),
        ({"deploymentConfiguration": {"maximumPercent": 100}}, "InvalidParameterException"),
    ]
    for change, code in cases:
        with checks.check(f"an update of {change} is refused with {code}"):
            with refused(code):
                ecs.update_service(**{"cluster": CLUSTER, "service": "shop", **change})


def deployments(checks, ecs):
    with checks.check("service deployments are listed, the newest first, in pages"):
        list_ = lambda **more: ecs.list_service_deployments(cluster=CLUSTER, service="shop", **more)
        found = list_()["serviceDeployments"]
        equal([each["status"] for each in found], ["SUCCESSFUL"] * 3)
        starts = [each["createdAt"] for each in found]
        equal(starts, sorted(starts, reverse=True))
        first = list_(maxResults=2)
        rest = list_(maxResults=2, nextToken=first["nextToken"])
        equal([*first["serviceDeployments"], *rest["serviceDeployments"]], found)
        assert "nextToken" not in rest
    with checks.check("they can be chosen by status and by time"):
        equal(list_(status=["IN_PROGRESS", "PENDING"])["serviceDeployments"], [])
        equal(len(list_(status=["SUCCESSFUL"])["serviceDeployments"]), 3)
        later = starts[0] + datetime.timedelta(seconds=1)
        equal(list_(createdAt={"after": later})["serviceDeployments"], [])
        equal(len(list_(createdAt={"before": later})["serviceDeployments"]), 3)
        with refused("InvalidParameterException"):
            list_(status=["GONE"])
        with refused("InvalidParameterException"):
            list_(nextToken="forged")
        with refused("ServiceNotFoundException"):
            ecs.list_service_deployments(cluster=CLUSTER, service="nobody")
        with refused("ClusterNotFoundException"):
            ecs.list_service_deployments(cluster="nobody", service="shop")
    with checks.check("a service deployment says what it went from and to"):
        arn = found[1]["serviceDeploymentArn"]
        assert re.fullmatch(rf"{ARN}:service-deployment/{CLUSTER}/shop/[\w-]{{21}}", arn), arn
        nobody = f"{ARN}:service-deployment/{CLUSTER}/shop/nobody"
        answer = ecs.describe_service_deployments(serviceDeploymentArns=[arn, nobody])
        (deployment,) = answer["serviceDeployments"]
        equal([each["arn"] for each in deployment["sourceServiceRevisions"]], [found[2]["targetServiceRevisionArn"]])
        equal(deployment["targetServiceRevision"]["arn"], found[1]["targetServiceRevisionArn"])
        equal(deployment["deploymentCircuitBreaker"]["status"], "DISABLED")
        equal(answer["failures"], [{"arn": nobody, "reason": "MISSING"}])
        assert deployment["createdAt"] < deployment["startedAt"] < deployment["finishedAt"]
        for wanted in [[], [arn] * 21, ["nonsense"]]:
            with refused("InvalidParameterException"):
                ecs.describe_service_deployments(serviceDeploymentArns=wanted)
    with checks.check("a service revision says what really ran"):
        wanted = [found[1]["targetServiceRevisionArn"], f"{ARN}:service-revision/{CLUSTER}/shop/1"]
        assert re.fullmatch(rf"{ARN}:service-revision/{CLUSTER}/shop/\d{{19}}", wanted[0]), wanted[0]
        answer = ecs.describe_service_revisions(serviceRevisionArns=wanted)
        (revision,) = answer["serviceRevisions"]
        assert revision["taskDefinition"].startswith(f"{ARN}:task-definition/contract:"), revision
        image = {"containerName": "app", "image": f"shop@{DIGEST}", "imageDigest": DIGEST}
        equal(revision["containerImages"], [image])
        equal(answer["failures"], [{"arn": wanted[1], "reason": "MISSING"}])
        for bad in [[], wanted * 11, ["nonsense"]]:
            with refused("InvalidParameterException"):
                ecs.describe_service_revisions(serviceRevisionArns=bad)
    with checks.check("the service names its current deployment and revision"):
        service = shown(ecs, "shop")
        equal(service["currentServiceDeployment"], found[0]["serviceDeploymentArn"])
        (current,) = service["currentServiceRevisions"]
        equal((current["arn"], current["runningTaskCount"]), (found[0]["targetServiceRevisionArn"], 1))
        equal(current["arn"].rsplit("/", 1)[1], service["deployments"][0]["id"].split("/")[1])


def rollbacks(checks, ecs):
    with checks.check("the circuit breaker rolls a bad deployment back to the last good one"):
        before = create(ecs, "breaking", desired=2, deploymentConfiguration=breaker(True))
        before = stable(ecs, "breaking")
        bad = register(ecs, "bad", tags=FAILS)
        ecs.update_service(cluster=CLUSTER, service="breaking", taskDefinition=bad)
        deployment = ended(ecs, "breaking")
        equal(deployment["status"], "ROLLBACK_SUCCESSFUL")
        equal(deployment["statusReason"],
              "Service deployment rolled back because the circuit breaker threshold was exceeded.")
        equal(deployment["deploymentCircuitBreaker"]["status"], "TRIGGERED")
        equal(deployment["deploymentCircuitBreaker"]["threshold"], 3)
        equal(deployment["rollback"]["serviceRevisionArn"].rsplit("/", 1)[1], before["deployments"][0]["id"][8:])
        after = stable(ecs, "breaking")
        equal(after["taskDefinition"], before["taskDefinition"])
        equal(after["deployments"][0]["id"], before["deployments"][0]["id"])
        messages = [each["message"] for each in after["events"]]
        for part in ["deployment failed: tasks failed to start.", "rolling back to deployment ecs-svc/"]:
            assert any(part in message for message in messages), (part, messages)
    with checks.check("without rollback it fails and stays"):
        ecs.update_service(cluster=CLUSTER, service="breaking", deploymentConfiguration=breaker(False))
        ecs.update_service(cluster=CLUSTER, service="breaking", taskDefinition=bad)
        deployment = ended(ecs, "breaking")
        equal(deployment["status"], "STOPPED")
        primary, active = shown(ecs, "breaking")["deployments"]
        equal((primary["rolloutState"], active["status"], active["runningCount"]), ("FAILED", "ACTIVE", 2))
        equal(primary["rolloutStateReason"], "ECS deployment circuit breaker: tasks failed to start.")
        assert primary["failedTasks"] >= 3
    with checks.check("a tag on the service fails every deployment that begins under it"):
        create(ecs, "tagged", tags=FAILS, deploymentConfiguration=breaker(True))
        equal(ended(ecs, "tagged")["status"], "ROLLBACK_FAILED", "there is nothing to go back to")
        ecs.untag_resource(resourceArn=f"{ARN}:service/{CLUSTER}/tagged", tagKeys=["local:deploy"])
        ecs.update_service(cluster=CLUSTER, service="tagged", forceNewDeployment=True)
        equal(ended(ecs, "tagged")["status"], "SUCCESSFUL")


def alarms(checks, aws, ecs):
    monitoring = aws.client("cloudwatch")
    monitoring.put_metric_alarm(
        AlarmName="contract-ecs", Namespace="contract", MetricName="errors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold")
    with checks.check("an alarm that goes off during a deployment rolls it back"):
        watched = {"alarms": {"alarmNames": ["contract-ecs"], "enable": True, "rollback": True}}
        ring = lambda state: monitoring.set_alarm_state(AlarmName="contract-ecs", StateValue=state, StateReason="test")
        ring("OK")
        create(ecs, "alarming", desired=1, deploymentConfiguration=watched)
        before = stable(ecs, "alarming")
        # Its tasks never come up, and no circuit breaker ends it: it waits for the alarm.
        ecs.update_service(cluster=CLUSTER, service="alarming", taskDefinition="bad")
        ring("ALARM")
        deployment = ended(ecs, "alarming")
        equal(deployment["status"], "ROLLBACK_SUCCESSFUL")
        equal(deployment["alarms"], {
            "status": "TRIGGERED", "alarmNames": ["contract-ecs"], "triggeredAlarmNames": ["contract-ecs"]})
        equal(shown(ecs, "alarming")["deployments"][0]["id"], before["deployments"][0]["id"])
    with checks.check("an alarm that rings already is not watched"):
        ecs.update_service(cluster=CLUSTER, service="alarming", forceNewDeployment=True)
        equal(ended(ecs, "alarming")["status"], "SUCCESSFUL")


def stops(checks, ecs):
    create(ecs, "stopping", desired=1)
    stable(ecs, "stopping")
    for stop_type, status in [({}, "ROLLBACK_SUCCESSFUL"), ({"stopType": "ROLLBACK"}, "ROLLBACK_SUCCESSFUL"),
                              ({"stopType": "ABORT"}, "STOPPED")]:
        with checks.check(f"a deployment can be stopped with {stop_type or 'nothing said'}: {status}"):
            before = shown(ecs, "stopping")["deployments"][0]["id"]
            # Its tasks never come up, and no circuit breaker ends it.
            ecs.update_service(cluster=CLUSTER, service="stopping", taskDefinition="bad", forceNewDeployment=True)
            arn = newest(ecs, "stopping")["serviceDeploymentArn"]
            equal(ecs.stop_service_deployment(serviceDeploymentArn=arn, **stop_type)["serviceDeploymentArn"], arn)
            equal(ended(ecs, "stopping")["status"], status)
            is_back = shown(ecs, "stopping")["deployments"][0]["id"] == before
            equal(is_back, status == "ROLLBACK_SUCCESSFUL")
    with checks.check("what is over cannot be stopped, nor what is not there"):
        with refused("ConflictException", "STOPPED"):
            ecs.stop_service_deployment(serviceDeploymentArn=arn)
        for path in [f"{CLUSTER}/stopping/nobody", f"{CLUSTER}/nobody/nobody"]:
            with refused("ServiceDeploymentNotFoundException"):
                ecs.stop_service_deployment(serviceDeploymentArn=f"{ARN}:service-deployment/{path}")
        with refused("InvalidParameterException"):
            ecs.stop_service_deployment(serviceDeploymentArn="nonsense")
        with refused("InvalidParameterException"):
            ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="NOW")


def controllers(checks, ecs):
    with checks.check("a service under CODE_DEPLOY begins with a primary task set"):
        create(ecs, "blue", desired=2, deploymentController={"type": "CODE_DEPLOY"})
        steady = lambda: shown(ecs, "blue")["taskSets"][0]["stabilityStatus"] == "STEADY_STATE"
        wait_until("the task set", steady)
        service = shown(ecs, "blue")
        (blue,) = service["taskSets"]
        equal((blue["status"], blue["scale"], blue["runningCount"]), ("PRIMARY", {"value": 100.0, "unit": "PERCENT"}, 2))
        equal(service["deployments"], [])
        equal(ecs.list_service_deployments(cluster=CLUSTER, service="blue")["serviceDeployments"], [])
    cases = [
        ({"taskDefinition": register(ecs, image="shop:9")},
         "Unable to update task definition on services with a CODE_DEPLOY deployment controller. "
         "Use AWS CodeDeploy to trigger a new deployment."),
        ({"forceNewDeployment": True}, "Cannot force a new deployment on services with a CODE_DEPLOY"),
        ({"platformVersion": "1.4.0"}, "Unable to update network parameters on services with a CODE_DEPLOY"),
    ]
    for change, saying in cases:
        with checks.check(f"under CODE_DEPLOY an update of {[*change]} is refused"):
            with refused("InvalidParameterException", saying):
                ecs.update_service(cluster=CLUSTER, service="blue", **change)
    with checks.check("under CODE_DEPLOY a service can be scaled"):
        ecs.update_service(cluster=CLUSTER, service="blue", desiredCount=3)
        wait_until("three tasks", lambda: shown(ecs, "blue")["runningCount"] == 3)
    with checks.check("a service under EXTERNAL begins with nothing"):
        service = ecs.create_service(
            cluster=CLUSTER, serviceName="external", deploymentController={"type": "EXTERNAL"})["service"]
        equal((service.get("taskSets"), service["desiredCount"]), (None, 0))
        assert "taskDefinition" not in service


def task_sets(checks, ecs):
    where = {"cluster": CLUSTER, "service": "blue"}
    percent = lambda value: {"value": value, "unit": "PERCENT"}
    definition = register(ecs, image="shop:10")
    (blue,) = shown(ecs, "blue")["taskSets"]
    with checks.check("a task set is created, scaled, and made primary"):
        green = ecs.create_task_set(
            **where, taskDefinition=definition, externalId="d-1", scale=percent(50.0), clientToken="once",
            tags=[{"key": "a", "value": "b"}])["taskSet"]
        equal((green["status"], green["computedDesiredCount"]), ("ACTIVE", 2))
        equal((green["startedBy"], green["externalId"]), ("CODE_DEPLOY", "d-1"))
        equal(green["stabilityStatus"], "STABILIZING")
        assert re.fullmatch(rf"{ARN}:task-set/{CLUSTER}/blue/ecs-svc/\d{{19}}", green["taskSetArn"]), green["taskSetArn"]
        again = ecs.create_task_set(**where, taskDefinition=definition, clientToken="once")["taskSet"]
        equal(again["id"], green["id"])
        equal(ecs.update_task_set(**where, taskSet=green["id"], scale=percent(100.0))["taskSet"]["scale"], percent(100.0))
        one = lambda **more: ecs.describe_task_sets(**where, taskSets=[green["taskSetArn"]], **more)["taskSets"][0]
        wait_until("the task set", lambda: one()["stabilityStatus"] == "STEADY_STATE")
        equal((one()["runningCount"], shown(ecs, "blue")["runningCount"]), (3, 6))
        equal(one(include=["TAGS"])["tags"], [{"key": "a", "value": "b"}])
        primary = ecs.update_service_primary_task_set(**where, primaryTaskSet=green["id"])["taskSet"]
        equal(primary["status"], "PRIMARY")
        equal(shown(ecs, "blue")["taskDefinition"], definition)
        equal({each["status"] for each in ecs.describe_task_sets(**where)["taskSets"]}, {"PRIMARY", "ACTIVE"})
    with checks.check("without a scale it has none"):
        idle = ecs.create_task_set(**where, taskDefinition=definition)["taskSet"]
        equal((idle["scale"], idle["computedDesiredCount"]), (percent(0.0), 0))
    with checks.check("a task set goes by force, or empty"):
        with refused("InvalidParameterException"):
            ecs.delete_task_set(**where, taskSet=blue["id"])
        equal(ecs.delete_task_set(**where, taskSet=blue["id"], force=True)["taskSet"]["status"], "DRAINING")
        ecs.delete_task_set(**where, taskSet=idle["id"])
        wait_until("one task set", lambda: len(shown(ecs, "blue")["taskSets"]) == 1)
        found = ecs.describe_task_sets(**where, taskSets=[blue["id"]])
        equal((found["taskSets"], [each["reason"] for each in found["failures"]]), ([], ["MISSING"]))
    with checks.check("a service has at most five task sets"):
        for _ in range(4):
            ecs.create_task_set(**where, taskDefinition=definition)
        with refused("LimitExceededException"):
            ecs.create_task_set(**where, taskDefinition=definition)
    for operation, given in [
        ("update_task_set", {"taskSet": blue["id"], "scale": percent(1.0)}),
        ("delete_task_set", {"taskSet": blue["id"]}),
        ("update_service_primary_task_set", {"primaryTaskSet": blue["id"]}),
    ]:
        with checks.check(f"{operation} refuses what is not there, and the ECS controller"):
            call = getattr(ecs, operation)
            with refused("TaskSetNotFoundException"):
                call(**where, **given)
            with refused("ServiceNotFoundException"):
                call(cluster=CLUSTER, service="nobody", **given)
            with refused("ClusterNotFoundException"):
                call(cluster="nobody", service="blue", **given)
            with refused("InvalidParameterException"):
                call(cluster=CLUSTER, service="shop", **given)
    with checks.check("create_task_set and describe_task_sets refuse likewise"):
        for call, given in [(ecs.create_task_set, {"taskDefinition": definition}), (ecs.describe_task_sets, {})]:
            with refused("InvalidParameterException"):
                call(cluster=CLUSTER, service="shop", **given)
            with refused("ServiceNotFoundException"):
                call(cluster=CLUSTER, service="nobody", **given)
        with refused("ClientException"):
            ecs.create_task_set(**where, taskDefinition="nobody")
        for value in [-1.0, 101.0]:
            with refused("InvalidParameterException"):
                ecs.update_task_set(**where, taskSet=green["id"], scale=percent(value))
        with refused("InvalidParameterException"):
            ecs.update_task_set(**where, taskSet=green["id"], scale={"value": 1.0, "unit": "PIECES"})


def tags(checks, ecs):
    (green,) = [each for each in shown(ecs, "blue")["taskSets"] if each["status"] == "PRIMARY"]
    arns = [f"{ARN}:cluster/{CLUSTER}", f"{ARN}:service/{CLUSTER}/shop", f"{ARN}:task-definition/contract:1",
            green["taskSetArn"]]
    for arn in arns:
        with checks.check(f"{arn} can be tagged"):
            ecs.tag_resource(resourceArn=arn, tags=[{"key": "k", "value": "v"}, {"key": "l", "value": ""}])
            found = {each["key"]: each["value"] for each in ecs.list_tags_for_resource(resourceArn=arn)["tags"]}
            equal((found["k"], found["l"]), ("v", ""))
            ecs.untag_resource(resourceArn=arn, tagKeys=["k", "nobody"])
            assert "k" not in {each["key"] for each in ecs.list_tags_for_resource(resourceArn=arn)["tags"]}
    with checks.check("tags are bounded, and only what is there can have them"):
        arn = arns[1]
        for bad in [{"key": "aws:x", "value": ""}, {"key": "x" * 129, "value": ""}, {"key": "x", "value": "y" * 257},
                    {"key": "x!", "value": ""}]:
            with refused("InvalidParameterException"):
                ecs.tag_resource(resourceArn=arn, tags=[bad])
        with refused("InvalidParameterException", "50"):
            ecs.tag_resource(resourceArn=arn, tags=[{"key": f"k{n}", "value": ""} for n in range(50)])
        for nobody in [f"service/{CLUSTER}/nobody", "task-definition/nobody:1", f"task-set/{CLUSTER}/blue/ecs-svc/1"]:
            with refused("ResourceNotFoundException"):
                ecs.tag_resource(resourceArn=f"{ARN}:{nobody}", tags=[])
            with refused("ResourceNotFoundException"):
                ecs.untag_resource(resourceArn=f"{ARN}:{nobody}", tagKeys=["k"])
            with refused("InvalidParameterException"):
                ecs.list_tags_for_resource(resourceArn=f"{ARN}:{nobody}")
        with refused("ClusterNotFoundException"):
            ecs.list_tags_for_resource(resourceArn=f"{ARN}:cluster/nobody")
        with refused("ClientException"):
            ecs.list_tags_for_resource(resourceArn=f"{ARN}:task-definition/contract")
        for nonsense in ["nonsense", f"{ARN}:task/{CLUSTER}/x"]:
            with refused("InvalidParameterException"):
                ecs.list_tags_for_resource(resourceArn=nonsense)


def events(checks, aws, ecs):
    bus, sqs = aws.client("events"), aws.client("sqs")
    queue = sqs.create_queue(QueueName="contract-ecs")["QueueUrl"]
    arn = f"{ARN}:service/{CLUSTER}/heard"
    bus.put_rule(Name="contract-ecs", EventPattern=json.dumps({"source": ["aws.ecs"], "resources": [arn]}))
    bus.put_targets(Rule="contract-ecs", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:contract-ecs"}])
    found = []

    def heard(name):
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [each for each in found if each["detail"]["eventName"] == name]

    with checks.check("a deployment is told, and a steady state"):
        service = create(ecs, "heard", deploymentConfiguration=breaker(True))
        wait_until("a steady state", lambda: heard("SERVICE_STEADY_STATE"))
        for name, reason in [("SERVICE_DEPLOYMENT_IN_PROGRESS", "in progress."), ("SERVICE_DEPLOYMENT_COMPLETED", "completed.")]:
            (event,) = wait_until(name, lambda: heard(name))
            equal((event["detail-type"], event["resources"]), ("ECS Deployment State Change", [arn]))
            detail, deployment = event["detail"], service["deployments"][0]["id"]
            equal((detail["eventType"], detail["deploymentId"]), ("INFO", deployment))
            equal(detail["reason"], f"ECS deployment {deployment} {reason}")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", detail["updatedAt"]), detail
        (event,) = heard("SERVICE_STEADY_STATE")
        equal((event["detail-type"], event["detail"]["clusterArn"]), ("ECS Service Action", f"{ARN}:cluster/{CLUSTER}"))
    with checks.check("a failure is told, and the rollback, which completes as any other"):
        found.clear()
        ecs.update_service(cluster=CLUSTER, service="heard", taskDefinition="bad")
        (completed,) = wait_until("the rollback", lambda: heard("SERVICE_DEPLOYMENT_COMPLETED"))
        equal(completed["detail"]["deploymentId"], service["deployments"][0]["id"])
        (failed,) = wait_until("the failure", lambda: heard("SERVICE_DEPLOYMENT_FAILED"))
        equal(failed["detail"]["eventType"], "ERROR")
        assert failed["detail"]["deploymentId"] != completed["detail"]["deploymentId"]
        reasons = [each["detail"]["reason"] for each in heard("SERVICE_DEPLOYMENT_IN_PROGRESS")]
        back = f"ECS deployment circuit breaker: rolling back to deploymentId {service['deployments'][0]['id']}."
        assert back in reasons, reasons
    bus.remove_targets(Rule="contract-ecs", Ids=["q"])
    bus.delete_rule(Name="contract-ecs")
    sqs.delete_queue(QueueUrl=queue)


def ends(checks, ecs):
    with checks.check("a service is deleted by force or empty, drains, and is inactive"):
        with refused("InvalidParameterException", "scaled above 0"):
            ecs.delete_service(cluster=CLUSTER, service="shop")
        deleted = ecs.delete_service(cluster=CLUSTER, service="shop", force=True)["service"]
        equal((deleted["status"], deleted["desiredCount"]), ("DRAINING", 0))
        with refused("InvalidParameterException", "Draining"):
            create(ecs, "shop")
        wait_until("its end", lambda: shown(ecs, "shop")["status"] == "INACTIVE")
        with refused("ServiceNotActiveException"):
            ecs.update_service(cluster=CLUSTER, service="shop", desiredCount=1)
        with refused("ServiceNotFoundException"):
            ecs.delete_service(cluster=CLUSTER, service="shop")
        with refused("ClusterNotFoundException"):
            ecs.delete_service(cluster="nobody", service="shop")
        equal(create(ecs, "shop", desired=0)["status"], "ACTIVE", "the name is free again")
    with checks.check("a cluster with services is not deleted"):
        with refused("ClusterContainsServicesException"):
            ecs.delete_cluster(cluster=CLUSTER)
        for arn in ecs.list_services(cluster=CLUSTER, maxResults=100)["serviceArns"]:
            ecs.delete_service(cluster=CLUSTER, service=arn, force=True)
        services = lambda: ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["runningTasksCount"]
        wait_until("the last task", lambda: services() == 0)
        gone = lambda: ecs.delete_cluster(cluster=CLUSTER)["cluster"]["status"] == "INACTIVE"

        def tried():
            try:
                return gone()
            except ecs.exceptions.ClusterContainsServicesException:
                return False
        wait_until("the cluster's end", tried)
