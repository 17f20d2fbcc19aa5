//! What the daemon tells unasked, and the entries of a conversation's history in both its forms.
//!
//! Holds: [`Notice`] and a struct per kind; [`StaffEntry`], [`VisitorEntry`]. Knows: the shared words. Never: in a type
//! that a visitor may get, a field that could carry a note, a `seq`, an offer or a decision. Start reading at: [`Notice`].

use super::{
    bounded::{List, Text, Variables},
    wire::{messages, wire},
    words::{
        Actor, AgentRow, AssignCause, CloseReason, ConversationRow, Face, FallbackReason, GoAwayReason,
        GroupRow, ListFilter, ListView, NotifyClass, OfferKind, OfferOutcome, Origin, PARTS, PartSent,
        QueueCause, TAGS, VisitorRow, WorkflowSkip,
    },
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId},
};

/// The most items in one `AgentItems`.
pub const ITEMS_PAGE: usize = 64;

messages! {
    /// What the daemon tells unasked.
    pub enum Notice numbered by nobody {
        0xc001 OfferMade,
        0xc002 OfferEnded,
        0xc003 StaffEvent,
        0xc004 VisitorEvent,
        0xc005 Typing,
        0xc006 QueuePosition,
        0xc007 AgentChanged,
        0xc008 GroupChanged,
        0xc009 AgentItems,
        0xc00a GoAway,
        0xc040 ListItems,
        0xc041 ListChanged,
        0xc042 Counts,
        0xc060 VisitorsChanged,
        0xc061 TargetedChat,
    }
}

wire! { lenient;
    /// Will you take this? To every session of the agent. Answered with Accept or Decline.
    pub struct OfferMade {
        /// Whom it asks.
        agent: AgentId,
        /// What.
        conversation: ConversationId,
        /// Its number in the conversation, for Accept and Decline.
        offer: u32,
        /// What is asked.
        kind: OfferKind,
        /// Whose queue it comes from.
        group: Option<GroupId>,
        /// Until when; absent for a pull queue.
        deadline: Option<Timestamp>,
        /// How long there is from the sending of this notice, in milliseconds: for clients whose clock differs.
        accept_within_ms: Option<u64>,
        /// Who waits.
        visitor: VisitorId,
        /// Since when.
        waiting_since: Timestamp,
        /// What is known about the visitor.
        variables: Variables,
        /// Whether to make a sound.
        sound: bool,
        /// What kind of notification to make of it.
        notify: NotifyClass,
        /// Leads to the conversation, from a notification or an e-mail: opaque, the same for the same offer, to be put into an
        /// address of the frontend's and resolved with ResolveLink; 64 bytes.
        link: Text<64>,
        /// How the visitor would see the agent.
        face: Option<Face>,
        /// How people see the present owner, who hands it over or asks for help.
        owner_face: Option<Face>,
    }

    /// The offer is over: take it off the screen. To every session of the agent.
    pub struct OfferEnded: Copy {
        /// Whom it asked.
        agent: AgentId,
        /// What.
        conversation: ConversationId,
        /// Its number in the conversation.
        offer: u32,
        /// How it ended.
        outcome: OfferOutcome,
    }

    /// An event of a conversation, as staff see it. To all sessions of agents who take part, and to subscribers.
    pub struct StaffEvent {
        /// Of which.
        conversation: ConversationId,
        /// On a frontend: the attached agent whom it is for. Absent for a subscription of the connection itself.
        agent: Option<AgentId>,
        /// What happened.
        entry: StaffEntry,
        /// What kind of notification to make of it for that agent: their own doing is none, nor is a note.
        notify: NotifyClass,
    }

    /// An event of a conversation, as its visitor sees it.
    pub struct VisitorEvent {
        /// Of which.
        conversation: ConversationId,
        /// Whom it is for.
        visitor: VisitorId,
        /// What happened.
        entry: VisitorEntry,
    }

    /// Somebody is typing, or no longer. Not recorded, not numbered; may be dropped.
    pub struct Typing {
        /// Where.
        conversation: ConversationId,
        /// Whom it is for.
        audience: Audience,
        /// Who types.
        by: Typist,
        /// Typing, or no longer.
        typing: bool,
    }

    /// The place in the queue has changed. To whoever hears for the visitor, and to subscribers of the conversation. Not
    /// numbered; may be dropped. Sent at most twice a second: to the first 20 of a line whenever they move, to the others in
    /// turns (1,000 of a line a second). Who is being offered keeps the last place told. To know at once, ask Position.
    pub struct QueuePosition: Copy {
        /// Whose.
        conversation: ConversationId,
        /// Whom it is for.
        visitor: VisitorId,
        /// From 1.
        position: u32,
        /// How many wait in all.
        waiting: u32,
    }

    /// What has changed of the visitors on the sites, at most twice a second. What comes first may begin before the version that
    /// Subscribed or a page named: rows that are older than what is known can be left out. If `after` is above the version of the last
    /// one, something is missing: list again.
    pub struct VisitorsChanged {
        /// The version before.
        after: u64,
        /// The version with this; the same as before if more of the same change follows.
        version: u64,
        /// As they are now.
        rows: List<VisitorRow, 64>,
        /// No longer there, or no longer for this subscriber to see.
        gone: List<VisitorId, 64>,
    }

    /// A targeted chat: something that an agent says to a visitor who has asked for nobody. To be shown; if they answer with Open and
    /// no target, it goes to that agent.
    pub struct TargetedChat {
        /// Whom it is for.
        visitor: VisitorId,
        /// The trigger; 64 bytes.
        trigger: Text<64>,
        /// The agent, by the name that visitors see; 64 bytes.
        name: Text<64>,
        /// What they say; 2 KiB.
        text: Text<2048>,
    }

    /// An agent's row has changed. A gap in its `version` means: subscribe again.
    pub struct AgentChanged {
        /// As it is now.
        row: AgentRow,
    }

    /// A group's row has changed. A gap in its `version` means: subscribe again.
    pub struct GroupChanged {
        /// As it is now.
        row: GroupRow,
    }

    /// A page of what an agent has on their screen: after Attach, and after an agent's Welcome. Conversations come first,
    /// then offers, the most urgent first; all pages of a snapshot take at most 512 KiB, and what is above is left out.
    pub struct AgentItems {
        /// Whose.
        agent: AgentId,
        /// Grows with each change of what they have; the same on all pages of a snapshot.
        version: u64,
        /// Conversations that they take part in, and pending offers.
        items: List<AgentItem, ITEMS_PAGE>,
        /// Whether more of this snapshot follow.
        more: bool,
    }

    /// A page of a list as it stands: after Subscribe, and again when what its agent may see has changed. It replaces whatever
    /// the client has of the list.
    pub struct ListItems {
        /// Through whose eyes.
        agent: Option<AgentId>,
        /// Of which view.
        view: ListView,
        /// Which of it.
        filter: ListFilter,
        /// Grows by 1 with each `ListChanged` and each snapshot; the same on all pages of a snapshot.
        version: u64,
        /// What stands on it.
        rows: List<ListRow, ITEMS_PAGE>,
        /// Whether more pages of this snapshot follow.
        more: bool,
        /// Whether there is more than the list holds (1,000 rows): ListConversations has it.
        clipped: bool,
    }

    /// What has changed on a list. A gap in its `version` means: subscribe again. May be dropped for a slow reader.
    pub struct ListChanged {
        /// Through whose eyes.
        agent: Option<AgentId>,
        /// Of which view.
        view: ListView,
        /// Which of it.
        filter: ListFilter,
        /// Grows by 1; the same on all pages of a change.
        version: u64,
        /// Came, or is another. A row's `seq` is as of now: a message alone is no change of a list.
        rows: List<ListRow, ITEMS_PAGE>,
        /// Gone from the list.
        gone: List<ConversationId, ITEMS_PAGE>,
        /// Whether more pages of this change follow.
        more: bool,
        /// Whether there is more than the list holds.
        clipped: bool,
    }

    /// What can be counted of an agent's work. A gap in its `version` means: subscribe again. May be dropped for a slow reader.
    pub struct Counts: Copy {
        /// Whose; absent: the workspace's.
        agent: Option<AgentId>,
        /// Grows by 1.
        version: u64,
        /// Conversations in scope that nobody serves: waiting, offered or missed.
        to_process: u32,
        /// Of these, requests that wait in groups whose members take what they want.
        requests: u32,
        /// Conversations that the agent owns or takes part in.
        mine: u32,
        /// Of these, with a message that the agent has neither written nor read.
        mine_unread: u32,
    }

    /// A line of a list that somebody keeps on their screen.
    pub struct ListRow {
        /// The conversation.
        row: ConversationRow,
        /// Whether there is a message that the list's agent has neither written nor read.
        unread: bool,
        /// Whether the last message of a person is the visitor's: it waits for an answer. Neither a note nor a bot's line is one.
        unanswered: bool,
        /// Whether the visitor is there.
        connected: bool,
    }

    /// The daemon will end the connection. Requests already sent are still answered if there is time.
    pub struct GoAway: Copy {
        /// Why.
        reason: GoAwayReason,
        /// How long to wait before connecting again, in milliseconds.
        retry_after_ms: u64,
    }

    /// Whom a notice is for, on a connection that speaks for several.
    pub enum Audience: Copy + Hash {
        /// A visitor.
        Visitor(visitor: VisitorId),
        /// An agent.
        Agent(agent: AgentId),
    }

    /// Who types. Agents by the name that visitors see.
    pub enum Typist {
        /// The visitor.
        Visitor,
        /// An agent.
        Agent {
            /// The name that visitors see; 64 bytes.
            name: Text<64>,
        },
        /// The frontend's bot.
        Bot,
    }

    /// One thing on an agent's screen.
    pub enum AgentItem {
        /// To be answered.
        Offer(offer: OfferMade),
        /// Owned or helped with.
        Conversation(row: ConversationRow),
    }

    /// An event of a conversation, as staff see it.
    pub struct StaffEntry {
        /// Its number in the conversation: 1, 2, 3 …
        seq: u64,
        /// Its number among those that the visitor may see, if it is one.
        visitor_seq: Option<u64>,
        /// When.
        at: Timestamp,
        /// Who did it.
        by: Actor,
        /// What happened.
        event: StaffChange,
    }

    /// What happened, as staff see it.
    pub enum StaffChange {
        /// It was opened.
        Opened {
            /// Whose it is.
            visitor: VisitorId,
            /// Where it takes place.
            channel: Channel,
            /// Class, 0 first to 9 last.
            priority: u8,
            /// Who opened it.
            origin: Origin,
            /// The bot that has the hand at first; 64 bytes.
            bot: Option<Text<64>>,
        },
        /// It entered a queue: a stay began.
        Queued {
            /// The conversation's how-manieth, from 1.
            stay: u32,
            /// Whose queue.
            group: GroupId,
            /// What brought it there.
            cause: QueueCause,
        },
        /// It was offered to an agent.
        Offered {
            /// Whom.
            agent: AgentId,
            /// Until when.
            deadline: Timestamp,
        },
        /// It was announced to several.
        Announced {
            /// Whom: at most 256 at a time. A larger group takes several of these events.
            agents: List<AgentId, 256>,
            /// Until when; absent for a pull queue.
            deadline: Option<Timestamp>,
        },
        /// An offer, or one agent's share of an announcement, is over.
        OfferEnded {
            /// Whose.
            agent: AgentId,
            /// How it ended.
            outcome: OfferOutcome,
        },
        /// An agent owns it now.
        Assigned {
            /// Who.
            agent: AgentId,
            /// How they came to it.
            cause: AssignCause,
        },
        /// An agent takes part, without owning it.
        Joined {
            /// Who.
            agent: AgentId,
        },
        /// An agent no longer takes part.
        Left {
            /// Who.
            agent: AgentId,
        },
        /// The owner asks another agent to take it over.
        HandoverStarted {
            /// The owner.
            from: AgentId,
            /// The other.
            to: AgentId,
            /// Until when.
            deadline: Timestamp,
        },
        /// The other answered, or did not.
        HandoverEnded {
            /// The other.
            to: AgentId,
            /// How it ended.
            outcome: OfferOutcome,
        },
        /// An agent is asked to help.
        Invited {
            /// Who.
            agent: AgentId,
            /// Until when.
            deadline: Timestamp,
        },
        /// Nobody could.
        FellBack {
            /// Why.
            reason: FallbackReason,
            /// What the visitor was told; 8 KiB.
            message: Option<Text<8192>>,
        },
        /// Somebody wrote.
        Said {
            /// What; 8 KiB.
            body: Text<8192>,
        },
        /// Somebody wrote a private note.
        Noted {
            /// What; 8 KiB.
            body: Text<8192>,
        },
        /// It is over.
        Closed {
            /// Why.
            reason: CloseReason,
        },
        /// It was opened again.
        Reopened,
        /// It failed too often and stands aside.
        Quarantined,
        /// It takes part again.
        Released,
        /// An announcement ended with nobody taking it: a miss for nobody.
        AnnouncementEnded {
            /// How, for those who had not answered.
            outcome: OfferOutcome,
        },
        /// An invitation ended without being accepted.
        InvitationEnded {
            /// Who.
            agent: AgentId,
            /// How.
            outcome: OfferOutcome,
        },
        /// A command made the daemon fail; nothing came of it.
        CommandFailed,
        /// The visitor was asked to choose a group; until they did, nobody knew of it.
        Held {
            /// How long they had.
            until: Timestamp,
        },
        /// The visitor chose a group.
        Chosen {
            /// Which; `everyone` for who was not sure.
            group: GroupId,
        },
        /// Variables were set or taken away.
        VariablesSet {
            /// As they are now.
            set: Variables,
            /// No longer there; names of 64 bytes.
            unset: List<Text<64>, 64>,
        },
        /// Tags were set or taken away.
        TagsSet {
            /// All that it has now; 64 bytes each.
            tags: List<Text<64>, TAGS>,
        },
        /// The bot handed it over.
        HandedOver {
            /// Whether the visitor may return to the bot.
            return_to_bot: bool,
        },
        /// The visitor went back to the bot: nobody owns it, and it waits nowhere.
        ReturnedToBot,
        /// Somebody wrote, with images or files.
        Posted {
            /// In words; 8 KiB.
            body: Text<8192>,
            /// Beside the words.
            parts: List<PartSent, PARTS>,
        },
        /// The visitor is asked to rate it.
        RatingRequested,
        /// The visitor rated it.
        Rated {
            /// 1 (worst) to 5 (best).
            score: u8,
            /// In words; 1 KiB.
            comment: Option<Text<1024>>,
        },
        /// The agent who did this has read it.
        Read {
            /// Up to this number.
            upto: u64,
        },
        /// The workspace's rules were asked where it goes; Explain tells what each said.
        Ruled {
            /// The names of those that matched, in their order, at most 16; 64 bytes each.
            matched: List<Text<64>, 16>,
        },
        /// A rule sends it to the queue that it enters next.
        Directed {
            /// The rule's name; 64 bytes.
            rule: Text<64>,
            /// The one agent that the rule names.
            agent: Option<AgentId>,
        },
        /// A trigger decided where it goes.
        Led {
            /// Which, as `trigger:name`; 128 bytes.
            cause: Text<128>,
            /// What the visitor had read in an agent's name, and answers; 8 KiB.
            text: Option<Text<8192>>,
        },
        /// An agent began it.
        Started {
            /// The group that it counts for.
            group: GroupId,
        },
        /// A workflow began.
        WorkflowStarted {
            /// Its name; 64 bytes.
            name: Text<64>,
        },
        /// A workflow waits: until this time, or if absent until an agent has the conversation.
        WorkflowWaits {
            /// Until when.
            until: Option<Timestamp>,
        },
        /// A workflow takes the conversation from who has it.
        WorkflowFired {
            /// Its name; 64 bytes.
            name: Text<64>,
        },
        /// A workflow is over.
        WorkflowEnded {
            /// Its name; 64 bytes.
            name: Text<64>,
            /// Why it did not reassign; absent if all its steps are taken.
            skipped: Option<WorkflowSkip>,
        },
        /// Its class was changed.
        Reprioritised {
            /// Class, 0 first to 9 last.
            priority: u8,
        },
        /// Agents began to talk among themselves.
        TeamOpened {
            /// Who.
            agents: List<AgentId, 32>,
        },
    }

    /// An event of a conversation, as its visitor sees it.
    pub struct VisitorEntry {
        /// Its number among those that the visitor may see: 1, 2, 3 …
        visitor_seq: u64,
        /// When.
        at: Timestamp,
        /// What happened.
        change: VisitorChange,
    }

    /// What happened, as the visitor sees it.
    pub enum VisitorChange {
        /// It was opened.
        Opened,
        /// It waits.
        Queued {
            /// What people call the group; 64 bytes.
            group_label: Text<64>,
        },
        /// An agent is there.
        AgentJoined {
            /// The name that visitors see; 64 bytes.
            name: Text<64>,
            /// What their picture is known by, outside; 256 bytes.
            avatar: Option<Text<256>>,
        },
        /// An agent has gone.
        AgentLeft {
            /// The name that visitors see; 64 bytes.
            name: Text<64>,
        },
        /// Somebody wrote.
        Said {
            /// Who.
            from: VisitorSide,
            /// What; 8 KiB.
            body: Text<8192>,
        },
        /// Nobody could; this is what to show.
        Fallback {
            /// The configured message; 8 KiB.
            message: Text<8192>,
        },
        /// It is over.
        Closed {
            /// Whether the visitor closed it.
            by_me: bool,
        },
        /// It was opened again.
        Reopened,
        /// The visitor is to choose a group, before anybody hears of it: `Opened` and ListChoices have the list.
        Choose {
            /// How long what was written is kept for that.
            until: Timestamp,
        },
        /// The bot handed it over to people.
        HandedOver {
            /// Whether there is a way back to the bot.
            return_to_bot: bool,
        },
        /// It is with the bot again.
        ReturnedToBot,
        /// Somebody wrote, with images or files.
        Posted {
            /// Who.
            from: VisitorSide,
            /// In words; 8 KiB.
            body: Text<8192>,
            /// Beside the words.
            parts: List<PartSent, PARTS>,
        },
        /// Please rate it.
        RatingRequested,
        /// The visitor has rated it.
        Rated {
            /// 1 (worst) to 5 (best).
            score: u8,
        },
    }

    /// Who wrote, as the visitor sees it.
    pub enum VisitorSide {
        /// The visitor.
        Me,
        /// An agent.
        Agent {
            /// The name that visitors see; 64 bytes.
            name: Text<64>,
            /// What their picture is known by, outside; 256 bytes.
            avatar: Option<Text<256>>,
        },
        /// The frontend's bot.
        Bot,
    }
}
