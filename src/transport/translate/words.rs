//! The words that both sides have, one for one.

use crate::{
    protocol::{List, Text, Variables, reply, words as wire},
    routing::{self, Body, By, conditions::Verdict, conversation::Phase},
};

pub(super) fn text(body: &Body) -> Text<8192> {
    Text::clip(&*body.0)
}

pub(super) fn phase(phase: Phase) -> wire::Status {
    match phase {
        Phase::Bot => wire::Status::Bot,
        Phase::Waiting => wire::Status::Waiting,
        Phase::Offered => wire::Status::Offered,
        Phase::Active => wire::Status::Active,
        Phase::Missed => wire::Status::Missed,
        Phase::Closed => wire::Status::Closed,
        Phase::Choosing => wire::Status::Choosing,
        Phase::Team => wire::Status::Team,
    }
}

pub(super) fn actor(by: By) -> wire::Actor {
    match by {
        By::Visitor(visitor) => wire::Actor::Visitor(visitor),
        By::Agent(agent) => wire::Actor::Agent(agent),
        By::Supervisor => wire::Actor::Supervisor,
        By::Frontend => wire::Actor::Frontend,
        By::Bot => wire::Actor::Bot,
        By::Admin => wire::Actor::Admin,
        By::System => wire::Actor::System,
    }
}

/// The same word on both sides.
macro_rules! same_words {
    ($name:ident: $from:ty => $to:ty { $($word:ident),* $(,)? }) => {
        pub(super) fn $name(word: $from) -> $to {
            match word { $(<$from>::$word => <$to>::$word,)* }
        }
    };
}

same_words!(origin: routing::Origin => wire::Origin { Visitor, Api, Bot, Agent });
same_words!(strategy: routing::Strategy => wire::Strategy { RoundRobin, LeastActive, LongestIdle, Broadcast, Pull, Assign });
same_words!(chosen_by: routing::Because => wire::ChosenBy { Strategy, Preferred, Direct });
same_words!(queue_cause: routing::QueueCause => wire::QueueCause {
    Opened, Overflow, Transfer, Assigned, Message, Returned, Requeued, Handover, Reopened, Bot, Rule,
    Reassigned, NoOnlineAgent,
});
same_words!(assign_cause: routing::AssignCause => wire::AssignCause {
    Accepted, Taken, Assigned, Strategy, Handover, Forced, Started, Workflow,
});
same_words!(doing: routing::lobby::Doing => wire::Doing { Browsing, Choosing, Waiting, Chatting, WithBot });
same_words!(close_reason: routing::CloseReason => wire::CloseReason {
    ByAgent, ByVisitor, BySupervisor, Abandoned, Idle, MissedExpired, NotChosen, ByWorkflow,
});
same_words!(fallback_reason: routing::FallbackReason => wire::FallbackReason {
    NoRule, NobodyOnline, AllAtCapacity, OffersExhausted, WaitedTooLong, ClosedHours, QueueFull, QuotaExhausted,
    GroupUnavailable, GroupRemoved, Quarantined,
});
same_words!(rule_verdict: Verdict => reply::Verdict { Matched, NotMatched, Error });
same_words!(skip: routing::conversation::Skip => wire::WorkflowSkip {
    Answered, Condition, Moved, HandedOver, Changed, Unavailable, Closed,
});
same_words!(rescind_reason: routing::RescindReason => wire::RescindReason {
    AcceptedElsewhere, AlreadyTaken, AgentGone, VisitorGone, Closed, Moved, WaitedTooLong, Removed,
});

pub(super) fn offer_outcome(outcome: routing::OfferOutcome) -> wire::OfferOutcome {
    match outcome {
        routing::OfferOutcome::Accepted => wire::OfferOutcome::Accepted,
        routing::OfferOutcome::Declined => wire::OfferOutcome::Declined,
        routing::OfferOutcome::TimedOut => wire::OfferOutcome::TimedOut,
        routing::OfferOutcome::Rescinded(reason) => wire::OfferOutcome::Rescinded(rescind_reason(reason)),
    }
}

pub(super) fn variables(list: &[routing::Variable]) -> Variables {
    let list = list.iter().map(|variable| wire::Variable {
        name: Text::clip(&variable.name),
        value: Text::clip(&variable.value.0),
    });
    Variables::new(List::clip(list)).unwrap_or_default()
}
