//! One e-mail through the operator's mail server; what its answer means.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::{delivery::Delivery, webhook::Verdict, words::Error};

/// Connections to the mail server at a time.
pub(super) const CONCURRENCY: usize = 2;

/// How the way to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// From the first byte (465).
    Tls,
    /// From the greeting on, or not at all (587).
    StartTls,
}

/// A mail server, as the operator wrote it.
pub struct Spec<'a> {
    /// Its name or address.
    pub host: &'a str,
    /// Its port; `None`: what its encryption is usually found at.
    pub port: Option<u16>,
    /// How the way there is protected.
    pub encryption: Encryption,
    /// Certificates in PEM that it is trusted by, instead of the public ones.
    pub roots: Option<&'a [u8]>,
    /// Who sends.
    pub from: &'a str,
    /// Name and password.
    pub login: Option<(String, String)>,
}

/// A mail server that can be used.
#[derive(Clone)]
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailServer {
    /// Makes a mail server of what the operator wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(spec: Spec<'_>) -> Result<Self, Error> {
        let wrong = |what: String| Error::Mail(what);
        let from: Mailbox = spec.from.parse().map_err(|error| wrong(format!("from: {error}")))?;
        let encrypted = || -> Result<TlsParameters, Error> {
            let mut tls = TlsParameters::builder(spec.host.to_owned());
            tls = match spec.roots {
                None => tls.certificate_store(CertificateStore::WebpkiRoots),
                Some(pem) => {
                    let roots =
                        Certificate::from_pem(pem).map_err(|error| wrong(format!("ca_file: {error}")))?;
                    tls.certificate_store(CertificateStore::None).add_root_certificate(roots)
                }
            };
            tls.build().map_err(|error| wrong(error.to_string()))
        };
        let (tls, usual) = match spec.encryption {
            Encryption::None => (Tls::None, 25),
            Encryption::Tls => (Tls::Wrapper(encrypted()?), 465),
            Encryption::StartTls => (Tls::Required(encrypted()?), 587),
        };
        let domain = from.email.domain().to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(spec.host)
            .port(spec.port.unwrap_or(usual))
            .tls(tls)
            .hello_name(ClientId::Domain(domain));
        if let Some((name, password)) = spec.login {
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// One attempt, within this time.
    pub(super) async fn send(&self, delivery: &Delivery, within: Duration) -> Verdict {
        let message = match self.message(delivery) {
            Ok(message) => message,
            Err(why) => return Verdict::Never { why },
        };
        match tokio::time::timeout(within, self.transport.send(message)).await {
            Ok(Ok(_)) => Verdict::Delivered,
            Ok(Err(error)) if error.is_permanent() => Verdict::Never { why: error.to_string() },
            Ok(Err(error)) => Verdict::Again { why: error.to_string(), after: None },
            Err(_) => Verdict::Again { why: "the mail server took too long".to_owned(), after: None },
        }
    }

    fn message(&self, delivery: &Delivery) -> Result<Message, String> {
        let to = delivery.to.as_deref().unwrap_or_default();
        let to: Mailbox = to.parse().map_err(|error| format!("{to:?} is no address: {error}"))?;
        let date = UNIX_EPOCH + Duration::from_micros(delivery.queued.micros());
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(delivery.subject.as_deref().unwrap_or("maitred"))
            // The same at each attempt, so that mail programs show it once.
            .message_id(Some(format!("<{}@{}>", delivery.message, self.from.email.domain())))
            .date(date.min(SystemTime::now() + Duration::from_secs(3_600)))
            .header(ContentType::TEXT_PLAIN)
            .body(delivery.body.to_string())
            .map_err(|error| error.to_string())
    }
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer").field("from", &self.from).finish_non_exhaustive()
    }
}
