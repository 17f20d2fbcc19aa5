//! What a conversation's events are counted as. Counting reads events only, so live traffic and a rebuilt actor agree.

mod flows;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::space::Space;
use crate::{
    clock::Timestamp,
    ids::GroupId,
    metrics::{self, GroupMetrics},
    routing::{
        By, CloseReason, FallbackReason, OfferOutcome,
        conversation::{Event, Phase, Record},
    },
};

/// The times that the counts need.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Marks {
    /// The group it was queued in last.
    group: Option<GroupId>,
    /// What that group's events are counted with, once it was asked for.
    #[serde(skip)]
    metrics: Option<Arc<GroupMetrics>>,
    queued_at: Option<Timestamp>,
    offered_at: Option<Timestamp>,
    offers: u32,
    /// In a queue, answered or not.
    waits: bool,
    /// With the bot.
    with_bot: bool,
    /// When an agent first accepted it, since the last opening.
    served_at: Option<Timestamp>,
    answered_once: bool,
    /// Agents among themselves: nobody is served, so nothing is counted.
    team: bool,
    /// The workflow it is in, or was in since it was opened.
    flow: Option<Box<flows::FlowMark>>,
}

impl Marks {
    /// Since when it waits, or waited last.
    #[must_use]
    pub(super) fn queued_at(&self) -> Option<Timestamp> {
        self.queued_at
    }

    /// Whether it is counted as with the bot.
    #[must_use]
    pub(super) fn is_with_bot(&self) -> bool {
        self.with_bot
    }

    /// Counts a record, event by event.
    pub(super) fn count(&mut self, space: &Space, record: &Record) {
        for event in &record.events {
            self.tally(space, record.at, &record.by, event);
            if let Some(flow) = &self.flow {
                flow.tally(space, record.at, &record.by, event);
            }
            self.see(record.at, &record.by, event);
            if let Event::Queued { group, .. } = event {
                self.metrics = Some(space.group_metrics(group));
            }
        }
    }

    /// Takes an event in without counting it.
    pub(super) fn see(&mut self, at: Timestamp, by: &By, event: &Event) {
        self.with_bot = with_bot(event).unwrap_or(self.with_bot);
        if self.flow.is_some() || matches!(event, Event::FlowStarted { .. }) {
            flows::FlowMark::see(&mut self.flow, at, by, event);
        }
        match event {
            Event::Queued { group, .. } => {
                self.group = Some(group.clone());
                self.metrics = None;
                self.queued_at = Some(at);
                self.offers = 0;
                self.served_at = None;
                self.waits = true;
            }
            Event::Started { group } | Event::StartedFor { group } => {
                self.group = Some(group.clone());
                self.metrics = None;
            }
            Event::Offered { .. } | Event::Announced { .. } | Event::AnnouncedBy { .. } => {
                self.offers += 1;
                self.offered_at = Some(at);
            }
            Event::Assigned { .. } => {
                self.served_at.get_or_insert(at);
                self.waits = false;
            }
            Event::FellBack { .. } | Event::TurnedAway { .. } | Event::Closed { .. } => self.waits = false,
            Event::Quarantined => self.served_at = None,
            Event::ReturnedToBot => {
                self.served_at = None;
                self.waits = false;
            }
            Event::TeamOpened { .. } => self.team = true,
            Event::Reopened => {
                self.served_at = None;
                self.answered_once = false;
            }
            _ => {}
        }
    }

    fn tally(&mut self, space: &Space, at: Timestamp, by: &By, event: &Event) {
        self.tally_rare(space, event);
        if self.team {
            return;
        }
        if let Event::Queued { group, cause, .. } = event {
            let metrics = space.group_metrics(group);
            metrics.queued();
            if *cause == crate::routing::QueueCause::Transfer {
                metrics.transfers.increment(1);
            }
            if self.in_service() {
                self.metrics(space).active.add(-1);
            }
            return;
        }
        match event {
            Event::Held { .. } => return space.metrics.picker_held.add(1),
            Event::Chosen { .. } => {
                space.metrics.picker_held.add(-1);
                return space.metrics.picker_chosen.increment(1);
            }
            Event::Closed { reason: CloseReason::NotChosen } => {
                space.metrics.picker_held.add(-1);
                return space.metrics.picker_expired.increment(1);
            }
            _ => {}
        }
        let metrics = self.metrics(space);
        let wait = self.queued_at.map_or(Duration::ZERO, |queued| at.since(queued));
        let response = self.offered_at.map_or(Duration::ZERO, |offered| at.since(offered));
        match event {
            Event::Offered { .. } | Event::Announced { .. } | Event::AnnouncedBy { .. } => metrics.offered(),
            Event::OfferEnded { outcome, .. } => metrics.offer_ended(outcome_word(*outcome), response),
            Event::Assigned { cause, .. } => {
                if *cause == crate::routing::AssignCause::Forced {
                    metrics.forced_over_cap.increment(1);
                }
                if *cause == crate::routing::AssignCause::Accepted {
                    metrics.offer_ended(metrics::OfferOutcome::Accepted, response);
                }
                if !self.in_service() {
                    metrics.active.add(1);
                    // Nobody had waited for it.
                    if *cause != crate::routing::AssignCause::Started {
                        metrics.answered(wait, self.offers);
                    }
                }
            }
            Event::HandoverStarted { .. } => metrics.transfers.increment(1),
            Event::Quarantined if self.in_service() => metrics.active.add(-1),
            Event::FellBack { reason, .. } | Event::TurnedAway { reason, .. } => {
                metrics.fell_back(reason_word(*reason), wait, self.offers);
            }
            Event::Said { .. } | Event::Posted { .. }
                if !self.answered_once && self.queued_at.is_some() && by.agent().is_some() =>
            {
                self.answered_once = true;
                metrics.first_response.record(wait);
            }
            Event::Closed { reason } => {
                // A visitor who ends it while waiting has given up as much as one who leaves.
                let gave_up = matches!(reason, CloseReason::Abandoned | CloseReason::ByVisitor);
                if gave_up && self.waits {
                    metrics.abandoned(wait, self.offers);
                }
                if self.in_service() {
                    metrics.active.add(-1);
                    let policy = space.policy();
                    let wrap_up =
                        self.group.as_ref().and_then(|group| policy.group(group)).map(|group| group.wrap_up);
                    if let Some(wrap_up) = wrap_up.filter(|wrap_up| !wrap_up.is_zero()) {
                        metrics.wrapup.record(wrap_up);
                    }
                }
                let handled = self.served_at.take().map(|served| at.since(served));
                if let Some(word) = close_word(*reason) {
                    metrics.closed(word, handled);
                }
            }
            _ => {}
        }
    }

    /// Bots and ratings: to most conversations nothing of this happens.
    fn tally_rare(&self, space: &Space, event: &Event) {
        let metrics = || space.local.shared.metrics.workspace(space.id.as_str());
        match event {
            Event::HandedOver { .. } => metrics().handed_over.increment(1),
            Event::Ruled { matched, .. } => {
                for rule in matched {
                    space.rule_metrics(rule, |rule| rule.matched.increment(1));
                }
            }
            Event::Directed { rule, .. } => space.rule_metrics(rule, |rule| rule.sent.increment(1)),
            Event::RatingRequested => metrics().ratings_requested.increment(1),
            Event::Rated { score, .. } => {
                metrics().ratings.increment(1);
                metrics().rating_points.increment(u64::from(*score));
            }
            Event::ReturnedToBot => {
                metrics().returned_to_bot.increment(1);
                if self.in_service() {
                    self.metrics(space).active.add(-1);
                }
            }
            _ => {}
        }
        match with_bot(event) {
            Some(true) if !self.with_bot => metrics().with_bot.add(1),
            Some(false) if self.with_bot => metrics().with_bot.add(-1),
            _ => {}
        }
    }

    fn in_service(&self) -> bool {
        self.served_at.is_some()
    }

    fn metrics(&self, space: &Space) -> Arc<GroupMetrics> {
        match (&self.metrics, &self.group) {
            (Some(metrics), _) => Arc::clone(metrics),
            (None, Some(group)) => space.group_metrics(group),
            (None, None) => space.group_metrics(&GroupId::everyone()),
        }
    }

    /// A conversation that was being served before a start, or was held for its visitor to choose, still is.
    pub(super) fn restore(&self, space: &Space, phase: Option<Phase>) {
        match phase {
            Some(Phase::Active) => self.metrics(space).active.add(1),
            Some(Phase::Choosing) => space.metrics.picker_held.add(1),
            _ => {}
        }
        if self.with_bot {
            space.local.shared.metrics.workspace(space.id.as_str()).with_bot.add(1);
        }
    }
}

/// Whether the bot has the hand after an event; `None`: as before.
fn with_bot(event: &Event) -> Option<bool> {
    match event {
        Event::Opened { bot: Some(_), .. } | Event::ReturnedToBot => Some(true),
        Event::HandedOver { .. } | Event::Assigned { .. } | Event::Queued { .. } | Event::Closed { .. } => {
            Some(false)
        }
        _ => None,
    }
}

fn outcome_word(outcome: OfferOutcome) -> metrics::OfferOutcome {
    match outcome {
        OfferOutcome::Accepted => metrics::OfferOutcome::Accepted,
        OfferOutcome::Declined => metrics::OfferOutcome::Declined,
        OfferOutcome::TimedOut => metrics::OfferOutcome::TimedOut,
        OfferOutcome::Rescinded(_) => metrics::OfferOutcome::Rescinded,
    }
}

fn reason_word(reason: FallbackReason) -> metrics::FallbackReason {
    match reason {
        FallbackReason::NoRule => metrics::FallbackReason::NoRule,
        FallbackReason::NobodyOnline => metrics::FallbackReason::NobodyOnline,
        FallbackReason::AllAtCapacity => metrics::FallbackReason::AllAtCapacity,
        FallbackReason::OffersExhausted => metrics::FallbackReason::OffersExhausted,
        FallbackReason::WaitedTooLong => metrics::FallbackReason::WaitedTooLong,
        FallbackReason::ClosedHours => metrics::FallbackReason::ClosedHours,
        FallbackReason::QueueFull => metrics::FallbackReason::QueueFull,
        FallbackReason::QuotaExhausted => metrics::FallbackReason::QuotaExhausted,
        FallbackReason::GroupUnavailable => metrics::FallbackReason::GroupUnavailable,
        FallbackReason::GroupRemoved => metrics::FallbackReason::GroupRemoved,
        FallbackReason::Quarantined => metrics::FallbackReason::Quarantined,
    }
}

/// `None`: nobody knew of it, so it is not counted as a conversation.
fn close_word(reason: CloseReason) -> Option<metrics::CloseReason> {
    Some(match reason {
        CloseReason::NotChosen => return None,
        CloseReason::ByAgent => metrics::CloseReason::ByAgent,
        CloseReason::ByVisitor => metrics::CloseReason::ByVisitor,
        CloseReason::BySupervisor => metrics::CloseReason::BySupervisor,
        CloseReason::Abandoned => metrics::CloseReason::Abandoned,
        CloseReason::Idle => metrics::CloseReason::Idle,
        CloseReason::MissedExpired => metrics::CloseReason::MissedExpired,
        CloseReason::ByWorkflow => metrics::CloseReason::ByWorkflow,
    })
}
