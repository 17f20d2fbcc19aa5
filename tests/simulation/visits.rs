//! Visits: who is on the site, which pages they see, and where triggers lead them. The lobby is the real one; what it should have said
//! is derived here a second time.

use std::collections::{BTreeMap, BTreeSet};

use maitred::{
    ids::{ClientId, GroupId, VisitorId},
    routing::{
        Context, Variable,
        conversation::{FromLobby, Lead, Opening, Phase, Target},
        lobby::{Announced, Doing, Holder, Lobby},
        words::Body,
    },
};

use crate::{
    bugs::Bug,
    plan::Deed,
    presets::{PAGES, PlainTrigger},
    world::Sim,
};

/// The frontend that speaks for all of them.
const FRONTEND: ClientId = ClientId::from_bytes([9; 16]);

/// Who is on the site, by the lobby and by the judge.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    lobby: Lobby,
    expected: BTreeMap<VisitorId, Visit>,
}

/// A visit as the judge sees it.
#[derive(Debug, Default)]
struct Visit {
    page: Option<&'static str>,
    fired: BTreeSet<&'static str>,
    led: Option<(&'static str, GroupId)>,
    browses: bool,
}

impl Visits {
    /// They have left, or their connection ended.
    pub(crate) fn leaves(&mut self, visitor: VisitorId) {
        self.lobby.leave(Holder::Frontend(FRONTEND), visitor);
        self.expected.remove(&visitor);
    }

    /// A conversation of theirs has come to another place.
    pub(crate) fn does(&mut self, visitor: VisitorId, phase: Phase) {
        let doing = Doing::of(phase);
        self.lobby.does(visitor, doing);
        if let Some(visit) = self.expected.get_mut(&visitor) {
            let browses = doing == Doing::Browsing;
            if visit.browses && !browses {
                visit.led = None;
            }
            visit.browses = browses;
        }
    }

    /// The triggers that have their say at this page, and where they lead.
    fn expect(&mut self, visitor: VisitorId, page: &'static str, of: &[PlainTrigger]) -> Vec<&'static str> {
        let Some(visit) = self.expected.get_mut(&visitor) else { return Vec::new() };
        if visit.page.replace(page) == Some(page) || !visit.browses {
            return Vec::new();
        }
        let fires = |trigger: &&PlainTrigger| trigger.page == page && !visit.fired.contains(trigger.name);
        let firing: Vec<PlainTrigger> = of.iter().filter(fires).cloned().collect();
        if let Some(first) = firing.first() {
            visit.led = Some((first.name, first.group.clone()));
        }
        visit.fired.extend(firing.iter().map(|trigger| trigger.name));
        firing.iter().map(|trigger| trigger.name).collect()
    }
}

impl Sim {
    /// Somebody comes to the site, looks at another page, or leaves.
    pub(crate) fn browse(&mut self, deed: Deed) {
        let visitors: Vec<VisitorId> = self
            .people
            .visitors
            .iter()
            .filter(|visitor| visitor.connected)
            .map(|visitor| visitor.id)
            .collect();
        let Some(visitor) = self.rng.pick(&visitors).copied() else { return };
        let page = self.rng.pick(&PAGES).copied().unwrap_or(PAGES[0]);
        let there = self.visits.lobby.visit(visitor).is_some();
        match deed {
            Deed::LeaveSite => self.visits.leaves(visitor),
            Deed::TurnPage if !there => {}
            _ => self.looks_at_page(visitor, page),
        }
    }

    fn looks_at_page(&mut self, visitor: VisitorId, page: &'static str) {
        let open = self.world.conversations.values();
        let theirs = open.filter(|it| it.visitor().is_some_and(|(other, ..)| other == visitor));
        let doing = theirs.filter_map(|it| it.phase()).map(Doing::of).max().unwrap_or(Doing::Browsing);
        let browses = doing == Doing::Browsing;
        if self.has(Bug::TriggerAgain) {
            self.visits.lobby.leave(Holder::Frontend(FRONTEND), visitor);
        }
        self.visits.expected.entry(visitor).or_insert(Visit { browses, ..Visit::default() });
        let facts = vec![Variable {
            name: "page.url".into(),
            value: Body(format!("https://shop.example{page}").into()),
        }];
        let holder = Holder::Frontend(FRONTEND);
        let announced = Announced { visitor, via: FRONTEND, holder, facts, widget_open: false };
        let cx = Context { now: self.now, policy: &self.plan.policy, generations: &self.generations };
        let met = self.visits.lobby.announce(&cx, announced, doing);
        let expected = self.visits.expect(visitor, page, &self.plan.extras.triggers);
        match met {
            Ok(met) if met.fired.iter().map(|name| name.as_str()).eq(expected.iter().copied()) => {}
            other => {
                let what =
                    format!("{visitor} on {page}: {expected:?} should have had their say, not {other:?}");
                self.oracle.blame("once in a visit", what);
            }
        }
    }

    /// What the lobby means for an opening, as the door has it.
    pub(crate) fn lobby_leads(&mut self, opening: &mut Opening) {
        let Some(visit) = self.visits.lobby.visit(opening.visitor) else { return };
        let (facts, tags) = (visit.facts.clone(), visit.tags.to_vec());
        let led = visit.led.as_ref().filter(|_| opening.is_undecided());
        let lead = led.map(|led| {
            if let Some(group) = &led.group {
                opening.target = Target::Group(group.clone());
            }
            Lead { trigger: led.trigger.clone(), text: None, then: led.group.clone() }
        });
        let said = lead.as_ref().map(|lead| lead.trigger.to_string());
        let wanted = self.visits.expected.get(&opening.visitor).and_then(|visit| visit.led.clone());
        let wanted = wanted.filter(|_| said.is_some() || opening.is_undecided());
        if said.as_deref() != wanted.as_ref().map(|(name, _)| *name) {
            let what = format!("{} was led by {said:?}, not {wanted:?}", opening.visitor);
            self.oracle.blame("where a trigger leads", what);
        }
        opening.lobby = Some(Box::new(FromLobby { facts, tags, lead }));
    }
}
