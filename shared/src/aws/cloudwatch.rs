//! CloudWatch: which alarms are red, and since when.
//!
//! Asked for where no event tells: an alarm that was red already when a deployment ended sends none.

use super::regional::Regional;
use super::{AwsConfig, CallError, client, moment};
use crate::domain::alarm::AlarmState;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types as sdk;
use jiff::Timestamp;

/// How many alarms a page holds: AWS's own maximum.
const PAGE_ALARMS: i32 = 100;
/// How many pages are read. With more red alarms than fit into them nobody can say which those are: an error.
const PAGES_MAX: usize = 20;

/// Both kinds of alarms that a configuration may name. CloudWatch leaves composite ones out unless they are asked for.
///
/// Source: the CloudWatch API reference, DescribeAlarms, `AlarmTypes`.
const TYPES: [sdk::AlarmType; 2] = [sdk::AlarmType::MetricAlarm, sdk::AlarmType::CompositeAlarm];

/// The alarms of every region.
#[derive(Debug)]
pub struct Alarms {
    clients: Regional<Client>,
}

/// An alarm that is in ALARM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedAlarm {
    /// Its name.
    pub name: String,
    /// When it turned red. Where CloudWatch does not say that, when it last said why it is red: never earlier.
    pub since: Timestamp,
    /// CloudWatch's sentence on why it is red.
    pub reason: String,
}

/// An alarm as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmNow {
    /// Its state.
    pub state: AlarmState,
    /// Since when, as [`RedAlarm::since`].
    pub since: Timestamp,
}

/// What metric alarms and composite alarms have in common.
struct Read {
    name: String,
    state: Option<AlarmState>,
    since: Timestamp,
    reason: String,
}

impl Alarms {
    /// Clients for every region.
    pub fn new(config: &AwsConfig) -> Self {
        Self { clients: Regional::new(config, |config| client!(aws_sdk_cloudwatch, config)) }
    }

    /// All metric and composite alarms of a region that are in ALARM, whosever they are, in no order.
    ///
    /// # Errors
    /// [`CallError`] when CloudWatch does not say; refused as `TooManyAlarms` when there are more than are read.
    pub async fn in_alarm(&self, region: &str) -> Result<Vec<RedAlarm>, CallError> {
        let client = self.clients.in_region(region);
        let mut red = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let request = client.describe_alarms().state_value(sdk::StateValue::Alarm).set_alarm_types(types());
            let page = request.max_records(PAGE_ALARMS).set_next_token(next).send().await?;
            let alarms = read(page.metric_alarms(), page.composite_alarms());
            red.extend(alarms.map(|alarm| RedAlarm { name: alarm.name, since: alarm.since, reason: alarm.reason }));
            next = page.next_token;
            if next.is_none() {
                return Ok(red);
            }
        }
        let message = format!("more than {} alarms of {region} are red", red.len());
        Err(CallError::Refused { code: "TooManyAlarms".to_owned(), message })
    }

    /// How one metric or composite alarm stands; `None` when there is no such alarm.
    ///
    /// # Errors
    /// [`CallError`] when CloudWatch does not say, or says a state that is none.
    pub async fn state_of(&self, region: &str, name: &str) -> Result<Option<AlarmNow>, CallError> {
        let client = self.clients.in_region(region);
        let page = client.describe_alarms().alarm_names(name).set_alarm_types(types()).send().await?;
        let Some(found) = read(page.metric_alarms(), page.composite_alarms()).find(|alarm| alarm.name == name) else {
            return Ok(None);
        };
        let unreadable = || CallError::Lost(format!("the answer holds no state of {name}"));
        Ok(Some(AlarmNow { state: found.state.ok_or_else(unreadable)?, since: found.since }))
    }
}

fn types() -> Option<Vec<sdk::AlarmType>> {
    Some(TYPES.to_vec())
}

fn read<'a>(
    metric: &'a [sdk::MetricAlarm],
    composite: &'a [sdk::CompositeAlarm],
) -> impl Iterator<Item = Read> + use<'a> {
    let one = |name: Option<&str>, state: Option<&sdk::StateValue>, since: Timestamp, reason: Option<&str>| Read {
        name: name.unwrap_or_default().to_owned(),
        state: state.and_then(|state| state.as_str().parse().ok()),
        since,
        reason: reason.unwrap_or_default().to_owned(),
    };
    let metric = metric.iter().map(move |alarm| {
        let since = since(alarm.state_transitioned_timestamp(), alarm.state_updated_timestamp());
        one(alarm.alarm_name(), alarm.state_value(), since, alarm.state_reason())
    });
    let composite = composite.iter().map(move |alarm| {
        let since = since(alarm.state_transitioned_timestamp(), alarm.state_updated_timestamp());
        one(alarm.alarm_name(), alarm.state_value(), since, alarm.state_reason())
    });
    metric.chain(composite)
}

/// Since when an alarm's state is what it is. The second moment moves whenever the reason does, so it comes second.
fn since(transitioned: Option<&DateTime>, updated: Option<&DateTime>) -> Timestamp {
    moment(transitioned).or_else(|| moment(updated)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_begins_when_it_changed_and_not_when_its_reason_did() {
        let at = |seconds| Some(DateTime::from_secs(seconds));
        #[rustfmt::skip]
        let cases = [
            // transitioned, updated, since, why
            (at(10),         at(20),  10,    "a new reason is no new state"),
            (None,           at(20),  20,    "an alarm from before CloudWatch told it"),
            (None,           None,    0,     "nothing is known: older than every deployment, so no evidence"),
        ];
        for (transitioned, updated, expected, why) in cases {
            assert_eq!(since(transitioned.as_ref(), updated.as_ref()).as_second(), expected, "{why}");
        }
    }
}
