//! DynamoDB: one table, read and written as JSON objects under a version.

use super::{AwsConfig, CallError, client};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeSet, HashMap};

/// The attribute that counts an item's writes.
pub const VERSION: &str = "item_version";
/// The attribute that DynamoDB's time to live reads: epoch seconds. It deletes days late, so nothing relies on it.
pub const EXPIRES: &str = "expires";
/// DynamoDB reads at most this many items in one batch.
const BATCH_ITEMS_MAX: usize = 100;
/// How often what a batch left unread is asked for again.
const BATCH_TURNS_MAX: usize = 8;

/// Names an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key of an item.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// An item's own attributes, without keys and version.
pub type Item = Map<String, Value>;

/// An item and the version that it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its name.
    pub key: Key,
    /// How often it was written.
    pub version: u64,
    /// What it holds.
    pub item: Item,
}

/// What must hold of an item for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It is not there.
    Absent,
    /// It was not written since.
    Version(u64),
    /// This attribute holds this text.
    Text(&'static str, String),
    /// Anything.
    Anything,
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub enum Write {
    /// Writes the whole item.
    Put(Key, Item, Expect),
    /// Takes it away.
    Delete(Key, Expect),
    /// Writes nothing, but holds the others back unless it is so.
    Check(Key, Expect),
}

/// Why a write did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What was expected does not hold; nothing was written.
    #[error("an item changed in the meantime")]
    Conflict,
    /// The table did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// One page of a query.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The items, in the order of their sort keys.
    pub items: Vec<Stored>,
    /// The sort key to go on after; `None` at the end.
    pub next: Option<String>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
}

impl Table {
    /// A client of the table `name`.
    pub fn new(config: &AwsConfig, name: String) -> Self {
        Self { client: client!(aws_sdk_dynamodb, config), name }
    }

    /// Opens the connection by asking for an item that is not there.
    ///
    /// # Errors
    /// [`CallError`] when the table cannot be reached.
    pub async fn warm(&self) -> Result<(), CallError> {
        self.get(&Key::new("warm", "warm")).await.map(drop)
    }

    /// Reads one item, as it is now (strongly consistent).
    ///
    /// # Errors
    /// [`CallError`] when the table does not answer.
    pub async fn get(&self, key: &Key) -> Result<Option<Stored>, CallError> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key_attributes(key)));
        let answer = request.consistent_read(true).send().await?;
        Ok(answer.item.map(stored))
    }

    /// Reads several items; those that are not there are left out. In the order of `keys`.
    ///
    /// # Errors
    /// [`CallError`] when the table does not answer.
    pub async fn get_all(&self, keys: &[Key]) -> Result<Vec<Stored>, CallError> {
        let mut found = HashMap::new();
        // DynamoDB refuses a batch that names an item twice.
        let distinct: Vec<Key> = keys.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        for chunk in distinct.chunks(BATCH_ITEMS_MAX) {
            let mut wanted = self.wanted(chunk);
            for _ in 0..BATCH_TURNS_MAX {
                let Some(request) = wanted.take() else { break };
                let batch = self.client.batch_get_item().request_items(&self.name, request);
                let answer = batch.send().await?;
                for item in answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default() {
                    let one = stored(item);
                    found.insert(one.key.clone(), one);
                }
                wanted = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            }
            if wanted.is_some() {
                return Err(CallError::Throttled { code: "Unprocessed".into(), message: "the table is busy".into() });
            }
        }
        Ok(keys.iter().filter_map(|key| found.get(key).cloned()).collect())
    }

    fn wanted(&self, keys: &[Key]) -> Option<KeysAndAttributes> {
        let mut builder = KeysAndAttributes::builder().consistent_read(true);
        for key in keys {
            builder = builder.keys(key_attributes(key));
        }
        builder.build().ok()
    }

    /// Reads a page of one partition, `limit` items at most, from `after` on (exclusive), newest last or `newest_first`.
    ///
    /// # Errors
    /// [`CallError`] when the table does not answer.
    pub async fn query(
        &self,
        pk: &str,
        after: Option<&str>,
        newest_first: bool,
        limit: i32,
    ) -> Result<Page, CallError> {
        let start = after.map(|sk| key_attributes(&Key::new(pk, sk)));
        let request = self.client.query().table_name(&self.name).key_condition_expression("pk = :pk");
        let answer = request
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .set_exclusive_start_key(start)
            .scan_index_forward(!newest_first)
            .consistent_read(true)
            .limit(limit)
            .send()
            .await?;
        let next = answer.last_evaluated_key.map(|key| text(&key, "sk"));
        Ok(Page { items: answer.items.unwrap_or_default().into_iter().map(stored).collect(), next })
    }

    /// The keys of the index `due` whose moment is not after `now` (epoch seconds), earliest first.
    ///
    /// # Errors
    /// [`CallError`] when the table does not answer.
    pub async fn due(&self, now: i64, limit: i32) -> Result<Vec<Key>, CallError> {
        let request = self.client.query().table_name(&self.name).index_name("due").limit(limit);
        let answer = request
            .key_condition_expression("due_pk = :open AND due_epoch <= :now")
            .expression_attribute_values(":open", AttributeValue::S("open".to_owned()))
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .send()
            .await?;
        Ok(answer.items.unwrap_or_default().into_iter().map(|item| stored(item).key).collect())
    }

    /// Makes all writes or none.
    ///
    /// After a lost reply the SDK sends a write again, which then meets its own first try as a
    /// [`WriteError::Conflict`]: whoever gets one loads again and decides again.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        self.write_across(vec![(self, writes)]).await
    }

    /// Makes all writes to several tables, or none.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn write_across(&self, parts: Vec<(&Table, Vec<Write>)>) -> Result<(), WriteError> {
        let mut transaction = self.client.transact_write_items();
        for (table, writes) in parts {
            for write in writes {
                transaction = transaction.transact_items(table.prepared(write).map_err(invalid)?);
            }
        }
        let Err(error) = transaction.send().await else { return Ok(()) };
        let is_conflict = error.as_service_error().is_some_and(|error| {
            // Throttled or conflicting parts cancel the whole too: every cancellation means "load and decide again".
            error.is_transaction_canceled_exception() || error.is_transaction_in_progress_exception()
        });
        if is_conflict { Err(WriteError::Conflict) } else { Err(CallError::from(error).into()) }
    }

    fn prepared(&self, write: Write) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match write {
            Write::Put(key, body, expect) => {
                let version = if let Expect::Version(version) = expect { version + 1 } else { 1 };
                let (condition, names, values) = condition(&expect);
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(attributes(&key, version, body)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                item.put(put.build()?).build()
            }
            Write::Delete(key, expect) => {
                let (condition, names, values) = condition(&expect);
                let delete = Delete::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_attributes(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                item.delete(delete.build()?).build()
            }
            Write::Check(key, expect) => {
                let (condition, names, values) = condition(&expect);
                let check = ConditionCheck::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_attributes(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values);
                item.condition_check(check.build()?).build()
            }
        })
    }
}

fn invalid(error: aws_sdk_dynamodb::error::BuildError) -> WriteError {
    WriteError::Call(CallError::Refused { code: "InvalidRequest".to_owned(), message: error.to_string() })
}

type Names = Option<HashMap<String, String>>;
type Values = Option<HashMap<String, AttributeValue>>;

fn condition(expect: &Expect) -> (Option<String>, Names, Values) {
    let name = |attribute: &str| Some([("#a".to_owned(), attribute.to_owned())].into());
    match expect {
        Expect::Absent => (Some("attribute_not_exists(pk)".to_owned()), None, None),
        Expect::Version(version) => {
            let values = [(":v".to_owned(), AttributeValue::N(version.to_string()))].into();
            (Some("#a = :v".to_owned()), name(VERSION), Some(values))
        }
        Expect::Text(attribute, wanted) => {
            let values = [(":v".to_owned(), AttributeValue::S(wanted.clone()))].into();
            (Some("#a = :v".to_owned()), name(attribute), Some(values))
        }
        Expect::Anything => (None, None, None),
    }
}

fn key_attributes(key: &Key) -> HashMap<String, AttributeValue> {
    [("pk".to_owned(), AttributeValue::S(key.pk.clone())), ("sk".to_owned(), AttributeValue::S(key.sk.clone()))].into()
}

fn attributes(key: &Key, version: u64, item: Item) -> HashMap<String, AttributeValue> {
    let mut attributes: HashMap<_, _> = item.into_iter().map(|(name, value)| (name, to_attribute(value))).collect();
    attributes.extend(key_attributes(key));
    attributes.insert(VERSION.to_owned(), AttributeValue::N(version.to_string()));
    attributes
}

fn stored(mut attributes: HashMap<String, AttributeValue>) -> Stored {
    let key = Key::new(text(&attributes, "pk"), text(&attributes, "sk"));
    let version = match attributes.remove(VERSION) {
        Some(AttributeValue::N(version)) => version.parse().unwrap_or(0),
        _ => 0,
    };
    attributes.remove("pk");
    attributes.remove("sk");
    Stored { key, version, item: attributes.into_iter().map(|(name, value)| (name, from_attribute(value))).collect() }
}

fn text(attributes: &HashMap<String, AttributeValue>, name: &str) -> String {
    attributes.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

fn to_attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(list) => AttributeValue::L(list.into_iter().map(to_attribute).collect()),
        Value::Object(map) => {
            AttributeValue::M(map.into_iter().map(|(name, value)| (name, to_attribute(value))).collect())
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
fn from_attribute(value: AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::N(number) => number.parse::<Number>().map_or(Value::String(number), Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(list) => Value::Array(list.into_iter().map(from_attribute).collect()),
        AttributeValue::M(map) => {
            Value::Object(map.into_iter().map(|(name, value)| (name, from_attribute(value))).collect())
        }
        // Sets and binaries are never written here.
        _ => Value::Null,
    }
}
