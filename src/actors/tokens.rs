//! Tokens, for whoever says Hello: a view of what the workspaces recorded, shared by all arbiters.

use dashmap::DashMap;
use foldhash::fast::RandomState;
use rand::RngCore as _;
use smol_str::SmolStr;
use subtle::ConstantTimeEq as _;

use crate::{
    clock::Timestamp,
    routing::workspace::{Grants, Token},
};

/// What a valid token allows.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The workspace's number.
    pub space: u32,
    /// What it allows.
    pub grants: Grants,
    /// Its public part.
    pub id: SmolStr,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGood {
    /// Unknown, revoked or malformed: they look alike.
    Unknown,
    /// Its time is over.
    Expired,
}

/// All tokens of the daemon, by their public part.
#[derive(Debug, Default)]
pub struct TokenBook(DashMap<SmolStr, (u32, Token), RandomState>);

impl TokenBook {
    /// A workspace recorded a token.
    pub fn enter(&self, space: u32, token: Token) {
        self.0.insert(token.id.clone(), (space, token));
    }

    /// A token was revoked.
    pub fn strike(&self, id: &str) {
        self.0.remove(id);
    }

    /// The tokens of one workspace, in no order.
    #[must_use]
    pub fn of(&self, space: u32) -> Vec<Token> {
        self.0.iter().filter(|entry| entry.0 == space).map(|entry| entry.1.clone()).collect()
    }

    /// What a token's text allows, now.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn admit(&self, text: &str, now: Timestamp) -> Result<Admission, NoGood> {
        let (id, secret) = split(text).ok_or(NoGood::Unknown)?;
        let entry = self.0.get(id).ok_or(NoGood::Unknown)?;
        let (space, token) = entry.value();
        let hash = blake3::hash(secret.as_bytes());
        if !bool::from(hash.as_bytes().ct_eq(&token.hash)) {
            return Err(NoGood::Unknown);
        }
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(NoGood::Expired);
        }
        Ok(Admission { space: *space, grants: token.grants, id: token.id.clone(), expires: token.expires })
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("mtr_")?.split_once('_')
}

/// Makes a token: what is recorded, and its text `mtr_<id>_<secret>`, which is shown once. The secret has 32 random bytes.
#[must_use]
pub fn mint(grants: Grants, created: Timestamp, expires: Option<Timestamp>) -> (Token, String) {
    let mut bytes = [0_u8; 40];
    rand::rng().fill_bytes(&mut bytes);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (id, secret) = (hex(&bytes[..8]), hex(&bytes[8..]));
    let hash = *blake3::hash(secret.as_bytes()).as_bytes();
    let text = format!("mtr_{id}_{secret}");
    (Token { id: id.into(), hash, grants, created, expires }, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_text_admits_until_it_expires_or_is_struck() {
        let book = TokenBook::default();
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let (token, text) = mint(Grants::Frontend, at(1), Some(at(10)));
        let id = token.id.clone();
        book.enter(3, token);
        assert_eq!(book.admit(&text, at(9)).expect("good").space, 3);
        assert_eq!(book.admit(&text, at(10)).expect_err("over"), NoGood::Expired);
        let mut forged = text.clone();
        forged.pop();
        forged.push(if text.ends_with('0') { '1' } else { '0' });
        for bad in ["", "mtr_", "mtr_x_y", &text[4..], &forged] {
            assert_eq!(book.admit(bad, at(1)).expect_err("not a token"), NoGood::Unknown, "{bad}");
        }
        book.strike(&id);
        assert_eq!(book.admit(&text, at(9)).expect_err("struck"), NoGood::Unknown);
    }
}
