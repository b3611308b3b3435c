//! Whose certificates a deployed function trusts when it calls AWS.
//!
//! Reading all of a machine's roots, a hundred and more, is most of what a cold start costs, and AWS's public endpoints need
//! five of them. Fewer roots are also fewer who could vouch for somebody else.

use super::CONNECT_TIMEOUT;
use crate::settings::Lookup;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

/// The roots of AWS's public endpoints.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// What says that other certificates are to be trusted. The SDK itself heeds the last two only.
const OTHER_ROOTS: [&str; 3] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Whose certificates are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Amazon's.
    Amazon,
    /// Those of the machine, or of whatever its environment names instead.
    Machine,
}

impl Trust {
    /// Whose certificates are due where AWS is called in `region`, or at `endpoint` if one is given.
    pub(super) fn of(region: &str, endpoint: Option<&str>, lookup: Lookup<'_>) -> Self {
        let is_named = OTHER_ROOTS.iter().any(|name| lookup(name).is_some_and(|value| !value.is_empty()));
        // An endpoint without TLS needs no root at all.
        let is_elsewhere = endpoint.is_some_and(|url| !url.starts_with("http://"));
        if is_named || is_elsewhere || !is_public(region) { Self::Machine } else { Self::Amazon }
    }

    fn store(self) -> TrustStore {
        match self {
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Self::Machine => TrustStore::default(),
        }
    }
}

/// Whether a region is of AWS's public partition. The others (China, GovCloud, the sovereign and the secret ones) may
/// have certificates of other authorities.
fn is_public(region: &str) -> bool {
    region.split('-').count() == 3 && !region.starts_with("cn-")
}

/// The HTTP client for all of a function's clients: the SDK's own default, but for whom it trusts.
///
/// It has one connector, made here: left to themselves, the clients would make three, and read the roots for each.
pub(super) fn http_client(trust: Trust) -> SharedHttpClient {
    // It cannot fail; the default trusts the machine.
    let context = TlsContext::builder().with_trust_store(trust.store()).build().unwrap_or_default();
    let connector = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .sleep_impl(TokioSleep::new())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_is_trusted_where_only_amazon_answers() {
        #[rustfmt::skip]
        let cases = [
            // region          endpoint                         set              trusted          why
            ("us-east-1",      None,                            "",              Trust::Amazon,   "deployed"),
            ("ap-southeast-5", None,                            "",              Trust::Amazon,   "wherever"),
            ("us-east-1",      Some("http://127.0.0.1:4566"),   "",              Trust::Amazon,   "no TLS, so nobody to trust"),
            ("us-east-1",      Some("https://aws.example.com"), "",              Trust::Machine,  "somebody else's endpoint"),
            ("us-east-1",      None,                            "AWS_CA_BUNDLE", Trust::Machine,  "a proxy that looks into TLS"),
            ("us-east-1",      None,                            "SSL_CERT_FILE", Trust::Machine,  "the same"),
            ("us-east-1",      None,                            "SSL_CERT_DIR",  Trust::Machine,  "the same"),
            ("cn-north-1",     None,                            "",              Trust::Machine,  "China"),
            ("us-gov-west-1",  None,                            "",              Trust::Machine,  "GovCloud"),
            ("us-iso-east-1",  None,                            "",              Trust::Machine,  "a secret region"),
            ("eusc-de-east-1", None,                            "",              Trust::Machine,  "the European Sovereign Cloud"),
        ];
        for (region, endpoint, set, expected, why) in cases {
            let lookup = |name: &str| (name == set).then(|| "/etc/roots.pem".to_owned());
            assert_eq!(Trust::of(region, endpoint, &lookup), expected, "{why}");
        }
        assert_eq!(Trust::of("us-east-1", None, &|_| Some(String::new())), Trust::Amazon, "empty is not set");
    }

    #[test]
    fn the_roots_can_be_read_and_are_five() {
        assert_eq!(AMAZON_ROOTS.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        // Making the connector reads them; it would panic.
        let _ = http_client(Trust::Amazon);
    }
}
