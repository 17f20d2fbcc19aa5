//! Who may send what: the table of rights, copied by hand and walked cell by cell; and two workspaces that do not see each other.

use maitred::{
    client::RequestError,
    ids::{AgentId, ConversationId, GroupId, Link},
    protocol::{
        List, RefusalCode, Reply, Request, Text, Variables,
        reply::{ConversationPage, Minted, Refused},
        request::*,
        words::{
            Choice, Destination, Feed, ListFilter, ListView, Part, Presence, Push, Role, Speaker, Status,
            Target, Variable, View,
        },
    },
};

use super::floor::{
    Floor, Seat, Shape, code, group, mint, new_id, opening, profile, seconds, stories, visitor,
};

stories! {
    every_cell_of_the_table_of_rights_holds,
    workspaces_do_not_see_each_other,
    lists_show_only_what_is_in_scope,
}

/// Whoever asks, in the order of a row's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Visitor,
    OtherVisitor,
    Owner,
    Participant,
    /// An agent of the conversation's group who takes no part.
    Peer,
    /// An agent of another group.
    Outsider,
    Supervisor,
    Frontend,
    FrontendForVisitor,
    FrontendForOtherVisitor,
    FrontendForOwner,
    FrontendForPeer,
    /// For an agent who is not attached to it.
    FrontendForStranger,
    Bot,
    Admin,
}

const EVERYBODY: [Who; 15] = [
    Who::Visitor,
    Who::OtherVisitor,
    Who::Owner,
    Who::Participant,
    Who::Peer,
    Who::Outsider,
    Who::Supervisor,
    Who::Frontend,
    Who::FrontendForVisitor,
    Who::FrontendForOtherVisitor,
    Who::FrontendForOwner,
    Who::FrontendForPeer,
    Who::FrontendForStranger,
    Who::Bot,
    Who::Admin,
];

/// What the row's conversation is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Owned by the owner, and the participant helps.
    Active,
    /// Offered to the owner.
    Offered,
    /// Was active and is closed.
    Closed,
    /// With the bot.
    Bot,
    /// Handed over by the bot, with a way back, and offered to the owner.
    HandedOver,
    /// The command is not about a conversation.
    None,
}

struct Row {
    command: &'static str,
    state: State,
    build: fn(&Ask) -> Request,
    /// y: done. f: `forbidden`, whether it exists or not. n: `not_found`, as if it did not exist. w: `wrong_state`. i: `invalid`.
    /// e: `offer_ended`. h: `handed_off`. u: `unknown_agent`. A dot: the request names no speaker, so that it is the frontend's own again.
    cells: &'static str,
}

/// What a cell's request is made of.
struct Ask {
    id: ConversationId,
    speaker: Speaker,
    key: u64,
    offer: u32,
    owner: AgentId,
    peer: AgentId,
    spare: AgentId,
    group: GroupId,
    token: Text<64>,
}

/// The table, by hand from the specification. Columns as in [`EVERYBODY`]:
/// visitor, other visitor, owner, participant, peer, outsider | supervisor | frontend as itself, for its visitor, for another one,
/// for the owner, for the peer, for an agent not attached, for its bot | admin.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // A reply to what a colleague owns is no take: they have to join first.
    Row { command: "say", state: State::Active, cells: "y n y y w n  w  f y n y w n h  f",
        build: |ask| Say { key: ask.key, conversation: ask.id, speaker: ask.speaker, body: Text::clip("hello") }.into() },
    Row { command: "say (a public reply takes it)", state: State::Offered, cells: "y n y y y n  w  f y n y y n h  f",
        build: |ask| Say { key: ask.key, conversation: ask.id, speaker: ask.speaker, body: Text::clip("hello") }.into() },
    Row { command: "typing", state: State::Active, cells: "y n y y w n  w  f y n y w n h  f",
        build: |ask| Typing { conversation: ask.id, speaker: ask.speaker, typing: true }.into() },
    Row { command: "note", state: State::Active, cells: "f f y y y n  y  f f f y y n y  f",
        build: |ask| Note { key: ask.key, conversation: ask.id, speaker: ask.speaker, body: Text::clip("hm") }.into() },
    Row { command: "accept", state: State::Offered, cells: "f f y e e n  n  f f f y e n f  f",
        build: |ask| Accept { key: ask.key, conversation: ask.id, speaker: ask.speaker, offer: ask.offer }.into() },
    Row { command: "decline", state: State::Offered, cells: "f f y e e n  n  f f f y e n f  f",
        build: |ask| Decline { key: ask.key, conversation: ask.id, speaker: ask.speaker, offer: ask.offer }.into() },
    // A supervisor assigns: only an agent has slots.
    Row { command: "take", state: State::Offered, cells: "f f y y y n  i  f f f y y n f  f",
        build: |ask| Take { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    Row { command: "assign", state: State::Active, cells: "f f y y y n  y  y f f y y n f  f",
        build: |ask| Assign { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            to: Destination::Agent(ask.peer), force: false }.into() },
    Row { command: "assign to a group", state: State::Active, cells: "f f y y y n  y  y f f y y n f  f",
        build: |ask| Assign { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            to: Destination::Group("support".parse().expect("a name")), force: false }.into() },
    Row { command: "assign by force", state: State::Active, cells: "f f f f f f  y  f f f f f n f  f",
        build: |ask| Assign { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            to: Destination::Agent(ask.peer), force: true }.into() },
    Row { command: "transfer", state: State::Active, cells: "f f y y n n  y  f f f y n n f  f",
        build: |ask| Transfer { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            to: Destination::Agent(ask.peer), leave: false }.into() },
    Row { command: "transfer and leave, to a group", state: State::Active, cells: "f f y y n n  y  f f f y n n f  f",
        build: |ask| Transfer { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            to: Destination::Group("support".parse().expect("a name")), leave: true }.into() },
    Row { command: "invite", state: State::Active, cells: "f f y y n n  y  f f f y n n f  f",
        build: |ask| Invite { key: ask.key, conversation: ask.id, speaker: ask.speaker, agent: ask.peer }.into() },
    Row { command: "invite by e-mail", state: State::Active, cells: "f f u u u n  u  f f f u u n f  f",
        build: |ask| InviteByEmail { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            email: Text::clip("nobody@example.com") }.into() },
    Row { command: "change the class", state: State::Active, cells: "f f f f f f  y  f f f f f n f  f",
        build: |ask| SetPriority { key: ask.key, conversation: ask.id, speaker: ask.speaker, priority: 1 }.into() },
    Row { command: "join", state: State::Active, cells: "f f f f f f  y  f f f f f n f  f",
        build: |ask| Join { key: ask.key, conversation: ask.id, speaker: ask.speaker, name: Text::clip("Sue") }.into() },
    // It is no matter of any conversation: whoever is an agent may talk to others.
    Row { command: "open a team chat", state: State::None, cells: "f f y y y y  y  f f f y y n f  f",
        build: |ask| OpenTeamChat { conversation: new_id(), speaker: ask.speaker,
            agents: [ask.owner, ask.peer].into_iter().collect::<Vec<_>>().try_into().expect("two") }.into() },
    Row { command: "leave", state: State::Active, cells: "f f y y n n  n  f f f y n n f  f",
        build: |ask| Leave { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    Row { command: "close", state: State::Active, cells: "y n y y n n  y  f y n y n n f  f",
        build: |ask| Close { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    Row { command: "reopen", state: State::Closed, cells: "f f y y y n  y  f f f y y n f  f",
        build: |ask| Reopen { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    // What the workspace opens to visitors; the rest is theirs to read alone.
    Row { command: "set variables", state: State::Active, cells: "y n y y n n  y  y y n y n n y  f",
        build: |ask| SetVariables { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            set: Variables::try_from(vec![Variable { name: Text::clip("page.title"), value: Text::clip("Prices") }]).expect("small"),
            unset: List::new() }.into() },
    Row { command: "set tags", state: State::Active, cells: "f f y y n n  y  y f f y n n y  f",
        build: |ask| SetTags { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            add: List::clip([Text::clip("vip")]), remove: List::new() }.into() },
    Row { command: "post an image", state: State::Active, cells: "y n y y w n  w  f y n y w n h  f",
        build: |ask| Post { key: ask.key, conversation: ask.id, speaker: ask.speaker, body: Text::clip(""), parts: List::clip([
            Part { media: Text::clip("store:1"), mime: Text::clip("image/png"), bytes: 1, name: None }]) }.into() },
    Row { command: "request a rating", state: State::Active, cells: "f f y y n n  y  f f f y n n f  f",
        build: |ask| RequestRating { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    // Nobody has asked for one here.
    Row { command: "rate", state: State::Active, cells: "w n f f f f  f  f w n f f n f  f",
        build: |ask| Rate { key: ask.key, conversation: ask.id, speaker: ask.speaker, score: 5, comment: None }.into() },
    Row { command: "switch a feature that is none", state: State::None, cells: "f f f f f f  i  f . . . . . .  i",
        build: |_| SetFeature { feature: Text::clip("sorcery"), on: true }.into() },
    // Nobody takes part while the bot has the hand.
    Row { command: "hand over from the bot", state: State::Bot, cells: "f f n n n n  y  y f f n n n y  f",
        build: |ask| HandOver { target: Target::Group(ask.group.clone()), ..hand_over(ask.key, ask.id, ask.speaker) }.into() },
    Row { command: "return to the bot", state: State::HandedOver, cells: "y n f f f f  f  f y n f f n f  f",
        build: |ask| ReturnToBot { key: ask.key, conversation: ask.id, speaker: ask.speaker }.into() },
    Row { command: "history", state: State::Active, cells: "y n y y y n  y  f y n y y n f  y",
        build: |ask| History { conversation: ask.id, speaker: ask.speaker, after: 0, limit: 100 }.into() },
    Row { command: "history when it is closed", state: State::Closed, cells: "y n y y y n  y  f y n y y n f  y",
        build: |ask| History { conversation: ask.id, speaker: ask.speaker, after: 0, limit: 100 }.into() },
    Row { command: "position", state: State::Offered, cells: "y n y y y n  y  y y n y y n f  f",
        build: |ask| Position { conversation: ask.id, speaker: ask.speaker }.into() },
    Row { command: "show a conversation", state: State::Active, cells: "f f y y y n  y  f . . . . . .  y",
        build: |ask| ShowConversation { conversation: ask.id }.into() },
    // A link leads whom a notification reached, behind a frontend, too; it shows what they may see anyway.
    Row { command: "resolve a link", state: State::Active, cells: "f f y y y n  y  f f f y y n f  y",
        build: |ask| ResolveLink { speaker: ask.speaker, link: link(ask.id, ask.offer) }.into() },
    Row { command: "explain", state: State::Active, cells: "f f y y y n  y  f . . . . . .  y",
        build: |ask| Explain { conversation: ask.id, agent: Some(ask.owner) }.into() },
    Row { command: "subscribe to a conversation", state: State::Active, cells: "y n y y y n  y  y . . . . . .  f",
        build: |ask| Subscribe { feed: Feed::Conversation { conversation: ask.id, after: 0 } }.into() },
    Row { command: "subscribe to a group", state: State::None, cells: "f f y y y n  y  y . . . . . .  f",
        build: |ask| Subscribe { feed: Feed::Group(ask.group.clone()) }.into() },
    Row { command: "subscribe to the owner", state: State::None, cells: "f f y f f f  y  y . . . . . .  f",
        build: |ask| Subscribe { feed: Feed::Agent(ask.owner) }.into() },
    Row { command: "list conversations", state: State::None, cells: "f f y y y y  y  f . . . . . .  y",
        build: |_| ListConversations { view: View::All, group: None, agent: None, cursor: None, limit: 100 }.into() },
    Row { command: "list a visitor's conversations", state: State::None, cells: "f f y y y y  y  f . . . . . .  y",
        build: |_| ListOfVisitor { visitor: visitor(1), cursor: None, limit: 100 }.into() },
    Row { command: "erase, first step", state: State::Closed, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| Erase { conversation: Some(ask.id), visitor: None, confirm: None }.into() },
    // Through the Unix socket alone, whatever the role.
    Row { command: "back up", state: State::None, cells: "f f f f f f  f  f . . . . . .  f",
        build: |_| BackUp { directory: Text::clip("/nowhere") }.into() },
    Row { command: "show the configuration", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| ShowConfig { after: 0 }.into() },
    Row { command: "list groups", state: State::None, cells: "f f y y y y  y  y . . . . . .  y",
        build: |_| ListGroups { cursor: None, limit: 100 }.into() },
    Row { command: "show a group", state: State::None, cells: "f f y y y n  y  y . . . . . .  y",
        build: |ask| ShowGroup { group: ask.group.clone() }.into() },
    Row { command: "list agents", state: State::None, cells: "f f y y y y  y  y . . . . . .  y",
        build: |_| ListAgents { group: None, cursor: None, limit: 100 }.into() },
    Row { command: "show an agent", state: State::None, cells: "f f y y y y  y  y . . . . . .  y",
        build: |ask| ShowAgent { agent: ask.owner }.into() },
    // There is nothing to choose any more: what this row is about is who may try.
    Row { command: "choose a group", state: State::Active, cells: "w n f f f f  f  f w n f f n f  f",
        build: |ask| Choose { key: ask.key, conversation: ask.id, speaker: ask.speaker,
            choice: Choice::NotSure }.into() },
    Row { command: "presence of the owner", state: State::None, cells: "f f y f f f  y  y . . . . . .  f",
        build: |ask| SetPresence { key: ask.key, agent: ask.owner, presence: Presence::Online }.into() },
    Row { command: "presence of an agent who is not attached", state: State::None, cells: "f f f f f f  y  f . . . . . .  f",
        build: |ask| SetPresence { key: ask.key, agent: ask.spare, presence: Presence::Away }.into() },
    Row { command: "notifications of the owner", state: State::None, cells: "f f y f f f  y  y . . . . . .  f",
        build: |ask| SetPush { key: ask.key, agent: ask.owner, push: Push::On { endpoint: None } }.into() },
    Row { command: "notifications of an agent who is not attached", state: State::None, cells: "f f f f f f  y  f . . . . . .  f",
        build: |ask| SetPush { key: ask.key, agent: ask.spare, push: Push::Off }.into() },
    Row { command: "attach", state: State::None, cells: "f f f f f f  f  y . . . . . .  f",
        build: |ask| Attach { agent: ask.owner }.into() },
    Row { command: "announce a visitor", state: State::None, cells: "y f f f f f  f  y . . . . . .  f",
        build: |_| Announce { visitor: visitor(1), present: true }.into() },
    Row { command: "announce a visit", state: State::None, cells: "y f f f f f  f  y . . . . . .  f",
        build: |_| AnnounceVisit { visitor: visitor(1), variables: Variables::default(), widget_open: false }.into() },
    Row { command: "list visitors", state: State::None, cells: "f f y y y y  y  y . . . . . .  y",
        build: |_| ListVisitors { site: None, page: None, doing: None, cursor: None, limit: 10 }.into() },
    Row { command: "subscribe to visitors", state: State::None, cells: "f f y y y y  y  y . . . . . .  f",
        build: |_| Subscribe { feed: Feed::Visitors }.into() },
    // Nobody is there: what this row is about is who may try. A supervisor has to say who will own it.
    Row { command: "start", state: State::None, cells: "f f n n n n  i  f f f n n n f  f",
        build: |ask| Start { conversation: new_id(), speaker: ask.speaker, owner: None, visitor: visitor(9_999),
            channel: "web".parse().expect("a name"), message: Text::clip("hello") }.into() },
    Row { command: "put an agent", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| PutAgent { key: ask.key, agent: ask.spare, name: Text::clip("spare"), email: None,
            groups: Default::default(), cap: None, live_chat: true,
            avatar: None, sites: Default::default(), sees_bot: false }.into() },
    Row { command: "remove an agent", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| RemoveAgent { key: ask.key, agent: ask.spare }.into() },
    Row { command: "show the workspace's counts", state: State::None, cells: "f f f f f f  y  y . . . . . .  y",
        build: |_| ShowWorkspace {}.into() },
    Row { command: "list what visitors may choose", state: State::None, cells: "y y f f f f  f  y . . . . . .  f",
        build: |_| ListChoices { cursor: None, limit: 100 }.into() },
    // Each part of an agent is another right: their name is their own; cap and groups are a supervisor's, too.
    Row { command: "change one's own name", state: State::None, cells: "f f y f f f  f  y . . . . . .  y",
        build: |ask| change(ask, Some("owner"), false, None).into() },
    Row { command: "change one's own avatar", state: State::None, cells: "f f y f f f  f  y . . . . . .  y",
        build: |ask| ChangeAgent { avatar: Some(Text::clip("face")), ..change(ask, None, false, None) }.into() },
    // What is left as it is, is answered all the same.
    Row { command: "limit an agent to sites", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, sites: Some(List::new()), ..change(ask, None, false, None) }.into() },
    Row { command: "let an agent see the bot's", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, sees_bot: Some(false), ..change(ask, None, false, None) }.into() },
    Row { command: "give an agent a seat", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, live_chat: Some(true), ..change(ask, None, false, None) }.into() },
    Row { command: "change another agent's name", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, ..change(ask, Some("spare"), false, None) }.into() },
    Row { command: "change an agent's groups", state: State::None, cells: "f f f f f f  y  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, ..change(ask, None, true, None) }.into() },
    Row { command: "change an agent's cap", state: State::None, cells: "f f f f f f  y  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, ..change(ask, None, false, Some(9)) }.into() },
    Row { command: "change an agent's cap past the workspace's", state: State::None, cells: "f f f f f f  i  f . . . . . .  y",
        build: |ask| ChangeAgent { agent: ask.spare, ..change(ask, None, false, Some(11)) }.into() },
    Row { command: "change one's own name and cap", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| change(ask, Some("owner"), false, Some(1_000)).into() },
    Row { command: "mint a visitor's token", state: State::None, cells: "f f f f f f  f  y . . . . . .  y",
        build: |_| token(Role::Visitor, Some(1), None) },
    Row { command: "mint an agent's token", state: State::None, cells: "f f f f f f  f  y . . . . . .  y",
        build: |ask| token(Role::Agent, None, Some(ask.owner)) },
    Row { command: "mint a supervisor's token", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| token(Role::Supervisor, None, None) },
    Row { command: "mint a frontend's token", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| token(Role::Frontend, None, None) },
    Row { command: "mint an admin's token", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| token(Role::Admin, None, None) },
    Row { command: "list tokens", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| ListTokens { cursor: None, limit: 100 }.into() },
    Row { command: "revoke a token", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |ask| RevokeToken { token_id: ask.token.clone() }.into() },
    // Whoever is at the socket can mint a supervisor's token; the right itself is the supervisors'. Nothing stands aside here.
    Row { command: "release what takes part", state: State::Active, cells: "f f f f f f  w  f . . . . . .  f",
        build: |ask| ReleaseQuarantine { conversation: Some(ask.id), agent: None, group: None }.into() },
    Row { command: "mark read", state: State::Active, cells: "y n y y y n  y  f y n y y n f  f",
        build: |ask| MarkRead { conversation: ask.id, speaker: ask.speaker, seq: 1 }.into() },
    Row { command: "keep one's own list", state: State::None, cells: "f f y y y y  y  f . . . . . .  f",
        build: |_| Subscribe { feed: Feed::List { agent: None, view: ListView::Livechat, filter: ListFilter::All } }.into() },
    // The frontend is attached to the owner.
    Row { command: "keep an agent's list", state: State::None, cells: "f f y f f f  y  y . . . . . .  f",
        build: |ask| Subscribe { feed: Feed::List { agent: Some(ask.owner), view: ListView::Livechat, filter: ListFilter::Mine } }.into() },
    Row { command: "keep counts", state: State::None, cells: "f f y y y y  y  y . . . . . .  f",
        build: |_| Subscribe { feed: Feed::Counts { agent: None } }.into() },
    Row { command: "list what stands aside", state: State::None, cells: "f f f f f f  y  f . . . . . .  y",
        build: |_| ListQuarantined { cursor: None, limit: 100 }.into() },
    Row { command: "report a failure", state: State::None, cells: "f f f f f f  f  y . . . . . .  f",
        build: |_| ReportFailure { action: Text::clip("meeting_booking"), cause: Text::clip("no slot"), visitor: None,
            conversation: None, reference: None }.into() },
    Row { command: "list deliveries", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| ListDeliveries { dead: false, after: 0, limit: 100 }.into() },
    Row { command: "show a delivery that is not there", state: State::None, cells: "f f f f f f  f  f . . . . . .  n",
        build: |_| ShowDelivery { delivery: 1 }.into() },
    Row { command: "retry a delivery that is not there", state: State::None, cells: "f f f f f f  f  f . . . . . .  n",
        build: |_| RetryDelivery { delivery: 1 }.into() },
    Row { command: "drop a delivery that is not there", state: State::None, cells: "f f f f f f  f  f . . . . . .  n",
        build: |_| DropDelivery { delivery: 1 }.into() },
    Row { command: "reload", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| Reload {}.into() },
    // The last row, as it ends the daemon.
    Row { command: "drain", state: State::None, cells: "f f f f f f  f  f . . . . . .  y",
        build: |_| Drain {}.into() },
];

/// A change of the owner of the conversation, or of nobody.
fn change(ask: &Ask, name: Option<&str>, groups: bool, cap: Option<u16>) -> ChangeAgent {
    let groups = groups.then(|| List::clip([ask.group.clone()]));
    let name = name.map(Text::clip);
    let (avatar, sites, sees_bot, live_chat) = (None, None, None, None);
    ChangeAgent { key: ask.key, agent: ask.owner, name, groups, cap, avatar, sites, sees_bot, live_chat }
}

fn link(conversation: ConversationId, offer: u32) -> Text<64> {
    Text::clip(Link { conversation, offer }.to_string())
}

/// A hand-over by the bot to whoever the rules choose.
fn hand_over(key: u64, conversation: ConversationId, speaker: Speaker) -> HandOver {
    HandOver {
        key,
        conversation,
        speaker,
        target: Target::Default,
        preferred: None,
        variables: Variables::default(),
        tags: List::new(),
        note: None,
        return_to_bot: None,
    }
}

fn token(role: Role, whose: Option<u16>, agent: Option<AgentId>) -> Request {
    MintToken { role, visitor: whose.map(visitor), agent, ttl_seconds: Some(60) }.into()
}

const HALL: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[limits.agent]
commands_per_second = 10000
burst = 100000
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
[[workspace.group]]
name = "support"
when_empty = "queue"
[[workspace]]
name = "other"
[[workspace.group]]
name = "sales"
"#;

/// Everybody who asks, each on their connection.
struct Hall {
    floor: Floor,
    visitor: Seat,
    other_visitor: Seat,
    owner: (AgentId, Seat),
    participant: (AgentId, Seat),
    peer: (AgentId, Seat),
    outsider: (AgentId, Seat),
    supervisor: Seat,
    frontend: Seat,
    admin: Seat,
}

impl Hall {
    async fn open(shape: Shape) -> Self {
        let floor = Floor::open(HALL, shape).await;
        let owner = floor.agent("owner", &["sales"], 1_000, shape).await;
        let participant = floor.agent("participant", &["sales"], 1_000, shape).await;
        let peer = floor.agent("peer", &["sales"], 1_000, shape).await;
        let outsider = floor.agent("outsider", &["support"], 1_000, shape).await;
        // Away, they are offered nothing that another wants to be offered, and can still take and be given things.
        participant.1.client.set_presence(participant.0, Presence::Away).await.expect("away");
        let frontend = floor.frontend(shape).await;
        frontend.client.attach(owner.0).await.expect("attached");
        frontend.client.attach(peer.0).await.expect("attached");
        let admin = floor.connect(&floor.token(Role::Admin, None, None).await, shape.encoding).await;
        let (one, two) = (floor.visitor(visitor(1), shape).await, floor.visitor(visitor(2), shape).await);
        let supervisor = floor.supervisor(shape).await;
        Self {
            visitor: one,
            other_visitor: two,
            owner,
            participant,
            peer,
            outsider,
            supervisor,
            frontend,
            admin,
            floor,
        }
    }

    fn seat(&self, who: Who) -> &Seat {
        match who {
            Who::Visitor => &self.visitor,
            Who::OtherVisitor => &self.other_visitor,
            Who::Owner => &self.owner.1,
            Who::Participant => &self.participant.1,
            Who::Peer => &self.peer.1,
            Who::Outsider => &self.outsider.1,
            Who::Supervisor => &self.supervisor,
            Who::Admin => &self.admin,
            _ => &self.frontend,
        }
    }

    fn speaker(&self, who: Who) -> Speaker {
        match who {
            Who::FrontendForVisitor => Speaker::Visitor(visitor(1)),
            Who::FrontendForOtherVisitor => Speaker::Visitor(visitor(2)),
            Who::FrontendForOwner => Speaker::Agent(self.owner.0),
            Who::FrontendForPeer => Speaker::Agent(self.peer.0),
            Who::FrontendForStranger => Speaker::Agent(self.outsider.0),
            Who::Bot => Speaker::Bot,
            _ => Speaker::Me,
        }
    }

    /// A conversation of the first visitor, as a row wants it, and the number of its offer.
    async fn conversation(&mut self, state: State) -> (ConversationId, u32) {
        if state == State::None {
            return (new_id(), 0);
        }
        let id = new_id();
        let preferred = Some(self.owner.0);
        let bot = matches!(state, State::Bot | State::HandedOver).then(|| Text::clip("Bibi"));
        let open = Open { preferred, bot, ..opening(id, visitor(1), group("sales")) };
        let opened = self.frontend.client.open(open).await.expect("opened");
        assert!(!opened.existing, "the one before was closed");
        if state == State::Bot {
            return (id, 0);
        }
        if state == State::HandedOver {
            let key = self.frontend.client.identity().next_key();
            let (target, return_to_bot) = (group("sales"), Some(true));
            let over = HandOver { target, preferred, return_to_bot, ..hand_over(key, id, Speaker::Bot) };
            self.frontend.client.send(over).await.expect("handed over");
        }
        let offer = self.owner.1.sees_offer(id).await.offer;
        if matches!(state, State::Offered | State::HandedOver) {
            return (id, offer);
        }
        self.owner.1.client.accept(id, Speaker::Me, offer).await.expect("accepted");
        self.owner.1.client.invite(id, Speaker::Me, self.participant.0).await.expect("invited");
        let invitation = self.participant.1.sees_offer(id).await.offer;
        self.participant.1.client.accept(id, Speaker::Me, invitation).await.expect("joined");
        if state == State::Closed {
            self.owner.1.client.close_conversation(id, Speaker::Me).await.expect("closed");
        }
        (id, offer)
    }

    async fn put_away(&self, id: ConversationId, state: State) {
        if state != State::None && self.supervisor.status(id).await != Status::Closed {
            self.supervisor.client.close_conversation(id, Speaker::Me).await.expect("closed");
        }
    }

    async fn ask(&self, who: Who, row: &Row, of: &Ask, absent: bool) -> Result<Reply, RequestError> {
        let seat = self.seat(who);
        let nobody = AgentId::from_bytes([9; 16]);
        let id = if absent { new_id() } else { of.id };
        let ask = Ask {
            id,
            speaker: self.speaker(who),
            key: seat.client.identity().next_key(),
            offer: of.offer,
            owner: if absent && row.state == State::None { nobody } else { of.owner },
            peer: of.peer,
            spare: if absent { nobody } else { of.spare },
            group: if absent { "nowhere".parse().expect("a name") } else { of.group.clone() },
            token: if absent { Text::clip("nothing") } else { of.token.clone() },
        };
        seat.client.send((row.build)(&ask)).await.and_then(|reply| match reply {
            Reply::Refused(refused) => Err(RequestError::Refused(refused)),
            reply => Ok(reply),
        })
    }
}

async fn every_cell_of_the_table_of_rights_holds(shape: Shape) {
    let mut hall = Hall::open(shape).await;
    for row in TABLE {
        walk(&mut hall, row).await;
    }
    hall.floor
        .daemon
        .take()
        .expect("it runs")
        .wait()
        .expect("the drain that the admin asked for ends it well");
}

/// First all cells that say no, on one conversation that must not change by them; then each that says yes, on one of its own.
async fn walk(hall: &mut Hall, row: &Row) {
    let cells: Vec<char> = row.cells.chars().filter(|cell| !cell.is_whitespace()).collect();
    assert_eq!(cells.len(), EVERYBODY.len(), "{}", row.command);
    let cells: Vec<(Who, char)> = EVERYBODY.into_iter().zip(cells).collect();
    let of = asked(hall, row).await;
    let before = state_of(hall, row, &of).await;
    for (who, cell) in cells.iter().filter(|(_, cell)| !matches!(cell, 'y' | '.')) {
        let at = format!("{} by {who:?}", row.command);
        let refused = no(hall.ask(*who, row, &of, false).await, &at);
        assert_eq!(refused.code, code_of(*cell), "{at}: {}", refused.message.as_str());
        if matches!(cell, 'f' | 'n') && !matches!(row.command, "reload" | "drain") {
            let absent = no(hall.ask(*who, row, &of, true).await, &at);
            assert_eq!(absent, refused, "{at}: absent and forbidden look alike");
        }
    }
    assert_eq!(state_of(hall, row, &of).await, before, "{}: who is refused changes nothing", row.command);
    let absent = of_nothing(hall, row).await;
    let mut fresh = Some((of, before));
    for (who, _) in cells.iter().filter(|(_, cell)| *cell == 'y') {
        let at = format!("{} by {who:?}", row.command);
        if row.state != State::None {
            let refused = no(hall.ask(*who, row, &absent, true).await, &at);
            assert_eq!(refused.code, RefusalCode::NotFound, "{at}");
        }
        let (of, before) = match fresh.take() {
            Some(unchanged) => unchanged,
            None => {
                let of = asked(hall, row).await;
                let before = state_of(hall, row, &of).await;
                (of, before)
            }
        };
        hall.ask(*who, row, &of, false).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        if before.is_some() && state_of(hall, row, &of).await == before {
            fresh = Some((of, before));
        } else if row.command != "drain" {
            hall.put_away(of.id, row.state).await;
        }
    }
    if let Some((of, _)) = fresh {
        hall.put_away(of.id, row.state).await;
    }
}

fn code_of(cell: char) -> RefusalCode {
    match cell {
        'f' => RefusalCode::Forbidden,
        'n' => RefusalCode::NotFound,
        'w' => RefusalCode::WrongState,
        'i' => RefusalCode::Invalid,
        'e' => RefusalCode::OfferEnded,
        'h' => RefusalCode::HandedOff,
        'u' => RefusalCode::UnknownAgent,
        other => panic!("no such cell: {other}"),
    }
}

async fn asked(hall: &mut Hall, row: &Row) -> Ask {
    let (id, offer) = hall.conversation(row.state).await;
    Ask { id, offer, ..of_nothing(hall, row).await }
}

async fn of_nothing(hall: &Hall, row: &Row) -> Ask {
    let spare = AgentId::derive(&super::floor::workspace(), "spare");
    let mut token = Text::clip("none");
    if matches!(row.command, "remove an agent" | "presence of an agent who is not attached")
        || (row.command.contains("agent's") && row.command.starts_with("change"))
        || matches!(
            row.command,
            "limit an agent to sites"
                | "let an agent see the bot's"
                | "give an agent a seat"
                | "open a team chat"
        )
    {
        hall.floor.put("spare", &["sales"], 1).await;
    } else if row.command == "revoke a token" {
        let mint = MintToken { role: Role::Supervisor, visitor: None, agent: None, ttl_seconds: None };
        token = hall.floor.admin.ask::<Minted>(mint).await.expect("a token").token_id;
    }
    Ask {
        id: new_id(),
        speaker: Speaker::Me,
        key: 0,
        offer: 0,
        owner: hall.owner.0,
        peer: hall.peer.0,
        spare,
        group: "sales".parse().expect("a name"),
        token,
    }
}

/// What a refused command could have changed.
async fn state_of(hall: &Hall, row: &Row, of: &Ask) -> Option<u64> {
    match row.state {
        State::None => None,
        _ => Some(hall.supervisor.detail(of.id).await.row.seq),
    }
}

fn no(answer: Result<Reply, RequestError>, at: &str) -> Refused {
    match answer {
        Err(RequestError::Refused(refused)) => refused,
        other => panic!("{at}: it has to be refused, but: {other:?}"),
    }
}

/// S8: what is one workspace's does not exist for another, whatever the role, even with the right ids.
async fn workspaces_do_not_see_each_other(shape: Shape) {
    let mut hall = Hall::open(shape).await;
    let (id, offer) = hall.conversation(State::Active).await;
    let (owner, peer) = (hall.owner.0, hall.peer.0);
    let admin = hall.floor.admin_of("other").await;
    let put = profile(&admin, AgentId::from_bytes([5; 16]), "other", &["sales"], 5);
    admin.request(put).await.expect("put");
    let theirs = hall.floor.admin.ask::<Minted>(MintToken {
        role: Role::Supervisor,
        visitor: None,
        agent: None,
        ttl_seconds: None,
    });
    let theirs = theirs.await.expect("a token");
    let mut seats = Vec::new();
    for (role, whose, agent) in [
        (Role::Visitor, Some(visitor(1)), None),
        (Role::Agent, None, Some(AgentId::from_bytes([5; 16]))),
        (Role::Supervisor, None, None),
        (Role::Frontend, None, None),
        (Role::Admin, None, None),
    ] {
        let token = mint(&admin, role, whose, agent).await;
        seats.push((role, hall.floor.connect(&token, shape.encoding).await));
    }
    let of = Ask { id, offer, token: theirs.token_id.clone(), ..of_nothing(&hall, &TABLE[0]).await };
    for row in TABLE.iter().filter(|row| row.state != State::None || about_agents(row)) {
        for (role, seat) in &seats {
            let speakers = match role {
                Role::Frontend => vec![Speaker::Me, Speaker::Visitor(visitor(1)), Speaker::Agent(owner)],
                _ => vec![Speaker::Me],
            };
            for speaker in speakers {
                let key = seat.client.identity().next_key();
                let ask =
                    Ask { speaker, key, group: of.group.clone(), token: of.token.clone(), spare: peer, ..of };
                let refused = code(seat.client.ask::<Reply>((row.build)(&ask)).await);
                assert!(
                    matches!(refused, "not_found" | "forbidden"),
                    "{} by {role:?}: {refused}",
                    row.command
                );
            }
        }
    }
    assert_eq!(code(admin.request(RevokeToken { token_id: theirs.token_id }).await), "not_found");

    // The same id is another conversation there, and its own visitor's.
    let frontend = &seats[3].1;
    let opened = frontend.client.open(opening(id, visitor(1), Target::Default)).await.expect("opened");
    assert!(!opened.existing);
    let seen = frontend.visitor_history(id, Speaker::Visitor(visitor(1))).await;
    let ours = hall.frontend.visitor_history(id, Speaker::Visitor(visitor(1))).await;
    assert_ne!(seen, ours);
    assert_eq!(hall.supervisor.detail(id).await.row.owner, Some(owner));
    assert_eq!(seats[2].1.detail(id).await.row.owner, None);
}

fn about_agents(row: &Row) -> bool {
    [
        "subscribe to the owner",
        "show an agent",
        "presence of the owner",
        "attach",
        "remove an agent",
        "change an agent's groups",
        "change an agent's cap",
        "change another agent's name",
        "revoke a token",
    ]
    .contains(&row.command)
}

async fn lists_show_only_what_is_in_scope(shape: Shape) {
    let mut hall = Hall::open(shape).await;
    let (id, _) = hall.conversation(State::Active).await;
    let list = |view| ListConversations { view, group: None, agent: None, cursor: None, limit: 100 };
    let listed = async |seat: &Seat| {
        let page: ConversationPage = seat.client.ask(list(View::Active)).await.expect("a page");
        page.rows.iter().map(|row| row.conversation).collect::<Vec<_>>()
    };
    for who in [Who::Owner, Who::Participant, Who::Peer, Who::Supervisor, Who::Admin] {
        assert_eq!(listed(hall.seat(who)).await, [id], "{who:?}");
    }
    assert_eq!(listed(&hall.outsider.1).await, []);
    let groups = |reply: Reply| match reply {
        Reply::GroupPage(page) => page.rows.iter().map(|row| row.group.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let all = hall.supervisor.client.send(ListGroups { cursor: None, limit: 100 }).await.expect("a page");
    assert_eq!(groups(all), ["everyone", "sales", "support"]);
    let own = hall.outsider.1.client.send(ListGroups { cursor: None, limit: 100 }).await.expect("a page");
    assert_eq!(groups(own), ["everyone", "support"]);

    // Who is helped by an agent of another group is in that one's sight as long as they help.
    hall.owner.1.client.invite(id, Speaker::Me, hall.outsider.0).await.expect("invited");
    let invitation = hall.outsider.1.sees_offer(id).await.offer;
    hall.outsider.1.client.accept(id, Speaker::Me, invitation).await.expect("joined");
    assert_eq!(listed(&hall.outsider.1).await, [id]);
    hall.outsider.1.client.leave(id, Speaker::Me).await.expect("left");
    assert_eq!(listed(&hall.outsider.1).await, []);
    assert_eq!(
        code(hall.outsider.1.client.ask::<Reply>(ShowConversation { conversation: id }).await),
        "not_found"
    );

    // A frontend's tokens are short-lived, whatever it asks for.
    let mint = MintToken {
        role: Role::Visitor,
        visitor: Some(visitor(1)),
        agent: None,
        ttl_seconds: Some(u32::MAX),
    };
    let minted: Minted = hall.frontend.client.ask(mint).await.expect("a token");
    assert_eq!(minted.expires, Some(hall.floor.clock.now() + seconds(24 * 3_600)));
}
