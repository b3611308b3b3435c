//! STS: who calls.

use super::{ACCOUNT, Aws, Call, Failure, Service};
use serde_json::{Value, json};

/// Security tokens: nothing is kept.
#[derive(Default)]
pub struct Sts {}

impl Service for Sts {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "GetCallerIdentity" => {
                Ok(json!({ "UserId": user_id(&call.caller), "Account": ACCOUNT, "Arn": call.caller }))
            }
            other => Err(Failure::not_emulated("STS", other)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &["GetCallerIdentity"]
    }
}

/// The account's id for its root, `ID:SESSION` for a role's session.
fn user_id(caller: &str) -> String {
    match caller.rsplit_once('/') {
        Some((_, session)) => format!("AROALOCALLOCALLOCALL:{session}"),
        None => ACCOUNT.to_owned(),
    }
}
