//! Certificates: the operator's own, or one made on first start, and the fingerprint by which clients can know it.

use std::{
    fmt, fs, io,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use thiserror::Error;

/// How long a self-made certificate is valid.
const SELF_MADE_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// The self-made certificate in the data directory.
pub(crate) const CERTIFICATE_FILE: &str = "cert.pem";
/// Its private key, readable by the owner only.
const KEY_FILE: &str = "key.pem";

/// A certificate chain and its key, ready for a server.
#[derive(Debug)]
pub struct Identity {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
    /// The leaf's SHA-256 fingerprint.
    pub fingerprint: Fingerprint,
    /// Where the certificate came from.
    pub origin: Origin,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            fingerprint: self.fingerprint,
            origin: self.origin,
        }
    }
}

/// Where a certificate came from; the start-up line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Read from the files that the operator configured.
    Configured,
    /// Found in the data directory, made by an earlier start.
    Reused,
    /// Made just now in the data directory.
    Made,
}

/// Why there is no usable certificate.
#[derive(Debug, Error)]
pub enum Trouble {
    /// A file could not be read.
    #[error(
        "cannot read {path}: {source}; check that the file exists and that the daemon's user may read it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{path} is not PEM with a {wanted}: {detail}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// "certificate" or "private key".
        wanted: &'static str,
        /// What the parser said.
        detail: String,
    },
    /// The self-made certificate is there without its key.
    #[error(
        "{certificate} is there but its {key} is not; restore it, or delete {certificate} to have a new pair made"
    )]
    NoKey {
        /// The certificate.
        certificate: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// The new pair could not be written.
    #[error("cannot write {path}: {source}; check the data directory's owner and free space")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate and the key do not belong together, or the key's kind is unknown.
    #[error("certificate and key do not fit: {0}")]
    Mismatch(rustls::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Unmakeable(#[from] rcgen::Error),
}

/// The SHA-256 of a certificate's DER form; written as 64 hexadecimal digits, colons allowed when read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of this certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a certificate fingerprint is 64 hexadecimal digits (SHA-256), colons allowed")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Option<Vec<u32>> =
            text.trim().chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(NotAFingerprint)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(pair[0] << 4 | pair[1]).map_err(|_| NotAFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

/// Reads the operator's certificate chain and key (PEM).
///
/// # Errors
/// A file is unreadable or not PEM, or the two do not belong together.
pub fn load(certificate: &Path, key: &Path) -> Result<Identity, Trouble> {
    let identity = read_pair(certificate, key, Origin::Configured)?;
    if let Ok(meta) = fs::metadata(key)
        && meta.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(key = %key.display(), "the private key is readable by others; chmod 600 it");
    }
    if expired(&identity, SystemTime::now()) {
        tracing::warn!(certificate = %certificate.display(), "the configured certificate has expired");
    }
    Ok(identity)
}

/// Reuses the self-made certificate of the data directory while it is valid at `now`, and makes one otherwise:
/// ECDSA P-256, valid for a year, for `localhost`, 127.0.0.1, ::1 and this machine's name.
///
/// # Errors
/// The directory cannot be read or written, or holds a certificate without its key.
pub fn load_or_make(directory: &Path, now: SystemTime) -> Result<Identity, Trouble> {
    let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            let identity = read_pair(&certificate, &key, Origin::Reused)?;
            if !expired(&identity, now) {
                return Ok(identity);
            }
            tracing::warn!(
                "the self-made certificate has expired; clients that pin it must learn the new one"
            );
        }
        (true, false) => return Err(Trouble::NoKey { certificate, key }),
        (false, has_key) => {
            if !has_key {
                make_key(&key)?;
            }
        }
    }
    make_certificate(now, &certificate, &key)?;
    read_pair(&certificate, &key, Origin::Made)
}

/// The ring provider, handed to every rustls configuration, so that no process-wide default is needed.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Writes `bytes` so that a reader sees the whole file or none, readable by the owner only.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn read_pair(certificate: &Path, key: &Path, origin: Origin) -> Result<Identity, Trouble> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| Trouble::Unreadable { path: path.to_owned(), source });
    let not_pem =
        |path: &Path, wanted, detail: String| Trouble::NotPem { path: path.to_owned(), wanted, detail };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(certificate, "certificate", error.to_string()))?;
    let Some(leaf) = chain.first() else {
        return Err(not_pem(certificate, "certificate", "there is none in it".to_owned()));
    };
    let fingerprint = Fingerprint::of(leaf);
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| not_pem(key, "private key", error.to_string()))?;
    rustls::sign::CertifiedKey::from_der(chain.clone(), private.clone_key(), &provider())
        .map_err(Trouble::Mismatch)?;
    Ok(Identity { chain, key: private, fingerprint, origin })
}

fn make_key(key: &Path) -> Result<(), Trouble> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    write(key, &pair.serialize_pem())
}

/// For the key that is there: so a start that was cut short between the two, or a renewal, leaves a pair that fits.
fn make_certificate(now: SystemTime, certificate: &Path, key: &Path) -> Result<(), Trouble> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(machine_name().filter(|name| name != "localhost"));
    let mut params = rcgen::CertificateParams::new(names)?;
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        params.subject_alt_names.push(rcgen::SanType::IpAddress(address));
    }
    params.distinguished_name.push(rcgen::DnType::CommonName, "maitred");
    // An hour back, for clients whose clock is a little behind.
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970.saturating_sub(Duration::from_secs(3600));
    params.not_after = epoch + (since_1970 + SELF_MADE_VALIDITY);

    let text =
        fs::read_to_string(key).map_err(|source| Trouble::Unreadable { path: key.to_owned(), source })?;
    let pair = rcgen::KeyPair::from_pem(&text)?;
    write(certificate, &params.self_signed(&pair)?.pem())
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    write_private(path, text.as_bytes())
        .map_err(|source| Trouble::Unwritable { path: path.to_owned(), source })
}

/// This machine's name, if the system tells one that a certificate can carry.
fn machine_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_ascii_lowercase();
    ServerName::try_from(name.as_str()).ok().filter(|name| matches!(name, ServerName::DnsName(_)))?;
    Some(name)
}

/// Whether the leaf's validity is over. The verifier checks a lone leaf against itself as its own root.
fn expired(identity: &Identity, now: SystemTime) -> bool {
    let Some(leaf) = identity.chain.first() else { return false };
    let mut roots = RootCertStore::empty();
    if roots.add(leaf.clone()).is_err() {
        return false;
    }
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()
    else {
        return false;
    };
    let at = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    let verdict = verifier.verify_server_cert(leaf, &[], &name, &[], at);
    matches!(
        verdict,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_reused_until_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let made = load_or_make(dir.path(), now).unwrap();
        assert_eq!(made.origin, Origin::Made);
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let again = load_or_make(dir.path(), now + SELF_MADE_VALIDITY / 2).unwrap();
        assert_eq!((again.origin, again.fingerprint), (Origin::Reused, made.fingerprint));

        let later = load_or_make(dir.path(), now + SELF_MADE_VALIDITY * 2).unwrap();
        assert_eq!(later.origin, Origin::Made);
        assert_ne!(later.fingerprint, made.fingerprint);
    }

    #[test]
    fn a_start_cut_short_after_the_key_is_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        make_key(&dir.path().join(KEY_FILE)).unwrap();
        let made = load_or_make(dir.path(), SystemTime::now()).unwrap();
        assert_eq!(made.origin, Origin::Made);
    }

    #[test]
    fn a_missing_key_and_rubbish_are_named() {
        let dir = tempfile::tempdir().unwrap();
        load_or_make(dir.path(), SystemTime::now()).unwrap();
        let (certificate, key) = (dir.path().join(CERTIFICATE_FILE), dir.path().join(KEY_FILE));
        fs::write(&key, "rubbish").unwrap();
        assert!(matches!(load(&certificate, &key), Err(Trouble::NotPem { wanted: "private key", .. })));
        fs::remove_file(&key).unwrap();
        assert!(matches!(load_or_make(dir.path(), SystemTime::now()), Err(Trouble::NoKey { .. })));
        assert!(matches!(load(&key, &certificate), Err(Trouble::Unreadable { .. })));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&one, &other] {
            load_or_make(dir.path(), SystemTime::now()).unwrap();
        }
        let mixed = load(&one.path().join(CERTIFICATE_FILE), &other.path().join(KEY_FILE));
        assert!(matches!(mixed, Err(Trouble::Mismatch(_))));
    }

    #[test]
    fn a_fingerprint_reads_back_with_and_without_colons() {
        let print = Fingerprint([0xa5; 32]);
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!(["a5"; 32].join(":").parse(), Ok(print));
        assert_eq!("a5".parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
