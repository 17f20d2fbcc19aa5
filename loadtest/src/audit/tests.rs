//! Histories made by hand: each broken promise is found, and nothing is found in a clean one.

use std::time::{Duration, Instant};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, VisitorId},
    protocol::{
        List, Notice, Text, Variables,
        notice::{
            AgentItem, AgentItems, OfferEnded, OfferMade, StaffChange, StaffEntry, StaffEvent, VisitorChange,
            VisitorEntry, VisitorEvent, VisitorSide,
        },
        reply::{Opened, Recorded},
        words::{
            Actor, AssignCause, CloseReason, FallbackReason, NotifyClass, OfferKind, OfferOutcome,
            QueueCause, RescindReason, Status,
        },
    },
};

use super::{Audit, Violations, body_of, number_of};

const ANA: AgentId = AgentId::from_bytes([0xa1; 16]);
const BEN: AgentId = AgentId::from_bytes([0xb2; 16]);
const VISITOR: VisitorId = VisitorId::from_bytes([0x77; 16]);
const FIRST: ConversationId = ConversationId::from_bytes([1; 16]);
const SECOND: ConversationId = ConversationId::from_bytes([2; 16]);

/// An audit, and the numbers that a right daemon would use next in the conversation `FIRST`.
struct Story {
    audit: Audit,
    seq: u64,
    visitor_seq: u64,
}

impl Story {
    fn new() -> Self {
        let mut audit = Audit::default();
        audit.agent(ANA, 1);
        audit.agent(BEN, 1);
        Self { audit, seq: 0, visitor_seq: 0 }
    }

    /// Opened, offered to Ana and accepted by her.
    fn answered() -> Self {
        let mut story = Self::new();
        story.visitor(VisitorChange::Opened);
        story.visitor(VisitorChange::Queued { group_label: Text::default() });
        story.opened(2);
        story.seq = 3;
        story.offer(ANA, FIRST, 1);
        story.offer_ended(ANA, FIRST, 1, OfferOutcome::Accepted);
        story.staff(ANA, StaffChange::OfferEnded { agent: ANA, outcome: OfferOutcome::Accepted });
        story.both(
            ANA,
            StaffChange::Assigned { agent: ANA, cause: AssignCause::Accepted },
            VisitorChange::AgentJoined { name: Text::clip("Ana"), avatar: None },
        );
        story.audit.accepted(FIRST, ANA, 1);
        story
    }

    fn opened(&mut self, visitor_seq: u64) {
        let opened = Opened {
            conversation: FIRST,
            existing: false,
            status: Status::Offered,
            visitor_seq,
            picker: None,
        };
        self.audit.opened(&opened);
    }

    fn offer(&mut self, agent: AgentId, conversation: ConversationId, offer: u32) {
        self.audit.noticed(&offer_made(agent, conversation, offer).into());
    }

    fn offer_ended(
        &mut self,
        agent: AgentId,
        conversation: ConversationId,
        offer: u32,
        outcome: OfferOutcome,
    ) {
        self.audit.noticed(&OfferEnded { agent, conversation, offer, outcome }.into());
    }

    /// The visitor alone sees the next event.
    fn visitor(&mut self, change: VisitorChange) {
        self.visitor_seq += 1;
        self.audit.noticed(&visitor_event(self.visitor_seq, change));
    }

    /// An agent alone sees the next event.
    fn staff(&mut self, agent: AgentId, event: StaffChange) {
        self.seq += 1;
        self.audit.noticed(&staff_event(agent, self.seq, None, event));
    }

    /// The agent and the visitor see the next event.
    fn both(&mut self, agent: AgentId, event: StaffChange, change: VisitorChange) {
        self.seq += 1;
        self.visitor(change);
        self.audit.noticed(&staff_event(agent, self.seq, Some(self.visitor_seq), event));
    }

    /// The visitor writes their message of this number; it is seen and acknowledged.
    fn says(&mut self, number: u16) {
        let body = body(FIRST, number);
        let said = VisitorChange::Said { from: VisitorSide::Me, body: body.clone() };
        self.both(ANA, StaffChange::Said { body: body.clone() }, said);
        self.acknowledged(self.visitor_seq, &body);
    }

    fn acknowledged(&mut self, visitor_seq: u64, body: &str) {
        let recorded = Recorded { conversation: FIRST, seq: None, visitor_seq: Some(visitor_seq) };
        self.audit.said(&recorded, body);
    }

    fn closed(&mut self) {
        let reason = CloseReason::ByAgent;
        self.both(ANA, StaffChange::Closed { reason }, VisitorChange::Closed { by_me: false });
    }

    fn end(self) -> Violations {
        self.audit.finish().0
    }
}

fn offer_made(agent: AgentId, conversation: ConversationId, offer: u32) -> OfferMade {
    OfferMade {
        agent,
        conversation,
        offer,
        kind: OfferKind::Offer,
        group: None,
        deadline: None,
        accept_within_ms: None,
        visitor: VISITOR,
        waiting_since: Timestamp::from_micros(1),
        variables: Variables::default(),
        sound: true,
        notify: NotifyClass::Offer,
        link: Text::clip("opaque"),
        face: None,
        owner_face: None,
    }
}

fn visitor_event(visitor_seq: u64, change: VisitorChange) -> Notice {
    let entry = VisitorEntry { visitor_seq, at: Timestamp::from_micros(1), change };
    VisitorEvent { conversation: FIRST, visitor: VISITOR, entry }.into()
}

fn staff_event(agent: AgentId, seq: u64, visitor_seq: Option<u64>, event: StaffChange) -> Notice {
    let entry = StaffEntry { seq, visitor_seq, at: Timestamp::from_micros(1), by: Actor::System, event };
    StaffEvent { conversation: FIRST, agent: Some(agent), entry, notify: NotifyClass::Silent }.into()
}

fn body(conversation: ConversationId, number: u16) -> Text<8192> {
    let mut body = String::new();
    body_of(conversation, number, 20, &mut body);
    Text::clip(body)
}

fn none() -> Violations {
    Violations::default()
}

#[test]
fn nothing_is_found_in_a_clean_story() {
    let mut story = Story::answered();
    (1..=8).for_each(|number| story.says(number));
    story.closed();
    // The slot is free again.
    story.offer(ANA, SECOND, 1);
    assert_eq!(story.end(), none());
}

#[test]
fn a_message_is_known_by_its_body() {
    assert_eq!(number_of(FIRST, &body(FIRST, 7)), Some(7));
    assert_eq!(number_of(SECOND, &body(FIRST, 7)), None);
    assert_eq!(number_of(FIRST, "hello"), None);
}

#[test]
fn an_opening_that_was_never_seen_is_lost() {
    let mut story = Story::new();
    story.opened(2);
    assert_eq!(story.end(), Violations { lost: 1, ..none() });
}

#[test]
fn a_conversation_that_never_ended_is_lost() {
    assert_eq!(Story::answered().end(), Violations { lost: 1, ..none() });
}

#[test]
fn an_opening_that_was_not_acknowledged_is_no_loss() {
    let mut story = Story::new();
    story.visitor(VisitorChange::Opened);
    assert_eq!(story.end(), none());
}

#[test]
fn a_message_that_was_acknowledged_and_never_seen_is_lost() {
    let mut story = Story::answered();
    let last = story.visitor_seq;
    story.closed();
    story.acknowledged(last + 5, &body(FIRST, 1));
    assert_eq!(story.end(), Violations { lost: 1, ..none() });
}

#[test]
fn a_number_left_out_is_a_gap_for_visitors_and_for_agents() {
    let mut story = Story::answered();
    story.visitor_seq += 1;
    story.says(1);
    story.seq += 1;
    story.says(2);
    story.closed();
    assert_eq!(story.end(), Violations { sequence_gaps: 2, ..none() });
}

#[test]
fn a_visitor_who_does_not_see_the_first_event_has_a_gap() {
    let mut story = Story::new();
    story.visitor_seq = 1;
    story.visitor(VisitorChange::Closed { by_me: true });
    assert_eq!(story.end(), Violations { sequence_gaps: 1, ..none() });
}

#[test]
fn events_out_of_order_are_gaps() {
    let mut story = Story::new();
    story.audit.noticed(&visitor_event(2, VisitorChange::Closed { by_me: true }));
    story.audit.noticed(&visitor_event(1, VisitorChange::Opened));
    assert_eq!(story.end(), Violations { sequence_gaps: 2, ..none() });
}

#[test]
fn an_event_that_comes_twice_is_a_duplicate_unless_it_was_asked_for_again() {
    let twice = |resumed: bool| {
        let mut story = Story::answered();
        story.says(1);
        if resumed {
            story.audit.visitor_resumes(FIRST);
        }
        let said = VisitorChange::Said { from: VisitorSide::Me, body: body(FIRST, 1) };
        story.audit.noticed(&visitor_event(story.visitor_seq, said));
        story.closed();
        story.end()
    };
    assert_eq!(twice(false), Violations { duplicate_messages: 1, ..none() });
    assert_eq!(twice(true), none());
}

#[test]
fn holes_that_a_lost_connection_left_may_be_filled_late_but_have_to_be() {
    let resumed = |filled: bool| {
        let mut story = Story::new();
        story.audit.visitor_resumes(FIRST);
        story.audit.noticed(&visitor_event(2, VisitorChange::Closed { by_me: true }));
        if filled {
            story.audit.noticed(&visitor_event(1, VisitorChange::Opened));
        }
        story.end()
    };
    assert_eq!(resumed(true), none());
    assert_eq!(resumed(false), Violations { sequence_gaps: 1, ..none() });
}

#[test]
fn an_agent_may_read_again_what_they_saw() {
    let mut story = Story::answered();
    let events = [
        StaffChange::Opened {
            visitor: VISITOR,
            channel: "web".parse().expect("a name"),
            priority: 5,
            origin: maitred::protocol::words::Origin::Visitor,
            bot: None,
        },
        StaffChange::OfferEnded { agent: ANA, outcome: OfferOutcome::Accepted },
    ];
    let entry = |(seq, event)| StaffEntry {
        seq,
        visitor_seq: None,
        at: Timestamp::from_micros(1),
        by: Actor::System,
        event,
    };
    let history: Vec<_> = [1, 4].into_iter().zip(events).map(entry).collect();
    story.audit.history(ANA, FIRST, &history);
    story.closed();
    assert_eq!(story.end(), none());
}

#[test]
fn a_message_under_two_numbers_is_a_duplicate_for_both_sides() {
    let mut story = Story::answered();
    story.says(1);
    story.says(1);
    story.closed();
    assert_eq!(story.end(), Violations { duplicate_messages: 2, ..none() });
}

#[test]
fn a_message_of_another_conversation_is_one_too_many() {
    let mut story = Story::answered();
    let said = VisitorChange::Said { from: VisitorSide::Me, body: body(SECOND, 1) };
    story.visitor(said);
    story.closed();
    assert_eq!(story.end(), Violations { duplicate_messages: 1, ..none() });
}

#[test]
fn what_comes_again_after_everything_was_judged_is_a_duplicate() {
    let mut story = Story::answered();
    story.closed();
    let last = story.visitor_seq;
    story.audit.tidy(Instant::now() + Duration::from_secs(60));
    assert_eq!(story.audit.open.len(), 0);
    story.audit.noticed(&visitor_event(last, VisitorChange::Closed { by_me: false }));
    assert_eq!(story.end(), Violations { duplicate_messages: 1, ..none() });
}

#[test]
fn two_fallbacks_in_one_stay_are_one_too_many() {
    let told = || VisitorChange::Fallback { message: Text::clip("nobody") };
    let mut story = Story::new();
    story.visitor(VisitorChange::Opened);
    story.visitor(told());
    story.visitor(VisitorChange::Queued { group_label: Text::default() });
    story.visitor(told());
    story.visitor(told());
    story.visitor(VisitorChange::Closed { by_me: true });
    assert_eq!(story.end(), Violations { duplicate_messages: 1, ..none() });
}

#[test]
fn audiences_have_to_agree_about_a_number() {
    let mut story = Story::answered();
    let said = VisitorChange::Said { from: VisitorSide::Me, body: body(FIRST, 1) };
    story.both(ANA, StaffChange::Said { body: body(FIRST, 2) }, said);
    story.closed();
    assert_eq!(story.end(), Violations { sequence_gaps: 1, ..none() });
}

#[test]
fn an_agent_who_never_hears_of_the_end_has_a_gap() {
    let mut story = Story::answered();
    story.visitor(VisitorChange::Closed { by_me: true });
    assert_eq!(story.end(), Violations { sequence_gaps: 1, ..none() });
}

#[test]
fn one_offer_above_the_cap_is_found() {
    let mut story = Story::new();
    story.offer(ANA, FIRST, 1);
    story.offer(ANA, SECOND, 1);
    assert_eq!(story.end(), Violations { cap_violations: 1, ..none() });
}

#[test]
fn an_owned_conversation_takes_a_slot_until_it_is_closed_or_passed_on() {
    let mut story = Story::answered();
    story.offer(ANA, SECOND, 1);
    story.offer_ended(ANA, SECOND, 1, OfferOutcome::Rescinded(RescindReason::Moved));
    story.staff(ANA, StaffChange::Assigned { agent: BEN, cause: AssignCause::Handover });
    story.offer(ANA, SECOND, 2);
    let mut found = story.end();
    found.lost = 0;
    assert_eq!(found, Violations { cap_violations: 1, ..none() });
}

#[test]
fn declined_and_timed_out_offers_free_their_slot_and_announcements_take_none() {
    let mut story = Story::new();
    story.offer(ANA, FIRST, 1);
    story.offer_ended(ANA, FIRST, 1, OfferOutcome::Declined);
    story.offer(ANA, SECOND, 1);
    story.offer_ended(ANA, SECOND, 1, OfferOutcome::TimedOut);
    for number in 3..6 {
        let conversation = ConversationId::from_bytes([number; 16]);
        let announced = OfferMade { kind: OfferKind::Announcement, ..offer_made(ANA, conversation, 1) };
        story.audit.noticed(&announced.into());
    }
    story.offer(ANA, FIRST, 2);
    assert_eq!(story.end(), none());
}

#[test]
fn forcing_goes_past_the_cap() {
    let mut story = Story::answered();
    story.closed();
    story.offer(ANA, SECOND, 1);
    story.seq += 1;
    let forced = StaffChange::Assigned { agent: ANA, cause: AssignCause::Forced };
    let entry = StaffEntry {
        seq: 9,
        visitor_seq: None,
        at: Timestamp::from_micros(1),
        by: Actor::System,
        event: forced,
    };
    let third = ConversationId::from_bytes([3; 16]);
    story.audit.noticed(
        &StaffEvent { conversation: third, agent: Some(ANA), entry, notify: NotifyClass::Silent }.into(),
    );
    assert_eq!(story.end().cap_violations, 0);
}

#[test]
fn a_session_begins_with_what_the_agent_has() {
    let mut story = Story::new();
    story.offer(ANA, FIRST, 1);
    story.audit.session_lost(ANA);
    let items = List::clip([AgentItem::Offer(offer_made(ANA, SECOND, 4))]);
    story.audit.noticed(&AgentItems { agent: ANA, version: 1, items, more: false }.into());
    story.offer(ANA, FIRST, 2);
    assert_eq!(story.end(), Violations { cap_violations: 1, ..none() });
}

#[test]
fn a_second_agent_who_takes_it_from_a_line_it_is_not_in_is_a_second_owner() {
    let mut story = Story::answered();
    story.says(1);
    story.staff(ANA, StaffChange::Assigned { agent: BEN, cause: AssignCause::Accepted });
    story.closed();
    assert_eq!(story.end(), Violations { double_owner: 1, ..none() });
}

#[test]
fn two_owners_by_the_same_number_are_two_owners() {
    let mut story = Story::answered();
    let seq = story.seq;
    let assigned = StaffChange::Assigned { agent: BEN, cause: AssignCause::Accepted };
    story.audit.noticed(&staff_event(BEN, seq, Some(3), assigned));
    story.closed();
    assert_eq!(story.end().double_owner, 1);
}

#[test]
fn an_offer_that_two_accepted_has_two_owners() {
    let mut story = Story::answered();
    story.audit.accepted(FIRST, BEN, 1);
    story.closed();
    assert_eq!(story.end(), Violations { double_owner: 1, ..none() });
}

#[test]
fn a_handover_and_a_new_stay_change_the_owner_rightly() {
    let mut story = Story::answered();
    story.staff(ANA, StaffChange::Assigned { agent: BEN, cause: AssignCause::Handover });
    let seq = story.seq;
    let assigned = StaffChange::Assigned { agent: BEN, cause: AssignCause::Handover };
    story.audit.noticed(&staff_event(BEN, seq, None, assigned));
    let group = "sales".parse().expect("a name");
    story.staff(BEN, StaffChange::Queued { stay: 2, group, cause: QueueCause::Transfer });
    story.staff(ANA, StaffChange::Assigned { agent: ANA, cause: AssignCause::Accepted });
    story.closed();
    assert_eq!(story.end(), none());
}

#[test]
fn nothing_is_concluded_from_what_nobody_saw() {
    let mut story = Story::answered();
    story.staff(ANA, StaffChange::Left { agent: ANA });
    story.seq += 3;
    story.staff(BEN, StaffChange::Assigned { agent: BEN, cause: AssignCause::Accepted });
    let reason = FallbackReason::NobodyOnline;
    story.staff(BEN, StaffChange::FellBack { reason, message: None });
    story.visitor(VisitorChange::Closed { by_me: true });
    story.staff(BEN, StaffChange::Closed { reason: CloseReason::ByVisitor });
    assert_eq!(story.end(), none());
}
