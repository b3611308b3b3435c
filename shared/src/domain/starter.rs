//! Who started an execution, and whether that is a given person.
//!
//! GitHub tells a login, known for certain. AWS tells whose credentials were used: the name of a user, or of a session
//! of a role. Whoever takes a role may choose the session's name, unless the role's trust policy says otherwise; sign-on
//! by IAM Identity Center makes it the person's own.

use super::execution::{Execution, Origin};

/// Who started an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// The sender or pusher of a delivery: a GitHub login.
    Login(String),
    /// A user of AWS's, or a session of a role: its name.
    Named {
        /// The name.
        name: String,
        /// Whether nobody but that person can go by it: a user of IAM's, or a session that IAM Identity Center opened.
        is_proven: bool,
    },
    /// Nothing that names a person.
    Unknown,
}

impl Starter {
    /// Who started `execution`.
    pub fn of_execution(execution: &Execution) -> Self {
        let Some(actor) = &execution.actor else { return Self::Unknown };
        match &execution.origin {
            Origin::Delivery { .. } if !execution.is_by_hand => Self::Login(actor.clone()),
            Origin::Delivery { .. } | Origin::Rollback { .. } | Origin::External { .. } => Self::of(actor),
        }
    }

    /// Who it is that AWS names.
    ///
    /// Takes an ARN (STS, CodePipeline's `triggerDetail`), SQS's `SenderId` and CodeBuild's `initiator`.
    pub fn of(text: &str) -> Self {
        match name_of(text).filter(|name| !name.is_empty()) {
            Some(name) => Self::Named { name: name.to_owned(), is_proven: is_proven(text) },
            None => Self::Unknown,
        }
    }

    /// Whether it is the person with this e-mail address and GitHub login. `None`: nobody can say.
    ///
    /// A name of AWS's that is not this person's may be anybody's, theirs too. It is another's only if that other person
    /// is found by it.
    pub fn is(&self, email: &str, github: Option<&str>) -> Option<bool> {
        match self {
            Self::Login(login) => github.map(|github| github.eq_ignore_ascii_case(login)),
            Self::Named { name, .. } => {
                let names = [Some(email), github];
                names.into_iter().flatten().any(|one| one.eq_ignore_ascii_case(name)).then_some(true)
            }
            Self::Unknown => None,
        }
    }
}

/// Whether the name in what AWS tells is nobody else's. Whoever takes a role chooses the session's name, unless the role
/// is one of Identity Center's: then it is the person's own.
fn is_proven(text: &str) -> bool {
    const OF_IDENTITY_CENTER: &str = "AWSReservedSSO_";
    let resource = text.rsplit(':').next().unwrap_or(text);
    match resource.split_once('/') {
        Some(("user", _)) => text.starts_with("arn:"),
        Some(("assumed-role", session)) => session.starts_with(OF_IDENTITY_CENTER),
        Some((role, _)) => role.starts_with(OF_IDENTITY_CENTER),
        // A build's initiator without a slash is a user of IAM's.
        None => !text.contains(':'),
    }
}

/// The part of what AWS tells that may be a person's name.
fn name_of(text: &str) -> Option<&str> {
    if text.starts_with("arn:") {
        return name_of_arn(text);
    }
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match (text.split_once(':'), text.split_once('/')) {
        // `AROA…:SESSION`, or `ACCOUNT:NAME` of a federated user.
        (Some((id, name)), _) => Some(name).filter(|_| is_id(id)),
        // A build that a pipeline or a webhook started.
        (None, Some(("codepipeline" | "GitHub-Hookshot", _))) => None,
        // A build: `ROLE/SESSION`.
        (None, Some((_, name))) => Some(name),
        // A build: a user's name. In a `SenderId` a user's id, which is nobody's name.
        (None, None) => Some(text),
    }
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`; only users and sessions are somebody.
fn name_of_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &[_, _, service, _, _, resource] = parts.as_slice() else { return None };
    let (kind, path) = resource.split_once('/')?;
    match (service, kind) {
        ("iam", "user") | ("sts", "assumed-role" | "federated-user") => path.rsplit('/').next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: (&str, Option<&str>) = ("ada@example.com", Some("ada"));
    const GRACE: (&str, Option<&str>) = ("Grace@Example.com", None);

    fn is(starter: &Starter, (email, github): (&str, Option<&str>)) -> Option<bool> {
        starter.is(email, github)
    }

    #[test]
    fn a_starter_is_told_by_the_name_that_aws_gives() {
        let yes = Some(true);
        #[rustfmt::skip]
        let cases = [
            // what AWS says                                                              ada   grace  why
            // An ARN: of the operator's tool, and CodePipeline's trigger.
            ("arn:aws:sts::123456789012:assumed-role/Admin/ada@example.com",              yes,  None,  "a session by an address"),
            ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0a1b/Ada",      yes,  None,  "a session by a login, without case"),
            ("arn:aws:sts::123456789012:assumed-role/Admin/grace@example.com",            None, yes,   "another's"),
            ("arn:aws:sts::123456789012:assumed-role/ada/deploy",                         None, None,  "the role's name is nobody's"),
            ("arn:aws:sts::123456789012:assumed-role/Admin/",                             None, None,  "no name"),
            ("arn:aws:sts::123456789012:federated-user/ada",                              yes,  None,  "a federated user"),
            ("arn:aws:iam::123456789012:user/ada",                                        yes,  None,  "a user"),
            ("arn:aws-us-gov:iam::123456789012:user/division/team/ada",                   yes,  None,  "a user under a path, in another partition"),
            ("arn:aws:iam::123456789012:user/ada/grace",                                  None, None,  "a path is no name, and grace has no login"),
            ("arn:aws:iam::123456789012:root",                                            None, None,  "an account is no person"),
            ("arn:aws:iam::123456789012:role/ada",                                        None, None,  "nor is a role"),
            ("arn:aws:events:us-east-1:123456789012:rule/ada",                            None, None,  "nor is a rule"),
            ("arn:aws:codepipeline:us-east-1:123456789012:webhook:ada",                   None, None,  "nor is a webhook"),
            ("arn:aws:sts:assumed-role/Admin/ada",                                        None, None,  "no ARN"),
            (r#"{"FailedPipelineExecutionId":"ada"}"#,                                    None, None,  "what an automatic rollback says"),
            // SQS's SenderId: of a start by hand.
            ("AROAEXAMPLEEXAMPLE001:ada@example.com",                                     yes,  None,  "a session"),
            ("AROAEXAMPLEEXAMPLE001:ada",                                                 yes,  None,  "a session by a login"),
            ("AROAEXAMPLEEXAMPLE001:botocore-session-1793534400",                         None, None,  "a session that nobody named"),
            ("AROAEXAMPLEEXAMPLE001:",                                                    None, None,  "no name"),
            ("AIDAEXAMPLEEXAMPLE001",                                                     None, None,  "a user's id"),
            ("123456789012:ada",                                                          yes,  None,  "a federated user"),
            ("123456789012",                                                              None, None,  "an account"),
            ("unknown",                                                                   None, None,  "SQS did not say"),
            ("",                                                                          None, None,  "nothing"),
            // CodeBuild's initiator.
            ("ada",                                                                       yes,  None,  "a user"),
            ("Admin/ada@example.com",                                                     yes,  None,  "a session of a role"),
            ("codepipeline/ada",                                                          None, None,  "a pipeline"),
            ("GitHub-Hookshot/ada",                                                       None, None,  "a webhook"),
        ];
        for (text, ada, grace, why) in cases {
            let starter = Starter::of(text);
            assert_eq!((is(&starter, ADA), is(&starter, GRACE)), (ada, grace), "{text}: {why}");
        }
    }

    #[test]
    fn a_name_that_somebody_chose_for_themselves_proves_nothing() {
        #[rustfmt::skip]
        let cases = [
            ("arn:aws:iam::123456789012:user/ada",                                true,  "a user of IAM's"),
            ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_1/ada", true,  "by Identity Center"),
            ("arn:aws:sts::123456789012:assumed-role/Admin/ada",                  false, "whoever takes the role names the session"),
            ("arn:aws:sts::123456789012:federated-user/ada",                      false, "so does whoever federates"),
            ("AROAEXAMPLEEXAMPLE001:ada",                                         false, "the queue does not tell the role"),
            ("ada",                                                               true,  "a build's initiator, a user"),
            ("Admin/ada",                                                         false, "a build's initiator, a session"),
        ];
        for (text, expected, why) in cases {
            let Starter::Named { is_proven, .. } = Starter::of(text) else { panic!("{text} names somebody") };
            assert_eq!(is_proven, expected, "{text}: {why}");
        }
    }

    #[test]
    fn how_it_was_started_says_how_the_actor_is_read() {
        let execution = |origin: &str, by_hand: bool, actor: Option<&str>| {
            let origin = match origin {
                "delivery" => serde_json::json!({ "by": "delivery", "delivery": "d1" }),
                trigger => serde_json::json!({ "by": "external", "trigger": trigger }),
            };
            let execution = serde_json::json!({
                "id": "ex-1", "kind": "deployment", "origin": origin, "actor": actor, "is_by_hand": by_hand,
                "target": { "kind": "pipeline", "name": "p", "region": "us-east-1" }, "variables": {},
                "start": { "at": "requested", "refusal": null, "asks": 0 }, "status": "requested",
                "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z",
                "updated_at": "2027-01-15T07:59:00Z",
            });
            Starter::of_execution(&serde_json::from_value(execution).unwrap())
        };
        let session = "arn:aws:sts::123456789012:assumed-role/Admin/ada";
        #[rustfmt::skip]
        let cases = [
            // origin                  by hand  actor                    ada          grace  why
            ("delivery",               false,   Some("Ada"),             Some(true),  None,  "GitHub's login, and grace has none to compare"),
            ("delivery",               false,   Some("AIDAEXAMPLE"),     Some(false), None,  "a login, whatever it looks like"),
            ("delivery",               false,   None,                    None,        None,  "GitHub named nobody"),
            ("delivery",               true,    Some("AROAEXAMPLE:ada"), Some(true),  None,  "SQS's word for it"),
            ("delivery",               true,    Some("AIDAEXAMPLE"),     None,        None,  "a user's id is nobody's name"),
            ("StartPipelineExecution", false,   Some(session),           Some(true),  None,  "in the console"),
            ("StartBuild",             false,   Some("grace"),           None,        None,  "a user whom no address names"),
            ("CloudWatchEvent",        false,   Some("arn:aws:events:us-east-1:123456789012:rule/x"), None, None, "a rule"),
            ("PollForSourceChanges",   false,   None,                    None,        None,  "nobody"),
        ];
        for (origin, by_hand, actor, ada, grace, why) in cases {
            let starter = execution(origin, by_hand, actor);
            assert_eq!((is(&starter, ADA), is(&starter, GRACE)), (ada, grace), "{why}");
        }
    }
}
