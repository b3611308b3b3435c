//! The small pages: there is no approval to show. They say what to do, and nothing of what is behind a link.

use super::{STYLE, finished};
use askama::Template;

/// Why there is no approval to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Nobody was sent this link.
    Unknown,
    /// A newer link was sent to the same person.
    Replaced,
    /// Neither read nor answered, but something else.
    Method,
    /// More was sent than a form of ours can hold.
    TooLarge,
    /// What was sent is no form.
    ContentType,
    /// The form was not sent from our page.
    Origin,
    /// The form lacks a field, or has one twice.
    Form,
    /// Something that is needed did not answer.
    Unavailable,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Replaced,
        Self::Method,
        Self::TooLarge,
        Self::ContentType,
        Self::Origin,
        Self::Form,
        Self::Unavailable,
    ];

    /// The HTTP status that it is sent with.
    pub fn status(self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Replaced => 410,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::ContentType => 415,
            Self::Origin => 403,
            Self::Form => 400,
            Self::Unavailable => 503,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unknown => "This link opens nothing",
            Self::Replaced => "There is a newer link",
            Self::Method => "This page is only read and answered",
            Self::TooLarge => "That was too much",
            Self::ContentType => "That was not the form of the page",
            Self::Origin => "That did not come from the page",
            Self::Form => "The form was not whole",
            Self::Unavailable => "Not just now",
        }
    }

    fn what_to_do(self) -> &'static str {
        match self {
            Self::Unknown => "Mail programs cut long links off. Open it from the mail again, or copy all of it.",
            Self::Replaced => "You were sent another mail about the same approval. Open the link in the newest one.",
            Self::Method => "Open the link from your mail in a browser.",
            Self::TooLarge => "Nothing was counted. Open the link from your mail, and say it in fewer words.",
            Self::ContentType | Self::Form => "Nothing was counted. Open the link from your mail, and answer there.",
            Self::Origin => {
                "Nothing was counted. Open the link from your mail in a browser that is up to date, and answer there."
            }
            Self::Unavailable => "Load the page again in a minute: it says whether an answer of yours was counted.",
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    notice: Notice,
}

/// A small page, as HTML.
///
/// # Errors
/// None that is known: writing to a string does not fail.
pub fn notice(notice: Notice) -> askama::Result<String> {
    NoticePage { notice }.render().map(finished)
}
