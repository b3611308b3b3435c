//! `pointsman audit`: walks the audit log's chains, and shows them.

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::{Style, cell, plain};
use jiff::Timestamp;
use pointsman::domain::audit::{Entry, verify};
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::incident::IncidentId;
use pointsman::ledger::{
    AUDIT_ENTRIES_MAX, CONFIGURATION_SUBJECT, Filter, Ledger, environment_subject, execution_subject, incident_subject,
};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

/// How many executions, and how many incidents, `--all` walks. At the bound it says that there may be more.
const EXECUTIONS_MAX: usize = 100_000;
/// How many chains are walked at once.
const CHAINS_AT_ONCE: usize = 16;
/// How many chains a table shows that hold; broken ones are always shown.
const HOLDING_SHOWN: usize = 20;

const VERIFY_EXAMPLES: &str = "\
Examples:
  pointsman audit verify
  pointsman audit verify --execution ex-0123456789abcdef0123
  pointsman audit verify --configuration --json

A chain shows that nothing in it was changed or taken out. It cannot show that its end is missing, or that a whole chain
is: compare with a locked copy for that. Exit code 1: a chain does not hold.";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman audit show ex-0123456789abcdef0123
  pointsman audit show web-production
  pointsman --absolute audit show configuration";

/// Walk the audit log, or show it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Walk the chains of the audit log and say whether they hold
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Show everything that was written down about an execution, an incident, an environment, or the configuration
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// `ex-…`, `in-…`, an environment, or `configuration`
        subject: String,
    },
}

/// Which chains.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct VerifyArgs {
    /// That of one execution
    #[arg(long, value_name = "ID")]
    execution: Option<String>,
    /// That of the configuration
    #[arg(long)]
    configuration: bool,
    /// Those of every execution and every incident of the last 90 days, of every environment, and of the configuration;
    /// the default
    #[arg(long)]
    all: bool,
}

/// What was found of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ChainView {
    subject: String,
    entries: usize,
    holds: bool,
    /// Where it does not.
    problem: Option<String>,
    /// Only its beginning was walked: it is longer than what one call reads.
    is_cut_off: bool,
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::Verify(args) => walk(args, &session, &style).await,
        Command::Show { subject } => show(subject, &session, &style).await,
    }
}

async fn walk(args: &VerifyArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let mut is_cut_off = false;
    let subjects = if let Some(typed) = &args.execution {
        vec![execution_subject(&existing(session, typed).await?)]
    } else if args.configuration {
        vec![CONFIGURATION_SUBJECT.to_owned()]
    } else {
        let (ledger, now) = (&session.ledger, session.now());
        let executions = ledger.latest_executions(Filter::default(), now, EXECUTIONS_MAX).await?;
        let incidents = ledger.latest_incidents(None, now, EXECUTIONS_MAX).await?;
        is_cut_off = executions.len() >= EXECUTIONS_MAX || incidents.len() >= EXECUTIONS_MAX;
        let mut subjects: Vec<String> = executions.iter().map(|execution| execution_subject(&execution.id)).collect();
        subjects.extend(incidents.iter().map(|incident| incident_subject(&incident.id)));
        subjects.extend(environments(session).await?.iter().map(|name| environment_subject(name)));
        subjects.push(CONFIGURATION_SUBJECT.to_owned());
        subjects
    };
    let has_live = session.ledger.live_configuration().await?.is_some();
    let chains = walk_all(&session.ledger, subjects, has_live).await?;
    let holds = chains.iter().all(|chain| chain.holds);
    let json = json!({ "holds": holds, "chains": chains, "is_cut_off": is_cut_off });
    let mut report = Report::new(text(&chains, style), &json).ok_if(holds);
    if is_cut_off {
        report = report.note(format!("only the latest {EXECUTIONS_MAX} executions and incidents were walked"));
    }
    Ok(report)
}

/// The environments that are configured now, as far as that can be read here.
async fn environments(session: &Session) -> Result<Vec<String>, Failure> {
    match session.configuration().await {
        Ok(config) => Ok(config.environments.into_keys().collect()),
        Err(Failure::NotFound(_) | Failure::Refused(_)) => Ok(Vec::new()),
        Err(other @ (Failure::Usage(_) | Failure::Run(_) | Failure::Call(_))) => Err(other),
    }
}

/// The id of an execution that exists: a chain of nothing would hold.
async fn existing(session: &Session, typed: &str) -> Result<ExecutionId, Failure> {
    let id = ExecutionId::named(typed);
    match session.ledger.execution(&id).await? {
        Some(_) => Ok(id),
        None => Err(Failure::NotFound(format!("no execution {typed}"))),
    }
}

async fn walk_all(ledger: &Ledger, subjects: Vec<String>, has_live: bool) -> Result<Vec<ChainView>, Failure> {
    let mut rest = subjects.into_iter().enumerate();
    let mut walking = JoinSet::new();
    let mut views = Vec::new();
    loop {
        while walking.len() < CHAINS_AT_ONCE
            && let Some((index, subject)) = rest.next()
        {
            let ledger = ledger.clone();
            walking.spawn(async move {
                let chain = ledger.chain(&subject).await;
                (index, subject, chain)
            });
        }
        match walking.join_next().await {
            None => break,
            Some(Ok((index, subject, chain))) => {
                // What nobody did anything to has no chain.
                let must_exist = match subject.split_once('#') {
                    Some((kind, _)) => kind != "environment",
                    None => has_live,
                };
                views.push((index, chain_view(subject, &chain?, must_exist)));
            }
            Some(Err(error)) => return Err(Failure::Refused(format!("walking stopped: {error}"))),
        }
    }
    views.sort_by_key(|(index, _)| *index);
    Ok(views.into_iter().map(|(_, view)| view).collect())
}

/// What a chain shows. Every execution's and every incident's record is made together with its first entry, so an empty chain is a
/// missing one.
fn chain_view(subject: String, chain: &[Entry], must_exist: bool) -> ChainView {
    let problem = match verify(chain) {
        Err(broken) => Some(broken.to_string()),
        Ok(()) if chain.is_empty() && must_exist => Some(format!("{subject}: the whole chain is missing")),
        Ok(()) => None,
    };
    ChainView {
        subject,
        entries: chain.len(),
        holds: problem.is_none(),
        problem,
        is_cut_off: chain.len() >= AUDIT_ENTRIES_MAX,
    }
}

fn text(chains: &[ChainView], style: &Style) -> String {
    let (holding, broken): (Vec<&ChainView>, Vec<&ChainView>) = chains.iter().partition(|chain| chain.holds);
    let shown = broken.iter().chain(holding.iter().take(HOLDING_SHOWN));
    let rows = shown.map(|chain| {
        let word = if chain.holds { "holds" } else { "broken" };
        let remark = match (&chain.problem, chain.is_cut_off) {
            (Some(problem), _) => problem.clone(),
            (None, true) => format!("only its first {AUDIT_ENTRIES_MAX} entries were walked"),
            (None, false) => String::new(),
        };
        vec![cell(&chain.subject), cell(chain.entries.to_string()), style.status(word), cell(remark)]
    });
    let table = style.table(&["CHAIN", "ENTRIES", "STATUS", ""], rows);
    let entries: usize = chains.iter().map(|chain| chain.entries).sum();
    let more = holding.len().saturating_sub(HOLDING_SHOWN);
    let more = if more > 0 { format!("\n… and {more} more that hold") } else { String::new() };
    let verdict = match broken.len() {
        0 => "every chain holds".to_owned(),
        1 => "1 chain does not hold".to_owned(),
        count => format!("{count} chains do not hold"),
    };
    format!("{table}{more}\n\n{} chains, {entries} entries: {verdict}", chains.len())
}

async fn show(typed: &str, session: &Session, style: &Style) -> Result<Report, Failure> {
    let subject = subject_of(typed);
    let chain = session.ledger.chain(&subject).await?;
    if chain.is_empty() {
        return Err(Failure::NotFound(format!("the audit log has nothing about {typed}")));
    }
    Ok(Report::new(chain_text(&chain, style), &chain))
}

/// A chain's name, from however a person typed it.
fn subject_of(typed: &str) -> String {
    if typed == CONFIGURATION_SUBJECT || typed.contains('#') {
        typed.to_owned()
    } else if typed.starts_with("in-") {
        incident_subject(&IncidentId::named(typed))
    } else if typed.starts_with("ex-") {
        execution_subject(&ExecutionId::named(typed))
    } else {
        environment_subject(typed)
    }
}

fn chain_text(chain: &[Entry], style: &Style) -> String {
    /// How much of a hash people compare, in hexadecimal digits.
    const HASH_SHOWN: usize = 12;
    let first = chain.first().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
    let rows = chain.iter().map(|entry| {
        let detail = if entry.detail == json!({}) { String::new() } else { entry.detail.to_string() };
        vec![
            cell(entry.sequence.to_string()),
            cell(style.time(entry.at)),
            cell(&entry.actor),
            cell(&entry.what),
            cell(entry.hash.chars().take(HASH_SHOWN).collect::<String>()),
            cell(detail),
        ]
    });
    let table = style.table(&["#", "WHEN", "WHO", "WHAT", "HASH", "PARTICULARS"], rows);
    let subject = chain.first().map(|entry| plain(&entry.subject)).unwrap_or_default();
    format!("{subject}, since {}\n\n{table}", style.time(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use pointsman::domain::audit::Note;

    fn chain() -> Vec<Entry> {
        let mut chain: Vec<Entry> = Vec::new();
        for (what, seconds) in [("requested", 0), ("start intended", 1)] {
            let note = Note { actor: "dispatch".into(), what: what.into(), detail: json!({ "ask": seconds }) };
            let at = Timestamp::from_second(1_799_999_940 + seconds).unwrap();
            chain.push(Entry::after(chain.last(), "execution#ex-1", note, at));
        }
        chain
    }

    #[test]
    fn a_chain_holds_or_says_where_it_does_not() {
        let mut tampered = chain();
        tampered[0].what = "nothing".into();
        let view = |chain: &[Entry], must_exist| chain_view("execution#ex-1".into(), chain, must_exist);
        #[rustfmt::skip]
        let cases = [
            (view(&chain(), true),   None, "whole"),
            (view(&tampered, true),  Some("execution#ex-1: entry 1 was changed after it was written"), "changed"),
            (view(&[], true),        Some("execution#ex-1: the whole chain is missing"), "gone"),
            (view(&[], false),       None, "nothing yet"),
        ];
        for (view, problem, why) in cases {
            assert_eq!(view.problem.as_deref(), problem, "{why}");
            assert_eq!(view.holds, problem.is_none(), "{why}");
        }
    }

    #[test]
    fn people_get_the_broken_ones_first() {
        let mut tampered = chain();
        tampered.remove(0);
        let chains = [
            chain_view("configuration".into(), &[], false),
            chain_view("execution#ex-1".into(), &tampered, true),
            chain_view("execution#ex-1".into(), &chain(), true),
        ];
        insta::assert_snapshot!(text(&chains, &style_for_tests()), @r"
        CHAIN           ENTRIES  STATUS
        execution#ex-1  1        broken  execution#ex-1: entry 1 is missing
        configuration   0        holds
        execution#ex-1  2        holds

        3 chains, 3 entries: 1 chain does not hold
        ");
    }

    #[test]
    fn a_chain_is_shown_entry_by_entry() {
        let text = chain_text(&chain(), &style_for_tests());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "execution#ex-1, since 1m ago");
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[4].starts_with("2  59s ago  dispatch  start intended  "), "{text}");
    }

    #[test]
    fn a_subject_is_found_however_it_is_typed() {
        #[rustfmt::skip]
        let cases = [
            ("configuration",  "configuration"),
            ("ex-1",           "execution#ex-1"),
            ("execution#ex-1", "execution#ex-1"),
            ("in-1",           "incident#in-1"),
            ("web-production", "environment#web-production"),
        ];
        for (typed, expected) in cases {
            assert_eq!(subject_of(typed), expected);
        }
    }
}
