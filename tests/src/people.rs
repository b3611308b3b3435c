//! The people of a world: they read their mail, open links, and answer.

use crate::world::World;
use pointsman::domain::approval::{Approval, ApprovalId};
use pointsman_local::aws::sns::Mail;
use pointsman_local::runner::DEFAULT_BASE_URL;
use serde_json::Value;

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The status.
    pub status: u64,
    /// The headers, as the function gave them.
    pub headers: Value,
    /// The body; empty where there is none.
    pub body: String,
}

impl World {
    /// The mails to an address that hold a link, oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mails = self.aws().sns().mail().into_iter();
        mails.filter(|mail| mail.to == address && mail.body.contains("/approvals/")).collect()
    }

    /// The link of somebody's latest mail.
    pub fn link_of(&self, address: &str) -> String {
        let mails = self.mails_to(address);
        let mail = mails.last().unwrap_or_else(|| panic!("{address} got no mail"));
        link_in(&mail.body)
    }

    /// Opens a link.
    pub async fn open(&self, link: &str) -> Answered {
        self.request("GET", link, &[], b"").await
    }

    /// Answers as a browser does that has the page open.
    pub async fn answer(&self, link: &str, fields: &[(&str, &str)]) -> Answered {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", DEFAULT_BASE_URL),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Dest", "document"),
        ];
        self.request("POST", link, &headers, form.finish().as_bytes()).await
    }

    /// Approves with these digits.
    pub async fn approve(&self, link: &str, digits: &str) -> Answered {
        self.answer(link, &[("sha", digits), ("comment", ""), ("decision", "approve")]).await
    }

    /// Rejects with these digits.
    pub async fn reject(&self, link: &str, digits: &str) -> Answered {
        self.answer(link, &[("sha", digits), ("comment", "not like this"), ("decision", "reject")]).await
    }

    /// Sends any request to a link.
    pub async fn request(&self, method: &str, link: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        let path = format!("/approvals/{link}");
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let answer = match self.local.http(method, &path, &headers, body).await {
            Some(Ok(answer)) => answer,
            // What API Gateway says where there is no such route, and where a function fails.
            None => return Answered { status: 403, headers: Value::Null, body: String::new() },
            Some(Err(_)) => return Answered { status: 502, headers: Value::Null, body: String::new() },
        };
        Answered {
            status: answer["statusCode"].as_u64().unwrap_or(0),
            headers: answer["headers"].clone(),
            body: answer["body"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Every approval, newest first.
    pub async fn approvals(&self) -> Vec<Approval> {
        self.local.ledger().latest_approvals(None, self.aws().clock().now(), 1_000).await.unwrap()
    }

    /// One approval.
    pub async fn approval(&self, id: &ApprovalId) -> Approval {
        self.local.ledger().approval(id).await.unwrap().unwrap().value
    }
}

/// The link in a mail.
pub fn link_in(body: &str) -> String {
    let (_, rest) = body.split_once("/approvals/").unwrap_or_else(|| panic!("no link in {body}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}
