//! The agents of an announcement: many, looked up often, and compared with what they were a moment ago.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::AgentId;

/// A sorted set that is cheap to clone and to compare with its clone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<AgentId>", into = "Vec<AgentId>")]
pub(in crate::routing) struct Crowd(Arc<Vec<AgentId>>);

impl From<Vec<AgentId>> for Crowd {
    fn from(agents: Vec<AgentId>) -> Self {
        Self(Arc::new(agents))
    }
}

impl From<Crowd> for Vec<AgentId> {
    fn from(crowd: Crowd) -> Self {
        Arc::unwrap_or_clone(crowd.0)
    }
}

impl Crowd {
    pub(super) fn contains(&self, agent: AgentId) -> bool {
        self.0.binary_search(&agent).is_ok()
    }

    pub(super) fn add(&mut self, agents: &[AgentId]) {
        let all = Arc::make_mut(&mut self.0);
        match agents {
            [agent] => {
                if let Err(at) = all.binary_search(agent) {
                    all.insert(at, *agent);
                }
            }
            agents => {
                all.extend_from_slice(agents);
                all.sort_unstable();
                all.dedup();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.0.iter().copied()
    }

    /// Who is in this one and was not in the one before. Costs nothing if it is the same.
    pub(super) fn since(&self, before: &Self) -> Vec<AgentId> {
        if Arc::ptr_eq(&self.0, &before.0) {
            return Vec::new();
        }
        self.iter().filter(|agent| !before.contains(*agent)).collect()
    }
}

/// An announcement as it stands: compared with what it was before a step.
#[derive(Debug, Clone)]
pub(in crate::routing) struct Announcement {
    pub(in crate::routing) pending: super::PendingOffer,
    agents: Crowd,
    declined: Crowd,
}

impl Announcement {
    pub(super) fn new(pending: super::PendingOffer, agents: &Crowd, declined: &Crowd) -> Self {
        Self { pending, agents: agents.clone(), declined: declined.clone() }
    }

    /// Who has not answered.
    pub(in crate::routing) fn open(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.agents.iter().filter(|agent| !self.declined.contains(*agent))
    }

    /// Who was added since, and who declined since, if it is still the same one.
    pub(in crate::routing) fn since(&self, before: &Self) -> Option<(Vec<AgentId>, Vec<AgentId>)> {
        let same = self.pending.offer == before.pending.offer;
        same.then(|| (self.agents.since(&before.agents), self.declined.since(&before.declined)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(ids: &[u8]) -> Vec<AgentId> {
        ids.iter().map(|id| AgentId::from_bytes([*id; 16])).collect()
    }

    #[test]
    fn a_crowd_knows_who_is_new_in_it() {
        let mut crowd = Crowd::default();
        crowd.add(&agents(&[5, 1, 3]));
        let before = crowd.clone();
        assert_eq!(crowd.since(&before), []);
        crowd.add(&agents(&[4]));
        crowd.add(&agents(&[4, 1, 9]));
        assert_eq!(crowd.iter().collect::<Vec<_>>(), agents(&[1, 3, 4, 5, 9]));
        assert_eq!(crowd.since(&before), agents(&[4, 9]));
        assert_eq!((before.len(), crowd.len()), (3, 5));
        assert!(crowd.contains(agents(&[4])[0]) && !before.contains(agents(&[4])[0]));
    }
}
