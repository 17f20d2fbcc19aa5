//! What of a workspace an agent serves and sees: groups, sites, and whether what the bot has in hand.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::ids::GroupId;

/// The sites that somebody is limited to (BO-12). Cheap to clone, and free for those who are not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sites(Option<Arc<[SmolStr]>>);

/// Of those who are not limited.
pub static EVERYWHERE: Sites = Sites(None);

impl Sites {
    /// These; none: all of them.
    #[must_use]
    pub fn of(sites: &[SmolStr]) -> Self {
        Self((!sites.is_empty()).then(|| sites.into()))
    }

    /// Whether a conversation of this site is among them. One of no site is for those who are not limited: being eligible is an
    /// allow-list (design §4).
    #[must_use]
    pub fn cover(&self, site: Option<&SmolStr>) -> bool {
        match &self.0 {
            None => true,
            Some(sites) => site.is_some_and(|site| sites.contains(site)),
        }
    }

    /// Which; `None`: all of them.
    #[must_use]
    pub fn named(&self) -> Option<&[SmolStr]> {
        self.0.as_deref()
    }
}

/// What an agent serves and sees besides what they take part in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The groups that they belong to, besides `everyone`.
    pub groups: Vec<GroupId>,
    /// The sites that they are limited to.
    pub sites: Sites,
    /// Whether they see conversations that the bot has in hand (BO-11).
    pub sees_bot: bool,
}

impl Scope {
    /// Whether they belong to a group.
    #[must_use]
    pub fn has(&self, group: &GroupId) -> bool {
        group.is_everyone() || self.groups.contains(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_limited_to_sites_has_none_of_the_others() {
        let (one, two) = (SmolStr::new("one"), SmolStr::new("two"));
        let limited = Sites::of(std::slice::from_ref(&one));
        assert!(limited.cover(Some(&one)) && !limited.cover(Some(&two)) && !limited.cover(None));
        let all = Sites::of(&[]);
        assert!(all.cover(Some(&one)) && all.cover(None));
    }
}
