//! How a CloudWatch alarm stands.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The three states of an alarm, in CloudWatch's words.
///
/// Source: the CloudWatch API reference, MetricAlarm, `StateValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// Within its threshold.
    Ok,
    /// Red.
    Alarm,
    /// New, or without data: it says nothing.
    InsufficientData,
}

impl AlarmState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Alarm, Self::InsufficientData];

    /// CloudWatch's word: `ALARM`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Not one of CloudWatch's states.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of an alarm")]
pub struct NotAState(String);

impl std::str::FromStr for AlarmState {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL.into_iter().find(|state| state.word() == text).ok_or_else(|| NotAState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_cloudwatchs_wherever_they_are_read() {
        for (state, word) in AlarmState::ALL.into_iter().zip(["OK", "ALARM", "INSUFFICIENT_DATA"]) {
            assert_eq!(word.parse(), Ok(state));
            assert_eq!(state.to_string(), word);
            assert_eq!(serde_json::to_value(state).unwrap(), word);
            assert_eq!(serde_json::from_value::<AlarmState>(word.into()).unwrap(), state);
        }
        for other in ["alarm", "Ok", "", "UNKNOWN"] {
            assert_eq!(
                other.parse::<AlarmState>(),
                Err(NotAState(other.to_owned())),
                "case counts, and so does the rest"
            );
        }
    }
}
