//! `pointsman freeze` and `pointsman thaw`: a freeze by hand, beside those of the configuration.
//!
//! Where people are asked, no approval is taken in it; elsewhere `sweep` closes the ways in. A rollback is never frozen.

use crate::args::{Globals, reason};
use crate::environments::{find, show};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use jiff::{SignedDuration, Timestamp};
use pointsman::config::{EnvironmentConfig, Period};
use pointsman::domain::approval::{BY_HAND_MAX, FreezeByHand, frozen};
use pointsman::domain::audit::Note;
use pointsman::domain::shown::zoned;
use pointsman::ledger::{Loaded, Writes, environment_subject};
use pointsman::run::in_turns;
use serde_json::json;

const FREEZE_EXAMPLES: &str = "\
Examples:
  pointsman freeze web-production --for 4h --reason \"the sale\"
  pointsman freeze web-production --until 2026-12-24T18:00Z --reason \"nobody is in\"

No approval is taken in it but by those who may put a freeze aside; a no is. Where nobody is asked, the ways into the stages
that deploy are closed within a minute. Rollbacks go in all the same. A second freeze takes the place of the first.";
const THAW_EXAMPLES: &str = "\
Examples:
  pointsman thaw web-production --reason \"the sale is over\"

A freeze of the configuration is ended there.";

/// Let nothing but rollbacks into an environment for a while
#[derive(Debug, clap::Args)]
#[command(after_help = FREEZE_EXAMPLES)]
pub(crate) struct FreezeArgs {
    /// The environment
    environment: String,
    #[command(flatten)]
    end: End,
    /// Why, for the audit log and for whoever is kept out
    #[arg(long, value_parser = reason)]
    reason: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct End {
    /// Until when: 2026-12-24T18:00Z, or with another offset
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// For how long: 90s, 15m, 24h, 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    lasts: Option<SignedDuration>,
}

/// End a freeze that a person has put on
#[derive(Debug, clap::Args)]
#[command(after_help = THAW_EXAMPLES)]
pub(crate) struct ThawArgs {
    /// The environment
    environment: String,
    /// Why, for the audit log
    #[arg(long, value_parser = reason)]
    reason: String,
}

fn time(typed: &str) -> Result<Timestamp, String> {
    typed.parse().map_err(|_| "write it like 2026-12-24T18:00Z".to_owned())
}

fn length(typed: &str) -> Result<SignedDuration, String> {
    let period = Period::try_from(typed.to_owned()).map_err(|_| "write it like 90s, 15m, 24h or 7d".to_owned())?;
    Ok(SignedDuration::from_secs(i64::from(period.seconds())))
}

/// Freezes it.
pub(crate) async fn freeze(args: &FreezeArgs, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    let config = find(&session, &args.environment).await?;
    let now = session.now();
    let until = end(&args.end, now)?;
    let new = FreezeByHand {
        environment: config.name.clone(),
        by: session.operator().await?.to_owned(),
        reason: args.reason.clone(),
        since: now,
        until,
    };
    let saved = in_turns(|| async {
        let known = session.ledger.freeze_by_hand(&config.name).await?;
        let loaded = Loaded { value: new.clone(), version: known.map_or(0, |known| known.version) };
        let note = Note {
            actor: new.by.clone(),
            what: "freeze put on".to_owned(),
            detail: json!({ "until": until, "reason": new.reason }),
        };
        let writes = Writes::new().freeze_by_hand(&loaded);
        Ok(session.ledger.save_noted(writes, &environment_subject(&config.name), note, now).await?)
    });
    saved.await?;
    let report = show(&session, &config.name, &style).await?;
    Ok(match config.environment.has_approval() {
        true => report.note("no approval is taken from now on"),
        false => report.note("`sweep` closes the ways in within a minute"),
    })
}

/// The first moment after it, checked.
fn end(end: &End, now: Timestamp) -> Result<Timestamp, Failure> {
    let until = end.until.or_else(|| now.checked_add(end.lasts?).ok());
    let lasts = until.map_or(SignedDuration::MAX, |until| until.duration_since(now));
    match until {
        Some(until) if lasts > SignedDuration::ZERO && lasts <= BY_HAND_MAX => Ok(until),
        Some(_) if lasts <= SignedDuration::ZERO => Err(Failure::Usage("that is over already".to_owned())),
        Some(_) | None => {
            let days = BY_HAND_MAX.as_hours() / 24;
            Err(Failure::Usage(format!(
                "a freeze by hand lasts {days} days at most: the configuration has longer ones"
            )))
        }
    }
}

/// Ends it.
pub(crate) async fn thaw(args: &ThawArgs, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    let config = find(&session, &args.environment).await?;
    let actor = session.operator().await?.to_owned();
    let now = session.now();
    let ended = in_turns(|| async {
        let known = session.ledger.freeze_by_hand(&config.name).await?;
        let Some(known) = known.filter(|known| known.value.is_on(now)) else { return Ok(false) };
        let note = Note {
            actor: actor.clone(),
            what: "freeze ended".to_owned(),
            detail: json!({ "until": known.value.until, "reason": args.reason }),
        };
        let writes = Writes::new().no_freeze_by_hand(&known);
        session.ledger.save_noted(writes, &environment_subject(&config.name), note, now).await?;
        Ok(true)
    });
    let ended = ended.await?;
    let configured = configured(&config, now);
    match (ended, configured) {
        (true, None) => {
            let report = show(&session, &config.name, &style).await?;
            let is_closed = !session.ledger.frozen_ways_of(&config.name).await?.value.closed.is_empty();
            Ok(if is_closed { report.note("`sweep` opens the ways within a minute") } else { report })
        }
        (true, Some(why)) => Ok(show(&session, &config.name, &style).await?.note(why)),
        (false, Some(why)) => Err(Failure::Refused(why)),
        (false, None) => Err(Failure::Refused(format!("{} is not frozen", config.name))),
    }
}

/// What keeps it frozen that no thaw ends.
fn configured(config: &EnvironmentConfig, now: Timestamp) -> Option<String> {
    let frozen = frozen(config.environment.freeze.as_ref()?, now)?;
    let (name, until) = (&config.name, zoned(&frozen.until));
    Some(format!("the configuration freezes {name} until {until}: only another configuration ends that"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_ends_in_the_future_and_not_too_far_in_it() {
        let now: Timestamp = "2026-12-24T12:00:00Z".parse().unwrap();
        let until = |typed: &str| time(typed).map(|until| End { until: Some(until), lasts: None });
        let lasts = |typed: &str| length(typed).map(|lasts| End { until: None, lasts: Some(lasts) });
        #[rustfmt::skip]
        let cases = [
            (until("2026-12-24T18:00Z"),      Ok("2026-12-24T18:00:00Z"), "in UTC"),
            (until("2026-12-24T18:00+01:00"), Ok("2026-12-24T17:00:00Z"), "by another clock"),
            (lasts("4h"),                     Ok("2026-12-24T16:00:00Z"), "for some hours"),
            (lasts("90d"),                    Ok("2027-03-24T12:00:00Z"), "the longest"),
            (lasts("91d"),                    Err("90 days at most"),     "longer"),
            (lasts("0s"),                     Err("over already"),        "no time at all"),
            (until("2026-12-24T12:00Z"),      Err("over already"),        "now"),
            (until("2036-12-24T12:00Z"),      Err("90 days at most"),     "in years"),
        ];
        for (typed, expected, why) in cases {
            let found = end(&typed.unwrap(), now);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected, "{why}"),
                (Err(failure), Err(part)) => {
                    assert!(failure.to_string().contains(part), "{why}: {failure}");
                    assert_eq!(failure.exit_code(), 2, "{why}");
                }
                (found, expected) => panic!("{why}: {found:?} is not {expected:?}"),
            }
        }
        for typed in ["tomorrow", "2026-12-24", "2026-12-24T18:00", "18:00"] {
            assert!(time(typed).is_err(), "{typed}");
        }
    }
}
