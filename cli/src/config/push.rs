//! `pointsman config push`: makes a configuration live, all or nothing.

use super::{FileArgs, counts, read, refused, summary, with_warnings};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use pointsman::config::{self, Checked};
use pointsman::ledger::{LedgerError, Publication};
use serde_json::json;

const CONFLICT: &str = "somebody else pushed a configuration at the same time, and nothing of this one is live: \
                        look at `pointsman config plan` and push again";

/// Checks and publishes.
pub(super) async fn run(args: &FileArgs, session: &Session) -> Result<Report, Failure> {
    let source = read(&args.file)?;
    let Checked { config, warnings } = match config::parse(&source, &args.file, args.region(session)) {
        Ok(checked) => checked,
        Err(problems) => return Ok(refused(&problems)),
    };
    let before = session.ledger.live_configuration().await?;
    let publication = Publication { source: &source, config: &config, by: &session.operator };
    let version = match session.ledger.publish(before.as_ref(), &publication, session.now()).await {
        Ok(version) => version,
        Err(LedgerError::Conflict) => {
            return Err(Failure::Refused(CONFLICT.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let text = with_warnings(&warnings, &format!("version {version} is live: {}", summary(&config)));
    let json = json!({
        "is_valid": true, "version": version, "by": session.operator, "problems": warnings, "summary": counts(&config),
    });
    Ok(Report::new(text, &json))
}
