//! DynamoDB: dynoxide, embedded, one database per region.
//!
//! Expressions, conditions and transactions are its own. What is added here is the table from operation names to
//! its functions, the error class of requests that do not parse, and the passing of time, which deletes what expired.

use super::{ACCOUNT, Aws, Call, Failure, Service, lock};
use crate::clock::Clock;
use dynoxide::streams::{LOCAL_ACCOUNT, LOCAL_REGION};
use dynoxide::{Database, DynoxideError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How often expired items are deleted, in seconds. AWS takes days, so nothing may depend on it.
const SWEEP_SECONDS: i64 = 60;

/// What can be called: the rows of [`dispatch`] and the two of [`backups`].
const OPERATIONS: [&str; 26] = [
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "ExecuteStatement",
    "ExecuteTransaction",
    "GetItem",
    "ListTables",
    "ListTagsOfResource",
    "PutItem",
    "Query",
    "Scan",
    "SearchVectors",
    "TagResource",
    "TransactGetItems",
    "TransactWriteItems",
    "UntagResource",
    "UpdateContinuousBackups",
    "UpdateItem",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// The operations that tell the ARNs of tables, indexes and streams.
const TELL_ARNS: [&str; 4] = ["CreateTable", "DeleteTable", "DescribeTable", "UpdateTable"];

/// How far back a table can be restored unless it says otherwise, in days; the most that it can say.
const RECOVERY_DAYS: u64 = 35;

/// How far the latest moment that can be restored lies behind, in seconds.
/// Source: the DynamoDB API reference, PointInTimeRecoveryDescription: "typically 5 minutes".
const RECOVERY_LAG_SECONDS: i64 = 300;

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
    backed_up: Arc<Mutex<BTreeMap<String, Recovery>>>,
}

/// Point-in-time recovery of a table: since when, and for how long.
#[derive(Clone, Serialize, Deserialize)]
struct Recovery {
    since: Timestamp,
    days: u64,
}

/// What is saved beside the databases.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// By region: the tables that are backed up.
    regions: BTreeMap<String, BTreeMap<String, Recovery>>,
    next_sweep: Timestamp,
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

    /// Writes a database per region into `folder`, and returns the rest, for [`DynamoDb::restore`].
    ///
    /// The databases are copies as they are now: what happens later does not reach them. A file of the same name
    /// is replaced, so a folder of its own for each save keeps the last good one.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<Value> {
        let state = lock(&self.state);
        let mut regions = BTreeMap::new();
        for (name, region) in &state.regions {
            let path = database_path(folder, name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => region.database.vacuum_into(text(&path)?).map_err(io::Error::other)?,
            }
            regions.insert(name.clone(), lock(&region.backed_up).clone());
        }
        Ok(serde_json::to_value(Saved { regions, next_sweep: state.next_sweep })?)
    }

    /// Puts back what [`DynamoDb::save`] wrote. What expired meanwhile is deleted by the next sweep.
    ///
    /// Not among it are the tokens of transactions: one that is repeated within ten minutes, but after this, runs
    /// again.
    ///
    /// # Errors
    /// When a file is missing or is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value, folder: &Path) -> io::Result<()> {
        let saved: Saved = serde_json::from_value(saved)?;
        let mut regions = BTreeMap::new();
        for (name, backed_up) in saved.regions {
            let database = open(self.clock).map_err(io::Error::other)?;
            database.restore_from(text(&database_path(folder, &name))?).map_err(io::Error::other)?;
            regions.insert(name, Region { database, backed_up: Arc::new(Mutex::new(backed_up)) });
        }
        *lock(&self.state) = State { regions, next_sweep: saved.next_sweep };
        Ok(())
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

    fn run(&self, region_name: &str, operation: &str, body: &[u8]) -> Result<String, Refusal> {
        let region = self.region(region_name)?;
        let body = std::str::from_utf8(body)
            .map_err(|_| DynoxideError::SerializationException("The body is not UTF-8.".to_owned()))?;
        if let Some(answer) = backups(&region, operation, body, self.clock.now()) {
            return answer;
        }
        if operation == "UpdateTimeToLive" {
            check_expiry(&region.database, operation, body)?;
        }
        let answer = dispatch(&region.database, operation, body);
        if operation == "DeleteTable" {
            region.forget_deleted()?;
        }
        match answer {
            // No item is in these, so nothing that a caller wrote is touched.
            Ok(answer) if TELL_ARNS.contains(&operation) => Ok(at_home(&answer, region_name)),
            Err(Refusal::Dynoxide(DynoxideError::AccessDeniedException(message))) => {
                Err(DynoxideError::AccessDeniedException(at_home(&message, region_name)).into())
            }
            other => other,
        }
    }
}

impl Region {
    /// A table of the same name that is made later starts without backups.
    fn forget_deleted(&self) -> Result<(), Refusal> {
        let mut backed_up = lock(&self.backed_up);
        for table in backed_up.keys().cloned().collect::<Vec<_>>() {
            if self.database.get_table_metadata(&table)?.is_none() {
                backed_up.remove(&table);
            }
        }
        Ok(())
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

    fn operations(&self) -> &'static [&'static str] {
        &OPERATIONS
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

/// Where a region's database is saved. A region's name is of letters, digits and hyphens.
fn database_path(folder: &Path, region: &str) -> PathBuf {
    folder.join(format!("dynamodb-{region}.sqlite"))
}

fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))
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
        "SearchVectors" => search_vectors,
        "TagResource" => tag_resource,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UntagResource" => untag_resource,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    }
}

/// dynoxide has a region and an account of its own in every ARN: puts the right ones there.
fn at_home(text: &str, region: &str) -> String {
    let foreign = format!(":{LOCAL_REGION}:{LOCAL_ACCOUNT}:");
    text.replace(&foreign, &format!(":{region}:{ACCOUNT}:"))
        .replace(&format!("arn:aws:iam::{LOCAL_ACCOUNT}:"), &format!("arn:aws:iam::{ACCOUNT}:"))
}

/// Refuses to switch expiry to where it is: dynoxide takes that, DynamoDB does not.
fn check_expiry(database: &Database, operation: &str, body: &str) -> Result<(), Refusal> {
    let input: Value = serde_json::from_str(body).map_err(|error| unreadable(operation, &error))?;
    let Some(table) = database.get_table_metadata(input["TableName"].as_str().unwrap_or_default())? else {
        return Ok(());
    };
    let wanted = &input["TimeToLiveSpecification"];
    let is_same_attribute = table.ttl_attribute.as_deref() == wanted["AttributeName"].as_str();
    let sentence = match (wanted["Enabled"].as_bool(), table.ttl_enabled) {
        (Some(true), true) if is_same_attribute => "TimeToLive is already enabled",
        (Some(false), false) => "TimeToLive is already disabled",
        _ => return Ok(()),
    };
    Err(DynoxideError::ValidationException(sentence.to_owned()).into())
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
        let wanted =
            if is_update { Some(read_recovery(&input["PointInTimeRecoverySpecification"], now)?) } else { None };
        // A table goes by its ARN too.
        let table = input["TableName"].as_str().unwrap_or_default();
        let table = table.split_once(":table/").map_or(table, |(_, name)| name).to_owned();
        if region.database.get_table_metadata(&table)?.is_none() {
            let failure = Failure::sender("TableNotFoundException", format!("Table not found: {table}"));
            return Err(Refusal::Other(failure));
        }
        let mut backed_up = lock(&region.backed_up);
        match wanted {
            Some(Some(wanted)) => {
                // Switched on again, it goes on; only its length may be new.
                backed_up.entry(table.clone()).or_insert_with(|| wanted.clone()).days = wanted.days;
            }
            Some(None) => {
                backed_up.remove(&table);
            }
            None => {}
        }
        let recovery = match backed_up.get(&table) {
            Some(recovery) => recovery.show(now),
            None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
        };
        let description = json!({ "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery });
        Ok(json!({ "ContinuousBackupsDescription": description }).to_string())
    };
    Some(run())
}

/// What UpdateContinuousBackups asks for; `None` to switch it off.
fn read_recovery(specification: &Value, now: Timestamp) -> Result<Option<Recovery>, Refusal> {
    let refused = |reason: String| {
        let message = format!("1 validation error detected: {reason}");
        Refusal::Dynoxide(DynoxideError::ValidationException(message))
    };
    let at = "pointInTimeRecoverySpecification";
    let Some(is_enabled) = specification["PointInTimeRecoveryEnabled"].as_bool() else {
        let member = if specification.is_object() { ".pointInTimeRecoveryEnabled" } else { "" };
        let reason = format!("Value null at '{at}{member}' failed to satisfy constraint: Member must not be null");
        return Err(refused(reason));
    };
    let given = &specification["RecoveryPeriodInDays"];
    let days = if given.is_null() { Some(RECOVERY_DAYS) } else { given.as_u64() };
    let days = days.filter(|days| (1..=RECOVERY_DAYS).contains(days)).ok_or_else(|| {
        refused(format!(
            "Value '{given}' at '{at}.recoveryPeriodInDays' failed to satisfy constraint: Member must have value \
             between 1 and {RECOVERY_DAYS}, inclusive"
        ))
    })?;
    Ok(is_enabled.then_some(Recovery { since: now, days }))
}

impl Recovery {
    fn show(&self, now: Timestamp) -> Value {
        let before = |seconds| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(now).max(self.since);
        let kept_seconds = i64::try_from(self.days).unwrap_or(i64::MAX).saturating_mul(24 * 60 * 60);
        json!({
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": self.days,
            "EarliestRestorableDateTime": before(kept_seconds).as_second(),
            "LatestRestorableDateTime": before(RECOVERY_LAG_SECONDS).as_second(),
        })
    }
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
mod tests;
