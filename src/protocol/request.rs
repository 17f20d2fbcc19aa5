//! What a client asks. Each request is answered by exactly one reply with its number, in whatever order.
//!
//! Holds: [`Request`] and a struct per kind. Knows: the shared words. Never: who may ask what; `transport` decides.
//! Start reading at: [`Request`].

use super::{
    bounded::{Text, Variables},
    wire::{messages, wire},
    words::{
        Choice, Destination, Doing, Feed, PARTS, Part, Presence, Push, Role, Speaker, TAGS, Target, View,
    },
};
use crate::{
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
    protocol::bounded::List,
};

/// Bytes in the body of what somebody writes, 8 KiB.
pub const MESSAGE_MAX: usize = 8_192;

messages! {
    /// What a client asks.
    pub enum Request numbered by caller {
        0x0001 Hello -> Welcome; Unauthenticated, TokenExpired, HelloRequired, Invalid, NotFound,
        0x0002 Ping -> Pong,
        0x0003 Renew -> Welcome; Unauthenticated, TokenExpired, Forbidden,
        0x0004 Attach -> Done; NotFound, Forbidden,
        0x0005 Detach -> Done; Forbidden,
        0x0006 Announce -> Done; Forbidden,
        0x0010 Open -> Opened;
            NotFound, Forbidden, Invalid, ChannelNotSupported, GroupDisabled, MissingFields, PlanNotEligible, RateLimited,
            Draining, KeyExpired, KeyReused,
        0x0011 Say -> Recorded;
            NotFound, ConversationClosed, WrongState, AlreadyTaken, AtCapacity, NotEligible, HandedOff, RateLimited,
            QuotaExhausted, KeyExpired, KeyReused,
        0x0012 Note -> Recorded; NotFound, FeatureDisabled, KeyExpired, KeyReused,
        0x0013 Typing -> Done; NotFound, ConversationClosed, WrongState, HandedOff,
        0x0014 Accept -> Recorded;
            NotFound, OfferEnded, OfferTimedOut, AlreadyTaken, AtCapacity, NotEligible, ConversationClosed, WrongState,
            KeyExpired, KeyReused,
        0x0015 Decline -> Recorded; NotFound, OfferEnded, OfferTimedOut, AlreadyTaken, KeyExpired, KeyReused,
        0x0016 Take -> Recorded;
            NotFound, Invalid, WrongState, AlreadyTaken, AtCapacity, NotEligible, ConversationClosed, QuotaExhausted, KeyExpired,
            KeyReused,
        0x0017 Assign -> Recorded;
            NotFound, AtCapacity, NotEligible, AlreadyTaken, GroupDisabled, GroupUnavailable, NobodyOnline, QueueFull,
            ConversationClosed, WrongState, QuotaExhausted, UnknownAgent, KeyExpired,
            KeyReused,
        0x0018 Transfer -> Recorded;
            NotFound, WrongState, AtCapacity, NotEligible, AlreadyTaken, GroupDisabled, GroupUnavailable, NobodyOnline,
            QueueFull, OnlyAgentOnline, ConversationClosed, UnknownAgent, KeyExpired,
            KeyReused,
        0x0019 Invite -> Recorded; NotFound, WrongState, NotEligible, KeyExpired, KeyReused,
        0x001a Leave -> Recorded; NotFound, KeyExpired, KeyReused,
        0x001b Close -> Recorded; NotFound, ConversationClosed, KeyExpired, KeyReused,
        0x001c Reopen -> Recorded; NotFound, WrongState, QuotaExhausted, KeyExpired, KeyReused,
        0x0020 SetPresence -> Done; NotFound, Forbidden, KeyExpired, KeyReused,
        0x0021 PutAgent -> Done; Forbidden, Invalid, NoSeat, ManagedByConfig,
        0x0022 RemoveAgent -> Done; Forbidden, NotFound, ManagedByConfig,
        0x0023 ChangeAgent -> Done; Forbidden, NotFound, Invalid, NoSeat, ManagedByConfig, KeyExpired, KeyReused,
        0x0030 Subscribe -> Subscribed; NotFound, Forbidden, TooLarge,
        0x0031 Unsubscribe -> Done,
        0x0032 History -> StaffHistory | VisitorHistory; NotFound, Forbidden,
        0x0040 ListConversations -> ConversationPage; Forbidden, Invalid,
        0x0041 ShowConversation -> ConversationDetail; Forbidden, NotFound,
        0x0042 ListGroups -> GroupPage; Forbidden,
        0x0043 ShowGroup -> GroupDetail; Forbidden, NotFound,
        0x0044 ListAgents -> AgentPage; Forbidden, Invalid,
        0x0045 ShowAgent -> AgentDetail; Forbidden, NotFound,
        0x0046 Explain -> Explanation; Forbidden, NotFound,
        0x0047 Position -> PositionReply; NotFound,
        0x0048 ListOfVisitor -> ConversationPage; Forbidden, Invalid,
        0x0049 ListChoices -> ChoicePage; Forbidden, Invalid,
        0x004a ShowWorkspace -> WorkspaceDetail; Forbidden,
        0x0050 MintToken -> Minted; Forbidden, Invalid,
        0x0051 ListTokens -> TokenPage; Forbidden,
        0x0052 RevokeToken -> Done; Forbidden, NotFound,
        0x0060 Reload -> Done; Forbidden, Invalid,
        0x0061 Drain -> Done; Forbidden,
        0x0062 ReleaseQuarantine -> Done; Forbidden, NotFound, Invalid, WrongState,
        0x0063 ListQuarantined -> QuarantinePage; Forbidden, Invalid,
        0x0064 Erase -> Erasure; Forbidden, NotFound, Invalid, WrongState,
        0x0065 BackUp -> Done; Forbidden, Invalid,
        0x0066 ShowConfig -> ConfigPage; Forbidden,
        0x0090 SetPriority -> Recorded; NotFound, ConversationClosed, WrongState, KeyExpired, KeyReused,
        0x0091 Join -> Recorded; NotFound, ConversationClosed, WrongState, KeyExpired, KeyReused,
        0x0092 OpenTeamChat -> Opened; NotFound, Invalid, FeatureDisabled, UnknownAgent, KeyExpired, KeyReused,
        0x0093 InviteByEmail -> Recorded; NotFound, WrongState, NotEligible, UnknownAgent, KeyExpired, KeyReused,
        0x0070 SetVariables -> Recorded;
            NotFound, Forbidden, Invalid, TooLarge, ConversationClosed, RateLimited, KeyExpired, KeyReused,
        0x0071 SetTags -> Recorded; NotFound, Forbidden, Invalid, TooLarge, ConversationClosed, KeyExpired, KeyReused,
        0x0072 HandOver -> Recorded;
            NotFound, Forbidden, Invalid, TooLarge, HandedOff, MissingFields, GroupDisabled, PlanNotEligible,
            FeatureDisabled, ConversationClosed, KeyExpired, KeyReused,
        0x0073 ReturnToBot -> Recorded; NotFound, Forbidden, WrongState, ConversationClosed, KeyExpired, KeyReused,
        0x0074 Post -> Recorded;
            NotFound, Forbidden, Invalid, TooLarge, ConversationClosed, WrongState, AlreadyTaken, AtCapacity, NotEligible,
            HandedOff, RateLimited, QuotaExhausted, KeyExpired, KeyReused,
        0x0075 RequestRating -> Recorded; NotFound, Forbidden, RatingDisabled, WrongState, KeyExpired, KeyReused,
        0x0076 Rate -> Recorded; NotFound, Forbidden, WrongState, Invalid, KeyExpired, KeyReused,
        0x0077 SetFeature -> Done; Forbidden, UnsupportedSetting, ManagedByConfig, Invalid,
        0x00a0 MarkRead -> Done; NotFound,
        0x00b0 ResolveLink -> ConversationDetail; Forbidden, NotFound, Invalid,
        0x00b1 ReportFailure -> Done; Forbidden, Invalid,
        0x00b2 ListDeliveries -> DeliveryPage; Forbidden, Invalid,
        0x00b3 ShowDelivery -> DeliveryDetail; Forbidden, NotFound,
        0x00b4 RetryDelivery -> Done; Forbidden, NotFound,
        0x00b5 DropDelivery -> Done; Forbidden, NotFound,
        0x00c1 AnnounceVisit -> Done; Forbidden, Invalid, LobbyFull, RateLimited,
        0x00c2 ListVisitors -> VisitorPage; Forbidden, Invalid,
        0x00c3 Start -> Opened;
            NotFound, Forbidden, Invalid, AlreadyOpen, AtCapacity, NotEligible, ChannelNotSupported, QuotaExhausted, Draining,
            TooLarge, KeyExpired, KeyReused,
        0x00c0 Choose -> Recorded;
            NotFound, Forbidden, GroupDisabled, MissingFields, ConversationClosed, WrongState, KeyExpired, KeyReused,
        0x00d0 SetPush -> Done; NotFound, Forbidden, Invalid, KeyExpired, KeyReused,
    }
}

wire! { strict;
    /// Says who is there. The first request of every connection, and only the first; its body may take 2 KiB. Until
    /// the Welcome has come nothing else is read. Workspace and role come from the token alone.
    pub struct Hello {
        /// The secret, as it was shown when it was minted; 256 bytes. Empty on the Unix socket.
        token: Text<256>,
        /// This program, kept over its reconnects: command keys count per client.
        client: ClientId,
        /// The highest kind of notice that the client knows; it is sent nothing above.
        highest_kind: u16,
        /// Name and version of the client, for the operator; 64 bytes.
        software: Text<64>,
        /// Unix socket with an empty token: the workspace to be the admin of; may be absent if there is only one. Not looked at
        /// otherwise.
        workspace: Option<WorkspaceId>,
    }

    /// Asks whether the daemon is there, and for its time.
    pub struct Ping {}

    /// Gives a new token of the same workspace, role and person to a connection, before the old one expires.
    pub struct Renew {
        /// The new secret; 256 bytes.
        token: Text<256>,
    }

    /// A frontend: from now on this connection is a session of the agent. `AgentItems` follow.
    pub struct Attach {
        /// Who.
        agent: AgentId,
    }

    /// A frontend: this connection is no session of the agent any more. Detaching twice is no fault. When the last session
    /// of an agent ends, they have `disconnect_grace` (15 s) to come back, then their pending offers go on to others.
    pub struct Detach {
        /// Who.
        agent: AgentId,
    }

    /// Says that a visitor is there, or has gone. Volatile: to be said again after a reconnect. A visitor announces
    /// only themselves. "Gone" counts at once: a visitor who waits keeps their place for `visitor_grace` (30 s) then.
    pub struct Announce {
        /// Who.
        visitor: VisitorId,
        /// There, or gone.
        present: bool,
    }

    /// Opens a conversation and routes it. The conversation's id is the key: the same id again gives the same answer.
    /// A visitor who has one open on this channel gets that one, with `existing`; if that is `missed`, it is routed again.
    pub struct Open {
        /// A UUID version 7 made by the client, at most 24 h old.
        conversation: ConversationId,
        /// The visitor, or the frontend for one of its visitors. A frontend in its own name or its bot's names the visitor in
        /// `visitor`. This is the conversation's origin.
        speaker: Speaker,
        /// Where it takes place.
        channel: Channel,
        /// Whom it asks for. On a visitor's own connection: a group from ListChoices, or one that is public.
        target: Target,
        /// An agent to be asked first, if eligible.
        preferred: Option<AgentId>,
        /// Class, 0 first to 9 last; 5 is usual. Visitors may only use 5.
        priority: u8,
        /// What is known about the visitor: 64 of them, 8 KiB of names and values together. On a visitor's own connection only
        /// what the workspace opens to visitors.
        variables: Variables,
        /// The first message, of whoever speaks, 8 KiB.
        message: Option<Text<8192>>,
        /// Whose it is, if a frontend opens it in its own name or its bot's. Absent otherwise.
        visitor: Option<VisitorId>,
        /// The bot that has the hand until HandOver, by the name that lists show it under; 64 bytes. Frontends only. Without one
        /// it goes to people at once.
        bot: Option<Text<64>>,
    }

    /// Writes a message that both sides see.
    pub struct Say {
        /// The client's command counter.
        key: u64,
        /// Where.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// What, at most as long as Welcome's `message_body`. An agent who says something in a conversation that nobody owns
        /// takes it.
        body: Text<8192>,
    }

    /// Writes a private note, for staff only.
    pub struct Note {
        /// The client's command counter.
        key: u64,
        /// Where.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// What, at most as long as Welcome's `message_body`.
        body: Text<8192>,
    }

    /// Says that somebody is typing, or no longer. Passed on to the other side and not kept: repeat it every few seconds.
    pub struct Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// Typing, or no longer.
        typing: bool,
    }

    /// Takes an offer, an announced conversation, a handover or an invitation.
    pub struct Accept {
        /// The client's command counter.
        key: u64,
        /// What.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// The offer's number, from `OfferMade`.
        offer: u32,
    }

    /// Says no to an offer. It goes on to the next at once.
    pub struct Decline {
        /// The client's command counter.
        key: u64,
        /// What.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// The offer's number, from `OfferMade`.
        offer: u32,
    }

    /// Takes a conversation from a queue (if the group's `allow_pull` is set) or from `missed`. For agents; supervisors
    /// assign.
    pub struct Take {
        /// The client's command counter.
        key: u64,
        /// What.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
    }

    /// Gives a conversation to an agent or a group without asking them. The assigner need not take part.
    pub struct Assign {
        /// The client's command counter.
        key: u64,
        /// What.
        conversation: ConversationId,
        /// Who assigns.
        speaker: Speaker,
        /// To whom.
        to: Destination,
        /// Past the agent's cap. Supervisors only, and audited.
        force: bool,
    }

    /// Moves a conversation: to an agent as a handover, whom it asks first; to a group at once, at the end of its line.
    pub struct Transfer {
        /// The client's command counter.
        key: u64,
        /// What.
        conversation: ConversationId,
        /// Who transfers.
        speaker: Speaker,
        /// To whom.
        to: Destination,
        /// Whether the transferring agent leaves when it has arrived. To a group they always do.
        leave: bool,
    }

    /// Asks an agent to help. The owner stays the owner.
    pub struct Invite {
        /// The client's command counter.
        key: u64,
        /// Where.
        conversation: ConversationId,
        /// Who invites.
        speaker: Speaker,
        /// Whom.
        agent: AgentId,
    }

    /// Leaves a conversation that one takes part in. An owner who leaves gives it back to its group's queue, unless a
    /// handover is pending.
    pub struct Leave {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
    }

    /// Ends a conversation. Its slot is free at once, save for wrap-up.
    pub struct Close {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
    }

    /// Opens a closed conversation again: to its last owner if eligible, else it is routed.
    pub struct Reopen {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
    }

    /// Says what an agent intends. Connecting and disconnecting never change it.
    pub struct SetPresence {
        /// The client's command counter.
        key: u64,
        /// Whose. Agents set their own, frontends that of agents attached to this connection, supervisors anybody's.
        agent: AgentId,
        /// What.
        presence: Presence,
    }

    /// Creates an agent or replaces what is known about them.
    pub struct PutAgent {
        /// The client's command counter.
        key: u64,
        /// Whom; a new id creates.
        agent: AgentId,
        /// The name that visitors see; 64 bytes.
        name: Text<64>,
        /// Where to write to them; 254 bytes.
        email: Option<Text<254>>,
        /// The groups that they belong to, besides `everyone`.
        groups: List<GroupId, 64>,
        /// The most conversations at once; absent for the workspace's.
        cap: Option<u16>,
        /// Whether they may have conversations at all; takes a seat.
        live_chat: bool,
        /// What their picture is known by, outside: maitred hands it on with their name; 256 bytes.
        avatar: Option<Text<256>>,
        /// The sites (variable `site`) whose conversations they serve and see; empty for all.
        sites: List<Text<128>, 32>,
        /// Whether they see conversations that the bot has in hand.
        sees_bot: bool,
    }

    /// Removes an agent. They finish what they have.
    pub struct RemoveAgent {
        /// The client's command counter.
        key: u64,
        /// Whom.
        agent: AgentId,
    }

    /// Changes a part of what is known about an agent; what is absent stays. Agents change their own name and avatar, also
    /// through a frontend that they are attached to; supervisors the cap, up to the workspace's, and the groups; admins all of
    /// it. What the system keeps (last activity, number of messages) nobody can write.
    pub struct ChangeAgent {
        /// The client's command counter.
        key: u64,
        /// Whom.
        agent: AgentId,
        /// The name that visitors see; 64 bytes.
        name: Option<Text<64>>,
        /// The groups that they belong to, besides `everyone`.
        groups: Option<List<GroupId, 64>>,
        /// The most conversations at once.
        cap: Option<u16>,
        /// What their picture is known by; empty for none; 256 bytes.
        avatar: Option<Text<256>>,
        /// The sites that they are limited to; empty for all.
        sites: Option<List<Text<128>, 32>>,
        /// Whether they see conversations that the bot has in hand.
        sees_bot: Option<bool>,
        /// Whether they have a seat. Taken from an agent who still has conversations, it is free when the last of these ends.
        live_chat: Option<bool>,
    }

    /// Asks to be told about something, until Unsubscribe or the end of the connection. What came after the known
    /// number comes first, then news, without a gap. Subscribing again starts anew.
    pub struct Subscribe {
        /// About what.
        feed: Feed,
    }

    /// Asks not to be told any more. `after` does not matter. Unsubscribing twice is no fault.
    pub struct Unsubscribe {
        /// About what.
        feed: Feed,
    }

    /// Reads events of a conversation: all of them for staff, the visitor's part for visitors. A frontend says for which
    /// of its visitors or attached agents it reads.
    pub struct History {
        /// Which.
        conversation: ConversationId,
        /// Who reads; decides the form.
        speaker: Speaker,
        /// The last number already known; 0 from the beginning.
        after: u64,
        /// The most events wanted, 1 to 200; a page may hold fewer.
        limit: u16,
    }

    /// Lists conversations, a page at a time.
    pub struct ListConversations {
        /// Which kind.
        view: View,
        /// Only those of this group.
        group: Option<GroupId>,
        /// Only those owned by this agent.
        agent: Option<AgentId>,
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Shows one conversation: its row, who takes part, and why it waits.
    pub struct ShowConversation {
        /// Which.
        conversation: ConversationId,
    }

    /// Lists the groups of the workspace.
    pub struct ListGroups {
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Shows one group: its row, its limits and the head of its line.
    pub struct ShowGroup {
        /// Which.
        group: GroupId,
    }

    /// Lists agents.
    pub struct ListAgents {
        /// Only members of this group.
        group: Option<GroupId>,
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Shows one agent: their row and what they hold.
    pub struct ShowAgent {
        /// Whom.
        agent: AgentId,
    }

    /// Asks why a conversation was routed as it was, and why a certain agent would not get it now.
    pub struct Explain {
        /// Which.
        conversation: ConversationId,
        /// Why not this one?
        agent: Option<AgentId>,
    }

    /// Asks how many are ahead in the queue.
    pub struct Position {
        /// Which.
        conversation: ConversationId,
        /// Who asks.
        speaker: Speaker,
    }

    /// Lists the conversations of one visitor, open and closed, a page at a time.
    pub struct ListOfVisitor {
        /// Whose.
        visitor: VisitorId,
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Shows what of the workspace's seats and lifetime engagements is in use.
    pub struct ShowWorkspace {}

    /// Lists the groups that a visitor may choose from: those that are public and enabled, in the order of their labels. For
    /// visitors, and frontends that show them a list.
    pub struct ListChoices {
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Says that a visitor is on the site, and what is new about the visit: where, from where, how often. Volatile: to be said again
    /// after a reconnect. They leave with Announce, or with the last connection of whoever announced them. A visitor announces only
    /// themselves. Triggers look at what they read here; what is known goes along when the visitor opens a conversation.
    pub struct AnnounceVisit {
        /// Who.
        visitor: VisitorId,
        /// What is new, under the well-known names (`site`, `page.url`, `page.title`, `page.tags`, `referrer`, `locale`, `country`,
        /// `region`, `city`, `visits`, `pages`, …) or any other; an empty value takes something away. Of one visit at most 64
        /// things are known, 8 KiB together. While nobody says `pages`, the daemon counts them.
        variables: Variables,
        /// Whether the widget is open.
        widget_open: bool,
    }

    /// Lists the visitors on the sites, in the order of their ids: agents those of their scope, frontends their own.
    pub struct ListVisitors {
        /// Only on this site; 64 bytes.
        site: Option<Text<64>>,
        /// Only on pages whose address begins so; 512 bytes.
        page: Option<Text<512>>,
        /// Only those who do this.
        doing: Option<Doing>,
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// An agent begins a conversation with a visitor on the site who has none open on the channel. The agent owns it from its first
    /// message, which has to be there, and uses a slot. The conversation's id is the key, as with Open.
    pub struct Start {
        /// A UUID version 7 made by the client, at most 24 h old.
        conversation: ConversationId,
        /// The agent, or a supervisor.
        speaker: Speaker,
        /// Who will own it; needed from a supervisor, else the agent.
        owner: Option<AgentId>,
        /// With whom.
        visitor: VisitorId,
        /// Where it takes place.
        channel: Channel,
        /// The first message, 8 KiB; not empty.
        message: Text<8192>,
    }

    /// Chooses a group, for a conversation that is `choosing`. What the visitor wrote is delivered now, with the time at which they
    /// wrote it.
    pub struct Choose {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// The visitor, or the frontend for one of its visitors.
        speaker: Speaker,
        /// The group, or that they are not sure.
        choice: Choice,
    }

    /// Makes a token, which is shown once. Admins make any; a frontend makes those of visitors and agents, for at most 24 h.
    /// It has no key: asked again it makes another.
    pub struct MintToken {
        /// What it allows.
        role: Role,
        /// For a visitor's token: whose.
        visitor: Option<VisitorId>,
        /// For an agent's token: whose.
        agent: Option<AgentId>,
        /// How long it lasts, in seconds. Absent: for ever if an admin makes it, 24 h if a frontend does.
        ttl_seconds: Option<u32>,
    }

    /// Lists tokens, without their secrets.
    pub struct ListTokens {
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Makes a token worthless and closes its sessions at once.
    pub struct RevokeToken {
        /// Which, from `Minted` or `TokenPage`; 64 bytes.
        token_id: Text<64>,
    }

    /// Reads the configuration again: all of it holds, or nothing changes and the refusal says why.
    pub struct Reload {}

    /// Starts the daemon's way down: answered first, then all connections, this one included, get GoAway (`draining`).
    pub struct Drain {}

    /// Supervisors: lets something that stands aside after repeated failures take part again. One of them is given; none means the
    /// workspace itself.
    pub struct ReleaseQuarantine {
        /// This conversation.
        conversation: Option<ConversationId>,
        /// This agent.
        agent: Option<AgentId>,
        /// This group.
        group: Option<GroupId>,
    }

    /// Supervisors and admins: lists what stands aside after repeated failures.
    pub struct ListQuarantined {
        /// From the last page; absent for the first.
        cursor: Option<Text<128>>,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Admins: erases all that is known of a closed conversation, or of a visitor who has none open. In two steps: without
    /// `confirm` nothing happens, and the reply says what it comes to and gives the word; with it, it is done. The conversations
    /// are gone with the reply; the bytes leave the disk within seconds. Exactly one of the two is given.
    pub struct Erase {
        /// This conversation.
        conversation: Option<ConversationId>,
        /// All conversations of this visitor, at most 10,000 at a time.
        visitor: Option<VisitorId>,
        /// The word of the first step's reply; 64 bytes.
        confirm: Option<Text<64>>,
    }

    /// Sets variables of a conversation, and takes others away before that: contact details (`contact.…`) and whatever else is
    /// known. For agents who take part, supervisors, frontends; visitors set what the workspace opens to them. A conversation
    /// has at most 64, of 8 KiB together, names included.
    pub struct SetVariables {
        /// The client's command counter.
        key: u64,
        /// Of which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// To be set; of two of a name the last counts.
        set: Variables,
        /// To be taken away; names of 64 bytes.
        unset: List<Text<64>, 64>,
    }

    /// Sets tags of a conversation, and takes others away before that. For agents who take part, supervisors, frontends. A
    /// conversation has at most 32.
    pub struct SetTags {
        /// The client's command counter.
        key: u64,
        /// Of which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// To be set; 64 bytes each.
        add: List<Text<64>, TAGS>,
        /// To be taken away; 64 bytes each.
        remove: List<Text<64>, TAGS>,
    }

    /// The bot hands a conversation over to people: what it has learned, a note for whoever takes it and the routing, in one step.
    /// Until ReturnToBot the bot may not write there (`handed_off`).
    pub struct HandOver {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who: the frontend's bot, the frontend in its own name, a supervisor.
        speaker: Speaker,
        /// To whom: whoever the rules choose, a group, one agent and nobody else, or anybody.
        target: Target,
        /// An agent to be asked first. If they can't take it, others are asked.
        preferred: Option<AgentId>,
        /// What the bot has learned; set before anybody is asked.
        variables: Variables,
        /// Tags to be set; 64 bytes each.
        tags: List<Text<64>, TAGS>,
        /// A private note that is there before anybody is asked, 8 KiB.
        note: Option<Text<8192>>,
        /// Whether the visitor is offered a way back to the bot; absent: as the workspace says.
        return_to_bot: Option<bool>,
    }

    /// The visitor goes back to the bot, if that was offered: whoever had the conversation is told and has their slot back.
    pub struct ReturnToBot {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// The visitor.
        speaker: Speaker,
    }

    /// Writes a message with images or files, which both sides see. As Say otherwise.
    pub struct Post {
        /// The client's command counter.
        key: u64,
        /// Where.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// In words, at most as long as Welcome's `message_body`; may be empty.
        body: Text<8192>,
        /// Beside the words; without any it is as Say.
        parts: List<Part, PARTS>,
    }

    /// Asks the visitor to rate the conversation, once.
    pub struct RequestRating {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who: an agent who takes part, a supervisor.
        speaker: Speaker,
    }

    /// The visitor rates the conversation, once and after they were asked; also when it is closed.
    pub struct Rate {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// The visitor.
        speaker: Speaker,
        /// 1 (worst) to 5 (best).
        score: u8,
        /// In words; 1 KiB.
        comment: Option<Text<1024>>,
    }

    /// Supervisors and admins: switches a feature of the workspace. Nothing can be switched this way: features are the
    /// configuration file's (`managed_by_config`), and images and emoji have no switch at all (`unsupported_setting`).
    pub struct SetFeature {
        /// Which: `notes`, `ratings`, `names`, `team_chat`, `images`, `emoji`; 64 bytes.
        feature: Text<64>,
        /// On, or off.
        on: bool,
    }

    /// Says how far an agent has read a conversation: it is unread for them again when somebody else writes. Showing it
    /// (ShowConversation on an agent's connection) does the same, and so does what they write. Of visitors and supervisors
    /// nothing is kept. Marks are gone when it closes.
    pub struct MarkRead {
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// Up to this number.
        seq: u64,
    }

    /// Supervisors: serves a conversation in another class. Who waits goes on by their time of enqueueing, among those of the new
    /// class.
    pub struct SetPriority {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// Class, 0 first to 9 last.
        priority: u8,
    }

    /// Supervisors: takes part in a conversation, without a slot and without owning it; then Say is theirs, too. Leave ends it.
    pub struct Join {
        /// The client's command counter.
        key: u64,
        /// Which.
        conversation: ConversationId,
        /// Who.
        speaker: Speaker,
        /// The name that visitors see; 64 bytes.
        name: Text<64>,
    }

    /// Opens a chat of agents among themselves: no visitor, no queue, no slot. The conversation's id is the key: the same id
    /// again gives the same answer. Say, Invite, Leave and Close work as elsewhere; after 24 h of silence it is closed.
    pub struct OpenTeamChat {
        /// A UUID version 7 made by the client, at most 24 h old.
        conversation: ConversationId,
        /// The agent who opens it and takes part, or a supervisor, who does not.
        speaker: Speaker,
        /// Who else takes part: with the agent who opens it 2 to 32.
        agents: List<AgentId, 32>,
    }

    /// Asks an agent to help whom one knows by their e-mail address.
    pub struct InviteByEmail {
        /// The client's command counter.
        key: u64,
        /// Where.
        conversation: ConversationId,
        /// Who invites.
        speaker: Speaker,
        /// Whose address, the case of its letters aside; 254 bytes.
        email: Text<254>,
    }

    /// Copies all that is durable into an empty directory of the daemon's machine, from which another daemon can be started. On
    /// the Unix socket only.
    pub struct BackUp {
        /// The directory, made if it is not there; 4096 bytes.
        directory: Text<4096>,
    }

    /// Admins: the configuration that the daemon goes by, with everything filled in. On the Unix socket all of it; with a token
    /// its workspace's part, and the built-in default for the rest.
    pub struct ShowConfig: Copy {
        /// Bytes to leave out at the beginning, from the page before.
        after: u32,
    }

    /// Where a link of an offer or of a notification leads. It shows what the asker may see of the conversation, as
    /// ShowConversation does: the link itself grants nothing.
    pub struct ResolveLink {
        /// For whom: on a frontend one of its attached agents.
        speaker: Speaker,
        /// As the offer had it; 64 bytes.
        link: Text<64>,
    }

    /// Frontends: something that a user asked for came to nothing, such as the booking of a meeting. Who the configuration says is
    /// told of it (`action_failed`). That a live chat failed the daemon knows by itself.
    pub struct ReportFailure {
        /// What: a short word such as `meeting_booking`; 1 to 64 bytes.
        action: Text<64>,
        /// Why, in words; 256 bytes.
        cause: Text<256>,
        /// Whose it was.
        visitor: Option<VisitorId>,
        /// In which conversation.
        conversation: Option<ConversationId>,
        /// What the frontend calls this failure: the same reported again is done and told once; 64 bytes.
        reference: Option<Text<64>>,
    }

    /// Admins: lists e-mails and webhooks that are still to be delivered, or that were given up.
    pub struct ListDeliveries {
        /// Those that were given up; else those that wait.
        dead: bool,
        /// Only numbers above this: from the last page; 0 for the first.
        after: u64,
        /// The most rows wanted, 1 to 100; a page may hold fewer.
        limit: u16,
    }

    /// Admins: one delivery with what is sent.
    pub struct ShowDelivery {
        /// Its number.
        delivery: u64,
    }

    /// Admins: tries a delivery now, also one that was given up, with new patience. An endpoint that answered 410 is asked again.
    pub struct RetryDelivery {
        /// Its number.
        delivery: u64,
    }

    /// Admins: takes a delivery away for good.
    pub struct DropDelivery {
        /// Its number.
        delivery: u64,
    }

    /// Switches an agent's browser notifications on or off: whether they are told of what waits, is offered or is written to them while
    /// they have no connection (`agent.notified`). Kept over restarts; who has not said is told as the workspace's `push` says. It
    /// makes nobody a candidate: offered is only who is online and connected.
    pub struct SetPush {
        /// The client's command counter.
        key: u64,
        /// Whose. Agents set their own, frontends that of agents attached to this connection, supervisors anybody's.
        agent: AgentId,
        /// On or off.
        push: Push,
    }
}
