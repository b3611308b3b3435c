//! `pointsman approvers sync`: everybody in the live configuration gets a topic, and is asked whether they want its mail.

use super::People;
use super::view::{HEAD, View, others};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::{Style, cell, cell_or_dash};
use pointsman::approvers::{self, Surplus, SyncOptions, Synced};
use pointsman::domain::approver::Step;
use serde::Serialize;
use std::collections::BTreeSet;

const EXAMPLES: &str = "\
Examples:
  pointsman approvers sync --dry-run
  pointsman approvers sync
  pointsman approvers sync --again ada@example.com
  pointsman approvers sync --prune --remove-others

Whoever is missing a subscription gets a mail from AWS that asks for it. `approvers confirm` takes its link. Called
again, it does nothing that is done already.";

/// See to it that each approver has a topic of their own, and nobody else on it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete the topics of people who are no approvers any more
    #[arg(long)]
    prune: bool,
    /// End the confirmed subscriptions that others have on an approver's topic
    #[arg(long)]
    remove_others: bool,
    /// Ask this approver again: the mail got lost, or they followed its link, and now anybody could end it
    #[arg(long, value_name = "EMAIL")]
    again: Vec<String>,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct SyncView {
    is_dry_run: bool,
    people: Vec<SyncedView>,
    surplus: Vec<SurplusView>,
}

/// One approver, and what was done for them.
#[derive(Debug, Serialize)]
struct SyncedView {
    #[serde(flatten)]
    approver: View,
    /// In its order.
    done: Vec<String>,
    /// What AWS refused of it.
    refusal: Option<String>,
}

/// A topic that is nobody's.
#[derive(Debug, Serialize)]
struct SurplusView {
    topic: String,
    endpoints: BTreeSet<String>,
    is_deleted: bool,
}

/// Does it, or says what it would do.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let people = People::live(session).await?;
    for email in &args.again {
        people.at(email)?;
    }
    let options = SyncOptions {
        is_dry_run: args.dry_run,
        prune: args.prune,
        remove_others: args.remove_others,
        again: args.again.clone(),
    };
    let done = approvers::sync(&session.topics().await?, people.all, &options).await?;
    let is_deleted = args.prune && !args.dry_run;
    let surplus = |Surplus { topic, endpoints }: Surplus| SurplusView { topic, endpoints, is_deleted };
    let view = SyncView {
        is_dry_run: args.dry_run,
        people: done.people.into_iter().map(SyncedView::of).collect(),
        surplus: done.surplus.into_iter().map(surplus).collect(),
    };
    let is_ok = view.people.iter().all(|synced| synced.refusal.is_none());
    let report = Report::new(view.text(style), &view).ok_if(is_ok);
    Ok(view.advice().into_iter().fold(report, Report::note))
}

impl SyncedView {
    fn of(synced: Synced) -> Self {
        let Synced { person, steps, standing, refusal } = synced;
        Self { approver: View::of(person, standing), done: steps.iter().map(words).collect(), refusal }
    }
}

/// A step as it is read.
fn words(step: &Step) -> String {
    match step {
        Step::MakeTopic => "topic made".to_owned(),
        Step::Ask => "asked".to_owned(),
        Step::End(one) => format!("ended {} to {}", one.protocol, one.endpoint),
    }
}

impl SyncView {
    fn text(&self, style: &Style) -> String {
        let done = if self.is_dry_run { "WOULD BE DONE" } else { "DONE" };
        let rows = self.people.iter().map(|synced| {
            let mut row = synced.approver.head(style);
            let refusal = synced.refusal.iter().map(|refusal| format!("refused: {refusal}"));
            let what: Vec<String> = synced.done.iter().cloned().chain(refusal).collect();
            row.push(cell_or_dash(Some(what.join(", ")).filter(|what| !what.is_empty())));
            row
        });
        let mut text = if self.people.is_empty() {
            "no approvers in the configuration".to_owned()
        } else {
            style.table(&[HEAD.as_slice(), &[done]].concat(), rows)
        };
        text.push_str(&others(self.people.iter().map(|synced| &synced.approver), style));
        if !self.surplus.is_empty() {
            let rows = self.surplus.iter().map(|surplus| {
                let endpoints = surplus.endpoints.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
                let state = if surplus.is_deleted { "deleted" } else { "kept" };
                vec![cell(&surplus.topic), cell(state), cell_or_dash(Some(endpoints).filter(|all| !all.is_empty()))]
            });
            text.push_str("\n\n");
            text.push_str(&style.table(&["TOPIC OF NOBODY", "STATE", "SUBSCRIBED"], rows));
        }
        text
    }

    /// What is left to be done by people.
    fn advice(&self) -> Vec<String> {
        let mut advice: Vec<_> = self.people.iter().filter_map(|synced| synced.approver.advice()).collect();
        let kept = self.surplus.iter().filter(|surplus| !surplus.is_deleted).count();
        if kept > 0 {
            let topics = if kept == 1 { "1 topic is".to_owned() } else { format!("{kept} topics are") };
            advice.push(format!(
                "{topics} of nobody in the configuration: `pointsman approvers sync --prune` deletes them"
            ));
        }
        advice
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{subscription_for_tests, view_for_tests};
    use super::*;
    use crate::text::style_for_tests;

    fn view(is_dry_run: bool, is_deleted: bool) -> SyncView {
        let one = subscription_for_tests;
        let ada = vec![one("ada@x.org", Some("a"), Some(true)), one("eve@x.org", Some("b"), None)];
        let synced = |approver, steps: &[Step], refusal: Option<&str>| SyncedView {
            approver,
            done: steps.iter().map(words).collect(),
            refusal: refusal.map(str::to_owned),
        };
        let end = Step::End(one("mal@x.org", Some("c"), None));
        SyncView {
            is_dry_run,
            people: vec![
                synced(view_for_tests("ada@x.org", Some(ada)), &[end], None),
                synced(
                    view_for_tests("joan@x.org", Some(vec![one("joan@x.org", None, None)])),
                    &[Step::MakeTopic, Step::Ask],
                    None,
                ),
                synced(view_for_tests("mary@x.org", Some(vec![])), &[Step::MakeTopic], Some("AuthorizationError: no")),
                synced(view_for_tests("rosa@x.org", Some(vec![one("rosa@x.org", Some("a"), Some(true))])), &[], None),
            ],
            surplus: vec![SurplusView {
                topic: "arn:t".into(),
                endpoints: ["old@x.org".to_owned()].into(),
                is_deleted,
            }],
        }
    }

    #[test]
    fn people_see_what_was_done_for_whom() {
        insta::assert_snapshot!(view(false, true).text(&style_for_tests()), @r"
        APPROVER    STATE            UNSUBSCRIBING  DONE
        ada@x.org   shared           authenticated  ended email to mal@x.org
        joan@x.org  pending          -              topic made, asked
        mary@x.org  no_subscription  -              topic made, refused: AuthorizationError: no
        rosa@x.org  confirmed        authenticated  -

        ON THE TOPIC OF  STATE      PROTOCOL  ENDPOINT
        ada@x.org        confirmed  email     eve@x.org

        TOPIC OF NOBODY  STATE    SUBSCRIBED
        arn:t            deleted  old@x.org
        ");
        assert!(view(true, false).text(&style_for_tests()).contains("WOULD BE DONE"));
    }

    #[test]
    fn what_is_left_to_people_is_said() {
        insta::assert_snapshot!(view(false, false).advice().join("\n"), @r"
        ada@x.org: a subscription that is not theirs is on their topic: nothing is sent there. `pointsman approvers sync --remove-others` ends what is confirmed; AWS forgets what is not confirmed after 48 hours
        joan@x.org: they have not confirmed that they want mail; after 48 hours AWS forgets it. `pointsman approvers confirm joan@x.org --token -` takes the link of AWS's mail; `pointsman approvers sync --again joan@x.org` has AWS send another one
        mary@x.org: they are not subscribed: never asked, not confirmed within 48 hours, or ended. `pointsman approvers sync` has AWS ask them
        1 topic is of nobody in the configuration: `pointsman approvers sync --prune` deletes them
        ");
        assert!(!view(false, true).advice().iter().any(|line| line.contains("--prune")), "it is done");
    }
}
