//! CodePipeline's transitions: whether the way into a stage is open.

use super::{CodePipeline, once};
use crate::aws::CallError;
use crate::domain::execution::Target;
use aws_sdk_codepipeline::types as sdk;

/// The longest reason for a closed transition, in characters: AWS's own bound.
const REASON_CHARACTERS_MAX: usize = 300;

/// The way into a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Whether executions may enter.
    pub is_open: bool,
    /// Why not, in the words of whoever closed it.
    pub reason: Option<String>,
}

impl CodePipeline {
    /// A reason as AWS takes it and gives it back: letters, digits and a few signs; anything else becomes a point.
    ///
    /// Source: DisableStageTransition, `[a-zA-Z0-9!@ \(\)\.\*\?\-]+`.
    pub fn reason(text: &str) -> String {
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "!@ ().*?-".contains(c);
        text.chars().map(|c| if is_taken(c) { c } else { '.' }).take(REASON_CHARACTERS_MAX).collect()
    }

    /// The way into `stage`; `None` when the pipeline has no such stage.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn way_into(&self, target: &Target, stage: &str) -> Result<Option<Transition>, CallError> {
        Ok(self.stage(target, stage).await?.as_ref().map(transition))
    }

    /// Closes the way into `stage`.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn close(&self, target: &Target, stage: &str, reason: &str) -> Result<(), CallError> {
        let client = self.clients.in_region(&target.region);
        let request = client.disable_stage_transition().pipeline_name(&target.name).stage_name(stage);
        request.transition_type(sdk::StageTransitionType::Inbound).reason(Self::reason(reason)).send().await?;
        Ok(())
    }

    /// Opens the way into `stage`, once: a repeat by the SDK could open what was closed again meanwhile.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn open(&self, target: &Target, stage: &str) -> Result<(), CallError> {
        let client = self.clients.in_region(&target.region);
        let request = client.enable_stage_transition().pipeline_name(&target.name).stage_name(stage);
        request.transition_type(sdk::StageTransitionType::Inbound).customize().config_override(once()).send().await?;
        Ok(())
    }
}

/// The way into a stage.
pub(super) fn transition(stage: &sdk::StageState) -> Transition {
    let state = stage.inbound_transition_state();
    Transition {
        is_open: state.is_none_or(sdk::TransitionState::enabled),
        reason: state.and_then(|state| state.disabled_reason()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_made_of_what_aws_takes() {
        #[rustfmt::skip]
        let cases = [
            ("Pointsman freeze of web-production (until 2027-01-03 00.00)", "Pointsman freeze of web-production (until 2027-01-03 00.00)", "as it is"),
            ("until 00:00, Europe/London",                                   "until 00.00. Europe.London",                                  "what it does not take becomes a point"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(CodePipeline::reason(text), expected, "{why}");
        }
        assert_eq!(CodePipeline::reason(&"a".repeat(400)).len(), REASON_CHARACTERS_MAX, "cut at AWS's bound");
    }
}
