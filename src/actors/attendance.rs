//! Which agents have a session, for those who are on no arbiter. Changed where sessions begin and end, and nowhere else.

use dashmap::DashSet;
use foldhash::fast::RandomState;

use crate::ids::{AgentId, WorkspaceId};

/// Which agents have a session.
#[derive(Debug, Default)]
pub struct Attendance(DashSet<(WorkspaceId, AgentId), RandomState>);

impl Attendance {
    /// Whether an agent has a session.
    #[must_use]
    pub fn has(&self, workspace: &WorkspaceId, agent: AgentId) -> bool {
        self.0.contains(&(workspace.clone(), agent))
    }

    pub(super) fn note(&self, workspace: &WorkspaceId, agent: AgentId, here: bool) {
        let entry = (workspace.clone(), agent);
        if here {
            self.0.insert(entry);
        } else {
            self.0.remove(&entry);
        }
    }
}
