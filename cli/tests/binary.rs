//! The operator's tool as it is run: exit codes, what stands on which stream, the shapes of its documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a test may")]

#[path = "binary/incidents.rs"]
mod incidents;

use pointsman_local::aws::wire::router as aws_router;
use pointsman_local::aws::{Aws, Behaviour, Pace};
use pointsman_local::clock::Clock;
use pointsman_local::http::router as http_router;
use pointsman_local::runner::{Local, Options};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use tokio::net::TcpListener;

/// What a command did.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the tool with this environment and nothing else.
fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    run_fed(arguments, environment, "")
}

/// Runs it with this on its stdin.
fn run_fed(arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).current_dir(root()).env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads nothing may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, &[])
}

/// `cargo local` on ports of its own, for as long as it is kept.
struct Account {
    aws: Aws,
    aws_port: String,
    webhook: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Account {
    fn open() -> Self {
        Self::with(Options::default())
    }

    /// One in which people have to confirm that they want mail.
    fn strict() -> Self {
        Self::with(Options { behaviour: Behaviour { strict: true, ..Behaviour::default() }, ..Options::default() })
    }

    fn with(options: Options) -> Self {
        let (tell, told) = channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(options, &tell, stopped));
        });
        let (aws, http_port, aws_port) = told.recv().unwrap();
        let webhook = format!("http://127.0.0.1:{http_port}/webhook");
        Self { aws, aws_port: aws_port.to_string(), webhook, _stop: stop }
    }

    /// Runs the tool for this account.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_fed(arguments, "")
    }

    /// Runs it with this on its stdin.
    fn run_fed(&self, arguments: &[&str], stdin: &str) -> Ran {
        let globals = ["--local", "--aws-port", &self.aws_port];
        let environment = [("POINTSMAN_WEBHOOK_URL", self.webhook.as_str()), ("USER", "ada")];
        run_fed(&[&globals, arguments].concat(), &environment, stdin)
    }

    /// Runs it as for an account of AWS's own, with these credentials.
    fn run_remote(&self, arguments: &[&str], key: &str) -> Ran {
        let endpoint = format!("http://127.0.0.1:{}", self.aws_port);
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("USER", "ada"),
        ];
        run_with(arguments, &environment)
    }

    /// Runs it until what it prints is so.
    fn until(&self, arguments: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let document = self.run(arguments).json();
            if is_so(&document) {
                return document;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{arguments:?}: {}", self.run(arguments).stdout)
    }
}

async fn serve(options: Options, tell: &Sender<(Aws, u16, u16)>, stopped: tokio::sync::oneshot::Receiver<()>) {
    let local = Local::start(Clock::real(), options).await.unwrap();
    let (http, aws) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let ports = (http.local_addr().unwrap().port(), aws.local_addr().unwrap().port());
    tell.send((local.aws.clone(), ports.0, ports.1)).unwrap();
    tokio::select! {
        () = local.run() => {}
        _ = async { axum::serve(http, http_router(local.clone())).await } => {}
        _ = async { axum::serve(aws, aws_router(local.aws.clone())).await } => {}
        _ = stopped => {}
    }
}

/// A file that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pointsman-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const SHOP: &str = "examples/shop/pointsman.toml";
const SHA: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";

#[test]
fn without_an_account_each_outcome_has_its_exit_code() {
    let wrong = Scratch::new("wrong.toml", "version = 1\n[[routes]]\n");
    let wrong = wrong.path();
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &str, &str)] = &[
        // arguments                                     code  stderr holds                       why
        (&["--version"],                                 0,    "",                                "it is there"),
        (&["config", "check", SHOP],                     0,    "",                                "a good file"),
        (&["config", "check", wrong],                    1,    "",                                "a wrong one"),
        (&["config", "check", "nowhere.toml"],           2,    "nowhere.toml",                    "no file"),
        (&["config", "check", SHOP, "--stack-region", "London"], 2, "eu-west-2",                  "no region"),
        (&["config", "schema"],                          0,    "",                                "it needs nothing"),
        (&["explain", "--config", SHOP, "--repository", "acme/shop", "--branch", "main"], 0, "",  "a file and a made-up change"),
        (&[],                                            2,    "Usage",                           "no command"),
        (&["deploy"],                                    2,    "unrecognized subcommand",         "no such command"),
        (&["start", "web", "--sha", "main", "--reason", "r"], 2, "40",                            "a branch is no commit"),
        (&["approvals", "approve", "ap-1", "--sha", "1a2b3c"], 2, "7 digits",                     "no proof of reading"),
        (&["approvals", "reject", "ap-1", "--sha", "1a2b3c4"], 2, "--comment",                    "a rejection says why"),
        (&["rollback", "web"],                           2,    "--reason",                        "turning back says why"),
        (&["rollback", "web", "--to", "1a2b3c", "--reason", "r"], 2, "7 to 40",                   "too few digits"),
        (&["rollback", "web", "--system", "shop", "--reason", "r"], 2, "cannot be used with",     "one or the other"),
        (&["hold", "web", "--reason", " "],              2,    "say why",                         "no reason is none"),
        (&["hold", "web", "--region", "London", "--reason", "r"], 2, "eu-west-2",                 "no region"),
        (&["release", "web"],                            2,    "--reason",                        "releasing says why"),
        (&["freeze", "web", "--reason", "r"],            2,    "--until",                         "for how long?"),
        (&["freeze", "web", "--for", "4", "--reason", "r"], 2, "4h",                              "four what?"),
        (&["thaw", "web"],                               2,    "--reason",                        "thawing says why"),
        (&["quarantine", "add", "web", "main", "--reason", "r"], 2, "40",                         "a branch is no commit"),
        (&["send", "events/push.json"],                  2,    "--url",                           "where to?"),
        (&["--local", "send", "events/push.json", "--event", "Push"], 2, "workflow_run",          "no event is called so"),
        (&["--local", "send", "events/star.json", "--event", "star", "--sha", SHA], 2, "release", "a star has no commit"),
        (&["--local", "--aws-port", "1", "executions", "list"], 1, "is `cargo local` running?",   "nobody is there"),
    ];
    for (arguments, code, stderr, why) in cases {
        let ran = run(arguments);
        assert_eq!(ran.code, *code, "{why}: {arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(stderr), "{why}: {}", ran.stderr);
        assert!(*code != 2 || ran.stdout.is_empty(), "{why}: the document's stream is left alone: {}", ran.stdout);
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        assert!(ran.stdout.contains("pointsman") && ran.stdout.contains("redrive"), "{shell}");
    }
}

#[test]
fn what_does_not_exist_is_exit_code_3_and_one_sentence() {
    let account = Account::open();
    #[rustfmt::skip]
    let cases: &[&[&str]] = &[
        &["deliveries", "show", "72d3162e-cc78-11e3-81ab-4c9367dc0958"],
        &["deliveries", "show", "no/name"],
        &["deliveries", "redrive", "72d3162e-cc78-11e3-81ab-4c9367dc0958"],
        &["executions", "show", "ex-0123456789abcdef0123"],
        &["executions", "stop", "ex-0123456789abcdef0123", "--reason", "r"],
        &["executions", "retry", "ex-0123456789abcdef0123"],
        &["executions", "resolve", "ex-0123456789abcdef0123", "--start-again"],
        &["explain", "--delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"],
        &["audit", "verify", "--execution", "ex-0123456789abcdef0123"],
        &["start", "nothing", "--sha", SHA, "--reason", "r"],
        &["incidents", "show", "in-0123456789abcdef0123"],
        &["environments", "show", "nowhere"],
        &["rollback", "nowhere", "--reason", "r"],
        &["rollback", "nowhere", "--dry-run"],
        &["rollback", "--system", "nothing", "--reason", "r"],
        &["hold", "nowhere", "--reason", "r"],
        &["hold", "shop-staging", "--region", "eu-west-2", "--reason", "r"],
        &["release", "nowhere", "--reason", "r"],
        &["freeze", "nowhere", "--for", "1h", "--reason", "r"],
        &["thaw", "nowhere", "--reason", "r"],
        &["quarantine", "list", "nowhere"],
        &["quarantine", "add", "nowhere", SHA, "--reason", "r"],
        &["quarantine", "lift", "shop-staging", SHA, "--reason", "r"],
        &["approvals", "show", "ap-0123456789abcdef0123"],
        &["approvals", "approve", "ap-0123456789abcdef0123", "--sha", "1a2b3c4"],
        &["approvals", "reject", "ap-0123456789abcdef0123", "--sha", "1a2b3c4", "--comment", "c"],
        &["approvals", "remind", "ap-0123456789abcdef0123"],
        &["approvers", "confirm", "nobody@example.com", "--token", "2336"],
        &["approvers", "sync", "--again", "nobody@example.com"],
    ];
    for arguments in cases {
        for arguments in [arguments.to_vec(), [&["--json"], *arguments].concat()] {
            let ran = account.run(&arguments);
            assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{arguments:?}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.starts_with("pointsman: no "), "{arguments:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn documents_have_the_shapes_that_programs_read() {
    let account = Account::open();
    let keys = |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sent = account.run(&["--json", "send", "events/push.json"]).json();
    assert_eq!(sent["status"], 202);
    let delivery = sent["delivery"].as_str().unwrap();
    let show = ["--json", "deliveries", "show", delivery];
    // Its record may not be there yet.
    let deliveries = account.until(&["--json", "deliveries", "list"], |all| all[0]["status"] == "executed");
    let shown = account.run(&show).json();
    for key in ["delivery", "event", "repository", "status", "reason", "executions"] {
        assert!(shown.get(key).is_some(), "{key}: {shown}");
    }
    assert_eq!(deliveries.as_array().unwrap().len(), 1);
    assert_eq!(keys(&deliveries[0]), keys(&shown), "a list is an array of what show shows");
    assert_eq!(shown["configuration"], 1);

    let id = shown["executions"][0].as_str().unwrap();
    let executions = account.until(&["--json", "executions", "list"], |all| all[0]["status"] == "succeeded");
    let execution = account.run(&["--json", "executions", "show", id]).json();
    for key in ["id", "kind", "repository", "ref", "sha", "environment", "target", "status", "timeline"] {
        assert!(execution.get(key).is_some(), "{key}: {execution}");
    }
    assert_eq!(keys(&executions[0]), keys(&execution));
    for key in ["kind", "name", "region", "execution_id"] {
        assert!(execution["target"].get(key).is_some(), "{key}: {execution}");
    }
    assert!(execution["timeline"].as_array().unwrap().iter().all(|moment| keys(moment) == ["at", "what"]));

    let explained = account.run(&["--json", "explain", "--delivery", delivery]).json();
    assert_eq!(
        (&explained["configuration"], &explained["recorded"]["configuration"]),
        (&"version 1".into(), &1.into())
    );
    assert_eq!(account.run(&["--json", "audit", "verify"]).json()["holds"], true);
    assert_eq!(account.run(&["--json", "config", "check", SHOP]).json()["is_valid"], true);
    assert_eq!(account.run(&["--json", "config", "show"]).json()["version"], 1);
}

#[test]
fn a_hint_can_be_run_as_it_stands() {
    let account = Account::open();
    let environment = [("POINTSMAN_COMMAND", "cargo pointsman"), ("POINTSMAN_WEBHOOK_URL", account.webhook.as_str())];
    let send = |arguments: &[&str]| {
        run_with(&[&["--local", "--aws-port", &account.aws_port, "send"], arguments].concat(), &environment)
    };
    let ran = send(&["events/push.json"]);
    let hint = ran.stdout.lines().find_map(|line| line.strip_prefix("What became of it: ")).unwrap();
    let words: Vec<&str> = hint.split(' ').collect();
    assert_eq!(words[..5], ["cargo", "pointsman", "--local", "--aws-port", &account.aws_port], "{hint}");
    account.until(&["--json", "deliveries", "list"], |all| all[0].is_object());
    assert_eq!(run(&words[2..]).code, 0, "{hint}");

    let ran = send(&["events/ping.json", "--event", "ping"]);
    assert_eq!((ran.code, ran.stdout.contains("What became of it")), (0, false), "{}", ran.stdout);
    let ran = send(&["events/push.json", "--event", "pull_request"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("sent as pull_request; --event says"), "{}", ran.stderr);
}

#[test]
fn a_push_of_a_configuration_is_a_version_only_if_it_says_something_new() {
    let account = Account::open();
    let empty = Scratch::new("empty.toml", "version = 1\n");
    let push = |file: &str, more: &[&str]| account.run(&[&["config", "push", file], more].concat());
    let same = push(SHOP, &[]);
    assert_eq!(same.code, 0);
    assert!(same.stdout.contains("nothing changed: version 1 is live"), "{}{}", same.stdout, same.stderr);
    let refused = push(empty.path(), &[]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("--allow-empty"), "{}", refused.stderr);
    assert!(push(empty.path(), &["--allow-empty"]).stdout.contains("version 2 is live"));
    let again = push(SHOP, &["--json"]).json();
    assert_eq!((&again["version"], &again["is_new"]), (&3.into(), &true.into()));
    assert_eq!(again["by"], "operator:ada", "a local account knows nobody");

    let before = account.run(&["--json", "send", "events/push.json"]).json();
    account.until(&["--json", "deliveries", "list"], |all| all[0].is_object());
    push(empty.path(), &["--allow-empty"]);
    let explained = account.run(&["explain", "--delivery", before["delivery"].as_str().unwrap()]).stdout;
    assert!(explained.contains("version 4, live now"), "{explained}");
    assert!(explained.contains("It was decided under version 3"), "{explained}");
}

#[test]
fn an_operator_is_whoever_aws_let_in() {
    let account = Account::open();
    let empty = Scratch::new("operator.toml", "version = 1\n");
    let push = ["--json", "config", "push", empty.path(), "--allow-empty"];
    let pushed = account.run_remote(&push, "LOCALROLEdeployer").json();
    let expected = "operator:arn:aws:sts::123456789012:assumed-role/deployer/deployer";
    assert_eq!(pushed["by"], expected);
    let log = account.run(&["audit", "show", "configuration"]).stdout;
    assert!(log.contains("arn:aws:sts::123456789012:assumed-role/deployer/deployer"), "{log}");

    let elsewhere = run_with(
        &push,
        &[
            ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", account.aws_port)),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "y"),
        ],
    );
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (1, ""));
    assert!(elsewhere.stderr.contains("AWS does not say who you are"), "{}", elsewhere.stderr);
}

#[test]
fn a_second_stop_points_to_abandon() {
    // An action takes seconds: the execution is still there when it is stopped twice.
    let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
    let account = Account::with(Options { behaviour, ..Options::default() });
    account.run(&["send", "events/push.json"]);
    let all = account.until(&["--json", "executions", "list"], |all| all[0]["status"] == "running");
    let stop = ["executions", "stop", all[0]["id"].as_str().unwrap(), "--reason", "wrong commit"];
    let (first, second) = (account.run(&stop), account.run(&stop));
    assert_eq!((first.code, second.code), (0, 1), "{}{}", first.stderr, second.stderr);
    assert!(second.stderr.contains("is being stopped already"), "{}", second.stderr);
    assert!(second.stderr.contains("--abandon"), "{}", second.stderr);
}

/// Has the shop's production wait for an approval, and tells its id and the digits of its commit.
fn ask(account: &Account) -> (String, String) {
    account.run(&["send", "events/push-production.json"]);
    let all = account.until(&["--json", "approvals", "list"], |all| all[0]["people"][0]["asked_at"].is_string());
    (all[0]["id"].as_str().unwrap().to_owned(), all[0]["sha"].as_str().unwrap()[..7].to_owned())
}

#[test]
fn an_approval_is_seen_and_given_from_a_terminal() {
    let account = Account::open();
    let (id, digits) = ask(&account);
    let keys = |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shown = account.run(&["--json", "approvals", "show", &id]);
    let listed = account.run(&["--json", "approvals", "list", "--environment", "shop-production", "--open"]).json();
    assert_eq!(keys(&listed[0]), keys(&shown.json()), "a list is an array of what show shows");
    assert_eq!(
        (&shown.json()["status"], &shown.json()["missing"]),
        (&"open".into(), &serde_json::json!({ "devops": 1 }))
    );
    assert_eq!(account.run(&["--json", "approvals", "list", "--environment", "shop-staging"]).stdout, "[]\n");
    let hint =
        format!("`pointsman --local --aws-port {} approvals approve {id} --sha DIGITS --as EMAIL`", account.aws_port);
    assert!(shown.stderr.contains(&hint), "{}", shown.stderr);
    let mail = account.aws.sns().mail().pop().unwrap();
    let link = mail.body.lines().find_map(|line| line.trim().split_once("/approvals/")).unwrap().1;
    assert!(!shown.stdout.contains(link) && !shown.stdout.contains("links"), "{}", shown.stdout);

    let approve =
        |more: &[&str]| account.run(&[&["--json", "approvals", "approve", &id, "--sha", &digits], more].concat());
    let approved = approve(&["--as", "Ada@example.com", "--comment", "looks good"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    assert!(approved.stderr.contains("approved by ada@example.com; CodePipeline was told"), "{}", approved.stderr);
    let json = approved.json();
    assert_eq!((&json["status"], &json["told"]["told"]), (&"approved".into(), &"done".into()));
    assert_eq!((&json["votes"][0]["via"], &json["votes"][0]["arn"]), (&"terminal".into(), &"ada".into()));
    let again = approve(&["--as", "ada@example.com"]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert!(again.stderr.contains("is over: approved by ada@example.com"), "{}", again.stderr);

    let executions = account.until(&["--json", "executions", "list"], |all| all[0]["status"] == "succeeded");
    let approval = &executions[0]["approvals"][0];
    assert_eq!(keys(approval), ["by", "decided_at", "id", "stage", "status"]);
    assert_eq!(
        (&approval["id"], &approval["by"]),
        (&Value::from(id.as_str()), &serde_json::json!(["ada@example.com"]))
    );
    let story: Vec<_> =
        executions[0]["timeline"].as_array().unwrap().iter().map(|moment| moment["what"].as_str().unwrap()).collect();
    for told in [
        format!(
            "approval opened: action Approve, {id}, asked ada@example.com, environment shop-production, wants 1 of devops, stage Approve"
        ),
        format!("approvers asked: {id}, sent ada@example.com"),
        format!(
            "approval decided: {id}, by ada@example.com, choice approve, comment looks good, approved by ada@example.com, from a terminal as ada"
        ),
        format!("approval answered by operator ada: {id}, CodePipeline was told"),
    ] {
        assert!(story.contains(&told.as_str()), "{told}: {story:#?}");
    }
    assert_eq!(account.run(&["--json", "approvals", "list", "--open"]).stdout, "[]\n");
}

#[test]
fn a_vote_that_is_not_taken_says_why_and_no_digits() {
    let account = Account::open();
    let (id, digits) = ask(&account);
    #[rustfmt::skip]
    let refusals: &[(&str, &[&str], i32, &str)] = &[
        (&digits,   &[],                            2, "say who you are with --as"),
        (&digits,   &["--as", "grace@example.com"], 1, "not among those who are asked"),
        ("0000000", &["--as", "ada@example.com"],   1, "the digits are not those of this commit"),
    ];
    for (typed, more, code, why) in refusals {
        let approve = ["approvals", "approve", &id, "--sha", typed];
        let refused = account.run(&[&approve[..], more].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (*code, ""), "{}", refused.stderr);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        assert!(refused.stderr.contains(why) && !refused.stderr.contains(&digits), "{}", refused.stderr);
    }
    assert_eq!(account.run(&["--json", "approvals", "show", &id]).json()["votes"], serde_json::json!([]));
}

#[test]
fn who_votes_is_whom_aws_names() {
    let account = Account::open();
    let (id, digits) = ask(&account);
    let reject = ["--json", "approvals", "reject", &id, "--sha", &digits, "--comment", "the migration is missing"];
    let stranger = account.run_remote(&reject, "LOCALROLEdeployer");
    assert_eq!((stranger.code, stranger.stdout.as_str()), (1, ""), "{}", stranger.stderr);
    assert!(stranger.stderr.contains("assumed-role/deployer/deployer, which is no approver's"), "{}", stranger.stderr);
    let chosen = account.run_remote(&[&reject[..], &["--as", "ada@example.com"]].concat(), "LOCALROLEada");
    assert_eq!((chosen.code, chosen.stdout.as_str()), (2, ""), "{}", chosen.stderr);
    assert!(chosen.stderr.contains("AWS says who you are"), "{}", chosen.stderr);
    let rejected = account.run_remote(&reject, "LOCALROLEada");
    assert_eq!(rejected.code, 0, "{}", rejected.stderr);
    let json = rejected.json();
    assert_eq!((&json["status"], &json["votes"][0]["by"]), (&"rejected".into(), &"ada@example.com".into()));
    assert_eq!(json["votes"][0]["arn"], "arn:aws:sts::123456789012:assumed-role/ada/ada");
    account.until(&["--json", "executions", "list"], |all| all[0]["status"] == "failed");
}

#[test]
fn a_reminder_is_a_mail_with_a_fresh_link() {
    let account = Account::open();
    let (id, digits) = ask(&account);
    let links = || {
        let mails = account.aws.sns().mail();
        let link = |body: &str| body.lines().find_map(|line| Some(line.trim().split_once("/approvals/")?.1.to_owned()));
        mails.iter().filter_map(|mail| link(&mail.body)).collect::<Vec<_>>()
    };
    assert_eq!(links().len(), 1);
    let nobody = account.run(&["approvals", "remind", &id, "--to", "grace@example.com"]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (3, ""), "{}", nobody.stderr);
    let reminded = account.run(&["approvals", "remind", &id]);
    assert_eq!(reminded.code, 0, "{}", reminded.stderr);
    assert!(reminded.stderr.contains("within a minute to ada@example.com"), "{}", reminded.stderr);
    // The turn to mail is recorded before the mail is sent, so the record says nothing about the mail yet.
    account.until(&["--json", "approvals", "show", &id], |_| links().len() == 2);
    let links = links();
    assert_ne!(links[0], links[1]);
    account.run(&["approvals", "approve", &id, "--sha", &digits, "--as", "ada@example.com"]);
    let late = account.run(&["approvals", "remind", &id, "--to", "ada@example.com"]);
    assert_eq!((late.code, late.stdout.as_str()), (1, ""), "{}", late.stderr);
    let log = account.run(&["audit", "verify"]);
    assert_eq!(log.code, 0, "{}{}", log.stdout, log.stderr);
}

#[test]
fn an_approver_is_confirmed_with_the_link_of_awss_mail() {
    let account = Account::strict();
    let ada = "ada@example.com";
    let list = account.run(&["--json", "approvers", "list"]);
    let listed = list.json();
    assert_eq!((&listed[0]["email"], &listed[0]["state"]), (&ada.into(), &"pending".into()));
    assert_eq!(listed[0]["groups"], serde_json::json!(["devops"]));
    let hint = format!("`pointsman --local --aws-port {} approvers confirm {ada} --token -`", account.aws_port);
    assert!(list.stderr.contains(&hint), "{}", list.stderr);

    let confirm = ["--json", "approvers", "confirm", ada, "--token", "-"];
    let refused = account.run_fed(&confirm, "2336ab");
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("AWS does not take it") && refused.stderr.contains("sync --again"));
    let other = account.run_fed(&confirm, "https://sns.example/confirmation.html?TopicArn=arn:aws:sns:t&Token=2336ab");
    assert_eq!(other.code, 2, "{}", other.stderr);
    let mail = account.aws.sns().mail().pop().unwrap();
    let link = mail.body.lines().find(|line| line.starts_with("https://sns.")).unwrap();
    let confirmed = account.run_fed(&confirm, link);
    assert_eq!((confirmed.code, confirmed.stderr.as_str()), (0, ""));
    assert_eq!(confirmed.json()["is_unsubscribe_authenticated"], true);

    let synced = account.run(&["--json", "approvers", "sync"]).json();
    assert_eq!((&synced["people"][0]["done"], &synced["surplus"]), (&serde_json::json!([]), &serde_json::json!([])));
    let list = account.run(&["approvers", "list"]);
    assert_eq!(list.stderr, "", "there is nothing left to do");
    assert!(list.stdout.contains("authenticated"), "{}", list.stdout);
}

#[test]
fn approvers_are_found_in_whatever_account_and_under_whatever_name() {
    let account = Account::open();
    let topic = |ran: &Ran| ran.json()[0]["topic"].as_str().unwrap().to_owned();
    let local = topic(&account.run(&["--json", "approvers", "list"]));
    assert!(local.starts_with("arn:aws:sns:us-east-1:123456789012:pointsman-approver-"), "{local}");
    assert_eq!(topic(&account.run_remote(&["--json", "approvers", "list"], "LOCALROLEdeployer")), local, "as STS says");
    let other = "arn:aws:sns:us-east-1:123456789012:other-approver-";
    let synced = account.run(&["--json", "--approver-topics", "other-approver-", "approvers", "sync", "--dry-run"]);
    let json = synced.json();
    assert_eq!(json["people"][0]["done"], serde_json::json!(["topic made", "asked"]));
    assert_eq!(json["people"][0]["state"], "no_topic", "nothing was done");
    assert_eq!(json["surplus"], serde_json::json!([]), "another stack's topics are not ours to delete");
    let named = account.run(&["--json", "--approver-topics", other, "approvers", "list"]);
    assert!(topic(&named).starts_with(other));
}
