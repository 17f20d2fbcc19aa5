//! The words that messages are made of: who, where, in which state, and the rows of lists.
//!
//! Holds: enums and rows that several messages share. Knows: ids, time. Never: the routing's own types; `transport`
//! translates. Start reading at: [`Speaker`].

use super::{
    bounded::{List, Text},
    wire::wire,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId},
};

/// The most rows on a page of a list.
pub const PAGE: usize = 100;

/// The most parts of a message.
pub const PARTS: usize = 8;

/// The most tags of a conversation.
pub const TAGS: usize = 32;

/// The most events on a page of a history.
pub const HISTORY_PAGE: usize = 200;

wire! { strict;
    /// For whom a command is given. A connection of an agent or a visitor says `me`; a frontend names the visitor or
    /// attached agent that it speaks for, and passes under that one's column of the rights.
    pub enum Speaker: Copy + Hash {
        /// The one whom the token names.
        Me,
        /// A frontend's visitor.
        Visitor(visitor: VisitorId),
        /// An agent attached to this frontend.
        Agent(agent: AgentId),
        /// The frontend's bot, while it has the hand.
        Bot,
    }

    /// What a token allows; see the table of rights.
    pub enum Role: Copy + Hash {
        /// One visitor.
        Visitor,
        /// One agent.
        Agent,
        /// Reads and moves everything in the workspace.
        Supervisor,
        /// A chat backend: speaks for its visitors and attached agents.
        Frontend,
        /// Agents, tokens, reload, drain.
        Admin,
    }

    /// Whom a new conversation asks for.
    pub enum Target: Hash {
        /// Whoever the workspace's rules choose.
        Default,
        /// A group.
        Group(group: GroupId),
        /// One agent; what happens if they can't is the workspace's rule.
        Agent(agent: AgentId),
        /// Any agent of the workspace ("not sure").
        Everyone,
    }

    /// Where a conversation is moved to.
    pub enum Destination: Hash {
        /// An agent.
        Agent(agent: AgentId),
        /// A group's queue.
        Group(group: GroupId),
        /// The agent who gets mail there, the case of its letters aside; 254 bytes.
        Email(email: Text<254>),
    }

    /// One thing known about a visitor.
    pub struct Variable: Hash {
        /// Its name, such as `page` or `first_name`; 64 bytes.
        name: Text<64>,
        /// Its value; 1 KiB.
        value: Text<1024>,
    }

    /// An image or file beside a message. The media are the frontend's; this says where it has them.
    pub struct Part: Hash {
        /// An opaque handle: printable ASCII without quotes and backslashes; 512 bytes.
        media: Text<512>,
        /// What it is, such as `image/png`, written as the handle; 128 bytes.
        mime: Text<128>,
        /// How large it is.
        bytes: u64,
        /// What people call it; 64 bytes.
        name: Option<Text<64>>,
    }

    /// What an agent intends. Whether they are connected and respond are separate facts.
    pub enum Presence: Copy + Hash {
        /// Wants conversations.
        Online,
        /// Works, but takes nothing new.
        Away,
        /// Does not work.
        Offline,
    }

    /// Whether an agent is told of what waits while they have no connection.
    pub enum Push: Hash {
        /// Not told.
        Off,
        /// Told.
        On {
            /// Where their browser is reached, as the frontend's push service knows it: handed on with each `agent.notified`, and
            /// shown to nobody. Visible characters of ASCII without blanks, at most 1 KiB; absent if the frontend keeps it itself.
            endpoint: Option<Text<1024>>,
        },
    }

    /// Which group a visitor chooses.
    pub enum Choice: Hash {
        /// This one, as the list names it.
        Group(group: GroupId),
        /// They don't know: any agent of the workspace. If the list has such an entry.
        NotSure,
    }

    /// What to be told about, from a snapshot or a number on.
    pub enum Feed: Hash {
        /// A conversation's events: for staff by `seq`, for visitors by `visitor_seq`.
        Conversation {
            /// Which.
            conversation: ConversationId,
            /// The last number already known; 0 for all.
            after: u64,
        },
        /// A group's row: `GroupChanged`.
        Group(group: GroupId),
        /// An agent's row: `AgentChanged`.
        Agent(agent: AgentId),
        /// A list of conversations: `ListItems`, then `ListChanged`. Rows of one's own come and go with the event that says so,
        /// the rest is told at most four times a second, 64 rows at a time.
        List {
            /// Through whose eyes: an agent's own, or a frontend's attached one. Absent: the asking agent's, or a supervisor's,
            /// who sees everything.
            agent: Option<AgentId>,
            /// Of which view.
            view: ListView,
            /// Which of it.
            filter: ListFilter,
        },
        /// What can be counted of an agent's work, for badges: `Counts`, at most four times a second.
        Counts {
            /// As in a list; absent for a frontend: the whole workspace's.
            agent: Option<AgentId>,
        },
        /// The visitors on the sites: `VisitorsChanged`.
        Visitors,
    }

    /// The three views of a console. Each conversation is in exactly one.
    pub enum ListView: Copy + Hash {
        /// What agents work on: waiting, offered, active, missed.
        Livechat,
        /// What is over. The list begins with what was opened in the last 24 h; older ones are read with ListConversations.
        Closed,
        /// What the bot has in hand.
        Chatbot,
    }

    /// Which conversations of a view.
    pub enum ListFilter: Hash {
        /// All in scope.
        All,
        /// Those that nobody owns.
        Unassigned,
        /// Those with a message that the agent has neither written nor read.
        Unread,
        /// Those that the agent owns or takes part in; of what is closed, what they owned last.
        Mine,
        /// Those that this agent owns; of what is closed, what they owned last.
        Agent(agent: AgentId),
        /// Those that came through the bot of this name (variable `bot`); 64 bytes.
        Bot(name: Text<64>),
    }

    /// What a visitor on the sites is doing.
    pub enum Doing: Copy + Hash {
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

    /// Which conversations to list.
    pub enum View: Copy + Hash {
        /// All that are not closed.
        All,
        /// In a queue, offered to nobody.
        Waiting,
        /// Offered or announced.
        Offered,
        /// Owned by an agent.
        Active,
        /// The fallback message went out; any eligible agent can take it.
        Missed,
        /// Closed: those that were closed last.
        Closed,
        /// Standing aside after repeated failures.
        Quarantined,
        /// With the bot.
        Bot,
        /// Agents among themselves.
        Team,
    }
}

wire! { lenient;
    /// An image or file beside a message, as it was sent.
    pub struct PartSent {
        /// An opaque handle: printable ASCII without quotes and backslashes; 512 bytes.
        media: Text<512>,
        /// What it is, such as `image/png`, written as the handle; 128 bytes.
        mime: Text<128>,
        /// How large it is.
        bytes: u64,
        /// What people call it; 64 bytes.
        name: Option<Text<64>>,
    }

    /// Where a conversation is in its life.
    pub enum Status: Copy + Hash {
        /// The frontend's bot has the hand.
        Bot,
        /// In a queue.
        Waiting,
        /// Offered or announced.
        Offered,
        /// Owned by an agent.
        Active,
        /// Nobody could; the fallback message went out.
        Missed,
        /// Over. It can be reopened.
        Closed,
        /// Opened, and its visitor is to choose a group. Nobody else knows of it.
        Choosing,
        /// Agents among themselves. Where a visitor's id is expected stand zeros.
        Team,
    }

    /// Who opened a conversation.
    pub enum Origin: Copy + Hash {
        /// The visitor, themself or through their frontend.
        Visitor,
        /// The frontend in its own name.
        Api,
        /// The bot.
        Bot,
        /// An agent.
        Agent,
    }

    /// How a group chooses.
    pub enum Strategy: Copy + Hash {
        /// In order, one after another.
        RoundRobin,
        /// Who has the fewest.
        LeastActive,
        /// Who has waited longest for something to do.
        LongestIdle,
        /// All at once; the first to accept gets it.
        Broadcast,
        /// Agents take from the queue.
        Pull,
        /// Given without asking.
        Assign,
    }

    /// What made a choice.
    pub enum ChosenBy: Copy + Hash {
        /// The group's way of choosing.
        Strategy,
        /// The visitor's preferred agent could be asked.
        Preferred,
        /// The conversation is for this agent alone.
        Direct,
    }

    /// Why nobody could.
    pub enum FallbackReason: Copy + Hash {
        /// No rule of the workspace fits.
        NoRule,
        /// No member of the group is online.
        NobodyOnline,
        /// All are at their cap.
        AllAtCapacity,
        /// As many offers as allowed were made, or nobody is left untried.
        OffersExhausted,
        /// `max_wait` is over.
        WaitedTooLong,
        /// Outside the group's hours.
        ClosedHours,
        /// The line is as long as it may be.
        QueueFull,
        /// The workspace's engagements are used up.
        QuotaExhausted,
        /// The group stands aside after repeated failures.
        GroupUnavailable,
        /// A reload removed the group.
        GroupRemoved,
        /// The conversation stands aside after repeated failures.
        Quarantined,
    }

    /// Who did something, as staff see it.
    pub enum Actor: Copy + Hash {
        /// A visitor.
        Visitor(visitor: VisitorId),
        /// An agent.
        Agent(agent: AgentId),
        /// A supervisor.
        Supervisor,
        /// The frontend, as itself.
        Frontend,
        /// The frontend's bot.
        Bot,
        /// An administrator.
        Admin,
        /// The daemon: a deadline or a rule.
        System,
    }

    /// What is asked of an agent.
    pub enum OfferKind: Copy + Hash {
        /// Will you take this? To one agent, a slot is reserved.
        Offer,
        /// Who takes this? To several at once, no slot is reserved.
        Announcement,
        /// Will you take this over from its owner?
        Handover,
        /// Will you help? The owner stays.
        Invitation,
    }

    /// How much of a stir to make of something, for the one whom it is told.
    pub enum NotifyClass: Copy + Hash {
        /// None: their own doing, or nothing that waits for them.
        Silent,
        /// A message for them: a notification, and a sound.
        Message,
        /// It asks for an answer in time: a banner that stays, and a sound.
        Offer,
    }

    /// How an offer ended.
    pub enum OfferOutcome: Copy + Hash {
        /// The agent said yes.
        Accepted,
        /// The agent said no.
        Declined,
        /// The deadline passed: a miss.
        TimedOut,
        /// Taken back, which is nobody's miss.
        Rescinded(reason: RescindReason),
    }

    /// Why an offer was taken back.
    pub enum RescindReason: Copy + Hash {
        /// The agent accepted it in another of their sessions.
        AcceptedElsewhere,
        /// Somebody else was first.
        AlreadyTaken,
        /// The agent's last session ended and did not come back in time.
        AgentGone,
        /// The visitor left.
        VisitorGone,
        /// The conversation was closed.
        Closed,
        /// The conversation was moved.
        Moved,
        /// The stay was over.
        WaitedTooLong,
        /// The agent or the group was removed, or stands aside.
        Removed,
    }

    /// What brought a conversation into a queue.
    pub enum QueueCause: Copy + Hash {
        /// It was opened.
        Opened,
        /// Another group could not serve it.
        Overflow,
        /// An agent transferred it.
        Transfer,
        /// Somebody assigned it to the group.
        Assigned,
        /// The visitor wrote again after the fallback.
        Message,
        /// Its owner gave it back.
        Returned,
        /// Its owner is gone.
        Requeued,
        /// A handover failed and its old owner has left.
        Handover,
        /// It was closed and opened again.
        Reopened,
        /// The bot handed it over.
        Bot,
        /// A routing rule sent it.
        Rule,
        /// A workflow took it from an agent; somebody is online for it.
        Reassigned,
        /// A workflow took it from an agent, and nobody is online for it.
        NoOnlineAgent,
    }

    /// How an agent came to own a conversation.
    pub enum AssignCause: Copy + Hash {
        /// They accepted an offer.
        Accepted,
        /// They took it.
        Taken,
        /// Somebody assigned it to them.
        Assigned,
        /// The group's strategy gives without asking.
        Strategy,
        /// They accepted a handover.
        Handover,
        /// A supervisor forced it past the cap.
        Forced,
        /// They began it.
        Started,
        /// A workflow gave it to them.
        Workflow,
    }

    /// Why a conversation is over.
    pub enum CloseReason: Copy + Hash {
        /// An agent closed it.
        ByAgent,
        /// The visitor closed it.
        ByVisitor,
        /// A supervisor closed it.
        BySupervisor,
        /// The visitor left before anybody came.
        Abandoned,
        /// Nobody wrote for as long as the group allows.
        Idle,
        /// It was missed, and nobody took it in time.
        MissedExpired,
        /// The visitor was asked to choose a group and did not.
        NotChosen,
        /// A workflow closed it.
        ByWorkflow,
    }

    /// Why a workflow did not reassign a conversation.
    pub enum WorkflowSkip: Copy + Hash {
        /// A human agent had answered.
        Answered,
        /// Another condition did not hold.
        Condition,
        /// Somebody else moved it before.
        Moved,
        /// It was about to be handed over.
        HandedOver,
        /// The operator changed the workflow meanwhile.
        Changed,
        /// The group that the workflow names takes nothing.
        Unavailable,
        /// It was closed.
        Closed,
    }

    /// Why the daemon ends a connection.
    pub enum GoAwayReason: Copy + Hash {
        /// The daemon is going down for good.
        Draining,
        /// The daemon will be back.
        Restarting,
        /// The client reads more slowly than it is told things.
        SlowConsumer,
        /// The token was revoked.
        TokenRevoked,
        /// The token's time is over.
        TokenExpired,
        /// What the client sent can't be followed.
        ProtocolError,
        /// Nothing came for too long.
        IdleTimeout,
        /// There are too many connections.
        Overloaded,
    }

    /// How people see an agent.
    pub struct Face {
        /// The name that visitors see; 64 bytes.
        name: Text<64>,
        /// What their picture is known by, outside; 256 bytes.
        avatar: Option<Text<256>>,
    }

    /// One line of a list of conversations.
    pub struct ConversationRow {
        /// Which.
        conversation: ConversationId,
        /// Whose.
        visitor: VisitorId,
        /// Where it takes place.
        channel: Channel,
        /// Where it is in its life.
        status: Status,
        /// The group that it waits in or was served by.
        group: Option<GroupId>,
        /// The agent who owns it.
        owner: Option<AgentId>,
        /// How people see them.
        owner_face: Option<Face>,
        /// Class, 0 first to 9 last.
        priority: u8,
        /// When it was opened.
        opened_at: Timestamp,
        /// When this stay began; absent unless waiting or offered.
        waiting_since: Option<Timestamp>,
        /// Number of its newest event, for staff.
        seq: u64,
        /// Who opened it.
        origin: Origin,
        /// The bot that it began with; 64 bytes.
        bot: Option<Text<64>>,
        /// What staff see its visitor as: what the workspace makes of their variables, or an anonymous label; 128 bytes.
        pseudonym: Text<128>,
        /// The site that it is on (variable `site`); 128 bytes.
        site: Option<Text<128>>,
        /// Who owned it last.
        last_owner: Option<AgentId>,
    }

    /// One line of the list of visitors on the sites.
    pub struct VisitorRow {
        /// Who.
        visitor: VisitorId,
        /// What they are doing.
        doing: Doing,
        /// Since when they are there.
        since: Timestamp,
        /// The site; 64 bytes.
        site: Option<Text<64>>,
        /// The page's address; 512 bytes.
        page_url: Option<Text<512>>,
        /// The page's title; 128 bytes.
        page_title: Option<Text<128>>,
        /// Where they came from; 256 bytes.
        referrer: Option<Text<256>>,
        /// Their language and region, such as `fr-BE`; 32 bytes.
        locale: Option<Text<32>>,
        /// The country; 64 bytes.
        country: Option<Text<64>>,
        /// The region; 64 bytes.
        region: Option<Text<64>>,
        /// The city; 64 bytes.
        city: Option<Text<64>>,
        /// How often they have come.
        visits: Option<u32>,
        /// Pages of this visit.
        pages: Option<u32>,
        /// Whether the widget is open.
        widget_open: bool,
        /// The group that a trigger has led them to.
        group: Option<GroupId>,
        /// Tags that triggers have set; 64 bytes each.
        tags: List<Text<64>, TAGS>,
        /// The list's version when this last changed.
        version: u64,
    }

    /// One line of a list of groups.
    pub struct GroupRow {
        /// Which.
        group: GroupId,
        /// What people call it; 64 bytes.
        label: Text<64>,
        /// How it chooses.
        strategy: Strategy,
        /// Conversations waiting.
        waiting: u32,
        /// Conversations offered or announced.
        offered: u32,
        /// Conversations owned by an agent.
        active: u32,
        /// Conversations in `missed`.
        missed: u32,
        /// Since when the longest waiting has waited.
        oldest_waiting_since: Option<Timestamp>,
        /// Members who are online and connected, or expected back after a restart.
        agents_online: u32,
        /// Slots free among them.
        slots_free: u32,
        /// Grows by 1 with each `GroupChanged`; a gap means: subscribe again.
        version: u64,
    }

    /// One line of a list of agents.
    pub struct AgentRow {
        /// Which.
        agent: AgentId,
        /// The name that visitors see; 64 bytes.
        name: Text<64>,
        /// What they intend.
        presence: Presence,
        /// Whether they have a session.
        live: bool,
        /// In a word, whether they would be offered something and why not: `available`, `at_cap`, `wrapup`, `away`, `offline`,
        /// `not_live`, `reconnecting`, `no_permission`, `removed`, `quarantined`.
        state: Text<64>,
        /// The most conversations at once.
        cap: u16,
        /// Slots in use: owned conversations and wrap-up.
        taken: u16,
        /// Slots held for pending offers.
        reserved: u16,
        /// The groups that they belong to, besides `everyone`.
        groups: List<GroupId, 64>,
        /// What their picture is known by, outside; 256 bytes.
        avatar: Option<Text<256>>,
        /// Whether they stand aside after repeated failures.
        quarantined: bool,
        /// Grows by 1 with each `AgentChanged`; a gap means: subscribe again.
        version: u64,
    }
}
