//! One HTTP request, signed; what its answer means.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::{Client, StatusCode, Url, header, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use smol_str::SmolStr;

use super::{
    address,
    delivery::Delivery,
    sign::Secret,
    words::{Error, Topic},
};

/// Requests to one endpoint at a time, unless it says otherwise.
const CONCURRENCY: u32 = 4;
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest wait that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// An endpoint, as the operator wrote it.
pub struct Spec {
    /// Its name in the workspace.
    pub name: SmolStr,
    /// Where requests go.
    pub url: String,
    /// What they are signed with.
    pub secret: Option<Secret>,
    /// What it wants to know.
    pub topics: Vec<Topic>,
    /// Certificates in PEM that it is trusted by, instead of the public ones.
    pub roots: Option<Vec<u8>>,
    /// Whether plain HTTP may leave this machine.
    pub allow_http: bool,
    /// Whether it may be in a private network.
    pub allow_private: bool,
    /// Requests at a time.
    pub concurrency: Option<u32>,
}

/// An endpoint that can be used.
#[derive(Clone)]
pub struct Webhook(Arc<Inner>);

struct Inner {
    name: SmolStr,
    url: Url,
    secret: Option<Secret>,
    topics: Vec<Topic>,
    concurrency: usize,
    client: Client,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other side has it.
    Delivered,
    /// Worth another try; not before so long, if the other side said so.
    Again { why: String, after: Option<Duration> },
    /// Refused for good.
    Never { why: String },
    /// Nothing is wanted there any more.
    Gone { why: String },
}

impl Webhook {
    /// Makes an endpoint of what the operator wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(spec: Spec) -> Result<Self, Error> {
        let name = spec.name.clone();
        let wrong = |what: String| Error::Webhook { name: name.to_string(), what };
        let url: Url = spec.url.parse().map_err(|error| wrong(format!("the url can't be read: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let loopback = address::is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback || spec.allow_http => {}
            "http" => {
                return Err(wrong(
                    "plain http leaves this machine unprotected: use https, or set allow_http".into(),
                ));
            }
            _ => return Err(wrong("the url begins with https://".into())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the url has a password in it: the signature says who sends".into()));
        }
        let literal = address::literal(&host);
        if literal.is_some_and(|ip| !address::is_public(ip)) && !loopback && !spec.allow_private {
            return Err(wrong(
                "the url leads into a private network: set allow_private if that is meant".into(),
            ));
        }
        let tls = tls(spec.roots.as_deref()).map_err(wrong)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("maitred/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(address::resolver(spec.allow_private || loopback))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let Spec { name, secret, topics, concurrency, .. } = spec;
        let concurrency = concurrency.unwrap_or(CONCURRENCY) as usize;
        Ok(Self(Arc::new(Inner { name, url, secret, topics, concurrency, client })))
    }

    pub(super) fn name(&self) -> &SmolStr {
        &self.0.name
    }

    pub(super) fn url(&self) -> &str {
        self.0.url.as_str()
    }

    pub(super) fn wants(&self, topic: Topic) -> bool {
        self.0.topics.contains(&topic)
    }

    pub(super) fn concurrency(&self) -> usize {
        self.0.concurrency
    }

    /// One attempt, within this time.
    pub(super) async fn send(&self, delivery: &Delivery, within: Duration) -> Verdict {
        // The receiver compares with its own wall clock, so this is not daemon time.
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut request = self
            .0
            .client
            .post(self.0.url.clone())
            .timeout(within)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", delivery.message.as_str())
            .header("webhook-timestamp", timestamp);
        if let Some(secret) = &self.0.secret {
            let signature = secret.sign(&delivery.message, timestamp, delivery.body.as_bytes());
            request = request.header("webhook-signature", signature);
        }
        match request.body(delivery.body.to_string()).send().await {
            Ok(answer) => judge(answer.status(), answer.headers()),
            Err(error) => Verdict::Again { why: explained(&error.without_url()), after: None },
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// What an answer means. Redirects are not followed: they could lead anywhere.
fn judge(status: StatusCode, headers: &header::HeaderMap) -> Verdict {
    if status.is_success() {
        return Verdict::Delivered;
    }
    let why = format!("answered {}", status.as_u16());
    if status == StatusCode::GONE {
        return Verdict::Gone { why };
    }
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Verdict::Again { why, after: asked.and_then(|asked| retry_after(asked, SystemTime::now())) }
}

/// Seconds, or the time of day as HTTP writes it.
fn retry_after(asked: &str, now: SystemTime) -> Option<Duration> {
    let wait = match asked.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(asked.trim()).ok()?.timestamp().as_second();
            let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
            Duration::from_secs(u64::try_from(at).ok()?.saturating_sub(now))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// An error with what is behind it, which is where the reason stands.
fn explained(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        said = format!("{said}: {inner}");
        source = inner.source();
    }
    said
}

/// TLS with the public roots, or with the operator's own.
fn tls(roots: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    match roots {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("ca_file: {error}"))?;
                store.add(certificate).map_err(|error| format!("ca_file: {error}"))?;
            }
            if store.is_empty() {
                return Err("ca_file has no certificate in it".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str) -> Spec {
        Spec {
            name: "test".into(),
            url: url.to_owned(),
            secret: None,
            topics: vec![],
            roots: None,
            allow_http: false,
            allow_private: false,
            concurrency: None,
        }
    }

    #[test]
    fn an_address_is_public_and_encrypted_unless_the_operator_says_otherwise() {
        for good in
            ["https://example.com/hook", "http://127.0.0.1:8080/", "http://localhost/", "https://[::1]/"]
        {
            assert!(Webhook::new(spec(good)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "http://example.com/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://user:word@example.com/",
            "https://[fd00::1]/",
        ] {
            assert!(Webhook::new(spec(bad)).is_err(), "{bad}");
        }
        assert!(Webhook::new(Spec { allow_http: true, ..spec("http://example.com/") }).is_ok());
        assert!(Webhook::new(Spec { allow_private: true, ..spec("https://10.0.0.1/") }).is_ok());
        assert!(
            Webhook::new(Spec { roots: Some(b"nothing".to_vec()), ..spec("https://a.example/") }).is_err()
        );
    }

    #[test]
    fn answers_mean_what_the_standard_says() {
        let no_headers = header::HeaderMap::new();
        let verdict = |code: u16| judge(StatusCode::from_u16(code).expect("a code"), &no_headers);
        assert_eq!((verdict(200), verdict(204)), (Verdict::Delivered, Verdict::Delivered));
        assert!(matches!(verdict(410), Verdict::Gone { .. }));
        for code in [301, 308, 400, 404, 429, 500, 503] {
            assert!(matches!(verdict(code), Verdict::Again { after: None, .. }), "{code}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_time_and_never_more_than_a_day() {
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let seconds = |asked: &str| retry_after(asked, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:30 GMT"), Some(30));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        assert_eq!(seconds("99999999"), Some(86_400));
        assert_eq!(seconds("soon"), None);
    }
}
