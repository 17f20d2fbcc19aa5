//! What happens to a tell that nobody is there to take: the sender gets the answer that it would wait for for ever, and whoever
//! asked is told that there is no such thing. The same function serves the actors and the simulation.

use smol_str::SmolStr;

use super::{
    Refusal, ReplyTo, Tell, WhyNot, agent,
    conversation::{self, Purpose, Summons, Unserved, Way},
    group::{self, Standing},
    words::Ticket,
    workspace,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

/// What an undeliverable tell leads to.
#[derive(Debug, Default)]
pub struct Undelivered {
    /// To be told instead, in this order.
    pub tells: Vec<Tell>,
    /// Refused: nothing was recorded, so it waits for no newer position than the workspace's newest.
    pub refused: Option<(ReplyTo, Refusal)>,
}

impl Undelivered {
    fn refuse(ticket: &Ticket) -> Self {
        Self::default().and_refuse(ticket)
    }

    fn and_refuse(mut self, ticket: &Ticket) -> Self {
        self.refused = ticket.reply_to.map(|reply_to| (reply_to, Refusal::NotFound));
        self
    }

    fn failed(ticket: &Ticket) -> Self {
        Self { tells: Vec::new(), refused: ticket.reply_to.map(|reply_to| (reply_to, Refusal::Failed)) }
    }

    fn tell(tells: impl IntoIterator<Item = Tell>) -> Self {
        Self { tells: tells.into_iter().collect(), refused: None }
    }
}

/// What to do with a tell whose receiver the directory does not know. Two commands make their receiver and come here only when
/// that is not possible: `Open` in the way of a new one, and `Put`.
#[must_use]
pub fn undeliverable(tell: Tell) -> Undelivered {
    match tell {
        Tell::Workspace(command) => to_workspace(command),
        Tell::Group(id, command) => to_group(&id, command),
        Tell::Agent(id, command) => to_agent(id, command),
        Tell::Conversation(id, command) => to_conversation(id, command),
    }
}

fn to_workspace(command: workspace::Command) -> Undelivered {
    match command {
        workspace::Command::Open { ticket, .. }
        | workspace::Command::Start { ticket, .. }
        | workspace::Command::OpenTeam { ticket, .. }
        | workspace::Command::Relay { ticket, .. }
        | workspace::Command::Reopen { ticket, .. }
        | workspace::Command::PutAgent { ticket, .. }
        | workspace::Command::ChangeAgent { ticket, .. }
        | workspace::Command::RemoveAgent { ticket, .. }
        | workspace::Command::MintToken { ticket, .. }
        | workspace::Command::RevokeToken { ticket, .. }
        | workspace::Command::ReportFailure { ticket, .. }
        | workspace::Command::Reinstate { ticket } => Undelivered::refuse(&ticket),
        workspace::Command::Engage { then: Some((_, ticket)), .. } => Undelivered::refuse(&ticket),
        workspace::Command::Engage { then: None, .. }
        | workspace::Command::Disengage
        | workspace::Command::SeatFree { .. }
        | workspace::Command::Closed { .. }
        | workspace::Command::Stands { .. }
        | workspace::Command::KeepManaged { .. } => Undelivered::default(),
    }
}

/// The group is not in the configuration any more: what would wait there can't.
fn to_group(id: &GroupId, command: group::Command) -> Undelivered {
    let removed = Unserved::Removed { overflow: None };
    let unserved = |conversation, stay| {
        let command = conversation::Command::Unserved { stay, why: removed };
        Undelivered::tell([Tell::Conversation(conversation, command)])
    };
    match command {
        group::Command::Enqueue(waiting) => unserved(waiting.conversation, waiting.stay),
        group::Command::WaitedTooLong { conversation, stay, .. } => unserved(conversation, stay),
        group::Command::Summon { conversation, epoch, .. } => {
            let (group, summons) = (id.clone(), Summons::Closed);
            let summoned = conversation::Command::Summoned { group, epoch, summons };
            Undelivered::tell([Tell::Conversation(conversation, summoned)])
        }
        // It was proposed while the group still was there: the conversation's answer comes back as an `Enqueue`.
        group::Command::ProposalRefused { conversation, .. } => {
            let command = conversation::Command::AskWaiting { group: id.clone() };
            Undelivered::tell([Tell::Conversation(conversation, command)])
        }
        group::Command::RequestEntry { conversation, ticket, .. } => {
            let not = conversation::Command::NotGranted;
            Undelivered::tell([Tell::Conversation(conversation, not)]).and_refuse(&ticket)
        }
        group::Command::Reinstate { ticket } => Undelivered::refuse(&ticket),
        group::Command::Leave { .. }
        | group::Command::Member { .. }
        | group::Command::MemberGone { .. }
        | group::Command::ProposalGranted { .. }
        | group::Command::Forgotten { .. }
        | group::Command::Start
        | group::Command::PolicyChanged
        | group::Command::Tick => Undelivered::default(),
    }
}

fn to_agent(id: AgentId, command: agent::Command) -> Undelivered {
    match command {
        agent::Command::Put { ticket, .. }
        | agent::Command::Change { ticket, .. }
        | agent::Command::Remove { ticket }
        | agent::Command::SetPresence { ticket, .. }
        | agent::Command::SetPush { ticket, .. }
        | agent::Command::Invite { ticket, .. }
        | agent::Command::Reinstate { ticket } => Undelivered::refuse(&ticket),
        // Nobody remembers it, but it is answered.
        agent::Command::Failed { ticket } => Undelivered::failed(&ticket),
        agent::Command::Claim { purpose: Purpose::Start { ticket, opening }, .. } => {
            Undelivered::tell(opening.not_started().map(Tell::Workspace)).and_refuse(&ticket)
        }
        agent::Command::Claim { conversation, epoch, purpose: Purpose::Flow { .. }, .. } => {
            let why_not = WhyNot::Removed;
            let unavailable = conversation::Command::Unavailable { agent: id, epoch, why_not };
            Undelivered::tell([Tell::Conversation(conversation, unavailable)])
        }
        agent::Command::Claim { conversation, purpose, .. } => match purpose.ticket() {
            Some(ticket) => {
                let not = conversation::Command::NotGranted;
                Undelivered::tell([Tell::Conversation(conversation, not)]).and_refuse(ticket)
            }
            None => Undelivered::default(),
        },
        agent::Command::Reserve { conversation, decision, .. } => {
            let group = decision.group;
            let why_not = WhyNot::Removed;
            let refused =
                group::Command::ProposalRefused { conversation, agent: id, why_not, standing: nobody() };
            let gone = group::Command::MemberGone { agent: id };
            Undelivered::tell([Tell::Group(group.clone(), refused), Tell::Group(group, gone)])
        }
        agent::Command::StillThere { conversation, epoch } => {
            let command = conversation::Command::OwnerAbsent { agent: id, epoch };
            Undelivered::tell([Tell::Conversation(conversation, command)])
        }
        agent::Command::Describe { group } => {
            Undelivered::tell([Tell::Group(group, group::Command::MemberGone { agent: id })])
        }
        agent::Command::SessionOpened
        | agent::Command::SessionLost { .. }
        | agent::Command::Confirm { .. }
        | agent::Command::Refused { .. }
        | agent::Command::Release { .. }
        | agent::Command::Holds { .. }
        | agent::Command::PolicyChanged
        | agent::Command::Tick => Undelivered::default(),
    }
}

/// How an agent stands that does not exist.
fn nobody() -> Standing {
    Standing {
        name: SmolStr::default(),
        why_not: Some(WhyNot::Removed),
        full: WhyNot::AtCap,
        present: false,
        cap: 0,
        taken: 0,
        last_assigned: Timestamp::default(),
        sites: super::scope::Sites::default(),
    }
}

fn to_conversation(id: ConversationId, command: conversation::Command) -> Undelivered {
    match command {
        conversation::Command::Open { opening, ticket, way } => {
            let (visitor, channel) = (opening.visitor, opening.channel.clone());
            let closed =
                |led| Tell::Workspace(workspace::Command::Closed { visitor, channel, conversation: id, led });
            // The workspace forgets what it took for the visitor's open one, and decides again.
            match way {
                Way::New { engaged, .. } => {
                    let unused = engaged.then_some(Tell::Workspace(workspace::Command::Disengage));
                    Undelivered::tell([closed(None)].into_iter().chain(unused)).and_refuse(&ticket)
                }
                Way::Led(number) => {
                    let again = Tell::Workspace(workspace::Command::Open { opening, ticket });
                    Undelivered::tell([closed(Some(number)), again])
                }
                Way::Known => {
                    Undelivered::tell([Tell::Workspace(workspace::Command::Open { opening, ticket })])
                }
            }
        }
        conversation::Command::Granted(granted) => {
            let (generation, grant) = (granted.generation, granted.grant);
            let refused = agent::Command::Refused { conversation: id, generation, grant };
            let started = match &granted.purpose {
                Purpose::Start { opening, .. } => Some(opening.not_started().map(Tell::Workspace)),
                _ => None,
            };
            let freed = [Tell::Agent(granted.agent, refused)];
            let freed = Undelivered::tell(freed.into_iter().chain(started.into_iter().flatten()));
            match granted.purpose.ticket() {
                Some(ticket) => freed.and_refuse(ticket),
                None => freed,
            }
        }
        conversation::Command::AskHeld { agent, grant } => {
            let command = agent::Command::Holds { conversation: id, epoch: 0, held: None, grant };
            Undelivered::tell([Tell::Agent(agent, command)])
        }
        conversation::Command::AskWaiting { group } => {
            Undelivered::tell([Tell::Group(group, group::Command::Leave { conversation: id })])
        }
        conversation::Command::ReopenGranted { engaged, ticket, .. } => {
            let unused = engaged.then_some(Tell::Workspace(workspace::Command::Disengage));
            Undelivered::tell(unused).and_refuse(&ticket)
        }
        conversation::Command::Engaged { then } => {
            let unused = Undelivered::tell([Tell::Workspace(workspace::Command::Disengage)]);
            match then {
                Some(then) => unused.and_refuse(&then.1),
                None => unused,
            }
        }
        conversation::Command::Ask { ticket, .. }
        | conversation::Command::NotEngaged { ticket, .. }
        | conversation::Command::OpenTeam { ticket, .. }
        | conversation::Command::Admitted { ticket, .. }
        | conversation::Command::Invitable { ticket, .. }
        | conversation::Command::Reinstate { ticket } => Undelivered::refuse(&ticket),
        conversation::Command::Failed { ticket, .. } => Undelivered::failed(&ticket),
        conversation::Command::Announce { .. }
        | conversation::Command::Unserved { .. }
        | conversation::Command::AgentGone { .. }
        | conversation::Command::Summoned { .. }
        | conversation::Command::Unavailable { .. }
        | conversation::Command::NotGranted
        | conversation::Command::OwnerAbsent { .. }
        | conversation::Command::VisitorPresent(_)
        | conversation::Command::Tick => Undelivered::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{conversation::Ask, words::By};

    fn ticket() -> Ticket {
        let reply_to = Some(ReplyTo { connection: 3, request: 4 });
        Ticket { by: By::Supervisor, scope: None, key: None, reply_to }
    }

    fn conversation() -> ConversationId {
        ConversationId::from_bytes([1; 16])
    }

    #[test]
    fn whoever_asks_is_told_that_there_is_no_such_thing() {
        let command = conversation::Command::Ask { ask: Ask::Close, ticket: ticket() };
        let back = undeliverable(Tell::Conversation(conversation(), command));
        let expected = (ReplyTo { connection: 3, request: 4 }, Refusal::NotFound);
        assert_eq!(back.refused, Some(expected));
        assert!(back.tells.is_empty());
    }

    #[test]
    fn an_agent_that_asks_after_a_lost_conversation_frees_the_slot() {
        let agent = AgentId::from_bytes([2; 16]);
        let back = undeliverable(Tell::Conversation(
            conversation(),
            conversation::Command::AskHeld { agent, grant: 1 },
        ));
        let [Tell::Agent(to, agent::Command::Holds { held: None, .. })] = back.tells.as_slice() else {
            panic!("the slot would be leaked: {back:?}")
        };
        assert_eq!(*to, agent);
    }
}
