//! What is counted per group, and the words of a contact centre for it.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Histogram};

use super::{
    registry::{Each, Fold, Labels, Level, Registry, Seconds, series},
    words::{AgentState, CloseReason, FallbackReason, OfferOutcome, SlotState, WaitOutcome},
};

/// Who leaves sooner than this was hardly served badly: left out of service level and abandonment by convention.
pub const SHORT_ABANDON: Duration = Duration::from_secs(5);

series! {
    /// The series of one group. Groups past the bound on labels share their series, each with levels of its own.
    pub struct GroupSeries {
        /// Conversations that wait in the group's line now, those being offered included.
        pub waiting: Level = "conversations_waiting";
        /// When the longest waiting conversation of the group began to wait, in seconds since 1970; 0 if none waits.
        pub oldest_waiting: Seconds = "oldest_waiting_timestamp_seconds", Fold::Earliest;
        /// Conversations that entered the group's line.
        pub queued: Counter = "conversations_queued_total";
        /// Conversations that an agent of the group took from its line.
        pub answered: Counter = "conversations_answered_total";
        /// Conversations answered within the group's service level target.
        pub answered_in_target: Counter = "conversations_answered_in_target_total";
        /// The wait until an answer that the group's configuration calls good service.
        pub target: Seconds = "service_level_target_seconds", Fold::Largest;
        /// Conversations whose visitor left the line unanswered.
        pub abandoned: Counter = "conversations_abandoned_total";
        /// Conversations whose visitor left the line within 5 seconds; counted as abandoned too.
        pub abandoned_short: Counter = "conversations_abandoned_short_total";
        /// Time in the group's line until an agent took the conversation, the visitor left or the fallback went out.
        pub wait: Each<Histogram, WaitOutcome> = "wait_seconds", ("outcome", ());
        /// Offers made to agents; an announcement to several counts once.
        pub offers: Counter = "offers_total";
        /// Offers that ended, by how.
        pub offer_outcomes: Each<Counter, OfferOutcome> = "offer_outcomes_total", ("outcome", ());
        /// Time until an agent accepted or declined an offer.
        pub offer_response: Histogram = "offer_response_seconds";
        /// Offers that a conversation's stay in the line took, when it ended.
        pub offers_per_conversation: Histogram = "offers_per_conversation";
        /// Times that nobody could serve and the fallback followed, by reason.
        pub fallbacks: Each<Counter, FallbackReason> = "fallback_messages_total", ("reason", ());
        /// Time from entering the line to the first message of an agent.
        pub first_response: Histogram = "first_response_seconds";
        /// Time from an agent's accept to the close.
        pub handle: Histogram = "handle_seconds";
        /// Time that a slot rested after a close.
        pub wrapup: Histogram = "wrapup_seconds";
        /// Slots of the group's members, each member counted in every group they belong to.
        pub slots: Each<Level, SlotState> = "group_agent_slots", ("state", ());
        /// Members of the group who are not offline, each counted in every group they belong to.
        pub agents: Each<Level, AgentState> = "group_agents", ("state", ());
        /// Conversations that an agent has, by the group they came through.
        pub active: Level = "conversations_active";
        /// Conversations that were given to another agent or group after they had an owner.
        pub transfers: Counter = "transfers_total";
        /// Conversations that a supervisor gave to an agent past their cap.
        pub forced_over_cap: Counter = "forced_over_cap_total";
        /// Conversations closed, by reason.
        pub closed: Each<Counter, CloseReason> = "conversations_closed_total", ("reason", ());
    }
}

/// What one group's events are counted with. Its fields are the handles; its methods keep together what belongs
/// together, so that service level and abandonment add up.
#[derive(Debug)]
pub struct GroupMetrics {
    series: GroupSeries,
}

impl GroupMetrics {
    pub(super) fn register(registry: &Arc<Registry>, labels: &Labels) -> Self {
        Self { series: GroupSeries::register(registry, labels) }
    }

    /// A conversation entered the line.
    pub fn queued(&self) {
        self.queued.increment(1);
    }

    /// An agent took a conversation that had waited so long and been offered so often.
    pub fn answered(&self, wait: Duration, offers: u32) {
        self.series.answered.increment(1);
        if wait.as_micros() <= u128::from(self.target.micros()) {
            self.answered_in_target.increment(1);
        }
        self.stay_ended(WaitOutcome::Answered, wait, offers);
    }

    /// The visitor left the line.
    pub fn abandoned(&self, wait: Duration, offers: u32) {
        self.series.abandoned.increment(1);
        if wait < SHORT_ABANDON {
            self.abandoned_short.increment(1);
        }
        self.stay_ended(WaitOutcome::Abandoned, wait, offers);
    }

    /// Nobody could: the fallback follows.
    pub fn fell_back(&self, reason: FallbackReason, wait: Duration, offers: u32) {
        self.fallbacks.of(reason).increment(1);
        self.stay_ended(WaitOutcome::Fallback, wait, offers);
    }

    /// An offer or announcement was made.
    pub fn offered(&self) {
        self.offers.increment(1);
    }

    /// An offer ended, so long after it was made.
    pub fn offer_ended(&self, outcome: OfferOutcome, after: Duration) {
        self.offer_outcomes.of(outcome).increment(1);
        // What ends by itself says nothing about how fast agents answer.
        if matches!(outcome, OfferOutcome::Accepted | OfferOutcome::Declined) {
            self.offer_response.record(after);
        }
    }

    /// A conversation was closed; `handled` is the time since an agent accepted, `None` if none ever did.
    pub fn closed(&self, reason: CloseReason, handled: Option<Duration>) {
        self.series.closed.of(reason).increment(1);
        if let Some(handled) = handled {
            self.handle.record(handled);
        }
    }

    /// How long the line is, and since when (microseconds since 1970) its longest waiting has waited.
    pub fn line(&self, waiting: usize, oldest_since_micros: Option<u64>) {
        self.waiting.set(waiting as u64);
        self.oldest_waiting.set_micros(oldest_since_micros.unwrap_or(0));
    }

    fn stay_ended(&self, outcome: WaitOutcome, wait: Duration, offers: u32) {
        self.wait.of(outcome).record(wait);
        self.offers_per_conversation.record(f64::from(offers));
    }
}

impl std::ops::Deref for GroupMetrics {
    type Target = GroupSeries;
    fn deref(&self) -> &GroupSeries {
        &self.series
    }
}
