//! What a buildspec comes to where no command is run.

use jiff::SignedDuration;
use saphyr::{LoadableYamlNode, Yaml};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a buildspec comes to here, be it YAML or JSON.
///
/// A command that is exactly `exit N` (N not 0) or `false` fails the phase it stands in; `sleep N` adds N seconds
/// at the real pace; every other command does nothing. `env.exported-variables` are exported with the values
/// that `env.variables` or the build's environment give them. A buildspec that is a path has no commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// The phase that fails, and the command that does it.
    pub(super) fails_in: Option<(String, String)>,
    pub(super) sleeps: SignedDuration,
    pub(super) exports: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Script {
    pub(super) fn read(buildspec: &str) -> Self {
        let mut script = Self::default();
        let documents = Yaml::load_from_str(buildspec).unwrap_or_default();
        let Some(root) = documents.first() else { return script };
        for (key, phase) in
            [("install", "INSTALL"), ("pre_build", "PRE_BUILD"), ("build", "BUILD"), ("post_build", "POST_BUILD")]
        {
            let commands = root.as_mapping_get("phases").and_then(|phases| phases.as_mapping_get(key));
            let commands = commands.and_then(|phase| phase.as_mapping_get("commands"));
            for command in commands.map(texts).unwrap_or_default() {
                script.obey(phase, command.trim());
            }
        }
        if let Some(env) = root.as_mapping_get("env") {
            script.exports = env.as_mapping_get("exported-variables").map(texts).unwrap_or_default();
            if let Some(variables) = env.as_mapping_get("variables").and_then(Yaml::as_mapping) {
                let pairs = variables.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
                script.variables = pairs.collect();
            }
        }
        script
    }

    fn obey(&mut self, phase: &str, command: &str) {
        if self.fails_in.is_some() {
            return;
        }
        if let Some(seconds) = command.strip_prefix("sleep ").and_then(|rest| rest.trim().parse().ok()) {
            self.sleeps = self.sleeps.saturating_add(SignedDuration::from_secs(seconds));
        }
        let code = command.strip_prefix("exit ").and_then(|rest| rest.trim().parse::<u8>().ok());
        if command == "false" || code.is_some_and(|code| code != 0) {
            self.fails_in = Some((phase.to_owned(), command.to_owned()));
        }
    }
}

/// A sequence of scalars, as the text that a shell would see.
fn texts(node: &Yaml<'_>) -> Vec<String> {
    node.as_sequence().map(|items| items.iter().filter_map(text).collect()).unwrap_or_default()
}

fn text(node: &Yaml<'_>) -> Option<String> {
    let plain = node.as_str().map(str::to_owned);
    plain
        .or_else(|| node.as_integer().map(|number| number.to_string()))
        .or_else(|| node.as_bool().map(|bit| bit.to_string()))
}
