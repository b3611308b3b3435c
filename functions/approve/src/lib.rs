//! `approve`: ANY /approvals/{link}. Shows what would go live, takes a vote, and answers CodePipeline once.
//!
//! GET, HEAD and OPTIONS change nothing, however often and whoever asks: mail scanners follow links, and some run scripts
//! and submit forms. A vote is a POST from the page itself, with digits that only who has read the page can type.
//! The link is a secret: it stands in no log, no record and no page.

mod answers;
mod ballot;
pub mod page;
mod view;

use answers::{notice, options, page as paged};
use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use ballot::{BadBallot, Headers};
use page::Notice;
use pointsman::approving::{Cast, cast, situation};
use pointsman::aws::AwsConfig;
use pointsman::domain::approval::{Approval, LinkHash, Person, Refused, Via};
use pointsman::ledger::LinkTo;
use pointsman::run::{Engine, RunError};

/// Where the ledger is: nothing else is set.
pub use pointsman::settings::LedgerSettings as Settings;

/// The longest link that is looked up, in characters: ours have 43. A longer one is unknown.
const LINK_CHARACTERS_MAX: usize = 64;

/// Everything that lives longer than one request.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings, "approve").await;
        Self { config, engine }
    }
}

/// Why there is no page about an approval.
#[derive(Debug, thiserror::Error)]
enum NoPage {
    /// 404: nobody was ever sent this link.
    #[error("the link is not known")]
    Unknown,
    /// 410: newer ones took its place.
    #[error("newer links took its place")]
    Replaced,
    /// 405
    #[error("the method is not for this path")]
    Method,
    /// 413, 415, 403 or 400: the request is none that the page makes.
    #[error(transparent)]
    Ballot(#[from] BadBallot),
    /// 503
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Answers one request.
pub async fn handle(app: &App, request: &ApiGatewayProxyRequest) -> ApiGatewayProxyResponse {
    let answered = match request.http_method.as_str() {
        "GET" | "HEAD" => show(app, request).await,
        "POST" => take(app, request).await,
        "OPTIONS" => Ok(options()),
        _ => Err(NoPage::Method),
    };
    answered.unwrap_or_else(|why| refuse(&why))
}

async fn show(app: &App, request: &ApiGatewayProxyRequest) -> Result<ApiGatewayProxyResponse, NoPage> {
    let now = app.config.now();
    let (approval, to) = find(app, request).await?;
    let situation = situation(&app.engine, &approval, now).await?;
    Ok(paged(200, &approval.base_url, &view::view(&approval, &situation, &to.person, None, now)))
}

async fn take(app: &App, request: &ApiGatewayProxyRequest) -> Result<ApiGatewayProxyResponse, NoPage> {
    let now = app.config.now();
    let (approval, to) = find(app, request).await?;
    let ballot = ballot::read(request, &Headers::of(request), &approval.base_url)?;
    let person = Person { key: to.person, via: Via::Link };
    let Cast { approval, situation, refused } = cast(&app.engine, &approval.id, &person, &ballot, now).await?;
    let status = refused.as_ref().map_or(200, status);
    let outcome = view::Outcome { ballot: &ballot, refused: refused.as_ref() };
    Ok(paged(status, &approval.base_url, &view::view(&approval, &situation, &person.key, Some(&outcome), now)))
}

/// The approval that a link is for, and whose it is.
async fn find(app: &App, request: &ApiGatewayProxyRequest) -> Result<(Approval, LinkTo), NoPage> {
    let link = request.path_parameters.get("link").map(String::as_str).unwrap_or_default();
    let is_shaped = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if link.is_empty() || link.len() > LINK_CHARACTERS_MAX || !link.bytes().all(is_shaped) {
        return Err(NoPage::Unknown);
    }
    let hash = LinkHash::of(link);
    let to = app.engine.ledger.link(&hash).await.map_err(RunError::from)?.ok_or(NoPage::Unknown)?;
    let loaded = app.engine.ledger.approval(&to.approval).await.map_err(RunError::from)?.ok_or(NoPage::Unknown)?;
    let approval = loaded.value;
    if approval.holder(&hash).is_none() {
        return Err(NoPage::Replaced);
    }
    Ok((approval, to))
}

fn status(refused: &Refused) -> i64 {
    match refused {
        Refused::WrongDigits | Refused::NoComment | Refused::CommentTooLong => 422,
        Refused::NotAsked | Refused::Barred { .. } | Refused::MayNotOverride => 403,
        Refused::Over | Refused::NotFrozen | Refused::NoCommit | Refused::Blocked { .. } | Refused::Frozen { .. } => {
            409
        }
    }
}

fn refuse(why: &NoPage) -> ApiGatewayProxyResponse {
    match why {
        NoPage::Run(error) => tracing::error!(%error, "the approval could not be read"),
        NoPage::Unknown | NoPage::Replaced | NoPage::Method | NoPage::Ballot(_) => {
            tracing::info!(reason = %why, "request refused");
        }
    }
    notice(match why {
        NoPage::Unknown => Notice::Unknown,
        NoPage::Replaced => Notice::Replaced,
        NoPage::Method => Notice::Method,
        NoPage::Ballot(BadBallot::TooLarge) => Notice::TooLarge,
        NoPage::Ballot(BadBallot::ContentType) => Notice::ContentType,
        NoPage::Ballot(BadBallot::Origin) => Notice::Origin,
        NoPage::Ballot(BadBallot::Form(_)) => Notice::Form,
        NoPage::Run(_) => Notice::Unavailable,
    })
}
