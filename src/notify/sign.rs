//! Signatures of webhooks, as Standard Webhooks has them: `v1,<base64 of HMAC-SHA256>` over `id.timestamp.body`.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::words::Error;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes that a key has at least and at most; the standard recommends 24 to 64.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// Secrets at a time: the new one and the old ones that receivers may still know.
const SECRETS_MAX: usize = 4;

/// What a webhook is signed with. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<Vec<u8>>);

impl Secret {
    /// The secrets in a text, one a line: each signs, so that a new one can be brought in before the old one goes.
    ///
    /// # Errors
    /// What is wrong with it, without saying it.
    pub fn parse(place: &str, text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Secret { place: place.to_owned(), what: what.to_owned() };
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some(encoded) = line.strip_prefix(PREFIX) else {
                return Err(wrong("a secret begins with \"whsec_\", with base64 after it"));
            };
            let key = BASE64_STANDARD
                .decode(encoded)
                .map_err(|_| wrong("what follows \"whsec_\" is not base64"))?;
            if !KEY_BYTES.contains(&key.len()) {
                return Err(wrong("a secret is 16 to 128 bytes in base64; 32 random ones are good"));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(wrong(
                "there is no secret in it; make one: echo whsec_$(head -c 32 /dev/urandom | base64)",
            )),
            1..=SECRETS_MAX => Ok(Self(keys)),
            _ => Err(wrong("there are more than four secrets in it")),
        }
    }

    /// The signature header of a message: one per secret, with spaces between them.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signed = |key: &Vec<u8>| {
            // A key of any length is a key.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
        };
        self.0.iter().filter_map(signed).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} secrets>", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_own_example_is_signed_as_it_says() {
        // From the Standard Webhooks specification's reference tests.
        let secret = Secret::parse("test", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a secret");
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_twice_and_what_is_none_is_refused_without_being_shown() {
        let two = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
        let secret = Secret::parse("test", two).expect("two secrets");
        assert_eq!(secret.sign("a", 1, b"").split(' ').count(), 2);
        for bad in [
            "",
            "hunter2",
            "whsec_",
            "whsec_!!!!",
            "whsec_AAAA",
            &"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n".repeat(5),
        ] {
            let error = Secret::parse("the file", bad).expect_err("no secret").to_string();
            assert!(error.starts_with("the file: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
