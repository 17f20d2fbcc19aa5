//! The judge's view of workflows: who answered when, what may be taken from whom, and when it is overdue. Derived from the log alone.

use std::time::Duration;

use maitred::{
    clock::Timestamp,
    routing::{
        By,
        conversation::{Event, FlowOutcome, Skip},
        words::QueueCause,
    },
};

use crate::{
    model::{Blame, Conv, Place},
    presets::PlainWatch,
};

/// A walk through a workflow, as far as it is promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    /// When an agent last got the conversation.
    held: Option<Timestamp>,
    /// How often agents got it.
    assignments: u32,
    replied: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// The assignment that was taken back.
    fired: Option<u32>,
    /// Since when it asks whether somebody can take it.
    asking: Option<Timestamp>,
}

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);

impl Walk {
    fn answered_in_time(&self) -> bool {
        self.replied.zip(self.until).is_some_and(|(replied, until)| replied <= until)
    }

    /// When it has to have gone on.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let asked = self.asking.map(|since| since + ANSWER);
        self.until.filter(|_| self.fired.is_none()).or(asked)
    }
}

impl Conv {
    /// What an event means for a workflow, and whether the workflow may do this now.
    pub(crate) fn walks(
        &mut self,
        event: &Event,
        by: &By,
        at: Timestamp,
        watch: Option<&PlainWatch>,
    ) -> Result<(), Blame> {
        let wrong = |what: &str, walk: &Option<Walk>, place: &Place| {
            Err(("workflow", format!("{event:?}: {what}: {walk:?} in {place:?}")))
        };
        if let Event::FlowStarted { .. } = event {
            if self.walk.is_some() {
                return wrong("it has begun already", &self.walk, &self.place);
            }
            self.walk = Some(Walk::default());
        }
        let (before, place) = (self.walk.clone(), &self.place);
        let Some(walk) = &mut self.walk else {
            let walks =
                matches!(event, Event::FlowWaits { .. } | Event::FlowFired { .. } | Event::FlowEnded { .. });
            return if walks { wrong("there is none", &before, place) } else { Ok(()) };
        };
        match event {
            Event::Assigned { .. } => {
                walk.assignments += 1;
                walk.held = Some(at);
                walk.asking = None;
            }
            Event::Said { .. } if matches!(by, By::Agent(_) | By::Supervisor) => {
                walk.replied.get_or_insert(at);
            }
            Event::FlowWaits { until: Some(until), .. } => {
                let expected = watch.and_then(|watch| Some(walk.held? + watch.wait));
                if expected.is_some_and(|expected| expected != *until) {
                    return wrong("it waits from the assignment on", &before, place);
                }
                walk.until = Some(*until);
            }
            Event::FlowFired { .. } => {
                let due = walk.until.is_some_and(|until| until <= at);
                let owned = matches!(place, Place::Active(active) if active.handover.is_none());
                if !due || !owned || walk.answered_in_time() {
                    return wrong("nobody was silent so long", &before, place);
                }
                if walk.fired.replace(walk.assignments) == Some(walk.assignments) {
                    return wrong("twice for one assignment", &before, place);
                }
                walk.asking = Some(at);
            }
            Event::FlowEnded { outcome, .. } => {
                let right = match outcome {
                    FlowOutcome::Skipped(Skip::Answered) => walk.answered_in_time(),
                    FlowOutcome::Done => walk.fired.is_some(),
                    FlowOutcome::Skipped(_) => true,
                };
                if !right && watch.is_some() {
                    return wrong("that is not so", &before, place);
                }
                self.walk = None;
            }
            Event::Queued {
                cause: QueueCause::Reassigned | QueueCause::NoOnlineAgent,
                group,
                barred,
                ..
            } => {
                let to = watch.is_none_or(|watch| watch.group == *group);
                if walk.fired.is_none() || !to || barred.is_none() {
                    return wrong("not where it said, or to the same again", &before, place);
                }
                walk.asking = None;
            }
            Event::Closed { .. } | Event::Quarantined => self.walk = None,
            _ => {}
        }
        Ok(())
    }

    /// After a start the wait is moved like any other.
    pub(crate) fn walk_is_moved(&mut self, last: Timestamp, start: Timestamp, grace: Duration) {
        if let Some(until) =
            self.walk.as_mut().filter(|walk| walk.fired.is_none()).and_then(|walk| walk.until.as_mut())
        {
            *until = start + grace.max(until.since(last));
        }
    }
}
