//! The lobby of a workspace: visitors who are on the site, whether or not they have asked for anybody. Volatile by decision
//! (design §3.1): after a restart the frontends announce them again.
//!
//! [`Lobby`] keeps the visits and says what has changed since it was last asked; `trigger.rs` has what happens by itself to who
//! visits: targeted chats (BR-11 to BR-14, BR-18).

#[cfg(test)]
mod tests;
mod trigger;

pub use trigger::{Led, Message, Moment, Targeted, Trigger};

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    Context, Refusal,
    conditions::Known,
    conversation::{Phase, VARIABLES_BYTES, VARIABLES_MAX, check_open},
    words::{Body, Variable},
};
use crate::{
    clock::Timestamp,
    ids::{ClientId, VisitorId},
};

/// What visitors may say of their own visit, besides what the workspace opens to them.
const OWN: [&str; 9] =
    ["site", "page.url", "page.title", "page.tags", "referrer", "locale", "visits", "pages", "consent"];

/// Who says that a visitor is there: with the last of them, they have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A frontend, on whatever connections.
    Frontend(ClientId),
    /// The visitor's own connection.
    Connection(u64),
}

/// What a visitor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doing {
    /// Looks around.
    Browsing,
    /// Has written, and is to choose a group.
    Choosing,
    /// Waits for an agent, or was told that nobody is there.
    Waiting,
    /// Talks with an agent.
    Chatting,
    /// Talks with the bot.
    WithBot,
}

impl Doing {
    /// What a visitor does who has a conversation in this phase.
    #[must_use]
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Waiting | Phase::Offered | Phase::Missed => Self::Waiting,
            Phase::Active => Self::Chatting,
            Phase::Choosing => Self::Choosing,
            Phase::Closed | Phase::Team => Self::Browsing,
            Phase::Bot => Self::WithBot,
        }
    }
}

/// What is said of a visitor who is there.
#[derive(Debug, Clone)]
pub struct Announced {
    /// Who.
    pub visitor: VisitorId,
    /// The program that says so.
    pub via: ClientId,
    /// On whose word they are there.
    pub holder: Holder,
    /// What is new; an empty text takes something away.
    pub facts: Vec<Variable>,
    /// Whether the widget is open.
    pub widget_open: bool,
}

/// One visitor on the site.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Since when.
    pub since: Timestamp,
    /// The program that announced them first.
    pub via: ClientId,
    /// What is known.
    pub facts: Vec<Variable>,
    /// Whether the widget is open.
    pub widget_open: bool,
    /// What they are doing.
    pub doing: Doing,
    /// The lobby's version when this last changed.
    pub version: u64,
    /// What triggers have decided for when they ask for somebody.
    pub led: Option<Box<Led>>,
    /// Tags that triggers have set.
    pub tags: SmallVec<[SmolStr; 1]>,
    fired: SmallVec<[SmolStr; 1]>,
    holders: SmallVec<[Holder; 1]>,
    /// Pages that were seen, while nobody else counts them.
    pages: u32,
}

impl Visit {
    /// What is known under this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.name == name).map(|fact| &*fact.value.0)
    }

    /// Sets what is known under a name; an empty text takes it away.
    fn set(&mut self, fact: &Variable) -> bool {
        let at = self.facts.iter().position(|known| known.name == fact.name);
        match at {
            Some(at) if fact.value.0.is_empty() => _ = self.facts.remove(at),
            Some(at) if self.facts[at].value == fact.value => return false,
            Some(at) => self.facts[at].value = fact.value.clone(),
            None if fact.value.0.is_empty() => return false,
            None => self.facts.push(fact.clone()),
        }
        true
    }

    fn fits(&self) -> bool {
        let bytes = |fact: &Variable| fact.name.len() + fact.value.0.len();
        self.facts.len() <= VARIABLES_MAX && self.facts.iter().map(bytes).sum::<usize>() <= VARIABLES_BYTES
    }
}

impl Known for Visit {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "tag" => (!self.tags.is_empty()).then(|| Cow::Owned(self.tags.join(","))),
            "group" => self.led.as_ref().and_then(|led| Some(Cow::Borrowed(led.group.as_ref()?.as_str()))),
            _ => self.fact(name).map(Cow::Borrowed),
        }
    }
}

/// Which visitors are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// On this site.
    pub site: Option<SmolStr>,
    /// On a page whose address begins so.
    pub page: Option<SmolStr>,
    /// Who do this.
    pub doing: Option<Doing>,
}

impl Filter {
    /// Whether a visit is meant.
    #[must_use]
    pub fn admits(&self, visit: &Visit) -> bool {
        self.site.as_ref().is_none_or(|site| visit.fact("site") == Some(site))
            && self
                .page
                .as_ref()
                .is_none_or(|page| visit.fact("page.url").is_some_and(|url| url.starts_with(page.as_str())))
            && self.doing.is_none_or(|doing| visit.doing == doing)
    }
}

/// What an announcement led to.
#[derive(Debug, Default)]
pub struct Met {
    /// The targeted chat that is shown now.
    pub targeted: Option<Targeted>,
    /// The triggers that had their say.
    pub fired: SmallVec<[SmolStr; 1]>,
}

/// Who is on the sites of one workspace.
#[derive(Debug, Default)]
pub struct Lobby {
    visits: BTreeMap<VisitorId, Visit>,
    held: BTreeMap<Holder, BTreeSet<VisitorId>>,
    version: u64,
    news: News,
}

/// What was not told yet to whoever watches.
#[derive(Debug, Default)]
struct News {
    watched: bool,
    /// The version that was told last.
    told: u64,
    by_version: BTreeMap<u64, VisitorId>,
    of: BTreeMap<VisitorId, u64>,
    /// Who has left since.
    left: BTreeMap<VisitorId, Visit>,
}

impl News {
    fn add(&mut self, version: u64, visitor: VisitorId) {
        if !self.watched {
            return;
        }
        if let Some(older) = self.of.insert(visitor, version) {
            self.by_version.remove(&older);
        }
        self.by_version.insert(version, visitor);
    }
}

impl Lobby {
    /// How many are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// Grows with each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A visitor, if they are there.
    #[must_use]
    pub fn visit(&self, visitor: VisitorId) -> Option<&Visit> {
        self.visits.get(&visitor)
    }

    /// Visitors after one, in the order of their ids.
    pub fn visits(&self, after: Option<VisitorId>) -> impl Iterator<Item = (VisitorId, &Visit)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.visits.range((start, Unbounded)).map(|(visitor, visit)| (*visitor, visit))
    }

    /// A visitor is there, or something about them has changed. `doing`: what their conversations say. What that leads to.
    ///
    /// # Errors
    /// `LobbyFull` if they are new and there is no room; `Invalid` if too much would be known of them; `Forbidden` if a visitor says
    /// of themself what is not theirs to say. Nothing was changed.
    pub fn announce(&mut self, cx: &Context<'_>, announced: Announced, doing: Doing) -> Result<Met, Refusal> {
        let Announced { visitor, via, holder, facts, widget_open } = announced;
        if matches!(holder, Holder::Connection(_)) {
            let others = facts.iter().map(|fact| &fact.name).filter(|name| !OWN.contains(&name.as_str()));
            check_open(cx, others)?;
        }
        let known = self.visits.get(&visitor);
        if known.is_none() && self.visits.len() >= cx.policy.lobby_max as usize {
            return Err(Refusal::LobbyFull);
        }
        let arrives = known.is_none();
        let mut visit = known.cloned().unwrap_or_else(|| Visit {
            since: cx.now,
            via,
            facts: Vec::new(),
            widget_open: false,
            doing,
            version: 0,
            led: None,
            tags: SmallVec::new(),
            fired: SmallVec::new(),
            holders: SmallVec::new(),
            pages: 0,
        });
        let page = visit.fact("page.url").map(str::to_owned);
        facts.iter().for_each(|fact| _ = visit.set(fact));
        let turned = visit.fact("page.url").is_some() && visit.fact("page.url") != page.as_deref();
        let counted = facts.iter().any(|fact| fact.name == "pages");
        if turned && !counted && visit.fact("pages").is_none_or(|pages| pages == visit.pages.to_string()) {
            visit.pages = visit.pages.saturating_add(1);
            let value = Body(visit.pages.to_string().into());
            visit.set(&Variable { name: "pages".into(), value });
        }
        if !visit.fits() {
            return Err(Refusal::Invalid("of a visit at most 64 things are known, 8 KiB together"));
        }
        let opens = widget_open && !visit.widget_open;
        visit.widget_open = widget_open;
        if !visit.holders.contains(&holder) {
            visit.holders.push(holder);
            self.held.entry(holder).or_default().insert(visitor);
        }
        let mut met = Met::default();
        for (moment, now) in [(Moment::Arrive, arrives), (Moment::Page, turned), (Moment::WidgetOpen, opens)]
        {
            if now {
                visit.meet(cx.policy, moment, &mut met);
            }
        }
        self.version += 1;
        visit.version = self.version;
        self.news.add(self.version, visitor);
        self.visits.insert(visitor, visit);
        Ok(met)
    }

    /// A visitor has left, on somebody's word.
    pub fn leave(&mut self, holder: Holder, visitor: VisitorId) {
        if let Some(theirs) = self.held.get_mut(&holder) {
            theirs.remove(&visitor);
            if theirs.is_empty() {
                self.held.remove(&holder);
            }
        }
        let Some(visit) = self.visits.get_mut(&visitor) else { return };
        visit.holders.retain(|known| *known != holder);
        if visit.holders.is_empty()
            && let Some(visit) = self.visits.remove(&visitor)
        {
            self.version += 1;
            self.news.add(self.version, visitor);
            if self.news.watched {
                self.news.left.insert(visitor, visit);
            }
        }
    }

    /// Nobody says any more that the visitors are there whom this one held.
    pub fn lose(&mut self, holder: Holder) {
        for visitor in self.held.remove(&holder).unwrap_or_default() {
            self.leave(holder, visitor);
        }
    }

    /// A visitor does something else from now on, if they are there.
    pub fn does(&mut self, visitor: VisitorId, doing: Doing) {
        let Some(visit) = self.visits.get_mut(&visitor).filter(|visit| visit.doing != doing) else { return };
        self.version += 1;
        if visit.doing == Doing::Browsing {
            // They have asked for somebody: what was decided for that is used up.
            visit.led = None;
        }
        visit.doing = doing;
        visit.version = self.version;
        self.news.add(self.version, visitor);
    }

    // === Who watches ===

    /// Somebody watches from now on; the version that they begin with.
    pub fn watch(&mut self) -> u64 {
        if !self.news.watched {
            self.news.watched = true;
            self.news.told = self.version;
        }
        self.version
    }

    /// Nobody watches any more.
    pub fn unwatch(&mut self) {
        self.news = News::default();
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.by_version.is_empty()
    }

    /// At most so many changes that were not told yet, oldest first: the version that was told before them, the one that is told
    /// with them, and whose they are; of who has left, what was known of them.
    pub fn news(&mut self, most: usize) -> (u64, u64, Vec<(VisitorId, Option<Visit>)>) {
        let after = self.news.told;
        let mut visitors = Vec::new();
        while visitors.len() < most
            && let Some((version, visitor)) = self.news.by_version.pop_first()
        {
            self.news.of.remove(&visitor);
            self.news.told = version;
            let left = self.news.left.remove(&visitor);
            visitors.push((visitor, left));
        }
        if self.news.by_version.is_empty() {
            // What was told twice is told once: the last of it counts.
            self.news.told = self.version;
        }
        (after, self.news.told, visitors)
    }
}
