//! What the workflow that a conversation is in, or was in since its last opening, is counted as.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    actors::space::Space,
    clock::Timestamp,
    metrics::{self, WorkflowMetrics},
    routing::{
        By,
        conversation::{Event, FlowOutcome, Skip},
    },
};

/// The times that the counts of one workflow need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlowMark {
    workflow: SmolStr,
    /// Still under way.
    runs: bool,
    assigned_at: Option<Timestamp>,
    replied: bool,
}

impl FlowMark {
    /// Takes an event in without counting it.
    pub(super) fn see(mark: &mut Option<Box<Self>>, at: Timestamp, by: &By, event: &Event) {
        if let Event::FlowStarted { workflow, .. } = event {
            let (workflow, assigned_at) = (workflow.clone(), None);
            *mark = Some(Box::new(Self { workflow, runs: true, assigned_at, replied: false }));
        }
        let Some(known) = mark else { return };
        match event {
            Event::Assigned { .. } => _ = known.assigned_at.get_or_insert(at),
            Event::Said { .. } | Event::Posted { .. } if is_human(by) => known.replied = true,
            Event::FlowEnded { .. } => known.runs = false,
            Event::Closed { .. } => *mark = None,
            _ => {}
        }
    }

    /// Counts an event that it has not seen yet.
    pub(super) fn tally(&self, space: &Space, at: Timestamp, by: &By, event: &Event) {
        match event {
            Event::FlowFired { .. } => self.metrics(space).fired.increment(1),
            Event::FlowEnded { outcome: FlowOutcome::Skipped(skip), .. } => self.skipped(space, *skip),
            Event::Closed { .. } if self.runs => self.skipped(space, Skip::Closed),
            Event::Said { .. } | Event::Posted { .. } if is_human(by) && !self.replied => {
                if let Some(assigned) = self.assigned_at {
                    self.metrics(space).first_reply.record(at.since(assigned));
                }
            }
            _ => {}
        }
    }

    fn skipped(&self, space: &Space, skip: Skip) {
        let word = match skip {
            Skip::Answered => metrics::Skip::Answered,
            Skip::Condition => metrics::Skip::Condition,
            Skip::Moved => metrics::Skip::Moved,
            Skip::HandedOver => metrics::Skip::HandedOver,
            Skip::Changed => metrics::Skip::Changed,
            Skip::Unavailable => metrics::Skip::Unavailable,
            Skip::Closed => metrics::Skip::Closed,
        };
        self.metrics(space).skipped.of(word).increment(1);
    }

    fn metrics(&self, space: &Space) -> Arc<WorkflowMetrics> {
        space.local.shared.metrics.workflow(space.id.as_str(), &self.workflow)
    }
}

fn is_human(by: &By) -> bool {
    matches!(by, By::Agent(_) | By::Supervisor)
}
