"""Boto3 against the local CodeDeploy: every operation, what it takes and what it refuses.

Blue/green deployments to ECS run from a service that boto3 makes to what GetDeploymentTarget shows of it. The fast
pace is assumed: a step takes a third of a second.
"""

import hashlib
import json
import uuid

import boto3
import botocore.config
import botocore.exceptions
from harness import ACCOUNT, REGION, equal, wait_until

OVER = {"Succeeded", "Failed", "Stopped"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/codedeploy"
EVENTS = ["BeforeInstall", "Install", "AfterInstall", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]


def run(checks, aws):
    shop = Shop(aws)
    applications(checks, shop.codedeploy)
    tags(checks, shop.codedeploy)
    configurations(checks, shop.codedeploy)
    groups(checks, shop)
    revisions(checks, shop.codedeploy)
    deployments(checks, shop)
    deployment_refusals(checks, shop)
    waits(checks, shop)
    endings(checks, shop)
    alarms(checks, shop, aws)
    required(checks, shop, aws)
    clean_up(checks, shop)


def refused(code, operation, **parameters):
    """The operation must be refused with this code."""
    try:
        answer = operation(**parameters)
    except botocore.exceptions.ClientError as error:
        equal(error.response["Error"]["Code"], code)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} expected, accepted with {answer!r}")


class Shop:
    """A cluster with services under CodeDeploy's control, and an application `shop` to deploy them."""

    def __init__(self, aws):
        self.codedeploy, self.ecs = aws.client("codedeploy"), aws.client("ecs")
        self.cluster = f"shop-{uuid.uuid4().hex[:8]}"
        self.ecs.create_cluster(clusterName=self.cluster)
        self.codedeploy.create_application(applicationName=self.cluster, computePlatform="ECS")

    def definition(self, image):
        container = {"name": "web", "image": image, "memory": 512, "portMappings": [{"containerPort": 80}]}
        made = self.ecs.register_task_definition(family=self.cluster, containerDefinitions=[container])
        return made["taskDefinition"]["taskDefinitionArn"]

    def service(self, name, controller="CODE_DEPLOY"):
        group = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}-1/0123456789abcdef"
        self.ecs.create_service(
            cluster=self.cluster, serviceName=name, taskDefinition=self.definition("web:1"), desiredCount=1,
            deploymentController={"type": controller},
            loadBalancers=[{"targetGroupArn": group, "containerName": "web", "containerPort": 80}])

    def group(self, name, **more):
        """The parameters of CreateDeploymentGroup for a service of the same name."""
        listener = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/{name}/1/2"
        return {
            "applicationName": self.cluster, "deploymentGroupName": name, "serviceRoleArn": ROLE,
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": {
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0}},
            "loadBalancerInfo": {"targetGroupPairInfoList": [{
                "targetGroups": [{"name": f"{name}-1"}, {"name": f"{name}-2"}],
                "prodTrafficRoute": {"listenerArns": [listener]}}]},
            "ecsServices": [{"clusterName": self.cluster, "serviceName": name}], **more}

    def made(self, name, **more):
        self.service(name)
        return self.codedeploy.create_deployment_group(**self.group(name, **more))["deploymentGroupId"]

    def revision(self, image):
        content = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": self.definition(image),
            "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 80}}}}]}
        return {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}}

    def deploy(self, name, image, **more):
        names = {"applicationName": self.cluster, "deploymentGroupName": name}
        made = self.codedeploy.create_deployment(revision=self.revision(image), **names, **more)
        return made["deploymentId"]

    def info(self, deployment):
        return self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]

    def reaches(self, deployment, *statuses):
        """Waits until the deployment has one of these statuses, and returns it."""
        def ask():
            found = self.info(deployment)
            assert found["status"] not in OVER - set(statuses), f"{found['status']}: {found.get('errorInformation')}"
            return found if found["status"] in statuses else None
        return wait_until(f"{deployment} {statuses}", ask)

    def target(self, deployment, name):
        found = self.codedeploy.get_deployment_target(deploymentId=deployment, targetId=f"{self.cluster}:{name}")
        return found["deploymentTarget"]


def applications(checks, codedeploy):
    name = f"app-{uuid.uuid4().hex[:8]}"
    get = lambda name: codedeploy.get_application(applicationName=name)["application"]
    with checks.check("applications are made for three platforms, Server by default"):
        made = codedeploy.create_application(applicationName=name)["applicationId"]
        equal((get(name)["applicationId"], get(name)["computePlatform"]), (made, "Server"))
        for platform in ["Lambda", "ECS"]:
            codedeploy.create_application(applicationName=f"{name}-{platform}", computePlatform=platform)
            equal(get(f"{name}-{platform}")["computePlatform"], platform)
    with checks.check("they are listed, and read together"):
        names = {name, f"{name}-Lambda", f"{name}-ECS"}
        listed = codedeploy.get_paginator("list_applications").paginate().build_full_result()["applications"]
        assert names <= set(listed), listed
        found = codedeploy.batch_get_applications(applicationNames=sorted(names))["applicationsInfo"]
        equal({each["applicationName"] for each in found}, names)
    with checks.check("an application is renamed"):
        codedeploy.update_application(applicationName=name, newApplicationName=f"{name}-new")
        equal(get(f"{name}-new")["applicationId"], made)
        refused("ApplicationDoesNotExistException", codedeploy.get_application, applicationName=name)
        refused("ApplicationAlreadyExistsException", codedeploy.update_application,
                applicationName=f"{name}-new", newApplicationName=f"{name}-ECS")
        refused("ApplicationDoesNotExistException", codedeploy.update_application,
                applicationName=name, newApplicationName="any")
    with checks.check("what is not right with an application is said by name"):
        create = codedeploy.create_application
        refused("ApplicationAlreadyExistsException", create, applicationName=f"{name}-ECS")
        refused("InvalidApplicationNameException", create, applicationName="a b")
        refused("InvalidApplicationNameException", create, applicationName="a" * 101)
        refused("InvalidComputePlatformException", create, applicationName="any", computePlatform="Mainframe")
        refused("InvalidTagsToAddException", create, applicationName="any", tags=[{"Key": "aws:x", "Value": ""}])
        refused("ApplicationDoesNotExistException", codedeploy.batch_get_applications, applicationNames=[name])
        refused("BatchLimitExceededException", codedeploy.batch_get_applications, applicationNames=["a"] * 101)
        refused("ApplicationNameRequiredException", codedeploy.batch_get_applications, applicationNames=[])
        refused("InvalidNextTokenException", codedeploy.list_applications, nextToken="nonsense")
    with checks.check("an application is deleted, twice if need be"):
        for each in [f"{name}-new", f"{name}-Lambda", f"{name}-ECS", f"{name}-new"]:
            codedeploy.delete_application(applicationName=each)
        refused("ApplicationDoesNotExistException", codedeploy.get_application, applicationName=f"{name}-new")
        refused("InvalidApplicationNameException", codedeploy.delete_application, applicationName="a b")
    with checks.check("a hundred and one applications come in two pages"):
        many = [f"{name}-{number:03}" for number in range(101)]
        for each in many:
            codedeploy.create_application(applicationName=each)
        first = codedeploy.list_applications()
        equal(len(first["applications"]), 100)
        rest = codedeploy.list_applications(nextToken=first["nextToken"])
        assert "nextToken" not in rest, "no token at the end"
        assert set(many) <= set(first["applications"]) | set(rest["applications"])
        for each in many:
            codedeploy.delete_application(applicationName=each)


def tags(checks, codedeploy):
    name = f"tags-{uuid.uuid4().hex[:8]}"
    codedeploy.create_application(applicationName=name, tags=[{"Key": "team", "Value": "web"}])
    codedeploy.create_deployment_group(
        applicationName=name, deploymentGroupName="fleet", serviceRoleArn=ROLE, tags=[{"Key": "a", "Value": "1"}])
    arn = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:application:{name}"
    of_group = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:{name}/fleet"
    read = lambda arn: {tag["Key"]: tag["Value"] for tag in codedeploy.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    with checks.check("applications and groups have tags"):
        equal((read(arn), read(of_group)), ({"team": "web"}, {"a": "1"}))
        codedeploy.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "shop"}, {"Key": "b", "Value": ""}])
        equal(read(arn), {"team": "shop", "b": ""})
        codedeploy.untag_resource(ResourceArn=arn, TagKeys=["b", "never"])
        equal(read(arn), {"team": "shop"})
    with checks.check("what is not right with tags is said by name"):
        tag = lambda arn: {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "1"}]}
        start = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}"
        refused("InvalidArnException", codedeploy.tag_resource, **tag("nonsense"))
        refused("ArnNotSupportedException", codedeploy.tag_resource, **tag(f"{start}:deploymentconfig:any"))
        refused("ApplicationDoesNotExistException", codedeploy.tag_resource, **tag(f"{start}:application:nope"))
        refused("DeploymentGroupDoesNotExistException", codedeploy.tag_resource,
                **tag(f"{start}:deploymentgroup:{name}/nope"))
        refused("TagRequiredException", codedeploy.tag_resource, ResourceArn=arn, Tags=[])
        refused("TagRequiredException", codedeploy.untag_resource, ResourceArn=arn, TagKeys=[])
        refused("InvalidTagsToAddException", codedeploy.tag_resource, ResourceArn=arn,
                Tags=[{"Key": "k" * 129, "Value": ""}])
        refused("InvalidTagsToAddException", codedeploy.tag_resource, ResourceArn=arn,
                Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
        refused("InvalidArnException", codedeploy.list_tags_for_resource, ResourceArn="nonsense")
        refused("InvalidArnException", codedeploy.untag_resource, ResourceArn="nonsense", TagKeys=["a"])
    codedeploy.delete_application(applicationName=name)


def configurations(checks, codedeploy):
    name = f"config-{uuid.uuid4().hex[:8]}"
    create, get = codedeploy.create_deployment_config, lambda name: codedeploy.get_deployment_config(
        deploymentConfigName=name)["deploymentConfigInfo"]
    canary = lambda percent, minutes: {
        "type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": percent, "canaryInterval": minutes}}
    linear = lambda percent, minutes: {
        "type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": percent, "linearInterval": minutes}}
    with checks.check("the predefined configurations are there"):
        listed = codedeploy.list_deployment_configs()["deploymentConfigsList"]
        predefined = [each for each in listed if each.startswith("CodeDeployDefault.")]
        equal(len(predefined), 17)
        equal(get("CodeDeployDefault.ECSCanary10Percent5Minutes")["trafficRoutingConfig"], canary(10, 5))
        equal(get("CodeDeployDefault.ECSLinear10PercentEvery3Minutes")["trafficRoutingConfig"], linear(10, 3))
        equal(get("CodeDeployDefault.OneAtATime")["minimumHealthyHosts"], {"type": "HOST_COUNT", "value": 1})
        for each in predefined:
            get(each)
    with checks.check("configurations are made for each platform, read and deleted"):
        for platform, more in [
            ("ECS", {"trafficRoutingConfig": canary(20, 10)}),
            ("Lambda", {"trafficRoutingConfig": linear(50, 1)}),
            ("Server", {"minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 75}}),
        ]:
            made = create(deploymentConfigName=name, computePlatform=platform, **more)["deploymentConfigId"]
            read = get(name)
            equal((read["deploymentConfigId"], read["computePlatform"]), (made, platform))
            equal({key: read[key] for key in more}, more)
            assert name in codedeploy.list_deployment_configs()["deploymentConfigsList"]
            codedeploy.delete_deployment_config(deploymentConfigName=name)
        refused("DeploymentConfigDoesNotExistException", codedeploy.get_deployment_config, deploymentConfigName=name)
        codedeploy.delete_deployment_config(deploymentConfigName=name)
    with checks.check("what is not right with a configuration is said by name"):
        ecs = lambda **more: {"deploymentConfigName": name, "computePlatform": "ECS", **more}
        routing = "InvalidTrafficRoutingConfigurationException"
        for wrong in [canary(0, 5), canary(100, 5), canary(10, 0), canary(10, 2881), linear(10, 321), {"type": "X"},
                      {"type": "TimeBasedCanary"}, {**canary(10, 5), **linear(10, 5)}]:
            refused(routing, create, **ecs(trafficRoutingConfig=wrong))
        refused(routing, create, **ecs())
        hosts = {"type": "HOST_COUNT", "value": 1}
        refused("InvalidMinimumHealthyHostValueException", create,
                **ecs(trafficRoutingConfig=canary(10, 5), minimumHealthyHosts=hosts))
        refused("InvalidZonalDeploymentConfigurationException", create,
                **ecs(trafficRoutingConfig=canary(10, 5), zonalConfig={"monitorDurationInSeconds": 1}))
        refused("InvalidMinimumHealthyHostValueException", create, deploymentConfigName=name,
                minimumHealthyHosts={"type": "FLEET_PERCENT", "value": 100})
        refused(routing, create, deploymentConfigName=name, minimumHealthyHosts=hosts,
                trafficRoutingConfig=canary(10, 5))
        refused("InvalidComputePlatformException", create, deploymentConfigName=name, computePlatform="X")
        refused("InvalidDeploymentConfigNameException", create, **{**ecs(trafficRoutingConfig=canary(10, 5)),
                                                                  "deploymentConfigName": "CodeDeployDefault.Mine"})
        refused("InvalidDeploymentConfigNameException", codedeploy.get_deployment_config, deploymentConfigName="a b")
        create(**ecs(trafficRoutingConfig=canary(10, 5)))
        refused("DeploymentConfigAlreadyExistsException", create, **ecs(trafficRoutingConfig=canary(10, 5)))
        codedeploy.delete_deployment_config(deploymentConfigName=name)
        refused("InvalidOperationException", codedeploy.delete_deployment_config,
                deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")
        refused("InvalidNextTokenException", codedeploy.list_deployment_configs, nextToken="nonsense")


def groups(checks, shop):
    codedeploy, create = shop.codedeploy, shop.codedeploy.create_deployment_group
    name = {"applicationName": shop.cluster, "deploymentGroupName": "groups"}
    with checks.check("a group for ECS is made, and read as it was given"):
        made = shop.made("groups", alarmConfiguration={"enabled": False, "alarms": []},
                         autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]})
        read = codedeploy.get_deployment_group(**name)["deploymentGroupInfo"]
        equal((read["deploymentGroupId"], read["computePlatform"]), (made, "ECS"))
        equal(read["deploymentConfigName"], "CodeDeployDefault.ECSAllAtOnce", "without one")
        given = shop.group("groups")
        for key in ["ecsServices", "loadBalancerInfo", "blueGreenDeploymentConfiguration", "deploymentStyle"]:
            equal(read[key], given[key])
    with checks.check("groups are listed, and read together"):
        equal(codedeploy.list_deployment_groups(applicationName=shop.cluster)["deploymentGroups"], ["groups"])
        found = codedeploy.batch_get_deployment_groups(
            applicationName=shop.cluster, deploymentGroupNames=["groups", "nope"])
        equal([each["deploymentGroupName"] for each in found["deploymentGroupsInfo"]], ["groups"])
        assert "nope" in found["errorMessage"], found["errorMessage"]
    with checks.check("a group is changed, and renamed"):
        alarm = {"enabled": True, "ignorePollAlarmFailure": True, "alarms": [{"name": "errors"}]}
        update = lambda **more: codedeploy.update_deployment_group(
            applicationName=shop.cluster, currentDeploymentGroupName="groups", **more)
        update(alarmConfiguration=alarm, deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")
        read = codedeploy.get_deployment_group(**name)["deploymentGroupInfo"]
        equal((read["alarmConfiguration"], read["deploymentConfigName"]),
              (alarm, "CodeDeployDefault.ECSCanary10Percent5Minutes"))
        equal(update(newDeploymentGroupName="renamed")["hooksNotCleanedUp"], [])
        codedeploy.update_deployment_group(applicationName=shop.cluster, currentDeploymentGroupName="renamed",
                                           newDeploymentGroupName="groups")
        refused("DeploymentGroupDoesNotExistException", codedeploy.update_deployment_group,
                applicationName=shop.cluster, currentDeploymentGroupName="renamed")
        refused("InvalidAlarmConfigException", codedeploy.update_deployment_group, applicationName=shop.cluster,
                currentDeploymentGroupName="groups", alarmConfiguration={"enabled": True, "alarms": []})
    group_refusals(checks, shop, create)
    with checks.check("a group of servers is kept too"):
        application = f"servers-{uuid.uuid4().hex[:8]}"
        codedeploy.create_application(applicationName=application)
        create(applicationName=application, deploymentGroupName="fleet", serviceRoleArn=ROLE,
               ec2TagFilters=[{"Key": "a", "Value": "b", "Type": "KEY_AND_VALUE"}], autoScalingGroups=["asg"])
        read = codedeploy.get_deployment_group(applicationName=application, deploymentGroupName="fleet")
        equal(read["deploymentGroupInfo"]["deploymentConfigName"], "CodeDeployDefault.OneAtATime")
        equal(read["deploymentGroupInfo"]["autoScalingGroups"], [{"name": "asg"}])
        refused("InvalidEC2TagCombinationException", create, applicationName=application, deploymentGroupName="f",
                serviceRoleArn=ROLE, ec2TagFilters=[{"Key": "a"}], ec2TagSet={"ec2TagSetList": []})
        codedeploy.delete_application(applicationName=application)
    with checks.check("a group is deleted, twice if need be"):
        for _ in range(2):
            equal(codedeploy.delete_deployment_group(**name)["hooksNotCleanedUp"], [])
        refused("DeploymentGroupDoesNotExistException", codedeploy.get_deployment_group, **name)


def group_refusals(checks, shop, create):
    codedeploy = shop.codedeploy
    shop.service("free")
    shop.service("rolling", controller="ECS")
    pair = lambda **more: {"loadBalancerInfo": {"targetGroupPairInfoList": [
        {**shop.group("free")["loadBalancerInfo"]["targetGroupPairInfoList"][0], **more}]}}
    blue_green = lambda **more: {"blueGreenDeploymentConfiguration": {
        **shop.group("free")["blueGreenDeploymentConfiguration"], **more}}
    style = lambda kind, option: {"deploymentStyle": {"deploymentType": kind, "deploymentOption": option}}
    terminate = lambda **more: {"terminateBlueInstancesOnDeploymentSuccess": more}
    ready = lambda **more: {"deploymentReadyOption": more}
    trigger = lambda **more: {"triggerConfigurations": [{
        "triggerName": "t", "triggerTargetArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t",
        "triggerEvents": ["DeploymentStart"], **more}]}
    alarms = lambda names: {"alarmConfiguration": {"enabled": True, "alarms": [{"name": name} for name in names]}}
    rollback = lambda *events: {"autoRollbackConfiguration": {"enabled": True, "events": list(events)}}
    network = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/net/free/1/2"
    gradual = {"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes"}
    one = lambda name: [{"clusterName": shop.cluster, "serviceName": name}]
    cases = [
        ("ApplicationDoesNotExistException", {"applicationName": "nope"}),
        ("InvalidApplicationNameException", {"applicationName": "a b"}),
        ("InvalidDeploymentGroupNameException", {"deploymentGroupName": "a/b"}),
        ("DeploymentConfigDoesNotExistException", {"deploymentConfigName": "nope"}),
        ("InvalidDeploymentConfigNameException", {"deploymentConfigName": "CodeDeployDefault.OneAtATime"}),
        ("InvalidDeploymentConfigNameException", {"deploymentConfigName": "a b"}),
        ("InvalidRoleException", {"serviceRoleArn": "codedeploy"}),
        ("InvalidAutoScalingGroupException", {"autoScalingGroups": ["asg"]}),
        ("InvalidEC2TagException", {"ec2TagFilters": [{"Key": "a"}]}),
        ("InvalidEC2TagException", {"ec2TagSet": {"ec2TagSetList": [[{"Key": "a"}]]}}),
        ("InvalidTagException", {"onPremisesInstanceTagFilters": [{"Key": "a"}]}),
        ("InvalidOnPremisesTagCombinationException", {
            "onPremisesInstanceTagFilters": [{"Key": "a"}],
            "onPremisesTagSet": {"onPremisesTagSetList": [[{"Key": "a"}]]}}),
        ("InvalidDeploymentStyleException", style("IN_PLACE", "WITH_TRAFFIC_CONTROL")),
        ("InvalidDeploymentStyleException", style("BLUE_GREEN", "WITHOUT_TRAFFIC_CONTROL")),
        ("InvalidBlueGreenDeploymentConfigurationException", blue_green(**terminate(action="EXPLODE"))),
        ("InvalidBlueGreenDeploymentConfigurationException", blue_green(
            **terminate(action="TERMINATE", terminationWaitTimeInMinutes=2881))),
        ("InvalidBlueGreenDeploymentConfigurationException", blue_green(**ready(actionOnTimeout="STOP_DEPLOYMENT"))),
        ("InvalidBlueGreenDeploymentConfigurationException", blue_green(
            **ready(actionOnTimeout="CONTINUE_DEPLOYMENT", waitTimeInMinutes=5))),
        ("InvalidBlueGreenDeploymentConfigurationException", blue_green(
            greenFleetProvisioningOption={"action": "DISCOVER_EXISTING"})),
        ("InvalidBlueGreenDeploymentConfigurationException", {"blueGreenDeploymentConfiguration": {}}),
        ("InvalidLoadBalancerInfoException", {"loadBalancerInfo": {"elbInfoList": [{"name": "a"}]}}),
        ("InvalidLoadBalancerInfoException", {"loadBalancerInfo": {"targetGroupInfoList": [{"name": "a"}]}}),
        ("InvalidTargetGroupPairException", {"loadBalancerInfo": {"targetGroupPairInfoList": []}}),
        ("InvalidTargetGroupPairException", pair(targetGroups=[{"name": "a"}])),
        ("InvalidTargetGroupPairException", pair(targetGroups=[{"name": "a"}, {"name": "a"}])),
        ("InvalidTargetGroupPairException", pair(prodTrafficRoute={"listenerArns": []})),
        ("InvalidTargetGroupPairException", pair(testTrafficRoute={"listenerArns": ["not-an-arn"]})),
        ("InvalidTrafficRoutingConfigurationException", {
            **gradual, **pair(prodTrafficRoute={"listenerArns": [network]})}),
        ("InvalidECSServiceException", {"ecsServices": []}),
        ("InvalidECSServiceException", {"ecsServices": [{"serviceName": "free"}]}),
        ("InvalidECSServiceException", {"ecsServices": one("nope")}),
        ("InvalidECSServiceException", {"ecsServices": one("rolling")}),
        ("ECSServiceMappingLimitExceededException", {"ecsServices": one("groups")}),
        ("InvalidAlarmConfigException", alarms([])),
        ("InvalidAlarmConfigException", alarms(["a", "a"])),
        ("InvalidAlarmConfigException", alarms(["a" * 256])),
        ("AlarmsLimitExceededException", alarms([f"a{number}" for number in range(11)])),
        ("InvalidAutoRollbackConfigException", rollback()),
        ("InvalidAutoRollbackConfigException", rollback("DEPLOYMENT_BORED")),
        ("InvalidTriggerConfigException", trigger(triggerName="")),
        ("InvalidTriggerConfigException", trigger(triggerTargetArn="arn:aws:sqs:x")),
        ("InvalidTriggerConfigException", trigger(triggerEvents=["Other"])),
        ("TriggerTargetsLimitExceededException", {"triggerConfigurations": trigger()["triggerConfigurations"] * 11}),
        ("InvalidTagsToAddException", {"tags": [{"Key": "", "Value": ""}]}),
    ]
    for number, (code, wrong) in enumerate(cases):
        with checks.check(f"a group is refused with {code} ({', '.join(wrong)}, case {number})"):
            refused(code, create, **{**shop.group("free"), **wrong})
    for missing, code in [("deploymentStyle", "InvalidDeploymentStyleException"),
                          ("loadBalancerInfo", "InvalidLoadBalancerInfoException"),
                          ("blueGreenDeploymentConfiguration", "InvalidBlueGreenDeploymentConfigurationException"),
                          ("ecsServices", "InvalidECSServiceException")]:
        with checks.check(f"a group without {missing} is refused with {code}"):
            refused(code, create, **{key: value for key, value in shop.group("free").items() if key != missing})
    with checks.check("other operations on groups are refused by name"):
        refused("DeploymentGroupAlreadyExistsException", create, **shop.group("groups"))
        refused("ApplicationDoesNotExistException", codedeploy.list_deployment_groups, applicationName="nope")
        refused("InvalidNextTokenException", codedeploy.list_deployment_groups,
                applicationName=shop.cluster, nextToken="x")
        refused("ApplicationDoesNotExistException", codedeploy.get_deployment_group,
                applicationName="nope", deploymentGroupName="x")
        batch = codedeploy.batch_get_deployment_groups
        refused("ApplicationDoesNotExistException", batch, applicationName="nope", deploymentGroupNames=["x"])
        refused("DeploymentGroupNameRequiredException", batch, applicationName=shop.cluster, deploymentGroupNames=[])
        refused("BatchLimitExceededException", batch, applicationName=shop.cluster, deploymentGroupNames=["x"] * 101)
        refused("InvalidDeploymentGroupNameException", codedeploy.delete_deployment_group,
                applicationName=shop.cluster, deploymentGroupName="a/b")
        update = lambda **more: {"applicationName": shop.cluster, "currentDeploymentGroupName": "groups", **more}
        refused("InvalidDeploymentGroupNameException", codedeploy.update_deployment_group,
                **update(newDeploymentGroupName="a/b"))
        refused("ApplicationDoesNotExistException", codedeploy.update_deployment_group,
                **update(applicationName="nope"))
        refused("InvalidECSServiceException", codedeploy.update_deployment_group, **update(ecsServices=one("rolling")))


def revisions(checks, codedeploy):
    name = f"revisions-{uuid.uuid4().hex[:8]}"
    codedeploy.create_application(applicationName=name)
    s3 = lambda key: {"revisionType": "S3", "s3Location": {"bucket": "artifacts", "key": key, "bundleType": "zip"}}
    github = {"revisionType": "GitHub", "gitHubLocation": {"repository": "acme/shop", "commitId": "a" * 40}}
    spec = {"revisionType": "AppSpecContent", "appSpecContent": {"content": "version: 0.0"}}
    listed = lambda **more: codedeploy.list_application_revisions(applicationName=name, **more)["revisions"]
    with checks.check("revisions are registered, read and listed"):
        for revision in [s3("a.zip"), s3("b.zip"), github, spec]:
            codedeploy.register_application_revision(
                applicationName=name, revision=revision, description="for the test")
        read = codedeploy.get_application_revision(applicationName=name, revision=s3("a.zip"))
        equal((read["revision"], read["revisionInfo"]["description"]), (s3("a.zip"), "for the test"))
        digest = hashlib.sha256(b"version: 0.0").hexdigest()
        read = codedeploy.get_application_revision(applicationName=name, revision={
            "revisionType": "AppSpecContent", "appSpecContent": {"sha256": digest}})
        equal(read["revision"]["appSpecContent"], {"content": "version: 0.0", "sha256": digest})
        equal(len(listed()), 4)
        equal(listed(s3Bucket="artifacts", s3KeyPrefix="b"), [s3("b.zip")])
        equal(listed(sortBy="registerTime", sortOrder="descending")[-1], s3("a.zip"))
        equal((listed(deployed="include"), len(listed(deployed="exclude"))), ([], 4))
        found = codedeploy.batch_get_application_revisions(applicationName=name, revisions=[github, s3("never.zip")])
        equal([each["revisionLocation"] for each in found["revisions"]], [github])
        assert found["errorMessage"]
    with checks.check("what is not right with a revision is said by name"):
        get, register = codedeploy.get_application_revision, codedeploy.register_application_revision
        refused("RevisionDoesNotExistException", get, applicationName=name, revision=s3("never.zip"))
        refused("ApplicationDoesNotExistException", get, applicationName="nope", revision=github)
        refused("ApplicationDoesNotExistException", register, applicationName="nope", revision=github)
        refused("InvalidRevisionException", register, applicationName=name, revision={"revisionType": "S3"})
        refused("InvalidRevisionException", register, applicationName=name, revision={"revisionType": "Tape"})
        refused("InvalidRevisionException", register, applicationName=name, revision={
            "revisionType": "AppSpecContent", "appSpecContent": {"content": "a", "sha256": "0" * 64}})
        refused("DescriptionTooLongException", register, applicationName=name, revision=github, description="d" * 257)
        list_, batch = codedeploy.list_application_revisions, codedeploy.batch_get_application_revisions
        refused("ApplicationDoesNotExistException", list_, applicationName="nope")
        refused("InvalidSortByException", list_, applicationName=name, sortBy="colour")
        refused("InvalidSortOrderException", list_, applicationName=name, sortOrder="sideways")
        refused("InvalidDeployedStateFilterException", list_, applicationName=name, deployed="perhaps")
        refused("BucketNameFilterRequiredException", list_, applicationName=name, s3KeyPrefix="a")
        refused("InvalidNextTokenException", list_, applicationName=name, nextToken="nonsense")
        refused("ApplicationDoesNotExistException", batch, applicationName="nope", revisions=[github])
        refused("RevisionRequiredException", batch, applicationName=name, revisions=[])
        refused("BatchLimitExceededException", batch, applicationName=name, revisions=[github] * 26)
    codedeploy.delete_application(applicationName=name)


def deployments(checks, shop):
    codedeploy = shop.codedeploy
    group_id = shop.made("web", deploymentConfigName="CodeDeployDefault.ECSLinear10PercentEvery1Minutes")
    names = {"applicationName": shop.cluster, "deploymentGroupName": "web"}
    with checks.check("a deployment moves all traffic to green, and ends blue"):
        first = shop.deploy("web", "web:2", description="the second")
        assert len(first) == 11 and first.startswith("d-"), first
        message = refused("DeploymentLimitExceededException", codedeploy.create_deployment,
                          revision=shop.revision("web:x"), **names)
        equal(message, f"The Deployment Group 'web' already has an active Deployment '{first}'")
        ended = shop.reaches(first, "Succeeded")
        equal((ended["creator"], ended["description"], ended["computePlatform"]), ("user", "the second", "ECS"))
        equal(ended["deploymentOverview"],
              {"Pending": 0, "InProgress": 0, "Succeeded": 1, "Failed": 0, "Skipped": 0, "Ready": 0})
        assert "content" not in ended["revision"]["appSpecContent"], "never in this answer"
        assert ended["createTime"] <= ended["startTime"] <= ended["completeTime"]
    with checks.check("its target shows the lifecycle events and the task sets"):
        target = shop.target(first, "web")
        equal(target["deploymentTargetType"], "ECSTarget")
        target = target["ecsTarget"]
        equal((target["status"], target["targetId"]), ("Succeeded", f"{shop.cluster}:web"))
        equal([event["lifecycleEventName"] for event in target["lifecycleEvents"]], EVENTS)
        equal({event["status"] for event in target["lifecycleEvents"]}, {"Succeeded"})
        blue, green = target["taskSetsInfo"]
        equal((blue["taskSetLabel"], blue["trafficWeight"], blue["targetGroup"]["name"]), ("Blue", 0.0, "web-1"))
        equal((green["taskSetLabel"], green["trafficWeight"], green["targetGroup"]["name"]), ("Green", 100.0, "web-2"))
        equal((green["status"], green["runningCount"]), ("PRIMARY", 1))
        equal(codedeploy.list_deployment_targets(deploymentId=first)["targetIds"], [target["targetId"]])
        only = codedeploy.batch_get_deployment_targets(deploymentId=first, targetIds=[target["targetId"]])
        equal(len(only["deploymentTargets"]), 1)
        filtered = lambda status: codedeploy.list_deployment_targets(
            deploymentId=first, targetFilters={"TargetStatus": [status]})["targetIds"]
        equal((filtered("Succeeded"), filtered("Failed")), ([target["targetId"]], []))
    with checks.check("the service runs what was deployed"):
        (service,) = shop.ecs.describe_services(cluster=shop.cluster, services=["web"])["services"]
        (only,) = [each for each in service["taskSets"] if each["status"] == "PRIMARY"]
        equal(only["externalId"], first)
    with checks.check("a second one knows the first, and the group knows both"):
        second = shop.deploy("web", "web:3", deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")
        ended = shop.reaches(second, "Succeeded")
        equal(ended["previousRevision"], shop.info(first)["revision"])
        group = codedeploy.get_deployment_group(**names)["deploymentGroupInfo"]
        equal(group["deploymentGroupId"], group_id)
        equal({group[key]["deploymentId"] for key in ["lastSuccessfulDeployment", "lastAttemptedDeployment"]}, {second})
        equal(group["targetRevision"], ended["revision"])
        read = codedeploy.get_application_revision(applicationName=shop.cluster, revision=ended["revision"])
        equal(read["revisionInfo"]["deploymentGroups"], ["web"])
    with checks.check("deployments are listed, the newest first, and read together"):
        listed = lambda **more: codedeploy.list_deployments(**more)["deployments"]
        equal(listed(**names), [second, first])
        equal(listed(includeOnlyStatuses=["Failed"], **names), [])
        equal(listed(includeOnlyStatuses=["Succeeded", "Failed"], **names), [second, first])
        created = shop.info(second)["createTime"]
        equal(listed(createTimeRange={"start": created}, **names), [second])
        equal(listed(externalId="a-stack", **names), [])
        assert {first, second} <= set(listed())
        found = codedeploy.batch_get_deployments(deploymentIds=[first, "d-NEVERMADE", second])["deploymentsInfo"]
        equal([each["deploymentId"] for each in found], [first, second])
    with checks.check("YAML, a string and a hash will do for a revision"):
        arn = shop.definition("web:4")
        content = (f"version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n"
                   f"        TaskDefinition: \"{arn}\"\n        LoadBalancerInfo:\n          ContainerName: web\n"
                   f"          ContainerPort: 80\n")
        digest = hashlib.sha256(content.encode()).hexdigest()
        for revision in [
            {"revisionType": "String", "string": {"content": content}},
            {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": digest}},
            {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": digest}},
        ]:
            made = codedeploy.create_deployment(
                revision=revision, deploymentConfigName="CodeDeployDefault.ECSAllAtOnce", **names)["deploymentId"]
            shop.reaches(made, "Succeeded")


def deployment_refusals(checks, shop):
    codedeploy, create = shop.codedeploy, shop.codedeploy.create_deployment
    names = {"applicationName": shop.cluster, "deploymentGroupName": "web", "revision": shop.revision("web:5")}
    alarms = lambda names: {"enabled": True, "alarms": [{"name": name} for name in names]}
    cases = [
        ("ApplicationDoesNotExistException", {"applicationName": "nope"}),
        ("InvalidApplicationNameException", {"applicationName": "a b"}),
        ("DeploymentGroupDoesNotExistException", {"deploymentGroupName": "nope"}),
        ("InvalidDeploymentGroupNameException", {"deploymentGroupName": "a/b"}),
        ("InvalidRevisionException", {"revision": {"revisionType": "AppSpecContent"}}),
        ("InvalidRevisionException", {"revision": {"revisionType": "Tape"}}),
        ("RevisionDoesNotExistException", {
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": "0" * 64}}}),
        ("DeploymentConfigDoesNotExistException", {"deploymentConfigName": "nope"}),
        ("InvalidDeploymentConfigNameException", {"deploymentConfigName": "a b"}),
        ("InvalidDeploymentConfigNameException", {"deploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce"}),
        ("DescriptionTooLongException", {"description": "d" * 257}),
        ("InvalidAutoRollbackConfigException", {"autoRollbackConfiguration": {"enabled": True, "events": []}}),
        ("InvalidAlarmConfigException", {"overrideAlarmConfiguration": alarms([])}),
        ("AlarmsLimitExceededException", {"overrideAlarmConfiguration": alarms([f"a{each}" for each in range(11)])}),
        ("InvalidFileExistsBehaviorException", {"fileExistsBehavior": "SHRUG"}),
        ("InvalidIgnoreApplicationStopFailuresValueException", {"ignoreApplicationStopFailures": True}),
        ("InvalidUpdateOutdatedInstancesOnlyValueException", {"updateOutdatedInstancesOnly": True}),
        ("InvalidTargetInstancesException", {"targetInstances": {"autoScalingGroups": ["asg"]}}),
        ("InvalidInputException", {"deploymentMode": "RESTART"}),
    ]
    for code, wrong in cases:
        with checks.check(f"a deployment is refused with {code} ({', '.join(wrong)})"):
            refused(code, create, **{**names, **wrong})
    with checks.check("a deployment without a group or a revision is refused"):
        refused("DeploymentGroupNameRequiredException", create,
                applicationName=shop.cluster, revision=names["revision"])
        refused("RevisionRequiredException", create, applicationName=shop.cluster, deploymentGroupName="web")
    with checks.check("a deployment that is not there is not there for any operation"):
        for operation, more in [
            (codedeploy.get_deployment, {}), (codedeploy.stop_deployment, {}), (codedeploy.continue_deployment, {}),
            (codedeploy.list_deployment_targets, {}), (codedeploy.get_deployment_target, {"targetId": "a:b"}),
            (codedeploy.batch_get_deployment_targets, {"targetIds": ["a:b"]}),
        ]:
            refused("DeploymentDoesNotExistException", operation, deploymentId="d-NEVERMADE", **more)
            refused("InvalidDeploymentIdException", operation, deploymentId="d-short", **more)
        refused("DeploymentIdRequiredException", codedeploy.continue_deployment)
        batch = codedeploy.batch_get_deployments
        refused("InvalidDeploymentIdException", batch, deploymentIds=["d-short"])
        refused("DeploymentIdRequiredException", batch, deploymentIds=[])
        refused("BatchLimitExceededException", batch, deploymentIds=["d-NEVERMADE"] * 26)
    with checks.check("listings are refused by name"):
        list_, web = codedeploy.list_deployments, {"applicationName": shop.cluster, "deploymentGroupName": "web"}
        refused("DeploymentGroupNameRequiredException", list_, applicationName=shop.cluster)
        refused("ApplicationNameRequiredException", list_, deploymentGroupName="web")
        refused("ApplicationDoesNotExistException", list_, applicationName="nope", deploymentGroupName="web")
        refused("DeploymentGroupDoesNotExistException", list_, applicationName=shop.cluster, deploymentGroupName="nope")
        refused("InvalidDeploymentStatusException", list_, includeOnlyStatuses=["Bored"], **web)
        refused("InvalidTimeRangeException", list_, createTimeRange={"start": 2, "end": 1}, **web)
        refused("InvalidNextTokenException", list_, nextToken="nonsense", **web)
    with checks.check("targets are refused by name"):
        (over, *_) = codedeploy.list_deployments(applicationName=shop.cluster, deploymentGroupName="web")["deployments"]
        get, batch = codedeploy.get_deployment_target, codedeploy.batch_get_deployment_targets
        refused("DeploymentTargetDoesNotExistException", get, deploymentId=over, targetId="other:service")
        refused("InvalidDeploymentTargetIdException", get, deploymentId=over, targetId="i-0123")
        refused("DeploymentTargetIdRequiredException", get, deploymentId=over, targetId="")
        refused("DeploymentTargetIdRequiredException", batch, deploymentId=over, targetIds=[])
        refused("DeploymentTargetDoesNotExistException", batch, deploymentId=over, targetIds=["other:service"])
        refused("DeploymentTargetListSizeExceededException", batch, deploymentId=over, targetIds=["a:b", "c:d"])
        list_ = codedeploy.list_deployment_targets
        refused("InvalidInstanceStatusException", list_, deploymentId=over, targetFilters={"TargetStatus": ["Bored"]})
        refused("InvalidInstanceTypeException", list_, deploymentId=over,
                targetFilters={"ServerInstanceLabel": ["Red"]})
        refused("InvalidTargetFilterNameException", list_, deploymentId=over, targetFilters={"Colour": ["Red"]})
        refused("InvalidNextTokenException", list_, deploymentId=over, nextToken="nonsense")


def waits(checks, shop):
    codedeploy = shop.codedeploy
    waiting = shop.group("waits")["blueGreenDeploymentConfiguration"]
    waiting["deploymentReadyOption"] = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}
    shop.made("waits", blueGreenDeploymentConfiguration=waiting)
    with checks.check("a deployment that waits is continued"):
        made = shop.deploy("waits", "web:2")
        refused("DeploymentIsNotInReadyStateException", codedeploy.continue_deployment,
                deploymentId=made, deploymentWaitType="TERMINATION_WAIT")
        shop.reaches(made, "Ready")
        refused("InvalidDeploymentWaitTypeException", codedeploy.continue_deployment,
                deploymentId=made, deploymentWaitType="LUNCH")
        codedeploy.continue_deployment(deploymentId=made, deploymentWaitType="READY_WAIT")
        shop.reaches(made, "Succeeded")
        refused("DeploymentAlreadyCompletedException", codedeploy.continue_deployment, deploymentId=made)
        refused("DeploymentAlreadyCompletedException", codedeploy.stop_deployment, deploymentId=made)
    with checks.check("one that nobody continues is stopped"):
        made = shop.deploy("waits", "web:3")
        stopped = shop.reaches(made, "Stopped")
        equal(stopped["errorInformation"], {
            "code": "TIMEOUT", "message": "The deployment timed out while waiting for a notification to continue. "
                                          "This time out period is 60 minutes."})
        equal(stopped["deploymentOverview"]["Failed"], 1)


def endings(checks, shop):
    codedeploy = shop.codedeploy
    waiting = shop.group("endings")["blueGreenDeploymentConfiguration"]
    waiting["deploymentReadyOption"] = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 60}
    shop.made("endings", blueGreenDeploymentConfiguration=waiting,
              autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]})
    with checks.check("a stopped deployment is rolled back by another"):
        made = shop.deploy("endings", "web:2")
        shop.reaches(made, "Ready")
        equal(codedeploy.stop_deployment(deploymentId=made, autoRollbackEnabled=True)["status"], "Pending")
        stopped = shop.reaches(made, "Stopped")
        equal(stopped["errorInformation"]["code"], "MANUAL_STOP")
        equal(codedeploy.stop_deployment(deploymentId=made)["status"], "Succeeded", "once it has stopped")
        rollback = stopped["rollbackInfo"]["rollbackDeploymentId"]
        equal(stopped["rollbackInfo"]["rollbackMessage"],
              f"Deployment {made} terminated. Automatic rollback is triggered with a DeploymentId {rollback}.")
        undone = shop.reaches(rollback, "Succeeded")
        equal((undone["creator"], undone["deploymentConfigName"]),
              ("codeDeployRollback", "CodeDeployDefault.ECSAllAtOnce"))
        equal(undone["rollbackInfo"]["rollbackTriggeringDeploymentId"], made)
        target = shop.target(made, "endings")["ecsTarget"]
        equal([event["status"] for event in target["lifecycleEvents"]], ["Succeeded"] * 3 + ["Skipped"] * 3)
        equal(target["status"], "Failed")
    with checks.check("a tag makes deployments fail, and they roll back"):
        arn = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:application:{shop.cluster}"
        codedeploy.tag_resource(ResourceArn=arn, Tags=[{"Key": "local:deploy", "Value": "fail"}])
        made = shop.deploy("endings", "web:3")
        codedeploy.untag_resource(ResourceArn=arn, TagKeys=["local:deploy"])
        failed = shop.reaches(made, "Failed")
        equal(failed["errorInformation"]["code"], "ECS_UPDATE_ERROR")
        shop.reaches(failed["rollbackInfo"]["rollbackDeploymentId"], "Succeeded")
    with checks.check("an AppSpec that cannot be read fails its deployment"):
        spec = {"revisionType": "AppSpecContent", "appSpecContent": {"content": "version: ["}}
        made = codedeploy.create_deployment(
            applicationName=shop.cluster, deploymentGroupName="endings", revision=spec)["deploymentId"]
        failed = shop.reaches(made, "Failed")
        equal(failed["errorInformation"]["code"], "INVALID_REVISION")
        assert "not well-formed yaml" in failed["errorInformation"]["message"]
        shop.reaches(failed["rollbackInfo"]["rollbackDeploymentId"], "Succeeded")
    with checks.check("a configuration in use stays"):
        name = f"used-{uuid.uuid4().hex[:8]}"
        codedeploy.create_deployment_config(
            deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig={"type": "AllAtOnce"})
        codedeploy.update_deployment_group(
            applicationName=shop.cluster, currentDeploymentGroupName="endings", deploymentConfigName=name)
        refused("DeploymentConfigInUseException", codedeploy.delete_deployment_config, deploymentConfigName=name)


def alarms(checks, shop, aws):
    cloudwatch, name = aws.client("cloudwatch"), f"errors-{uuid.uuid4().hex[:8]}"
    shop.made("alarms", alarmConfiguration={"enabled": True, "alarms": [{"name": name}]},
              autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]})
    with checks.check("an active alarm stops a deployment, which is rolled back"):
        cloudwatch.put_metric_alarm(
            AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, MetricName="5xx",
            Namespace="shop", Period=60, Statistic="Sum", Threshold=1)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="contract")
        stopped = shop.reaches(shop.deploy("alarms", "web:2"), "Stopped")
        equal(stopped["errorInformation"]["code"], "ALARM_ACTIVE")
        assert stopped["errorInformation"]["message"].endswith(f"Activated alarms: <{name}>")
        shop.reaches(stopped["rollbackInfo"]["rollbackDeploymentId"], "Succeeded")
    with checks.check("a deployment may go on without its group's alarms"):
        made = shop.deploy("alarms", "web:3", overrideAlarmConfiguration={"enabled": False})
        shop.reaches(made, "Succeeded")


def required(checks, shop, aws):
    """What is missing is said by name, though boto3 itself would not send it."""
    unchecked = botocore.config.Config(parameter_validation=False, retries={"total_max_attempts": 1})
    codedeploy = boto3.client(
        "codedeploy", endpoint_url=aws.endpoint, region_name=REGION, config=unchecked, aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret")
    application, group = "ApplicationNameRequiredException", "DeploymentGroupNameRequiredException"
    cases = [
        (application, "batch_get_application_revisions"), (application, "batch_get_applications"),
        (application, "batch_get_deployment_groups"), (application, "create_application"),
        (application, "create_deployment"), (application, "create_deployment_group"),
        (application, "delete_application"), (application, "delete_deployment_group"),
        (application, "get_application"), (application, "get_application_revision"),
        (application, "get_deployment_group"), (application, "list_application_revisions"),
        (application, "list_deployment_groups"), (application, "register_application_revision"),
        (application, "update_application"), (application, "update_deployment_group"),
        ("DeploymentConfigNameRequiredException", "create_deployment_config"),
        ("DeploymentConfigNameRequiredException", "delete_deployment_config"),
        ("DeploymentConfigNameRequiredException", "get_deployment_config"),
        ("DeploymentIdRequiredException", "batch_get_deployment_targets"),
        ("DeploymentIdRequiredException", "batch_get_deployments"),
        ("DeploymentIdRequiredException", "continue_deployment"), ("DeploymentIdRequiredException", "get_deployment"),
        ("DeploymentIdRequiredException", "get_deployment_target"),
        ("DeploymentIdRequiredException", "list_deployment_targets"),
        ("DeploymentIdRequiredException", "stop_deployment"),
        ("ResourceArnRequiredException", "list_tags_for_resource"), ("ResourceArnRequiredException", "tag_resource"),
        ("ResourceArnRequiredException", "untag_resource"),
    ]
    with checks.check("what is required is asked for by name"):
        for code, operation in cases:
            refused(code, getattr(codedeploy, operation))
        name = {"applicationName": shop.cluster}
        for operation in ["create_deployment", "create_deployment_group", "delete_deployment_group",
                          "get_deployment_group", "update_deployment_group"]:
            refused(group, getattr(codedeploy, operation), **name)
        without_role = {key: value for key, value in shop.group("free").items() if key != "serviceRoleArn"}
        refused("RoleRequiredException", codedeploy.create_deployment_group, **without_role)
        refused("RevisionRequiredException", codedeploy.register_application_revision, **name)
        refused("RevisionRequiredException", codedeploy.get_application_revision, **name)
    with checks.check("what is not emulated is refused by name"):
        s3 = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "k", "bundleType": "YAML"}}
        message = refused("NotEmulated", codedeploy.create_deployment, deploymentGroupName="web", revision=s3, **name)
        assert "S3" in message, message
        refused("NotEmulated", codedeploy.list_on_premises_instances)


def clean_up(checks, shop):
    with checks.check("an application goes with its groups"):
        shop.codedeploy.delete_application(applicationName=shop.cluster)
        refused("ApplicationDoesNotExistException", shop.codedeploy.list_deployment_groups,
                applicationName=shop.cluster)
