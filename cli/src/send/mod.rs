//! `pointsman send`: signs a payload as GitHub does and posts it to the webhook.

mod payload;
mod post;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Surroundings;
use crate::text::plain;
use payload::Overrides;
use pointsman::domain::change::{DeliveryId, Sha};
use pointsman::github::{PAYLOAD_BYTES_MAX, Secret, sign};
use post::Posted;
use serde_json::{Value, json};
use std::io::Read;

/// What `cargo local` verifies with unless it is told otherwise. Public, so good for nothing else.
const LOCAL_SECRET: &str = "local-webhook-secret";
/// Where `cargo local` has its webhook unless it is told otherwise.
const LOCAL_URL: &str = "http://127.0.0.1:3000/webhook";

const EXAMPLES: &str = "\
Examples:
  pointsman --local send events/push.json
  pointsman --local send events/push.json --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --ref refs/heads/main
  pointsman --local send events/release-published.json --event release --ref refs/tags/v1.2.3
  pointsman send push.json --url https://hooks.example.com/webhook --secret-env HOOK_SECRET
  cat push.json | pointsman --local send -

Without --sha and --ref the bytes of the file are sent as they are, so sending it twice sends a repeat. With one of them
the payload becomes a new change that happens now. The secret is read from the environment and is never printed.";

/// Sign a payload and post it to the webhook
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The payload, a JSON file; `-` for stdin
    file: String,
    /// GitHub's event
    #[arg(long, default_value = "push", value_parser = event)]
    event: String,
    /// Send it for this commit
    #[arg(long)]
    sha: Option<Sha>,
    /// Send it for this ref: `refs/heads/…`, `refs/tags/…`, or a short name of the event's own kind
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The delivery's GUID; by default a new one
    #[arg(long, value_name = "GUID")]
    delivery: Option<DeliveryId>,
    /// Where the webhook is; with --local by default http://127.0.0.1:3000/webhook
    #[arg(long, env = "POINTSMAN_WEBHOOK_URL", hide_env_values = true)]
    url: Option<String>,
    /// The environment variable that holds the webhook secret
    #[arg(long, value_name = "NAME", default_value = "POINTSMAN_WEBHOOK_SECRET")]
    secret_env: String,
}

/// Sends it.
pub(crate) async fn run(args: &Args, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let url = url(args, globals)?;
    let secret = secret(args, globals.local, around)?;
    let read = read_file(&args.file)?;
    let overrides = Overrides { sha: args.sha.clone(), git_ref: args.git_ref.clone() };
    let body = overrides.apply(read, &args.event, (around.clock)()).map_err(Failure::Usage)?;
    let delivery = args.delivery.as_ref().map_or_else(guid, ToString::to_string);
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", concat!("pointsman/", env!("CARGO_PKG_VERSION"))),
        ("x-github-event", &args.event),
        ("x-github-delivery", &delivery),
        ("x-hub-signature-256", &sign(&secret, &body)),
    ];
    let posted = post::post(url, &headers, body).await?;
    let json = json!({
        "delivery": delivery, "event": args.event, "status": posted.status, "body": body_json(&posted),
    });
    let report = Report::new(text(&posted, &args.event, &delivery, &globals.command(around)), &json);
    let report = report.ok_if(posted.is_success());
    // The webhook tells strangers no more than that it is no such payload.
    Ok(if posted.status == BAD_REQUEST { report.note(format!("sent as {}; {EVENTS}", args.event)) } else { report })
}

/// What the webhook answers to a body that is signed and is no payload of its event.
const BAD_REQUEST: u16 = 400;

/// What `--event` is for.
const EVENTS: &str = "--event says what the payload is: push, pull_request, workflow_run, release, create, delete or ping; \
                      any other event of GitHub's is recorded, and starts nothing";

/// An event's name, as GitHub writes them.
fn event(typed: &str) -> Result<String, String> {
    let is_name = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { Ok(typed.to_owned()) } else { Err(format!("no event of GitHub's is called so; {EVENTS}")) }
}

/// Where to send it. What is not said to be local goes where somebody says, and nowhere by default.
fn url<'a>(args: &'a Args, globals: &Globals) -> Result<&'a str, Failure> {
    let local = globals.local.then_some(LOCAL_URL);
    args.url.as_deref().or(local).ok_or_else(|| {
        Failure::Usage("where is the webhook? Give --url, set POINTSMAN_WEBHOOK_URL, or use --local".to_owned())
    })
}

fn text(posted: &Posted, event: &str, delivery: &str, command: &str) -> String {
    let mut text = format!("{} {}", posted.status, plain(posted.body.trim()));
    // A ping is answered and forgotten.
    if posted.is_success() && event != "ping" {
        text.push_str(&format!("\nWhat became of it: {command} deliveries show {delivery}"));
    }
    text
}

/// The answer's body, as JSON where it is.
fn body_json(posted: &Posted) -> Value {
    serde_json::from_str(&posted.body).unwrap_or_else(|_| Value::String(posted.body.clone()))
}

fn secret(args: &Args, is_local: bool, around: &Surroundings<'_>) -> Result<Secret, Failure> {
    let name = &args.secret_env;
    let set = (around.lookup)(name).filter(|value| !value.is_empty());
    let text = set.or_else(|| is_local.then(|| LOCAL_SECRET.to_owned())).ok_or_else(|| {
        Failure::Usage(format!("the environment variable {name} holds no webhook secret; --secret-env names another"))
    })?;
    Secret::new(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))
}

/// A file's bytes, or those of stdin. What the webhook refuses for its size is read no further.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{path}: {error}"));
    let bound = PAYLOAD_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(bound).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    Ok(bytes)
}

/// A name as GitHub gives them: random, of version 4.
fn guid() -> String {
    const VERSION: u128 = 0xf000 << 64;
    const VARIANT: u128 = 0xc000 << 48;
    let random = fastrand::u128(..) & !VERSION & !VARIANT | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{random:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn args() -> Args {
        Args {
            file: "-".into(),
            event: "push".into(),
            sha: None,
            git_ref: None,
            delivery: None,
            url: None,
            secret_env: "HOOK".into(),
        }
    }

    #[test]
    fn the_secret_comes_from_the_environment_and_only_locally_from_here() {
        #[rustfmt::skip]
        let cases = [
            (Some("0123456789abcdef"), false, true,  "long enough"),
            (Some("0123456789abcde"),  false, false, "too short"),
            (Some(""),                 false, false, "empty is none"),
            (None,                     false, false, "none, and not local"),
            (None,                     true,  true,  "none, but local"),
        ];
        for (value, is_local, expected, why) in cases {
            let lookup = |name: &str| value.filter(|_| name == "HOOK").map(str::to_owned);
            let around = Surroundings { lookup: &lookup, clock: || Timestamp::UNIX_EPOCH, is_terminal: false };
            let found = secret(&args(), is_local, &around);
            assert_eq!(found.is_ok(), expected, "{why}");
            if let (Err(error), Some(value)) = (found, value.filter(|value| !value.is_empty())) {
                assert_eq!(error.exit_code(), 2);
                assert!(!error.to_string().contains(value), "{why}: a secret is never printed");
            }
        }
    }

    #[test]
    fn a_guid_looks_like_githubs() {
        for _ in 0..100 {
            let guid = guid();
            assert!(guid.parse::<DeliveryId>().is_ok(), "{guid}");
            let parts: Vec<usize> = guid.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{guid}");
            assert_eq!(guid.as_bytes()[14], b'4', "{guid}");
            assert!(matches!(guid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{guid}");
        }
    }

    #[test]
    fn people_are_told_where_to_look() {
        let answer = |status, body: &str| Posted { status, body: body.into() };
        let text = |posted: Posted, event| text(&posted, event, "d1", "pointsman --local");
        assert_eq!(
            text(answer(202, "{\"status\":\"queued\"}\n"), "push"),
            "202 {\"status\":\"queued\"}\nWhat became of it: pointsman --local deliveries show d1"
        );
        assert_eq!(text(answer(200, "pong"), "ping"), "200 pong", "nothing became of it");
        assert_eq!(text(answer(401, "no\u{1b}[2J"), "push"), "401 no\\u{1b}[2J");
    }
}
