//! Cold starts of `webhook`, as it is deployed, beside a function that does nothing: from the start of the process to
//! its first question for an invocation, and to its first answer. `docs/performance.md` says what came of it.

use super::lambda::{Did, Lambda};
use super::process::cpu_when_idle;
use crate::failure::Failure;
use crate::paths;
use crate::step::{cargo, run as step, timed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How often each program is started.
const STARTS: usize = 50;
const STARTS_QUICK: usize = 10;
/// How many starts before those are not counted: they bring the programs into memory.
const STARTS_BEFORE: usize = 3;
/// How long a program may be silent. At the bound the measurement fails.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// At most this many times what the bare one needs: the aim of `docs/performance.md`.
const AIM: f64 = 2.5;

/// What the event is signed with.
const SECRET: &str = "local-webhook-secret";
const EVENT: &str = "events/api-gateway-webhook.json";

/// One start.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    init: Cost,
    /// Init and the first request.
    first: Cost,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    cpu: Duration,
    clock: Duration,
}

/// Builds both programs and measures them by turns, so that what else the machine does meets both.
pub(super) fn run(is_quick: bool) -> Result<(), Failure> {
    let event = paths::root().join(EVENT);
    let event = fs::read(&event).map_err(|source| Failure::file(&event, source))?;
    let [bare, webhook] = [built("bare")?, built("webhook")?];
    let starts = if is_quick { STARTS_QUICK } else { STARTS };
    timed("cold starts", &format!("{starts} of each, one after the other"), || {
        let (mut of_bare, mut of_webhook) = (Vec::new(), Vec::new());
        for turn in 0..STARTS_BEFORE + starts {
            let samples = (sample(&bare, &event)?, sample(&webhook, &event)?);
            if turn >= STARTS_BEFORE {
                of_bare.push(samples.0);
                of_webhook.push(samples.1);
            }
        }
        print(&of_bare, &of_webhook);
        Ok(())
    })
}

/// Builds a program by itself: together with others it would share their features.
fn built(name: &str) -> Result<PathBuf, Failure> {
    let package = format!("pointsman-{name}");
    step(&format!("building {name}"), cargo().args(["build", "--release", "--package", &package]))?;
    Ok(paths::target()?.join("release").join(name))
}

fn sample(program: &Path, event: &[u8]) -> Result<Sample, Failure> {
    let lambda = Lambda::start(event, SECRET)?;
    let mut command = command(program, &lambda);
    let began = Instant::now();
    let mut child =
        command.spawn().map_err(|source| Failure::NotRun { program: program.display().to_string(), source })?;
    let watched = watch(&lambda, &child, began);
    // It asks for the next invocation and would wait for ever.
    let ended = child.kill().and_then(|()| child.wait());
    ended.map_err(|source| Failure::NotRun { program: program.display().to_string(), source })?;
    watched
}

/// The program with what Lambda and the template would put into its environment, and nothing else.
fn command(program: &Path, lambda: &Lambda) -> Command {
    let address = lambda.address.to_string();
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("AWS_ENDPOINT_URL", format!("http://{address}")).env("AWS_LAMBDA_RUNTIME_API", address).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "measured"),
        ("AWS_SECRET_ACCESS_KEY", "measured"),
        ("AWS_SESSION_TOKEN", "measured"),
        ("POINTSMAN_WEBHOOK_SECRET_ID", "secret"),
        ("POINTSMAN_CHANGES_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/changes.fifo"),
    ]);
    command
}

fn watch(lambda: &Lambda, child: &Child, began: Instant) -> Result<Sample, Failure> {
    let Did::Asked { at, give } = next(lambda)? else { return Err(odd("it answered before it asked")) };
    let init = Cost { cpu: cpu_when_idle(child.id())?, clock: at - began };
    let given = Instant::now();
    // If it is gone, it will be missed below.
    let _ = give.send(());
    let Did::Answered { at, answer } = next(lambda)? else { return Err(odd("it asked again before it answered")) };
    if answer["statusCode"] != 202 {
        return Err(odd(&format!("it answered {answer}")));
    }
    let first = Cost { cpu: cpu_when_idle(child.id())?, clock: init.clock + (at - given) };
    Ok(Sample { init, first })
}

fn next(lambda: &Lambda) -> Result<Did, Failure> {
    match lambda.seen.recv_timeout(SILENCE_MAX) {
        Ok(Did::Failed { why }) => Err(odd(&why)),
        Ok(did) => Ok(did),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(odd("it said nothing")),
    }
}

fn odd(why: &str) -> Failure {
    Failure::Unreadable { program: "the function".to_owned(), why: why.to_owned() }
}

fn print(bare: &[Sample], webhook: &[Sample]) {
    println!("\n                                  bare    webhook   ratio");
    let rows: [(&str, Of); 4] = [
        ("init, CPU", |sample| sample.init.cpu),
        ("init and first request, CPU", |sample| sample.first.cpu),
        ("init, clock", |sample| sample.init.clock),
        ("init and first request, clock", |sample| sample.first.clock),
    ];
    for (name, of) in rows {
        let [of_bare, of_webhook] = [median(bare, of), median(webhook, of)].map(|time| time.as_secs_f64() * 1_000.0);
        println!("{name:<30} {of_bare:>5.2} ms  {of_webhook:>6.2} ms   {:>5.2}", of_webhook / of_bare);
    }
    println!("\nThe medians. The aim is {AIM} at most, of CPU.\n");
}

/// One of the times of a start.
type Of = fn(&Sample) -> Duration;

fn median(samples: &[Sample], of: Of) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(of).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
