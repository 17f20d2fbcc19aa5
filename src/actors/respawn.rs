//! An actor that dies in spite of its guards is noticed, because its `Drop` says so, and started again from what is recorded. The fall
//! counts like those that a guard held, so what keeps dying stands aside in the end.

use std::rc::Rc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    agent::AgentActor,
    conversation::ConversationActor,
    group::GroupActor,
    local::Local,
    space::{Records, Space},
    supervision::{Failures, guard},
    workspace::WorkspaceActor,
};
use crate::{
    ids::ConversationId,
    routing::{agent::Agent, group::Group, workspace::Workspace},
};

/// What an actor leaves behind that died.
pub(super) enum Dead {
    /// A conversation: its records are in the log.
    Conversation {
        /// Which.
        id: ConversationId,
        /// Where its records are.
        records: Records,
        /// Its falls before this one.
        failures: Option<Box<Failures>>,
    },
    /// An agent.
    Agent {
        /// What is recorded of them.
        durable: Box<Agent>,
        /// Their falls before this one.
        failures: Failures,
    },
    /// A group.
    Group {
        /// What is recorded of it.
        durable: Box<Group>,
        /// Its falls before this one.
        failures: Failures,
    },
    /// A workspace.
    Workspace {
        /// What is recorded of it.
        durable: Box<Workspace>,
        /// Its falls before this one.
        failures: Failures,
    },
}

/// Where the dead of one arbiter are reported; the receiver is taken once, by [`Local::respawn_forever`].
pub(super) struct Morgue {
    lane: UnboundedSender<(u32, Dead)>,
    waiting: Option<UnboundedReceiver<(u32, Dead)>>,
}

impl Default for Morgue {
    fn default() -> Self {
        let (lane, waiting) = unbounded_channel();
        Self { lane, waiting: Some(waiting) }
    }
}

impl Morgue {
    /// Takes what the task reads from.
    pub(super) fn take(&mut self) -> Option<UnboundedReceiver<(u32, Dead)>> {
        self.waiting.take()
    }

    /// Where to report to.
    pub(super) fn lane(&self) -> UnboundedSender<(u32, Dead)> {
        self.lane.clone()
    }
}

impl Local {
    /// Starts those again who died.
    pub async fn respawn_forever(self: Rc<Self>) {
        let Some(mut waiting) = self.morgue() else { return };
        while let Some((space, dead)) = waiting.recv().await {
            let Some(space) = self.space(space) else { continue };
            if guard(|| respawn(&space, dead)).is_none() {
                tracing::error!(workspace = %space.id, "an actor that died could not be started again");
            }
        }
    }
}

fn respawn(space: &Rc<Space>, dead: Dead) {
    match dead {
        Dead::Conversation { id, records, failures } => {
            tracing::error!(conversation = %id, "the actor of a conversation died and is started again");
            ConversationActor::respawn(space, id, records, failures);
        }
        Dead::Agent { durable, failures } => {
            tracing::error!(agent = %durable.id(), "the actor of an agent died and is started again");
            AgentActor::respawn(space, *durable, failures);
        }
        Dead::Group { durable, failures } => {
            tracing::error!(group = %durable.id(), "the actor of a group died and is started again");
            GroupActor::respawn(space, *durable, failures);
        }
        Dead::Workspace { durable, failures } => {
            tracing::error!(workspace = %space.id, "the actor of a workspace died and is started again");
            WorkspaceActor::respawn(space, *durable, failures);
        }
    }
}
