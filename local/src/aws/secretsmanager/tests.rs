use super::*;
use crate::aws::wire::testing::account;

const REGION: &str = "us-east-1";

fn ask(aws: &Aws, operation: &str, input: Value) -> Result<Value, String> {
    aws.ask("secretsmanager", REGION, operation, input).map_err(|failure| failure.message)
}

fn value(aws: &Aws, stage: &str) -> Result<String, String> {
    let answer = ask(aws, "GetSecretValue", json!({ "SecretId": "hook", "VersionStage": stage }))?;
    Ok(answer["SecretString"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn labels_move_as_aws_moves_them() {
    let aws = account();
    ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": "one" })).expect("created");
    let previous = "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS";
    assert_eq!(value(&aws, "AWSPREVIOUS"), Err(previous.to_owned()), "a new secret has no previous value");
    ask(&aws, "PutSecretValue", json!({ "SecretId": "hook", "SecretString": "two" })).expect("put");
    ask(&aws, "UpdateSecret", json!({ "SecretId": "hook", "SecretString": "three" })).expect("updated");
    #[rustfmt::skip]
    let cases = [
        // stage, expected, why
        ("AWSCURRENT", Ok("three"), "the newest"),
        ("AWSPREVIOUS", Ok("two"), "the one before; the first has no label any more"),
        ("AWSPENDING", Err("Secrets Manager can't find the specified secret value for staging label: AWSPENDING"),
         "no rotation"),
    ];
    for (stage, expected, why) in cases {
        assert_eq!(value(&aws, stage).as_deref().map_err(String::as_str), expected, "{why}");
    }
    let pending = "p".repeat(32);
    let mut put = json!({ "SecretId": "hook", "SecretString": "four", "ClientRequestToken": pending });
    put["VersionStages"] = json!([PENDING]);
    ask(&aws, "PutSecretValue", put).expect("put");
    assert_eq!(value(&aws, CURRENT).as_deref(), Ok("three"), "pending is not current");
    let current = ask(&aws, "GetSecretValue", json!({ "SecretId": "hook" })).expect("current")["VersionId"].clone();
    let mut finish = json!({ "SecretId": "hook", "VersionStage": CURRENT, "MoveToVersionId": pending });
    assert!(ask(&aws, "UpdateSecretVersionStage", finish.clone()).is_err(), "the holder has to be named");
    finish["RemoveFromVersionId"] = current;
    ask(&aws, "UpdateSecretVersionStage", finish).expect("moved");
    assert_eq!((value(&aws, CURRENT), value(&aws, PREVIOUS)), (Ok("four".into()), Ok("three".into())), "rotated");
}

#[tokio::test(start_paused = true)]
async fn a_secret_goes_by_its_name_and_its_arn() {
    let aws = account();
    let created = ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": "one" })).expect("created");
    let arn = created["ARN"].as_str().expect("an ARN").to_owned();
    #[rustfmt::skip]
    let cases = [
        ("hook",                       true,  "the name"),
        (arn.as_str(),                 true,  "the ARN"),
        (&arn[..arn.len() - 7],        true,  "without its six characters"),
        ("hoo",                        false, "a part of the name"),
        ("",                           false, "nothing"),
    ];
    for (id, expected, why) in cases {
        assert_eq!(ask(&aws, "DescribeSecret", json!({ "SecretId": id })).is_ok(), expected, "{why}");
    }
    assert!(
        aws.ask("secretsmanager", "eu-west-2", "DescribeSecret", json!({ "SecretId": "hook" })).is_err(),
        "another region"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_can_be_restored_for_a_while() {
    let aws = account();
    ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": "one" })).expect("created");
    ask(&aws, "DeleteSecret", json!({ "SecretId": "hook" })).expect("deleted");
    assert!(value(&aws, CURRENT).is_err(), "marked for deletion");
    ask(&aws, "RestoreSecret", json!({ "SecretId": "hook" })).expect("restored");
    assert_eq!(value(&aws, CURRENT).as_deref(), Ok("one"));
    ask(&aws, "DeleteSecret", json!({ "SecretId": "hook", "ForceDeleteWithoutRecovery": true })).expect("deleted");
    let gone = "Secrets Manager can't find the specified secret.";
    assert_eq!(value(&aws, CURRENT), Err(gone.to_owned()));
    ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": "two" })).expect("the name is free again");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_those_of_secrets_manager() {
    let aws = account();
    ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": "one", "Description": "d" })).expect("created");
    let token = "t".repeat(32);
    let put = json!({ "SecretId": "hook", "SecretString": "two", "ClientRequestToken": token });
    ask(&aws, "PutSecretValue", put).expect("put");
    let large = "x".repeat(LARGEST_VALUE_BYTES + 1);
    let clash = json!({
        "SecretId": "hook", "SecretString": "three", "ClientRequestToken": token, "Description": "new",
    });
    #[rustfmt::skip]
    let cases = [
        ("CreateSecret", json!({ "Name": "a b" }), "ValidationException", "a space"),
        ("CreateSecret", json!({ "Name": "new", "SecretString": large }), "ValidationException", "above 64 KiB"),
        ("UpdateSecret", clash, "ResourceExistsException", "another value under a token"),
        ("ListSecrets", json!({ "MaxResults": 101 }), "ValidationException", "a page has up to 100"),
        ("ListSecrets", json!({ "NextToken": "x" }), "InvalidNextTokenException", "no such token"),
        ("ListSecrets", json!({ "SortBy": "colour" }), "ValidationException", "nothing to sort by"),
        ("DeleteSecret", json!({ "SecretId": "nope" }), "ResourceNotFoundException", "nothing to delete"),
        ("RotateSecret", json!({ "SecretId": "hook" }), "NotEmulated", "named, not passed over"),
    ];
    for (operation, input, expected, why) in cases {
        let code = aws.ask("secretsmanager", REGION, operation, input).err().map(|failure| failure.code);
        assert_eq!(code.as_deref(), Some(expected), "{why}");
    }
    let secret = ask(&aws, "DescribeSecret", json!({ "SecretId": "hook" })).expect("described");
    assert_eq!(secret["Description"], "d", "a refused update changes nothing");
    let forced = json!({ "SecretId": "nope", "ForceDeleteWithoutRecovery": true });
    assert_eq!(ask(&aws, "DeleteSecret", forced).expect("no error")["Name"], "nope", "there or not");
}

#[tokio::test(start_paused = true)]
async fn listings_are_sorted_as_asked() {
    let aws = account();
    for name in ["b", "c", "a"] {
        ask(&aws, "CreateSecret", json!({ "Name": name, "SecretString": "x" })).expect("created");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    ask(&aws, "UpdateSecret", json!({ "SecretId": "b", "Description": "d" })).expect("updated");
    #[rustfmt::skip]
    let cases = [
        (json!({}),                                        ["b", "c", "a"], "by creation"),
        (json!({ "SortOrder": "desc" }),                   ["a", "c", "b"], "the newest first"),
        (json!({ "SortBy": "name" }),                      ["a", "b", "c"], "by name"),
        (json!({ "SortBy": "last-changed-date" }),         ["c", "a", "b"], "by change"),
    ];
    for (input, expected, why) in cases {
        let listed = ask(&aws, "ListSecrets", input).expect(why);
        let names: Vec<_> = listed["SecretList"].as_array().expect("a list").iter().map(|each| &each["Name"]).collect();
        assert_eq!(names, expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_secret_has_its_versions_and_its_end() {
    let aws = account();
    for value in ["one", "two"] {
        let made = ask(&aws, "CreateSecret", json!({ "Name": "hook", "SecretString": value }));
        made.or_else(|_| ask(&aws, "PutSecretValue", json!({ "SecretId": "hook", "SecretString": value })))
            .expect("a version");
    }
    ask(&aws, "CreateSecret", json!({ "Name": "old", "SecretBinary": "AAE=" })).expect("created");
    ask(&aws, "DeleteSecret", json!({ "SecretId": "old", "RecoveryWindowInDays": 7 })).expect("deleted");
    let saved = aws.0.secretsmanager.save();
    let next = Aws::new(aws.clock(), Default::default(), crate::faults::Faults::none(), 2).expect("an account");
    next.0.secretsmanager.restore(saved.clone()).expect("restored");
    assert_eq!(next.0.secretsmanager.save(), saved, "nothing is lost, and nothing added");
    assert_eq!((value(&next, CURRENT), value(&next, PREVIOUS)), (Ok("two".into()), Ok("one".into())));
    let runner = next.clone();
    let running = tokio::spawn(async move { runner.run().await });
    tokio::time::sleep(std::time::Duration::from_secs(7 * 24 * 60 * 60 + 1)).await;
    assert!(ask(&next, "DescribeSecret", json!({ "SecretId": "old" })).is_err(), "its seven days are over");
    running.abort();
    assert!(next.0.secretsmanager.restore(json!({})).is_err());
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_listed_is_there() {
    let aws = account();
    let listed = aws.operations()["secretsmanager"].clone();
    assert!(listed.is_sorted());
    for operation in listed {
        let code = aws.ask("secretsmanager", REGION, operation, json!({})).err().map(|failure| failure.code);
        assert_ne!(code.as_deref(), Some("NotEmulated"), "{operation}");
    }
}
