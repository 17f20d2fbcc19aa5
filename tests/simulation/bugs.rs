//! Bugs that are planted on purpose, to see that the checkers see. They live here, round the machines, and never in them.

use maitred::routing::{
    Presence, QueueCause, Tell, Ticket, agent,
    conversation::{self, Ask, Conversation},
    group,
    scope::Sites,
    workspace,
};

use crate::world::Sim;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Agents are handed a cap that is one too high.
    CapOffByOne,
    /// Every third freed slot stays taken.
    LeakedSlot,
    /// A freed slot wakes the queue only if its head may have it.
    BlockedHead,
    /// Accepting is judged by the time of the offer.
    StaleAccept,
    /// After a crash the first waiting conversation is not put back in its line.
    LostResume,
    /// After a crash an agent keeps a slot for what nobody recorded.
    GrantKept,
    /// After a crash deadlines stand where they stood.
    NoGrace,
    /// The fallback is recorded twice.
    DoubleFallback,
    /// What happened is delivered twice now and then.
    DuplicateDelivery,
    /// What happened is not delivered now and then.
    LostDelivery,
    /// Answers and notices leave before the log is durable.
    EarlyRelease,
    /// Keys are forgotten at a crash.
    LostKeys,
    /// A private note is shown to the visitor.
    NoteShown,
    /// After a crash only those have a timer who are told something.
    TimersNotArmed,
    /// Grants of an agent who was rebuilt since count.
    GenerationIgnored,
    /// Grants for what the conversation was before count.
    EpochIgnored,
    /// Now and then something happens that is not recorded.
    LostRecord,
    /// Opening a session means to be online.
    PresenceByDevice,
    /// A start sets everybody online who was offline.
    StartOverwrites,
    /// Now and then a conversation that changes its group arrives nowhere.
    LostEnqueue,
    /// Winning a race for an announcement is not made known to the agent's slots.
    LostConfirm,
    /// Who holds a slot for a conversation that is set aside does not hear of it.
    AsideKeepsSlot,
    /// An agent whom a supervisor lets take part again still stands aside.
    StaysAside,
    /// Who would wait in a group that is set aside is not turned away.
    AsideKeepsLine,
    /// After a crash an agent who stood aside takes part.
    AsideForgotten,
    /// What the archive holds was made without the last record that it says it covers.
    SnapshotForgets,
    /// The archive says that it covers what is not durable yet.
    SnapshotClaims,
    /// After a crash conversations count twice among the engagements.
    EngagedTwice,
    /// There is one seat more than there is.
    OneSeatMore,
    /// Who has answered loses the conversation all the same.
    FiresAfterReply,
    /// What was held until a group was chosen is queued twice.
    HeldTwice,
    /// What nobody chose a group for is kept.
    HeldForEver,
    /// A conversation that is reopened does not ask whether its group is open.
    HoursIgnored,
    /// The first routing rule is not asked.
    RuleSkipped,
    /// An engagement that is given back stays counted.
    EngagementKept,
    /// A trigger has its say at every page.
    TriggerAgain,
    /// There is one engagement more than there is.
    OneEngagementMore,
    /// Now and then the bot hands over what nobody is told of.
    HandOverLost,
    /// Who helps is told to give their slot back.
    HelperUncounted,
    /// Groups, and the agents themselves, believe that every site is theirs.
    SitesIgnored,
}

impl Bug {
    pub(crate) const ALL: [Self; 40] = [
        Self::CapOffByOne,
        Self::LeakedSlot,
        Self::BlockedHead,
        Self::StaleAccept,
        Self::LostResume,
        Self::GrantKept,
        Self::NoGrace,
        Self::DoubleFallback,
        Self::DuplicateDelivery,
        Self::LostDelivery,
        Self::EarlyRelease,
        Self::LostKeys,
        Self::NoteShown,
        Self::TimersNotArmed,
        Self::GenerationIgnored,
        Self::EpochIgnored,
        Self::LostRecord,
        Self::PresenceByDevice,
        Self::StartOverwrites,
        Self::LostEnqueue,
        Self::LostConfirm,
        Self::AsideKeepsSlot,
        Self::StaysAside,
        Self::AsideKeepsLine,
        Self::AsideForgotten,
        Self::SnapshotForgets,
        Self::SnapshotClaims,
        Self::EngagedTwice,
        Self::OneSeatMore,
        Self::FiresAfterReply,
        Self::HeldTwice,
        Self::HeldForEver,
        Self::HoursIgnored,
        Self::RuleSkipped,
        Self::EngagementKept,
        Self::TriggerAgain,
        Self::HandOverLost,
        Self::OneEngagementMore,
        Self::HelperUncounted,
        Self::SitesIgnored,
    ];
}

impl Sim {
    /// Whether this bug is planted in this run.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// What a planted bug makes of a tell before it is handled; `None`: it is lost.
    pub(crate) fn tamper(&mut self, tell: Tell) -> Option<Tell> {
        let Some(bug) = self.bug else { return Some(tell) };
        self.tampered += 1;
        let now_and_then = self.tampered.is_multiple_of(3);
        match (bug, tell) {
            (
                Bug::LeakedSlot,
                Tell::Agent(_, agent::Command::Release { .. } | agent::Command::Refused { .. }),
            ) if now_and_then => None,
            (Bug::LostConfirm, Tell::Agent(_, agent::Command::Confirm { .. })) if now_and_then => None,
            (Bug::LostEnqueue, Tell::Group(_, group::Command::Enqueue(waiting)))
                if now_and_then && waiting.entering =>
            {
                None
            }
            (Bug::BlockedHead, Tell::Group(id, group::Command::Member { agent, standing })) => {
                let head = self.oracle.head_of(&id);
                let blocked = head.is_some_and(|head| !self.oracle.suits(head, agent));
                (!blocked).then_some(Tell::Group(id, group::Command::Member { agent, standing }))
            }
            (Bug::EpochIgnored, Tell::Conversation(id, conversation::Command::Granted(mut granted))) => {
                let epoch = self.world.conversations.get(&id).map(AsRef::as_ref).and_then(epoch_of);
                granted.epoch = epoch.unwrap_or(granted.epoch);
                Some(Tell::Conversation(id, conversation::Command::Granted(granted)))
            }
            (Bug::PresenceByDevice, Tell::Agent(id, agent::Command::SessionOpened)) => {
                let ticket = Ticket::system();
                let online = agent::Command::SetPresence { presence: Presence::Online, ticket };
                self.post(Tell::Agent(id, online));
                Some(Tell::Agent(id, agent::Command::SessionOpened))
            }
            (Bug::HeldForEver, Tell::Conversation(id, conversation::Command::Tick))
                if self.oracle.held_until(id).is_some() =>
            {
                None
            }
            (
                Bug::HelperUncounted,
                Tell::Agent(id, agent::Command::Confirm { conversation, epoch, held: agent::Held::Helping }),
            ) => {
                let end = agent::End::Freed;
                let confirm = agent::Command::Confirm { conversation, epoch, held: agent::Held::Helping };
                self.post(Tell::Agent(id, agent::Command::Release { conversation, epoch, end }));
                Some(Tell::Agent(id, confirm))
            }
            (Bug::SitesIgnored, Tell::Group(id, group::Command::Member { agent, mut standing })) => {
                standing.sites = Sites::default();
                Some(Tell::Group(id, group::Command::Member { agent, standing }))
            }
            (
                Bug::SitesIgnored,
                Tell::Agent(id, agent::Command::Reserve { conversation, epoch, decision, .. }),
            ) => {
                let site = self.oracle.model.agents.get(&id).and_then(|worker| worker.sites.first().cloned());
                Some(Tell::Agent(id, agent::Command::Reserve { conversation, epoch, site, decision }))
            }
            (Bug::EngagementKept, Tell::Workspace(workspace::Command::Disengage)) => None,
            (Bug::HandOverLost, Tell::Group(_, group::Command::Enqueue(waiting)))
                if now_and_then && waiting.entering && waiting.cause == QueueCause::Bot =>
            {
                None
            }
            (_, tell) => Some(tell),
        }
    }

    /// The time that a conversation is handed for this command.
    pub(crate) fn time_for(&self, command: &conversation::Command) -> maitred::clock::Timestamp {
        match command {
            conversation::Command::Ask { ask: Ask::Accept { .. }, .. } if self.has(Bug::StaleAccept) => {
                self.now - std::time::Duration::from_secs(3)
            }
            _ => self.now,
        }
    }
}

/// The epoch that a conversation is in, which it tells nobody.
fn epoch_of(conversation: &Conversation) -> Option<u32> {
    let text = format!("{conversation:?}");
    let (_, after) = text.split_once(" epoch: ")?;
    after.split(',').next()?.parse().ok()
}
