//! DynamoDB: dynoxide, embedded, one database per region.
//!
//! Expressions, conditions and transactions are its own. What is added here is the table from operation names to
//! its functions, the error class of requests that do not parse, and the passing of time, which deletes what expired.

use super::{Aws, Call, Failure, Service, lock};
use crate::clock::Clock;
use dynoxide::{Database, DynoxideError};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How often expired items are deleted, in seconds. AWS takes days, so nothing may depend on it.
const SWEEP_SECONDS: i64 = 60;

/// The tables of the account.
pub struct DynamoDb {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    regions: BTreeMap<String, Region>,
    next_sweep: Timestamp,
}

#[derive(Clone)]
struct Region {
    database: Database,
    /// Tables with point-in-time recovery, which dynoxide does not keep.
    backed_up: Arc<Mutex<BTreeMap<String, Timestamp>>>,
}

impl DynamoDb {
    /// An empty DynamoDB, whose tables tell the time by `clock`.
    ///
    /// # Errors
    /// When a database cannot be opened: it would be the same for every region, so it shows here.
    pub(crate) fn new(clock: Clock) -> Result<Self, Failure> {
        open(clock).map_err(|error| failure(&error))?;
        let next_sweep = later(clock.now());
        Ok(Self { clock, state: Mutex::new(State { regions: BTreeMap::new(), next_sweep }) })
    }

    /// Runs one operation, bytes in and bytes out, and says which HTTP status it has.
    pub(crate) fn answer(&self, _aws: &Aws, region: &str, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
        match self.run(region, operation, body) {
            Ok(answer) => (200, answer.into_bytes()),
            Err(Refusal::Dynoxide(error)) => (error.status_code(), error.to_json().into_bytes()),
            Err(Refusal::Other(failure)) => {
                tracing::warn!(service = "dynamodb", operation, code = failure.code, "refused");
                let kind = format!("com.amazonaws.dynamodb.v20120810#{}", failure.code);
                let body = json!({ "__type": kind, "message": failure.message });
                (failure.status, body.to_string().into_bytes())
            }
        }
    }

    fn region(&self, region: &str) -> Result<Region, Refusal> {
        let mut state = lock(&self.state);
        if let Some(found) = state.regions.get(region) {
            return Ok(found.clone());
        }
        let opened = Region { database: open(self.clock)?, backed_up: Arc::default() };
        state.regions.insert(region.to_owned(), opened.clone());
        Ok(opened)
    }

    fn run(&self, region: &str, operation: &str, body: &[u8]) -> Result<String, Refusal> {
        let region = self.region(region)?;
        let body = std::str::from_utf8(body)
            .map_err(|_| DynoxideError::SerializationException("The body is not UTF-8.".to_owned()))?;
        if let Some(answer) = backups(&region, operation, body, self.clock.now()) {
            return answer;
        }
        dispatch(&region.database, operation, body)
    }
}

impl Service for DynamoDb {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let answer = self.run(&call.region, &call.operation, call.input.to_string().as_bytes());
        let text = answer.map_err(|refusal| match refusal {
            Refusal::Dynoxide(error) => failure(&error),
            Refusal::Other(failure) => failure,
        })?;
        serde_json::from_str(&text).map_err(|error| internal(&error))
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        (!state.regions.is_empty()).then_some(state.next_sweep)
    }

    fn advance(&self, _aws: &Aws, now: Timestamp) {
        let databases: Vec<_> = {
            let mut state = lock(&self.state);
            state.next_sweep = later(now);
            state.regions.values().map(|region| region.database.clone()).collect()
        };
        for database in databases {
            match database.sweep_ttl() {
                Ok(0) => {}
                Ok(deleted) => tracing::debug!(deleted, "expired items were deleted"),
                Err(error) => tracing::warn!(%error, "expired items could not be deleted"),
            }
        }
    }
}

/// Why an operation did not run: the engine says so, or it never got there.
enum Refusal {
    Dynoxide(DynoxideError),
    Other(Failure),
}

impl From<DynoxideError> for Refusal {
    fn from(error: DynoxideError) -> Self {
        Self::Dynoxide(error)
    }
}

fn open(clock: Clock) -> Result<Database, DynoxideError> {
    Database::memory_with_clock(Arc::new(clock))
}

/// Every operation is one row: parse, call, print.
fn dispatch(database: &Database, operation: &str, body: &str) -> Result<String, Refusal> {
    macro_rules! rows {
        ($($name:literal => $function:ident,)*) => {
            match operation {
                $($name => {
                    let request = serde_json::from_str(body).map_err(|error| unreadable(operation, &error))?;
                    let answer = database.$function(request)?;
                    serde_json::to_string(&answer).map_err(|error| Refusal::Other(internal(&error)))
                })*
                _ => Err(Refusal::Other(Failure::not_emulated("dynamodb", operation))),
            }
        };
    }
    rows! {
        "BatchExecuteStatement" => batch_execute_statement,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "ExecuteStatement" => execute_statement,
        "ExecuteTransaction" => execute_transaction,
        "GetItem" => get_item,
        "ListTables" => list_tables,
        "ListTagsOfResource" => list_tags_of_resource,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TagResource" => tag_resource,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UntagResource" => untag_resource,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    }
}

/// Point-in-time recovery: a switch that remembers its position. `None` for every other operation.
fn backups(region: &Region, operation: &str, body: &str, now: Timestamp) -> Option<Result<String, Refusal>> {
    let is_update = match operation {
        "UpdateContinuousBackups" => true,
        "DescribeContinuousBackups" => false,
        _ => return None,
    };
    let run = || {
        let input: Value = serde_json::from_str(body).map_err(|error| unreadable(operation, &error))?;
        let table = input["TableName"].as_str().unwrap_or_default().to_owned();
        if region.database.get_table_metadata(&table)?.is_none() {
            let failure = Failure::sender("TableNotFoundException", format!("Table not found: {table}"));
            return Err(Refusal::Other(failure));
        }
        let mut backed_up = lock(&region.backed_up);
        match input["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"].as_bool() {
            Some(true) if is_update => {
                backed_up.entry(table.clone()).or_insert(now);
            }
            Some(false) if is_update => {
                backed_up.remove(&table);
            }
            _ => {}
        }
        let recovery = match backed_up.get(&table) {
            Some(since) => json!({
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": 35,
                "EarliestRestorableDateTime": since.as_second(),
                "LatestRestorableDateTime": now.as_second(),
            }),
            None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
        };
        let description = json!({ "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery });
        Ok(json!({ "ContinuousBackupsDescription": description }).to_string())
    };
    Some(run())
}

/// The error of a request that dynoxide's types do not read.
///
/// Their deserialisers put the class of the error before its sentence. dynoxide's own reader of those marks is
/// private, so this follows it.
fn unreadable(operation: &str, error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let sentence = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    let is_enveloped = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
    let error = if let Some(sentence) = sentence.strip_prefix("VALIDATION_REQUEST:") {
        let envelope = if is_enveloped { "1 validation error detected: " } else { "" };
        DynoxideError::ValidationException(format!("{envelope}{sentence}"))
    } else if let Some(sentence) = sentence.strip_prefix("VALIDATION_AS_READ:").or(sentence.strip_prefix("VALIDATION:"))
    {
        DynoxideError::ValidationException(sentence.to_owned())
    } else if let Some(sentence) =
        sentence.strip_prefix("SERIALIZATION_AS_READ:").or(sentence.strip_prefix("SERIALIZATION:"))
    {
        DynoxideError::SerializationException(sentence.to_owned())
    } else if [
        "missing field",
        "unknown variant",
        "invalid type: null",
        "Supplied AttributeValue",
        "empty AttributeValue",
    ]
    .iter()
    .any(|mark| sentence.contains(mark))
    {
        DynoxideError::ValidationException(sentence.to_owned())
    } else {
        DynoxideError::SerializationException(sentence.to_owned())
    };
    Refusal::Dynoxide(error)
}

fn failure(error: &DynoxideError) -> Failure {
    let code = error.error_type().rsplit('#').next().unwrap_or_default().to_owned();
    Failure { code, message: error.to_string(), status: error.status_code() }
}

fn internal(error: &serde_json::Error) -> Failure {
    Failure { code: "InternalServerError".to_owned(), message: error.to_string(), status: 500 }
}

fn later(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(SWEEP_SECONDS)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (status, &body["Item"]["pk"]["S"]),
            (400, &json!("a")),
            "the item that was there comes with the error"
        );
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
        let count = || {
            aws.ask("dynamodb", "us-east-1", "Scan", json!({ "TableName": "ledger" })).expect("scan")["Count"].clone()
        };
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        assert_eq!(count(), 1, "not yet");
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(count(), 0, "swept");
        running.abort();
    }
}
