//! `pointsman config push`: makes a configuration live, all or nothing.

use super::{FileArgs, PUSH_EXAMPLES, counts, read, refused, summary, with_warnings};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use pointsman::config::{self, Checked, Config, Problem};
use pointsman::ledger::{LedgerError, Publication, Version};
use serde_json::{Value, json};

const CONFLICT: &str = "somebody else pushed a configuration at the same time, and nothing of this one is live: \
                        look at `pointsman config plan` and push again";

/// Which file, and whether it may be empty.
#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Push it although it has no routes: then nothing starts any more
    #[arg(long)]
    allow_empty: bool,
}

/// Checks and publishes.
pub(super) async fn run(args: &PushArgs, session: &Session) -> Result<Report, Failure> {
    let PushArgs { file, allow_empty } = args;
    let source = read(&file.file)?;
    let Checked { config, warnings } = match config::parse(&source, &file.file, file.region(session)) {
        Ok(checked) => checked,
        Err(problems) => return Ok(refused(&problems)),
    };
    if config.routes.is_empty() && !allow_empty {
        let file = &file.file;
        return Err(Failure::Refused(format!("{file} has no routes: nothing would start; --allow-empty pushes it")));
    }
    let before = session.ledger.live_configuration().await?;
    let by = session.operator().await?;
    let publication = Publication { source: &source, config: &config, by };
    if let Some(live) = before.as_ref().map(|live| &live.value).filter(|live| live.holds(&publication)) {
        let text = format!("nothing changed: version {} is live", live.live);
        let json = document(live.live, false, &live.by, &warnings, &config);
        return Ok(Report::new(with_warnings(&warnings, &text), &json));
    }
    let version = match session.ledger.publish(before.as_ref(), &publication, session.now()).await {
        Ok(version) => version,
        Err(LedgerError::Conflict) => {
            return Err(Failure::Refused(CONFLICT.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let text = with_warnings(&warnings, &format!("version {version} is live: {}", summary(&config)));
    Ok(Report::new(text, &document(version, true, by, &warnings, &config)))
}

fn document(version: Version, is_new: bool, by: &str, warnings: &[Problem], config: &Config) -> Value {
    json!({
        "is_valid": true, "version": version, "is_new": is_new, "by": by, "problems": warnings,
        "summary": counts(config),
    })
}
