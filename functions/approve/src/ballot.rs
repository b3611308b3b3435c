//! A vote as the page's form posts it: checked for where it comes from before a byte of it is read.

use aws_lambda_events::apigw::ApiGatewayProxyRequest;
use base64::Engine as _;
use pointsman::domain::approval::{Ballot, COMMENT_CHARACTERS_MAX, Choice};
use std::borrow::Cow;

/// The largest body that is read, in bytes: the longest comment takes twelve a character at most, and room for the rest.
pub(crate) const BODY_BYTES_MAX: usize = COMMENT_CHARACTERS_MAX * 12 + 4 * 1_024;

/// Why a POST is none of the page's. Each is one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBallot {
    /// 413
    #[error("the form is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// 415
    #[error("the content is not that of a form")]
    ContentType,
    /// 403: another site, or a frame, sent it.
    #[error("it does not come from the page itself")]
    Origin,
    /// 400: fields that are missing, twice, or not the page's.
    #[error("the form is not the page's: {0}")]
    Form(&'static str),
}

/// A request's headers. A name that comes twice counts as neither.
pub(crate) struct Headers<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Headers<'a> {
    /// API Gateway puts every value into the multi-value map; the single-value map keeps only the last of each.
    pub(crate) fn of(request: &'a ApiGatewayProxyRequest) -> Self {
        let all = if request.multi_value_headers.is_empty() { &request.headers } else { &request.multi_value_headers };
        Self(all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect())
    }

    fn get(&self, wanted: &str) -> Header<'a> {
        let mut found = self.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        match (found.next(), found.next()) {
            (None, _) => Header::Absent,
            (Some((_, value)), None) => std::str::from_utf8(value).map_or(Header::Odd, Header::Is),
            (Some(_), Some(_)) => Header::Odd,
        }
    }
}

/// A header as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header<'a> {
    Absent,
    Is(&'a str),
    Odd,
}

/// Reads the ballot of a POST.
///
/// # Errors
/// [`BadBallot`], in the order: size, content type, origin, form.
pub(crate) fn read(
    request: &ApiGatewayProxyRequest,
    headers: &Headers<'_>,
    base_url: &str,
) -> Result<Ballot, BadBallot> {
    let body = body_of(request)?;
    if !is_form(headers.get("content-type")) {
        return Err(BadBallot::ContentType);
    }
    if !is_from_the_page(headers, base_url) {
        return Err(BadBallot::Origin);
    }
    of_form(&body)
}

fn body_of(request: &ApiGatewayProxyRequest) -> Result<Cow<'_, [u8]>, BadBallot> {
    let raw = request.body.as_deref().unwrap_or_default().as_bytes();
    let body = if request.is_base64_encoded {
        if raw.len() / 4 * 3 > BODY_BYTES_MAX + 2 {
            return Err(BadBallot::TooLarge);
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(raw);
        Cow::Owned(decoded.map_err(|_| BadBallot::Form("its bytes cannot be read"))?)
    } else {
        Cow::Borrowed(raw)
    };
    if body.len() > BODY_BYTES_MAX { Err(BadBallot::TooLarge) } else { Ok(body) }
}

fn is_form(content_type: Header<'_>) -> bool {
    let Header::Is(value) = content_type else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether the page itself sent it.
///
/// A browser says where a POST comes from. Under the page's `no-referrer` it says `Origin: null`, as the Fetch standard
/// has it; what tells then is `Sec-Fetch-Site`, which no script can set.
fn is_from_the_page(headers: &Headers<'_>, base_url: &str) -> bool {
    let site_is_same = match headers.get("sec-fetch-site") {
        Header::Absent => None,
        Header::Is(site) => Some(site == "same-origin"),
        Header::Odd => Some(false),
    };
    let is_whole_page = match headers.get("sec-fetch-dest") {
        Header::Absent => true,
        Header::Is(dest) => dest == "document",
        Header::Odd => false,
    };
    let is_origin = match headers.get("origin") {
        Header::Is("null") => site_is_same == Some(true),
        Header::Is(origin) => origin == origin_of(base_url),
        Header::Absent | Header::Odd => false,
    };
    is_origin && is_whole_page && site_is_same != Some(false)
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + "://".len());
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

fn of_form(body: &[u8]) -> Result<Ballot, BadBallot> {
    let (mut decision, mut digits, mut comment, mut overrides) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(body) {
        let slot = match name.as_ref() {
            "decision" => &mut decision,
            "sha" => &mut digits,
            "comment" => &mut comment,
            "override" => &mut overrides,
            _ => return Err(BadBallot::Form("it has a field that the page has not")),
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(BadBallot::Form("it has a field twice"));
        }
    }
    let choice = match decision.as_deref() {
        Some("approve") => Choice::Approve,
        Some("reject") => Choice::Reject,
        Some(_) | None => return Err(BadBallot::Form("it says neither approve nor reject")),
    };
    let overrides = match overrides.as_deref() {
        None => false,
        Some("yes") => true,
        Some(_) => return Err(BadBallot::Form("its override is not the page's")),
    };
    // A browser sends line breaks as two characters.
    let comment = comment.unwrap_or_default().replace("\r\n", "\n");
    Ok(Ballot { choice, digits: digits.unwrap_or_default(), comment, overrides })
}
