//! What is counted per workflow and per routing rule: whether it still does what it is for (RE-17).

use metrics::{Counter, Histogram};

use super::{
    registry::{Each, series},
    words::Skip,
};

series! {
    /// The series of one workflow.
    pub struct WorkflowMetrics {
        /// Conversations that the workflow took from an agent.
        pub fired: Counter = "reassign_fired_total";
        /// Conversations that the workflow began for and did not reassign, by reason.
        pub skipped: Each<Counter, Skip> = "reassign_skipped_total", ("reason", ());
        /// Time from the first assignment of an opening that the workflow began with to the first message of a human agent.
        pub first_reply: Histogram = "time_to_first_human_reply_seconds";
    }
}

series! {
    /// The series of one routing rule.
    pub struct RuleMetrics {
        /// Conversations that the rule matched, whether or not it was the first.
        pub matched: Counter = "rule_matches_total";
        /// Times that the rule sent a conversation to its group or agent.
        pub sent: Counter = "rule_sent_total";
    }
}
