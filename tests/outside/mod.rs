//! The world outside, as far as a test needs it: something that takes webhooks, and a mail server. Both are told how to behave, and both
//! hand what came in to the test.

#![allow(dead_code, unused_imports, reason = "shared by several test binaries, each of which uses a part")]

mod http;
mod lines;
pub(crate) mod mmdb;
mod smtp;

pub(crate) use self::{
    http::{Answer, Webhooks},
    smtp::{MailServer, Manner},
};
use std::sync::Arc;

/// A certificate for this machine, signed by itself: in PEM, and as a server uses it.
pub(crate) struct Identity {
    pub(crate) pem: String,
    config: Arc<rustls::ServerConfig>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a pair");
        Self { pem: made.cert.pem(), config: Arc::new(config) }
    }
}

/// Waits for the next thing that comes in.
async fn next<T>(arrived: &mut tokio::sync::mpsc::UnboundedReceiver<T>, what: &str) -> T {
    match tokio::time::timeout(crate::floor::patience(), arrived.recv()).await {
        Ok(Some(thing)) => thing,
        _ => panic!("{what} did not come in time"),
    }
}
