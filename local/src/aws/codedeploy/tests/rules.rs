//! What is refused, in tables.

use super::*;

/// Sets the member at `path` (`a/b/0`); null takes it away.
fn with(mut value: Value, path: &str, new: Value) -> Value {
    let (parent, last) = path.rsplit_once('/').map_or(("", path), |(parent, last)| (parent, last));
    let pointer = if parent.is_empty() { String::new() } else { format!("/{parent}") };
    let holder = value.pointer_mut(&pointer).expect("the path");
    match holder {
        Value::Object(members) if new.is_null() => _ = members.remove(last),
        Value::Object(members) => _ = members.insert(last.to_owned(), new),
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = new,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => panic!("{path}"),
    }
    value
}

#[tokio::test(start_paused = true)]
async fn groups_are_refused_as_codedeploy_does() {
    const PAIR: &str = "loadBalancerInfo/targetGroupPairInfoList/0";
    const BLUE_GREEN: &str = "blueGreenDeploymentConfiguration";
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    ask(&aws, "DeleteDeploymentGroup", json!({ "applicationName": "shop", "deploymentGroupName": "web" }));
    let many_alarms: Vec<Value> = (0..11).map(|n| json!({ "name": format!("a{n}") })).collect();
    let under = |part: &str, key: &str| format!("{part}/{key}");
    #[rustfmt::skip]
    let cases: Vec<(String, Value, &str)> = vec![
        ("applicationName".into(), json!("nope"), "ApplicationDoesNotExistException"),
        ("applicationName".into(), json!(""), "ApplicationNameRequiredException"),
        ("applicationName".into(), json!("a b"), "InvalidApplicationNameException"),
        ("deploymentGroupName".into(), json!(""), "DeploymentGroupNameRequiredException"),
        ("deploymentGroupName".into(), json!("a/b"), "InvalidDeploymentGroupNameException"),
        ("deploymentConfigName".into(), json!("nope"), "DeploymentConfigDoesNotExistException"),
        ("deploymentConfigName".into(), json!("CodeDeployDefault.LambdaAllAtOnce"), "InvalidDeploymentConfigNameException"),
        ("serviceRoleArn".into(), json!(null), "RoleRequiredException"),
        ("serviceRoleArn".into(), json!("deploy"), "InvalidRoleException"),
        ("autoScalingGroups".into(), json!(["asg"]), "InvalidAutoScalingGroupException"),
        ("ec2TagFilters".into(), json!([{ "Key": "a" }]), "InvalidEC2TagException"),
        ("onPremisesInstanceTagFilters".into(), json!([{ "Key": "a" }]), "InvalidTagException"),
        ("deploymentStyle".into(), json!(null), "InvalidDeploymentStyleException"),
        ("deploymentStyle/deploymentType".into(), json!("IN_PLACE"), "InvalidDeploymentStyleException"),
        (BLUE_GREEN.into(), json!(null), "InvalidBlueGreenDeploymentConfigurationException"),
        (under(BLUE_GREEN, "terminateBlueInstancesOnDeploymentSuccess/terminationWaitTimeInMinutes"), json!(2_881), "InvalidBlueGreenDeploymentConfigurationException"),
        (under(BLUE_GREEN, "deploymentReadyOption/actionOnTimeout"), json!("STOP_DEPLOYMENT"), "InvalidBlueGreenDeploymentConfigurationException"),
        (under(BLUE_GREEN, "deploymentReadyOption/waitTimeInMinutes"), json!(5), "InvalidBlueGreenDeploymentConfigurationException"),
        ("loadBalancerInfo".into(), json!(null), "InvalidLoadBalancerInfoException"),
        ("loadBalancerInfo/elbInfoList".into(), json!([{ "name": "elb" }]), "InvalidLoadBalancerInfoException"),
        ("loadBalancerInfo/targetGroupInfoList".into(), json!([{ "name": "one" }]), "InvalidLoadBalancerInfoException"),
        ("loadBalancerInfo/targetGroupPairInfoList".into(), json!([]), "InvalidTargetGroupPairException"),
        (under(PAIR, "targetGroups"), json!([{ "name": "one" }]), "InvalidTargetGroupPairException"),
        (under(PAIR, "targetGroups"), json!([{ "name": "one" }, { "name": "one" }]), "InvalidTargetGroupPairException"),
        (under(PAIR, "prodTrafficRoute"), json!(null), "InvalidTargetGroupPairException"),
        ("ecsServices".into(), json!(null), "InvalidECSServiceException"),
        ("ecsServices/0/clusterName".into(), json!(null), "InvalidECSServiceException"),
        ("ecsServices/0/serviceName".into(), json!("nope"), "InvalidECSServiceException"),
        ("alarmConfiguration".into(), json!({ "enabled": true }), "InvalidAlarmConfigException"),
        ("alarmConfiguration".into(), json!({ "enabled": true, "alarms": [{ "name": "a" }, { "name": "a" }] }), "InvalidAlarmConfigException"),
        ("alarmConfiguration".into(), json!({ "enabled": true, "alarms": many_alarms }), "AlarmsLimitExceededException"),
        ("autoRollbackConfiguration".into(), json!({ "enabled": true }), "InvalidAutoRollbackConfigException"),
        ("autoRollbackConfiguration".into(), json!({ "enabled": true, "events": ["X"] }), "InvalidAutoRollbackConfigException"),
        ("triggerConfigurations".into(), json!([{ "triggerName": "t" }]), "InvalidTriggerConfigException"),
        ("tags".into(), json!([{ "Key": "aws:x", "Value": "" }]), "InvalidTagsToAddException"),
    ];
    for (path, value, code) in cases {
        let input = with(group("CodeDeployDefault.ECSAllAtOnce"), &path, value.clone());
        assert_eq!(refusal(&aws, "CreateDeploymentGroup", input), code, "{path} = {value}");
    }
    let network = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:listener/net/shop/1/2");
    let listeners = format!("{PAIR}/prodTrafficRoute/listenerArns");
    let input = with(group("CodeDeployDefault.ECSCanary10Percent5Minutes"), &listeners, json!([network]));
    assert_eq!(refusal(&aws, "CreateDeploymentGroup", input), "InvalidTrafficRoutingConfigurationException");
    ask(&aws, "CreateDeploymentGroup", group("CodeDeployDefault.ECSAllAtOnce"));
    let again = group("CodeDeployDefault.ECSAllAtOnce");
    assert_eq!(refusal(&aws, "CreateDeploymentGroup", again.clone()), "DeploymentGroupAlreadyExistsException");
    let other = with(again, "deploymentGroupName", json!("other"));
    assert_eq!(refusal(&aws, "CreateDeploymentGroup", other), "ECSServiceMappingLimitExceededException");
}

#[test]
fn predefined_configurations_are_those_of_aws() {
    let names: Vec<&str> = super::super::configs::names();
    assert_eq!(names.len(), 17);
    assert!(names.is_sorted(), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn configurations_have_bounds() {
    let canary = |percent: u32, minutes: u32| json!({ "type": "TimeBasedCanary", "timeBasedCanary": { "canaryPercentage": percent, "canaryInterval": minutes } });
    let linear = |percent: u32, minutes: u32| json!({ "type": "TimeBasedLinear", "timeBasedLinear": { "linearPercentage": percent, "linearInterval": minutes } });
    #[rustfmt::skip]
    let cases = [
        // routing,                      accepted, why
        (canary(10, 5),                  true,     "like a predefined one"),
        (canary(99, 2_880),              true,     "both bounds"),
        (canary(100, 5),                 false,    "99 at most"),
        (canary(0, 5),                   false,    "1 at least"),
        (canary(10, 0),                  false,    "some time must pass"),
        (canary(10, 2_881),              false,    "two days at most"),
        (linear(10, 320),                true,     "nine waits of 320 minutes are two days"),
        (linear(10, 321),                false,    "and nine of 321 are more"),
        (json!({ "type": "AllAtOnce" }), true,     "nothing more to say"),
        (json!({ "type": "Sideways" }),  false,    "no such type"),
        (json!(null),                    false,    "required for ECS"),
    ];
    for (index, (routing, is_accepted, why)) in cases.into_iter().enumerate() {
        let aws = account(Pace::Fast);
        let mut input = json!({ "deploymentConfigName": format!("c{index}"), "computePlatform": "ECS" });
        if !routing.is_null() {
            input["trafficRoutingConfig"] = routing.clone();
        }
        let answer = aws.ask("codedeploy", HOME, "CreateDeploymentConfig", input);
        match answer {
            Ok(_) => assert!(is_accepted, "{routing}: {why}"),
            Err(refusal) => {
                assert!(!is_accepted, "{routing}: {why}");
                assert_eq!(refusal.code, "InvalidTrafficRoutingConfigurationException", "{routing}: {why}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_limits() {
    let aws = account(Pace::Fast);
    let role = format!("arn:aws:iam::{ACCOUNT}:role/deploy");
    let all_at_once = json!({ "type": "AllAtOnce" });
    #[rustfmt::skip]
    let cases = [
        ("CreateApplication",      1_000, "applicationName",      json!({}),
         "ApplicationLimitExceededException"),
        ("CreateDeploymentGroup",  1_000, "deploymentGroupName",  json!({ "applicationName": "a1", "serviceRoleArn": role }),
         "DeploymentGroupLimitExceededException"),
        ("CreateDeploymentConfig", 50,    "deploymentConfigName", json!({ "computePlatform": "ECS", "trafficRoutingConfig": all_at_once }),
         "DeploymentConfigLimitExceededException"),
    ];
    for (operation, limit, name, input, code) in cases {
        for number in 0..limit {
            ask(&aws, operation, with(input.clone(), name, json!(format!("a{number}"))));
        }
        assert_eq!(refusal(&aws, operation, with(input, name, json!("one-more"))), code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_emulated_is_refused_by_name() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/deploy");
    ask(&aws, "CreateApplication", json!({ "applicationName": "fleet" }));
    ask(
        &aws,
        "CreateDeploymentGroup",
        json!({
            "applicationName": "fleet", "deploymentGroupName": "web", "serviceRoleArn": role,
        }),
    );
    let s3 = json!({ "revisionType": "S3", "s3Location": { "bucket": "b", "key": "k", "bundleType": "YAML" } });
    let hooked = order(&aws, "web:2")["revision"]["appSpecContent"]["content"].as_str().unwrap().to_owned();
    let hooked = hooked.replacen('{', r#"{"Hooks":[{"AfterInstall":"check"}],"#, 1);
    let hooked = json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": hooked } });
    for (part, value, name) in
        [("applicationName", json!("fleet"), "Server"), ("revision", s3, "S3"), ("revision", hooked, "AfterInstall")]
    {
        let input = with(order(&aws, "web:2"), part, value);
        let refusal = aws.ask("codedeploy", HOME, "CreateDeployment", input).unwrap_err();
        assert_eq!((refusal.code.as_str(), refusal.status), ("NotEmulated", 501), "{name}");
        assert!(refusal.message.contains(name), "{name}: {}", refusal.message);
    }
    assert_eq!(refusal(&aws, "RegisterOnPremisesInstance", json!({})), "NotEmulated");
}

#[test]
fn operations_are_in_order() {
    assert!(super::super::OPERATIONS.is_sorted());
}
