use super::*;

fn table() -> Value {
    json!({
        "TableName": "ledger",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

#[tokio::test(start_paused = true)]
async fn errors_keep_their_class_and_their_parts() {
    let aws = crate::aws::wire::testing::account();
    aws.ask("dynamodb", "us-east-1", "CreateTable", table()).expect("created");
    let item = json!({ "TableName": "ledger", "Item": { "pk": { "S": "a" } },
        "ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD" });
    #[rustfmt::skip]
    let cases = [
        // region, operation, input, expected, why
        ("us-east-1", "PutItem", item.clone(), None, "the first"),
        ("us-east-1", "PutItem", item.clone(), Some("ConditionalCheckFailedException"), "the second"),
        ("eu-west-2", "PutItem", item.clone(), Some("ResourceNotFoundException"), "tables are per region"),
        ("us-east-1", "PutItem", json!({ "TableName": "ledger" }), Some("ValidationException"), "no item"),
        ("us-east-1", "GetItem", json!({ "TableName": 5 }), Some("SerializationException"),
         "a number for a string"),
        ("us-east-1", "CreateBackup", json!({}), Some("NotEmulated"), "not here"),
        ("us-east-1", "DescribeContinuousBackups", json!({ "TableName": "nope" }), Some("TableNotFoundException"),
         "no such table"),
    ];
    for (region, operation, input, expected, why) in cases {
        let code = aws.ask("dynamodb", region, operation, input).err().map(|failure| failure.code);
        assert_eq!(code.as_deref(), expected, "{why}");
    }
    let (status, body) = aws.dynamodb().answer(&aws, "us-east-1", "PutItem", item.to_string().as_bytes());
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &body["Item"]["pk"]["S"]), (400, &json!("a")), "the item that was there comes with the error");
}

#[tokio::test(start_paused = true)]
async fn a_table_lives_in_its_region_and_account() {
    let aws = crate::aws::wire::testing::account();
    let arn = "arn:aws:dynamodb:eu-west-2:123456789012:table/ledger";
    let ask = |operation: &str, input: Value| aws.ask("dynamodb", "eu-west-2", operation, input);
    assert_eq!(ask("CreateTable", table()).expect("created")["TableDescription"]["TableArn"], arn);
    let tags = json!({ "ResourceArn": arn, "Tags": [{ "Key": "a", "Value": "1" }] });
    ask("TagResource", tags).expect("found by its ARN");
    let other = json!({ "ResourceArn": format!("{arn}-2") });
    let refusal = ask("ListTagsOfResource", other).expect_err("no such table");
    assert_eq!(refusal.code, "AccessDeniedException", "DynamoDB does not say whether it exists");
    assert!(refusal.message.contains("arn:aws:iam::123456789012:root"), "{}", refusal.message);
    let foreign = "arn:aws:dynamodb:dynoxide:000000000000:table/ledger";
    ask("PutItem", json!({ "TableName": "ledger", "Item": { "pk": { "S": foreign } } })).expect("put");
    let items = ask("Scan", json!({ "TableName": "ledger" })).expect("scanned");
    assert_eq!(items["Items"][0]["pk"]["S"], foreign, "what a caller wrote is the caller's");
}

#[tokio::test(start_paused = true)]
async fn expiry_is_not_switched_to_where_it_is() {
    let aws = crate::aws::wire::testing::account();
    aws.ask("dynamodb", "us-east-1", "CreateTable", table()).expect("created");
    #[rustfmt::skip]
    let cases = [
        (false, "until", Some("TimeToLive is already disabled"),  "it is off at first"),
        (true,  "until", None,                                    "on"),
        (true,  "until", Some("TimeToLive is already enabled"),   "on again"),
        (true,  "other", Some("TimeToLive is already enabled with a different attribute name"), "elsewhere"),
        (false, "until", None,                                    "off"),
    ];
    for (enabled, name, expected, why) in cases {
        let input = json!({
            "TableName": "ledger", "TimeToLiveSpecification": { "Enabled": enabled, "AttributeName": name },
        });
        let refused = aws.ask("dynamodb", "us-east-1", "UpdateTimeToLive", input).err();
        assert_eq!(refused.map(|failure| failure.message).as_deref(), expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_expired_is_deleted_as_time_passes() {
    let aws = crate::aws::wire::testing::account();
    aws.ask("dynamodb", "us-east-1", "CreateTable", table()).expect("created");
    let ttl = json!({ "Enabled": true, "AttributeName": "until" });
    aws.ask(
        "dynamodb",
        "us-east-1",
        "UpdateTimeToLive",
        json!({ "TableName": "ledger", "TimeToLiveSpecification": ttl }),
    )
    .expect("switched on");
    let until = (aws.clock().now().as_second() + 30).to_string();
    let item = json!({ "pk": { "S": "a" }, "until": { "N": until } });
    aws.ask("dynamodb", "us-east-1", "PutItem", json!({ "TableName": "ledger", "Item": item })).expect("put");
    let runner = aws.clone();
    let running = tokio::spawn(async move { runner.run().await });
    let count =
        || aws.ask("dynamodb", "us-east-1", "Scan", json!({ "TableName": "ledger" })).expect("scan")["Count"].clone();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(count(), 1, "not yet");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(count(), 0, "swept");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn backups_are_as_long_as_asked_and_end_with_their_table() {
    let aws = crate::aws::wire::testing::account();
    let ask = |operation: &str, input: Value| {
        aws.ask("dynamodb", "us-east-1", operation, input).map_err(|failure| failure.code)
    };
    let update = |specification: Value| {
        ask(
            "UpdateContinuousBackups",
            json!({
                "TableName": "ledger", "PointInTimeRecoverySpecification": specification,
            }),
        )
    };
    ask("CreateTable", table()).expect("created");
    #[rustfmt::skip]
    let cases = [
        (json!(null),                                                                  "nothing said"),
        (json!({ "RecoveryPeriodInDays": 7 }),                                         "neither on nor off"),
        (json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 36 }),    "35 days at most"),
        (json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 0 }),     "a day at least"),
    ];
    for (specification, why) in cases {
        assert_eq!(update(specification).err().as_deref(), Some("ValidationException"), "{why}");
    }
    update(json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7 })).expect("on");
    let arn = json!({ "TableName": "arn:aws:dynamodb:us-east-1:123456789012:table/ledger" });
    let state = |input: &Value| {
        let shown = ask("DescribeContinuousBackups", input.clone()).expect("shown");
        shown["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone()
    };
    assert_eq!(state(&arn)["RecoveryPeriodInDays"], 7, "a table goes by its ARN too");
    ask("DeleteTable", json!({ "TableName": "ledger" })).expect("deleted");
    ask("CreateTable", table()).expect("created");
    let off = json!({ "PointInTimeRecoveryStatus": "DISABLED" });
    assert_eq!(state(&json!({ "TableName": "ledger" })), off, "another table of the same name");
}

/// A folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_table_has_its_items_and_its_settings() {
    let folder = Folder::new("dynamodb");
    let aws = crate::aws::wire::testing::account();
    let put = |aws: &Aws, pk: &str| {
        let until = (aws.clock().now().as_second() + 30).to_string();
        let item = json!({ "pk": { "S": pk }, "n": { "N": "12345678901234567890.5" }, "until": { "N": until } });
        aws.ask("dynamodb", "us-east-1", "PutItem", json!({ "TableName": "ledger", "Item": item })).expect("put");
    };
    let describe = |aws: &Aws| {
        aws.ask("dynamodb", "us-east-1", "DescribeTable", json!({ "TableName": "ledger" })).expect("a table")
    };
    let scan = |aws: &Aws| {
        aws.ask("dynamodb", "us-east-1", "Scan", json!({ "TableName": "ledger" })).expect("scanned")["Items"].clone()
    };
    for (operation, more) in [
        ("CreateTable", table()),
        ("UpdateTimeToLive", json!({ "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "until" } })),
        (
            "UpdateContinuousBackups",
            json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } }),
        ),
    ] {
        let mut input = more;
        input["TableName"] = json!("ledger");
        aws.ask("dynamodb", "us-east-1", operation, input).expect(operation);
    }
    put(&aws, "a");
    aws.ask("dynamodb", "eu-west-2", "CreateTable", table()).expect("created");
    aws.dynamodb().save(&folder.0).expect("saved");
    let saved = aws.dynamodb().save(&folder.0).expect("saved over what was there");
    let (before, items) = (describe(&aws), scan(&aws));
    put(&aws, "b");
    let next = Aws::new(aws.clock(), Default::default(), crate::faults::Faults::none(), 2).expect("an account");
    next.dynamodb().restore(saved.clone(), &folder.0).expect("restored");
    assert_eq!((describe(&next), scan(&next)), (before, items), "as it was saved, its id and its age too");
    assert_eq!(next.dynamodb().save(&folder.0).expect("saved"), saved, "nothing is lost, and nothing added");
    put(&next, "c");
    let runner = next.clone();
    let running = tokio::spawn(async move { runner.run().await });
    tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    assert_eq!(scan(&next), json!([]), "what expires is still swept, by the account's clock");
    running.abort();
    std::fs::remove_file(database_path(&folder.0, "eu-west-2")).expect("removed");
    assert!(next.dynamodb().restore(saved, &folder.0).is_err(), "a file is missing");
    put(&next, "d");
    assert_eq!(scan(&next)[0]["pk"]["S"], "d", "and nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_listed_is_there() {
    let aws = crate::aws::wire::testing::account();
    assert!(OPERATIONS.is_sorted());
    for operation in OPERATIONS {
        let code = aws.ask("dynamodb", "us-east-1", operation, json!({})).err().map(|failure| failure.code);
        assert_ne!(code.as_deref(), Some("NotEmulated"), "{operation}");
    }
}
