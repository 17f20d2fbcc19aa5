//! What happens to commands for a machine that fell: to the one that felled it, and to those that come while it is set aside after
//! falling too often (design §3.5). A machine that is set aside is not run, as it can't be trusted: these functions answer for it. Each
//! needs nothing but the command, like `undeliverable.rs`, and the actors and the tests of the rules use the same ones.

use super::{
    FallbackReason, Refusal, Refused, ReplyTo, RescindReason, Tell, WhyNot,
    agent::{self, Held},
    conversation::{self, Purpose, Summons, Unserved},
    group::{self, Standing},
    undeliverable::{Undelivered, undeliverable},
    words::{By, Key, Ticket},
    workspace,
};
use crate::ids::{AgentId, ConversationId, GroupId};

/// What is left of a command that felled a machine: enough to answer it, and to remember that it failed.
#[derive(Debug, Clone, Copy)]
pub struct Remains {
    /// Who asked.
    pub by: By,
    /// Under which key.
    pub key: Option<Key>,
    /// Where the answer goes.
    pub reply_to: Option<ReplyTo>,
    /// Who remembers it.
    pub keeper: Keeper,
}

/// Whose keys a command counts among: where it is remembered that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// It has no key.
    Nobody,
    /// The machine that it was told.
    Itself,
    /// The conversation that it is about.
    Conversation(ConversationId),
    /// The conversation that it would have opened.
    Opening(ConversationId),
    /// The agent that it is about.
    Agent(AgentId),
}

impl Remains {
    /// What a ticket leaves.
    #[must_use]
    pub fn of(ticket: &Ticket, keeper: Keeper) -> Self {
        Self { by: ticket.by, key: ticket.key, reply_to: ticket.reply_to, keeper }
    }

    /// The way back and the author again.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket { by: self.by, scope: None, key: self.key, reply_to: self.reply_to }
    }

    /// What makes another machine remember and answer it; `None` if it is for whoever fell, or nobody.
    #[must_use]
    pub fn tell(&self) -> Option<Tell> {
        let ticket = self.ticket();
        match self.keeper {
            Keeper::Nobody | Keeper::Itself => None,
            Keeper::Conversation(id) => {
                Some(Tell::Conversation(id, conversation::Command::Failed { ticket, opening: false }))
            }
            Keeper::Opening(id) => {
                Some(Tell::Conversation(id, conversation::Command::Failed { ticket, opening: true }))
            }
            Keeper::Agent(id) => Some(Tell::Agent(id, agent::Command::Failed { ticket })),
        }
    }
}

/// The answer to whoever would reinstate what takes part anyway.
#[must_use]
pub fn not_aside(ticket: &Ticket) -> Refused {
    Refusal::WrongState("it is not set aside").to(ticket)
}

fn refuse(ticket: &Ticket, refusal: Refusal) -> Undelivered {
    Undelivered { tells: Vec::new(), refused: ticket.reply_to.map(|reply_to| (reply_to, refusal)) }
}

fn tell(tells: impl IntoIterator<Item = Tell>) -> Undelivered {
    Undelivered { tells: tells.into_iter().collect(), refused: None }
}

/// A command for a conversation that is set aside: who asks hears so, who holds a slot for it that there is nothing to hold, and its
/// visitor may open another one.
#[must_use]
pub fn to_conversation(id: ConversationId, command: conversation::Command) -> Undelivered {
    match command {
        conversation::Command::Open { opening, ticket, .. } if opening.asked == id => {
            refuse(&ticket, Refusal::Quarantined)
        }
        conversation::Command::Failed { ticket, .. } => refuse(&ticket, Refusal::Failed),
        command => {
            let mut undelivered = undeliverable(Tell::Conversation(id, command));
            if let Some((_, refusal)) = &mut undelivered.refused {
                *refusal = Refusal::Quarantined;
            }
            undelivered
        }
    }
}

/// A command for an agent who is set aside: groups hear that they take nothing; what they hold stays theirs. `standing`: how they stand.
/// `profile`: what is recorded of them, for a workspace that took a refused change for done.
#[must_use]
pub fn to_agent(
    id: AgentId,
    command: agent::Command,
    standing: Standing,
    profile: Option<agent::Profile>,
) -> Undelivered {
    match command {
        agent::Command::Put { ticket, .. }
        | agent::Command::Change { ticket, .. }
        | agent::Command::Remove { ticket } => {
            let stands = workspace::Command::Stands { agent: id, profile };
            Undelivered { tells: vec![Tell::Workspace(stands)], ..refuse(&ticket, Refusal::Quarantined) }
        }
        agent::Command::SetPresence { ticket, .. } | agent::Command::SetPush { ticket, .. } => {
            refuse(&ticket, Refusal::Quarantined)
        }
        agent::Command::Failed { ticket } => refuse(&ticket, Refusal::Failed),
        agent::Command::Invite { ticket, .. } => refuse(&ticket, Refusal::NotEligible(WhyNot::Quarantined)),
        agent::Command::Claim { purpose: Purpose::Start { ticket, opening }, .. } => Undelivered {
            tells: opening.not_started().map(Tell::Workspace).into(),
            ..refuse(&ticket, Refusal::NotEligible(WhyNot::Quarantined))
        },
        agent::Command::Claim { conversation, epoch, purpose: Purpose::Flow { .. }, .. } => {
            let why_not = WhyNot::Quarantined;
            let unavailable = conversation::Command::Unavailable { agent: id, epoch, why_not };
            tell([Tell::Conversation(conversation, unavailable)])
        }
        agent::Command::Claim { conversation, purpose, .. } => match purpose.ticket() {
            Some(ticket) => Undelivered {
                tells: vec![Tell::Conversation(conversation, conversation::Command::NotGranted)],
                ..refuse(ticket, Refusal::NotEligible(WhyNot::Quarantined))
            },
            None => Undelivered::default(),
        },
        agent::Command::Reserve { conversation, decision, .. } => {
            let why_not = WhyNot::Quarantined;
            let refused = group::Command::ProposalRefused { conversation, agent: id, why_not, standing };
            tell([Tell::Group(decision.group, refused)])
        }
        agent::Command::Describe { group } => {
            tell([Tell::Group(group, group::Command::Member { agent: id, standing })])
        }
        // Reserved before the fall reached the conversation: it goes on to others.
        agent::Command::Confirm { conversation, held: Held::Reserved, .. } => {
            let why = RescindReason::Removed;
            tell([Tell::Conversation(conversation, conversation::Command::AgentGone { agent: id, why })])
        }
        // Slots are asked of the conversations again when they take part again; an owner stays one until then.
        agent::Command::Confirm { held: Held::Owned | Held::Helping, .. }
        | agent::Command::SessionOpened
        | agent::Command::SessionLost { .. }
        | agent::Command::Refused { .. }
        | agent::Command::Release { .. }
        | agent::Command::Holds { .. }
        | agent::Command::StillThere { .. }
        | agent::Command::PolicyChanged
        | agent::Command::Reinstate { .. }
        | agent::Command::Tick => Undelivered::default(),
    }
}

/// A command for a group that is closed for routing: what comes to wait overflows or falls back.
#[must_use]
pub fn to_group(id: &GroupId, command: group::Command) -> Undelivered {
    let unserved = |conversation, stay| {
        let why = Unserved::Because(FallbackReason::GroupUnavailable);
        tell([Tell::Conversation(conversation, conversation::Command::Unserved { stay, why })])
    };
    match command {
        group::Command::Enqueue(waiting) => unserved(waiting.conversation, waiting.stay),
        group::Command::WaitedTooLong { conversation, stay, .. } => unserved(conversation, stay),
        group::Command::Summon { conversation, epoch, .. } => {
            let (group, summons) = (id.clone(), Summons::Closed);
            let summoned = conversation::Command::Summoned { group, epoch, summons };
            tell([Tell::Conversation(conversation, summoned)])
        }
        // Proposed before the fall: its place in the line is asked for, and the answer overflows.
        group::Command::ProposalRefused { conversation, .. } => {
            let group = id.clone();
            tell([Tell::Conversation(conversation, conversation::Command::AskWaiting { group })])
        }
        group::Command::RequestEntry { conversation, ticket, .. } => Undelivered {
            tells: vec![Tell::Conversation(conversation, conversation::Command::NotGranted)],
            ..refuse(&ticket, Refusal::GroupUnavailable)
        },
        group::Command::Leave { .. }
        | group::Command::Member { .. }
        | group::Command::MemberGone { .. }
        | group::Command::ProposalGranted { .. }
        | group::Command::Forgotten { .. }
        | group::Command::Start
        | group::Command::PolicyChanged
        | group::Command::Tick
        | group::Command::Reinstate { .. } => Undelivered::default(),
    }
}

/// What a command for a workspace that is set aside comes to.
#[derive(Debug)]
pub enum Instead {
    /// It is told others, or refused.
    Told(Undelivered),
    /// Nothing has to be decided: this is recorded, and whoever asked is answered `Done`.
    Recorded(workspace::Event, Ticket),
}

/// A command for a workspace that is set aside: openings and seats are refused, and what needs no decision goes on.
#[must_use]
pub fn to_workspace(command: workspace::Command, knows_token: impl Fn(&str) -> bool) -> Instead {
    match command {
        workspace::Command::Relay { conversation, ask, ticket } => Instead::Told(tell([Tell::Conversation(
            conversation,
            conversation::Command::Ask { ask, ticket },
        )])),
        workspace::Command::MintToken { token, ticket } => {
            Instead::Recorded(workspace::Event::TokenMinted(token), ticket)
        }
        workspace::Command::RevokeToken { id, ticket } if knows_token(&id) => {
            Instead::Recorded(workspace::Event::TokenRevoked { id }, ticket)
        }
        workspace::Command::RevokeToken { ticket, .. } => Instead::Told(refuse(&ticket, Refusal::NotFound)),
        workspace::Command::ReportFailure { failure, ticket } => {
            Instead::Recorded(workspace::Event::ActionFailed(failure), ticket)
        }
        workspace::Command::Open { ticket, .. }
        | workspace::Command::Start { ticket, .. }
        | workspace::Command::OpenTeam { ticket, .. }
        | workspace::Command::Reopen { ticket, .. }
        | workspace::Command::Engage { then: Some((_, ticket)), .. }
        | workspace::Command::PutAgent { ticket, .. }
        | workspace::Command::ChangeAgent { ticket, .. }
        | workspace::Command::RemoveAgent { ticket, .. } => {
            Instead::Told(refuse(&ticket, Refusal::Quarantined))
        }
        workspace::Command::Engage { then: None, .. }
        | workspace::Command::Disengage
        | workspace::Command::SeatFree { .. }
        | workspace::Command::Closed { .. }
        | workspace::Command::Stands { .. }
        | workspace::Command::KeepManaged { .. }
        | workspace::Command::Reinstate { .. } => Instead::Told(Undelivered::default()),
    }
}
