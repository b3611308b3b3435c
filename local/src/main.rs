//! `cargo local`: Pointsman and all of AWS in one process.

use clap::{Parser, ValueEnum};
use pointsman::random::Random;
use pointsman_local::aws::wire::router as aws_router;
use pointsman_local::aws::{Behaviour, Pace};
use pointsman_local::clock::Clock;
use pointsman_local::data::Data;
use pointsman_local::http::router as http_router;
use pointsman_local::runner::{DEFAULT_CONFIG, DEFAULT_SECRET, Local, Options, REGION};
use serde_json::Value;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::net::TcpListener;

/// Runs Pointsman and all of AWS in one process. It keeps running until it is told to stop.
#[derive(Debug, Parser)]
#[command(
    name = "cargo local",
    version,
    after_help = "Examples:
  cargo local                                    the example shop, ready for a first push
  cargo local --config pointsman.toml            your own configuration
  cargo local --pace real                        actions take as long as they are configured to
  cargo local --data .local                      goes on where it was stopped
  cargo local --port 3100 --aws-port 4600        beside another one"
)]
struct Arguments {
    /// The configuration to publish; pipelines in a folder `pipelines` beside it (CreatePipeline JSON) are laid down
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The port of the service's own HTTP routes
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The port of all of AWS
    #[arg(long, default_value_t = 4566)]
    aws_port: u16,
    /// Where to keep the state: the next run goes on from there [without it everything is forgotten at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long actions take, and how often schedules fire
    #[arg(long, value_enum, default_value_t = PaceName::Fast)]
    pace: PaceName,
    /// Refuse names that do not exist, as AWS does, instead of making them on first use
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PaceName {
    /// Every action under a second, schedules every two seconds
    Fast,
    /// As configured
    Real,
}

/// Who is mailed about incidents: whoever runs this reads it on the terminal.
const ON_CALL: &str = "on-call@example.com";

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::disallowed_methods, reason = "main reads the environment")]
async fn main() -> ExitCode {
    pointsman::telemetry::start(&|name| std::env::var(name).ok());
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let named = |folder: &Path, error: std::io::Error| format!("--data {}: {error}", folder.display());
    let folder = arguments.data.as_deref();
    let mut data = folder.map(|folder| Data::open(folder).map_err(|error| named(folder, error))).transpose()?;
    let listener = listen(arguments.port).await?;
    let aws_listener = listen(arguments.aws_port).await?;
    let resume_from = data.as_ref().and_then(Data::last);
    let base_url = format!("http://{}", listener.local_addr()?);
    let incidents_email = ON_CALL.to_owned();
    let options = Options { resume_from, base_url, incidents_email, ..options(&arguments)? };
    let local = Local::start(Clock::real(), options).await?;
    greet(&local, listener.local_addr()?, aws_listener.local_addr()?);
    // Whoever reads the output may have gone: that is no reason to stop.
    local.aws.sns().on_mail(|mail| drop(writeln!(std::io::stdout(), "{mail}")));
    let service = axum::serve(listener, http_router(local.clone()));
    let aws = axum::serve(aws_listener, aws_router(local.aws.clone()));
    let ended: Result<(), Box<dyn std::error::Error>> = tokio::select! {
        () = local.run() => Ok(()),
        ended = async { service.await } => ended.map_err(Into::into),
        ended = async { aws.await } => ended.map_err(Into::into),
        ended = keep(data.as_mut(), &local) => ended.map_err(Into::into),
        () = told_to_stop() => Ok(()),
    };
    if let Some(data) = &mut data {
        data.save(&local.aws)?;
    }
    ended
}

/// Keeps the account on disk, where that is asked for; returns only when it cannot.
async fn keep(data: Option<&mut Data>, local: &Local) -> std::io::Result<()> {
    match data {
        Some(data) => data.keep(&local.aws).await,
        None => std::future::pending().await,
    }
}

async fn listen(port: u16) -> Result<TcpListener, String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("port {port} cannot be used ({error}); --port and --aws-port choose others"))
}

#[allow(clippy::disallowed_methods, reason = "main reads the environment")]
fn options(arguments: &Arguments) -> Result<Options, Box<dyn std::error::Error>> {
    let secret = std::env::var("POINTSMAN_WEBHOOK_SECRET").unwrap_or_else(|_| DEFAULT_SECRET.to_owned());
    let pace = match arguments.pace {
        PaceName::Fast => Pace::Fast,
        PaceName::Real => Pace::Real,
    };
    let (config, config_name, pipelines) = match &arguments.config {
        None => (DEFAULT_CONFIG.to_owned(), "examples/shop/pointsman.toml".to_owned(), Vec::new()),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let beside = path.parent().unwrap_or(Path::new(".")).join("pipelines");
            (text, path.display().to_string(), pipelines_in(&beside)?)
        }
    };
    // AWS's identifiers need not be secret here, but two runs should not hand out the same. What lets somebody vote must be.
    let seed = u64::try_from(Clock::real().now().as_nanosecond() & i128::from(u64::MAX)).unwrap_or(1);
    let behaviour = Behaviour { pace, strict: arguments.strict, ..Behaviour::default() };
    let (random, config) = (Some(Random::system()), Some(config));
    Ok(Options { behaviour, seed, random, secret, config, config_name, pipelines, ..Options::default() })
}

/// Every CreatePipeline JSON file of a folder, by name; none when there is no such folder.
fn pipelines_in(folder: &Path) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &PathBuf| -> Result<Value, Box<dyn std::error::Error>> {
        let text = std::fs::read_to_string(path)?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    };
    paths.iter().map(read).collect()
}

fn greet(local: &Local, service: SocketAddr, aws: SocketAddr) {
    for warning in &local.warnings {
        println!("{warning}");
    }
    let url = match service.port() {
        3000 => String::new(),
        port => format!(" --url http://127.0.0.1:{port}/webhook"),
    };
    let local = match aws.port() {
        4566 => "--local".to_owned(),
        port => format!("--local --aws-port {port}"),
    };
    println!(
        "Pointsman is ready.

  webhook      http://{service}/webhook
  all of AWS   http://{aws}   (any credentials, region {REGION})

Send a first push from another terminal:

  cargo pointsman {local} send events/push.json{url}

and see what became of it:

  cargo pointsman {local} deliveries list
  cargo pointsman {local} executions list
"
    );
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
