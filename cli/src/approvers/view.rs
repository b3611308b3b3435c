//! An approver as they are shown: to programs as JSON, to people as a table.

use crate::text::{Style, cell, cell_or_dash};
use pointsman::approvers::Standing;
use pointsman::domain::approver::{Person, Subscription};
use serde::Serialize;

/// One approver, and whether mail reaches them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct View {
    email: String,
    github: Option<String>,
    groups: Vec<String>,
    /// `confirmed`, `pending`, `no_subscription`, `no_topic` or `shared`.
    state: &'static str,
    /// Whether approvals are sent there.
    is_reachable: bool,
    /// Whether only somebody with AWS credentials can end their subscription, where they have one.
    is_unsubscribe_authenticated: Option<bool>,
    /// The ARN of their topic, whether it is there or not.
    topic: String,
    /// Whoever else is on it.
    others: Vec<Other>,
    /// What that means.
    reason: String,
    /// What can be done about it.
    remedy: Option<String>,
}

/// A subscription that is not the approver's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Other {
    protocol: String,
    endpoint: String,
    is_confirmed: bool,
}

impl View {
    pub(super) fn of(person: Person, standing: Standing) -> Self {
        let Person { email, github, groups } = person;
        let Standing { topic, subscriptions, reach } = standing;
        let (own, others): (Vec<_>, Vec<_>) =
            subscriptions.into_iter().flatten().partition(|one: &Subscription| one.is_of(&email));
        let other = |one: Subscription| Other {
            is_confirmed: one.is_confirmed(),
            protocol: one.protocol,
            endpoint: one.endpoint,
        };
        Self {
            state: reach.as_str(),
            is_reachable: reach.is_reached(),
            is_unsubscribe_authenticated: own.iter().find_map(|one| one.is_authenticated),
            reason: reach.to_string(),
            remedy: reach.remedy(&email),
            groups: groups.into_iter().collect(),
            others: others.into_iter().map(other).collect(),
            email,
            github,
            topic,
        }
    }

    /// What is to be done, as a sentence; `None` where nothing is.
    pub(super) fn advice(&self) -> Option<String> {
        let remedy = self.remedy.as_ref()?;
        Some(format!("{}: {}. {remedy}", self.email, self.reason))
    }

    /// Whether only somebody with AWS credentials can end their subscription.
    pub(super) fn is_protected(&self) -> bool {
        self.is_unsubscribe_authenticated == Some(true)
    }

    /// Who may end their subscription, in one word.
    fn ends(&self) -> Option<&'static str> {
        self.is_unsubscribe_authenticated.map(|is| if is { "authenticated" } else { "anybody" })
    }

    /// The cells that every table of approvers begins with.
    pub(super) fn head(&self, style: &Style) -> Vec<comfy_table::Cell> {
        vec![cell(&self.email), style.status(self.state), cell_or_dash(self.ends())]
    }
}

/// What the columns of [`View::head`] are called.
pub(super) const HEAD: [&str; 3] = ["APPROVER", "STATE", "UNSUBSCRIBING"];

/// The list for people.
pub(super) fn list(views: &[View], style: &Style) -> String {
    if views.is_empty() {
        return "no approvers in the configuration".to_owned();
    }
    let rows = views.iter().map(|view| {
        let mut row = view.head(style);
        row.extend([cell_or_dash(view.github.as_ref()), cell(view.groups.join(" "))]);
        row
    });
    let head = [HEAD.as_slice(), &["GITHUB", "GROUPS"]].concat();
    format!("{}{}", style.table(&head, rows), others(views.iter(), style))
}

/// Who is on the topics of others, below whatever was said before; nothing where nobody is.
pub(super) fn others<'a>(views: impl Iterator<Item = &'a View>, style: &Style) -> String {
    let rows: Vec<_> = views
        .flat_map(|view| view.others.iter().map(move |other| (view, other)))
        .map(|(view, other)| {
            let state = if other.is_confirmed { "confirmed" } else { "pending" };
            vec![cell(&view.email), cell(state), cell(&other.protocol), cell(&other.endpoint)]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n\n{}", style.table(&["ON THE TOPIC OF", "STATE", "PROTOCOL", "ENDPOINT"], rows))
}

#[cfg(test)]
pub(super) fn view_for_tests(email: &str, subscriptions: Option<Vec<Subscription>>) -> View {
    let person = Person {
        email: email.to_owned(),
        github: email.split('@').next().map(str::to_owned),
        groups: ["devops".to_owned(), "product".to_owned()].into(),
    };
    let reach = pointsman::domain::approver::Reach::of(email, subscriptions.as_deref());
    View::of(person, Standing { topic: "arn:aws:sns:us-east-1:123456789012:t".to_owned(), subscriptions, reach })
}

#[cfg(test)]
pub(super) fn subscription_for_tests(
    endpoint: &str,
    arn: Option<&str>,
    is_authenticated: Option<bool>,
) -> Subscription {
    Subscription {
        arn: arn.map(str::to_owned),
        protocol: "email".to_owned(),
        endpoint: endpoint.to_owned(),
        is_authenticated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use serde_json::json;

    fn views() -> Vec<View> {
        let one = subscription_for_tests;
        vec![
            view_for_tests("ada@x.org", Some(vec![one("ada@x.org", Some("a"), Some(true))])),
            view_for_tests("grace@x.org", Some(vec![one("grace@x.org", Some("a"), Some(false))])),
            view_for_tests("joan@x.org", Some(vec![one("joan@x.org", None, None)])),
            view_for_tests("mary@x.org", None),
            view_for_tests(
                "rosa@x.org",
                Some(vec![one("rosa@x.org", Some("a"), Some(true)), one("eve\u{1b}[2J@x.org", None, None)]),
            ),
        ]
    }

    #[test]
    fn people_see_whom_mail_reaches_and_who_reads_along() {
        insta::assert_snapshot!(list(&views(), &style_for_tests()), @r"
        APPROVER     STATE      UNSUBSCRIBING  GITHUB  GROUPS
        ada@x.org    confirmed  authenticated  ada     devops product
        grace@x.org  confirmed  anybody        grace   devops product
        joan@x.org   pending    -              joan    devops product
        mary@x.org   no_topic   -              mary    devops product
        rosa@x.org   shared     authenticated  rosa    devops product

        ON THE TOPIC OF  STATE    PROTOCOL  ENDPOINT
        rosa@x.org       pending  email     eve\u{1b}[2J@x.org
        ");
        assert_eq!(list(&[], &style_for_tests()), "no approvers in the configuration");
    }

    #[test]
    fn what_is_to_be_done_stands_beside_the_table() {
        let advice: Vec<_> = views().iter().filter_map(View::advice).collect();
        insta::assert_snapshot!(advice.join("\n"), @r"
        grace@x.org: mail reaches them, and whoever opens the link at the foot of one ends that. `pointsman approvers confirm grace@x.org --token -` takes the link of AWS's mail; `pointsman approvers sync --again grace@x.org` has AWS send a new one
        joan@x.org: they have not confirmed that they want mail; after 48 hours AWS forgets it. `pointsman approvers confirm joan@x.org --token -` takes the link of AWS's mail; `pointsman approvers sync --again joan@x.org` has AWS send another one
        mary@x.org: there is no topic for them. `pointsman approvers sync` has AWS ask them
        rosa@x.org: a subscription that is not theirs is on their topic: nothing is sent there. `pointsman approvers sync --remove-others` ends what is confirmed; AWS forgets what is not confirmed after 48 hours
        ");
    }

    #[test]
    fn programs_get_every_field() {
        let shared = serde_json::to_value(&views()[4]).unwrap();
        assert_eq!(shared["state"], "shared");
        assert_eq!(shared["is_reachable"], false);
        assert_eq!(shared["is_unsubscribe_authenticated"], true);
        assert_eq!(shared["groups"], json!(["devops", "product"]));
        assert_eq!(
            shared["others"],
            json!([{ "protocol": "email", "endpoint": "eve\u{1b}[2J@x.org", "is_confirmed": false }])
        );
        let lost = serde_json::to_value(&views()[3]).unwrap();
        assert_eq!((&lost["state"], &lost["is_unsubscribe_authenticated"]), (&json!("no_topic"), &json!(null)));
        assert!(lost["remedy"].as_str().unwrap().contains("approvers sync"));
        assert_eq!(serde_json::to_value(&views()[0]).unwrap()["remedy"], json!(null), "all is well");
    }
}
