//! What the daemon answers: one reply to each request, with its number.
//!
//! Holds: [`Reply`] and a struct per kind. Knows: the shared words, the entries of histories. Never: anything that is
//! not durable yet; the output gate sees to that. Start reading at: [`Reply`].

use super::{
    bounded::{List, Text, Variables},
    notice::{StaffEntry, VisitorEntry},
    refusal::RefusalCode,
    wire::{messages, wire},
    words::{
        AgentRow, ChosenBy, ConversationRow, FallbackReason, GroupRow, HISTORY_PAGE, PAGE, QueueCause, Role,
        Status, Strategy, TAGS, VisitorRow,
    },
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId, VisitorId, WorkspaceId},
};

messages! {
    /// What the daemon answers.
    pub enum Reply numbered by caller {
        0x8000 Refused,
        0x8001 Welcome,
        0x8002 Pong,
        0x8003 Done,
        0x8010 Opened,
        0x8011 Recorded,
        0x8030 Subscribed,
        0x8032 StaffHistory,
        0x8033 VisitorHistory,
        0x8040 ConversationPage,
        0x8041 ConversationDetail,
        0x8042 GroupPage,
        0x8043 GroupDetail,
        0x8044 AgentPage,
        0x8045 AgentDetail,
        0x8046 Explanation,
        0x8047 PositionReply,
        0x8049 ChoicePage,
        0x804a WorkspaceDetail,
        0x8050 Minted,
        0x8051 TokenPage,
        0x8063 QuarantinePage,
        0x8064 Erasure,
        0x8066 ConfigPage,
        0x80b2 DeliveryPage,
        0x80b3 DeliveryDetail,
        0x80c2 VisitorPage,
    }
}

wire! { lenient;
    /// No. Nothing was changed, unless the code says otherwise.
    pub struct Refused {
        /// Which no: stable, to be acted on by programs.
        code: RefusalCode,
        /// What to do about it, in a sentence for people; 512 bytes.
        message: Text<512>,
        /// How long to wait before trying again, in milliseconds; absent if waiting does not help.
        retry_after_ms: Option<u64>,
    }

    /// Who the daemon takes the client for. Answers Hello and Renew.
    pub struct Welcome {
        /// This connection's number, for the operator; it stands in the daemon's log.
        connection: u64,
        /// What the token allows.
        role: Role,
        /// The token's workspace; on the Unix socket the one that Hello named.
        workspace: Option<WorkspaceId>,
        /// Whose token it is, if an agent's.
        agent: Option<AgentId>,
        /// Whose token it is, if a visitor's.
        visitor: Option<VisitorId>,
        /// The daemon's time.
        now: Timestamp,
        /// The highest kind of request that the daemon knows.
        highest_kind: u16,
        /// The daemon's version; 64 bytes.
        version: Text<64>,
        /// When the token's time is over.
        expires: Option<Timestamp>,
        /// What the client has to keep to.
        limits: Limits,
    }

    /// What a connection has to keep to.
    pub struct Limits: Copy {
        /// Requests sent and not yet answered.
        in_flight: u32,
        /// Bytes in the body of a message or note.
        message_body: u32,
        /// Bytes in the body of a frame.
        frame: u32,
    }

    /// The daemon is there.
    pub struct Pong {
        /// The daemon's time.
        now: Timestamp,
    }

    /// It is done, durably where it matters.
    pub struct Done {}

    /// The conversation is open.
    pub struct Opened {
        /// The one that is open now: the asked-for one, or the one that was open already.
        conversation: ConversationId,
        /// Whether it was open already.
        existing: bool,
        /// Where it is in its life. `waiting` stands for `offered` too, since visitors do not see offers.
        status: Status,
        /// Number of the visitor's newest event.
        visitor_seq: u64,
        /// If it is `choosing`: what the visitor chooses from, with Choose. Nobody hears of it before that.
        picker: Option<Picker>,
    }

    /// What a visitor is asked to choose from.
    pub struct Picker {
        /// What to show above the list; 2 KiB.
        text: Option<Text<2048>>,
        /// The groups. Further ones, if it is full: ListChoices.
        choices: List<ChoiceRow, PAGE>,
        /// What the entry for who does not know is called; absent if there is none. 64 bytes.
        not_sure: Option<Text<64>>,
    }

    /// It is done and recorded.
    pub struct Recorded {
        /// In which conversation.
        conversation: ConversationId,
        /// The number of the last event of it, for staff; absent on a visitor's connection.
        seq: Option<u64>,
        /// The number of the last event of it that the visitor may see, if there is one.
        visitor_seq: Option<u64>,
    }

    /// What follows the known number comes now, as notices.
    pub struct Subscribed {
        /// A conversation's newest number, in the numbering of the one who asked; a group's or agent's version.
        version: u64,
        /// The number that the first notice will have, if what comes before it is too much to be told at once: read it with
        /// History.
        next: Option<u64>,
    }

    /// A page of a conversation's events, as staff see them.
    pub struct StaffHistory {
        /// In order of `seq`.
        events: List<StaffEntry, HISTORY_PAGE>,
        /// What to ask with as `after` for the next page; absent at the end.
        next: Option<u64>,
    }

    /// A page of a conversation's events, as its visitor sees them.
    pub struct VisitorHistory {
        /// In order of `visitor_seq`.
        events: List<VisitorEntry, HISTORY_PAGE>,
        /// What to ask with as `after` for the next page; absent at the end.
        next: Option<u64>,
    }

    /// A page of conversations.
    pub struct ConversationPage {
        /// By status (bot, waiting, offered, active, missed, closed), then by id, which for a version 7 is the order of opening.
        rows: List<ConversationRow, PAGE>,
        /// For the next page; absent at the end.
        cursor: Option<Text<128>>,
    }

    /// One conversation.
    pub struct ConversationDetail {
        /// As in lists.
        row: ConversationRow,
        /// The agents who take part, the owner included.
        participants: List<AgentId, 32>,
        /// What is known about the visitor.
        variables: Variables,
        /// Its tags; 64 bytes each, and within the 8 KiB of the variables.
        tags: List<Text<64>, TAGS>,
        /// Whether an agent has written to the visitor since it was opened, or opened again.
        answered_by_human: bool,
        /// Whether the visitor may return to the bot now.
        return_to_bot: bool,
        /// How the visitor rated it, 1 to 5. What they said about it is in its history.
        rating: Option<u8>,
        /// Its present visit to a queue; absent unless waiting or offered.
        stay: Option<StayView>,
        /// What it waits for or why it was missed, in words; 512 bytes.
        waits_because: Option<Text<512>>,
        /// Whether it stands aside after repeated failures.
        quarantined: bool,
    }

    /// One visit of a conversation to a group's queue.
    pub struct StayView {
        /// The conversation's how-manieth, from 1.
        number: u32,
        /// Whose queue.
        group: GroupId,
        /// What brought it there.
        cause: QueueCause,
        /// Since when.
        since: Timestamp,
        /// When it ends at the latest; absent for `max_wait = "none"`.
        until: Option<Timestamp>,
        /// Offers made so far.
        offers: u32,
        /// Who has it on their screen now; the first 32 of them.
        pending: List<PendingOffer, 32>,
        /// Who missed or declined it, and is not asked again in this stay.
        tried: List<AgentId, 64>,
    }

    /// An offer that is not answered yet.
    pub struct PendingOffer: Copy {
        /// Its number in the conversation.
        offer: u32,
        /// Whom it asks.
        agent: AgentId,
        /// Until when; absent for announcements of a pull queue.
        deadline: Option<Timestamp>,
    }

    /// A page of groups.
    pub struct GroupPage {
        /// In order of their names.
        rows: List<GroupRow, PAGE>,
        /// For the next page; absent at the end.
        cursor: Option<Text<128>>,
    }

    /// One group.
    pub struct GroupDetail {
        /// As in lists.
        row: GroupRow,
        /// Whether it is switched on.
        enabled: bool,
        /// Whether it stands aside after repeated failures.
        quarantined: bool,
        /// Agents who belong to it.
        members: u32,
        /// How long an agent has to answer an offer, in milliseconds.
        accept_timeout_ms: u64,
        /// How long a stay lasts, in milliseconds; absent for no limit.
        max_wait_ms: Option<u64>,
        /// Offers in a stay; absent for every eligible member once.
        max_offers: Option<u32>,
        /// Where it sends whom it can't serve, in order.
        overflow: List<GroupId, 4>,
        /// The head of its line, first first.
        line: List<WaitingView, 50>,
    }

    /// A place in a line.
    pub struct WaitingView: Copy {
        /// Which.
        conversation: ConversationId,
        /// Class, 0 first to 9 last.
        priority: u8,
        /// Since when.
        since: Timestamp,
    }

    /// A page of agents.
    pub struct AgentPage {
        /// In order of their ids.
        rows: List<AgentRow, PAGE>,
        /// For the next page; absent at the end.
        cursor: Option<Text<128>>,
    }

    /// One agent.
    pub struct AgentDetail {
        /// As in lists.
        row: AgentRow,
        /// Where to write to them; 254 bytes.
        email: Option<Text<254>>,
        /// Whether they may have conversations at all.
        live_chat: bool,
        /// Whether the configuration file alone manages them.
        managed_by_config: bool,
        /// How many connections are sessions of theirs.
        sessions: u32,
        /// Offers missed in a row.
        missed: u32,
        /// When they last got a conversation.
        last_assigned_at: Option<Timestamp>,
        /// What holds their slots.
        holds: List<HeldItem, 200>,
        /// The sites that they are limited to; empty for all.
        sites: List<Text<128>, 32>,
        /// Whether they see conversations that the bot has in hand.
        sees_bot: bool,
        /// When they last did something; kept by the system, as is the next.
        last_activity_at: Option<Timestamp>,
        /// Messages that they wrote to visitors, ever.
        messages: u64,
        /// Whether they switched notifications on or off (SetPush); absent: they have not said.
        push: Option<bool>,
    }

    /// A conversation in an agent's hands.
    pub struct HeldItem: Copy {
        /// Which.
        conversation: ConversationId,
        /// How.
        held: Held,
        /// When the conversation was opened.
        since: Timestamp,
    }

    /// How an agent holds a conversation.
    pub enum Held: Copy + Hash {
        /// A pending offer reserves a slot.
        Reserved,
        /// They own it.
        Owned,
        /// It is closed, and its slot not free yet.
        Wrapup,
        /// They help; no slot unless the workspace says so.
        Participant,
    }

    /// Why a conversation was routed as it was.
    pub struct Explanation {
        /// Which.
        conversation: ConversationId,
        /// The newest decisions, as many as fit, oldest first.
        decisions: List<DecisionView, 32>,
        /// What it waits for or why it was missed, in words; 512 bytes. Absent unless waiting, offered or missed.
        waits_because: Option<Text<512>>,
        /// Why the agent that was asked about would not get it now; `eligible` if they would. 256 bytes.
        agent_reason: Option<Text<256>>,
        /// What the workspace's rules said of it, when they were asked last. Absent if they were not.
        rules: Option<Ruling>,
    }

    /// What the workspace's rules said of a conversation.
    pub struct Ruling {
        /// When.
        at: Timestamp,
        /// The rule that brought it to where it went; 64 bytes. Absent if none did.
        sent_by: Option<Text<64>>,
        /// What each rule said, in their order. Rules that have changed since have no names, save those that matched.
        verdicts: List<RuleVerdict, 200>,
    }

    /// What one rule said.
    pub struct RuleVerdict {
        /// The rule's name; 64 bytes.
        rule: Text<64>,
        /// What it said.
        verdict: Verdict,
    }

    /// What a rule says of a conversation.
    pub enum Verdict: Copy + Hash {
        /// It applies.
        Matched,
        /// It does not.
        NotMatched,
        /// It could not be told, which counts as a no.
        Error,
    }

    /// What of a workspace's counts is in use. Answers ShowWorkspace.
    pub struct WorkspaceDetail: Copy {
        /// Agents, with and without a seat.
        agents: u32,
        /// Seats in all; absent for any number.
        seats: Option<u32>,
        /// Seats in use: agents who may have conversations, and those who no longer may and still have some.
        seats_used: u32,
        /// Seats left; absent for any number. Those in use and those left are always all of them.
        seats_free: Option<u32>,
        /// Conversations that may ever ask for an agent; absent for any number.
        engagements: Option<u32>,
        /// Those that have, counted once each over the workspace's whole life.
        engagements_used: u64,
    }

    /// A page of what a visitor may choose from. Answers ListChoices.
    pub struct ChoicePage {
        /// The groups.
        rows: List<ChoiceRow, PAGE>,
        /// For the next page; absent on the last.
        cursor: Option<Text<128>>,
        /// Whether who opens without naming a group is asked to choose one: to be announced before they write.
        asked: bool,
        /// What to show above the list; 2 KiB.
        text: Option<Text<2048>>,
        /// What the entry for who does not know is called; absent if there is none. 64 bytes.
        not_sure: Option<Text<64>>,
    }

    /// A page of visitors on the sites. Answers ListVisitors.
    pub struct VisitorPage {
        /// The visitors, in the order of their ids.
        rows: List<VisitorRow, PAGE>,
        /// For the next page; absent on the last.
        cursor: Option<Text<128>>,
        /// The list's version. What `VisitorsChanged` tells later goes over it; each row has its own.
        version: u64,
    }

    /// One group that a visitor may choose.
    pub struct ChoiceRow {
        /// What to name as the target of Open, or in Choose: not the group's own name, which visitors never see.
        group: GroupId,
        /// What people call it; 64 bytes.
        label: Text<64>,
    }

    /// One decision: who was chosen and why not the others.
    pub struct DecisionView {
        /// When.
        at: Timestamp,
        /// The stay that it belongs to; 0 if it was turned away before it came into a queue.
        stay: u32,
        /// Whose queue.
        group: GroupId,
        /// How the group chooses.
        strategy: Strategy,
        /// What made this choice; absent where the candidates are not kept.
        by: Option<ChosenBy>,
        /// Whom; several for an announcement (the first 16), nobody for a fallback. For a fallback, and for agents who were added
        /// to an announcement later, the candidates are not kept: the next three lists are empty.
        chosen: List<AgentId, 16>,
        /// Who would have been next, in order.
        next: List<AgentId, 16>,
        /// Agents that the conversation itself names and that could not be chosen, each with the first reason.
        excluded: List<Exclusion, 16>,
        /// How many of the rest could not be chosen, by reason.
        others: List<ReasonCount, 32>,
        /// Why nobody could, if it ended so.
        fallback: Option<FallbackReason>,
    }

    /// An agent who could not be chosen.
    pub struct Exclusion {
        /// Who.
        agent: AgentId,
        /// Why not, as one of the words under `AgentRow.state`, or `not_member`, `transferred_it`, `tried_it` (missed or
        /// declined it), `not_the_direct_one`, `holds_it`, `out_of_scope(site)`; 64 bytes.
        reason: Text<64>,
    }

    /// How many could not be chosen for one reason.
    pub struct ReasonCount {
        /// Why not, as a word; 64 bytes.
        reason: Text<64>,
        /// How many.
        count: u32,
    }

    /// A place in the queue.
    pub struct PositionReply {
        /// From 1; absent if it does not wait.
        position: Option<u32>,
        /// How many are ahead.
        ahead: u32,
        /// Since when it waits.
        waiting_since: Option<Timestamp>,
    }

    /// A new token.
    pub struct Minted {
        /// The secret, shown only here; 256 bytes.
        token: Text<256>,
        /// Its name, for `RevokeToken`; 64 bytes.
        token_id: Text<64>,
        /// When its time is over; absent for never.
        expires: Option<Timestamp>,
    }

    /// What an erasure comes to, or came to.
    pub struct Erasure {
        /// How many conversations.
        conversations: u32,
        /// The word that does it, for `Erase`; absent when it is done. 64 bytes.
        confirm: Option<Text<64>>,
    }

    /// A piece of the configuration. Answers ShowConfig.
    pub struct ConfigPage {
        /// TOML, as in a file; 8 KiB.
        text: Text<8192>,
        /// What to ask with as `after` for the next piece; absent at the end.
        next: Option<u32>,
    }

    /// A page of tokens.
    pub struct TokenPage {
        /// In order of their names, which are random.
        rows: List<TokenRow, PAGE>,
        /// For the next page; absent at the end.
        cursor: Option<Text<128>>,
    }

    /// A page of what stands aside after repeated failures.
    pub struct QuarantinePage {
        /// The workspace first, then groups, agents and conversations, each in the order of their ids.
        rows: List<QuarantineRow, PAGE>,
        /// For the next page; absent at the end.
        cursor: Option<Text<128>>,
    }

    /// One that stands aside.
    pub struct QuarantineRow {
        /// Which.
        subject: Subject,
        /// Since when.
        since: Timestamp,
    }

    /// What can stand aside.
    pub enum Subject {
        /// The workspace: it opens nothing new and gives nobody a seat.
        Workspace,
        /// A group: closed for routing.
        Group(group: GroupId),
        /// An agent: offered nothing new.
        Agent(agent: AgentId),
        /// A conversation: nobody has it, and nothing can be done with it.
        Conversation(conversation: ConversationId),
    }

    /// What is known about a token.
    pub struct TokenRow {
        /// Its name; 64 bytes.
        token_id: Text<64>,
        /// What it allows.
        role: Role,
        /// Whose, if a visitor's.
        visitor: Option<VisitorId>,
        /// Whose, if an agent's.
        agent: Option<AgentId>,
        /// When it was made.
        created_at: Timestamp,
        /// When its time is over; absent for never.
        expires: Option<Timestamp>,
        /// Connections that use it now.
        sessions: u32,
    }

    /// A page of deliveries.
    pub struct DeliveryPage {
        /// In the order in which they were queued.
        rows: List<DeliveryRow, PAGE>,
        /// What to ask with as `after` for the next page; absent at the end.
        next: Option<u64>,
    }

    /// One delivery with what is sent.
    pub struct DeliveryDetail {
        /// As in lists.
        row: DeliveryRow,
        /// For mail: its subject; 512 bytes.
        subject: Option<Text<512>>,
        /// What is sent, cut off after 8 KiB.
        body: Text<8192>,
    }

    /// An e-mail or webhook that is to be delivered.
    pub struct DeliveryRow {
        /// Its number.
        delivery: u64,
        /// What receivers know it by, the same at each attempt; 128 bytes.
        message: Text<128>,
        /// What it tells, such as `conversation.offered`; 64 bytes.
        topic: Text<64>,
        /// By which way.
        way: DeliveryWay,
        /// The name of the webhook or of the mail rule; 64 bytes.
        endpoint: Text<64>,
        /// For mail: the address; 256 bytes.
        to: Option<Text<256>>,
        /// The conversation that it is about.
        conversation: Option<ConversationId>,
        /// When it was queued, or last tried by hand.
        queued_at: Timestamp,
        /// When it is tried next; absent if it was given up.
        due: Option<Timestamp>,
        /// Attempts so far.
        attempts: u32,
        /// What went wrong the last time; 256 bytes.
        trouble: Option<Text<256>>,
    }

    /// By which way something goes out.
    pub enum DeliveryWay: Copy + Hash {
        /// An HTTP request.
        Webhook,
        /// An e-mail.
        Mail,
    }
}
