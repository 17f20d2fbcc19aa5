//! Workflows: what becomes of a conversation step by step, as the operator wrote it down (RE-1 to RE-18). Steps are data; a
//! conversation's machine walks through them.

use std::time::Duration;

use smol_str::SmolStr;

use super::{
    conditions::Condition,
    words::{Origin, Priority, Variable},
};
use crate::ids::{AgentId, GroupId};

/// Steps of one workflow, those of its branches included.
pub const STEPS_MAX: usize = 32;

/// Branches within branches.
pub const DEPTH_MAX: usize = 4;

/// One workflow that is published. What is saved and not published is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Its name, unique in the workspace.
    pub name: SmolStr,
    /// Whether it begins when a conversation is opened.
    pub on_opened: bool,
    /// Whether it begins when a closed conversation is open again.
    pub on_reopened: bool,
    /// Who must have opened the conversation (RE-1).
    pub origins: Vec<Origin>,
    /// Its steps in one row.
    ops: Vec<Op>,
    /// The steps hashed: a conversation that is under way in others goes no further.
    digest: u32,
}

/// One step, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Gives the conversation to somebody; ends when an agent has it. The first step, if at all.
    Assign(Aim),
    /// Waits: from when an agent had it if that was the step before.
    Wait(Duration),
    /// Goes one way or the other.
    Branch {
        /// If all of these hold …
        all: Vec<Test>,
        /// … this way, …
        then: Vec<Step>,
        /// … else that way.
        otherwise: Vec<Step>,
    },
    /// Writes a private note.
    Comment(SmolStr),
    /// Takes the conversation from who has it and gives it to somebody else.
    Reassign(Reassign),
    /// Changes the class.
    Priority(Priority),
    /// Sets variables, and takes some away.
    Set {
        /// What is known from then on.
        set: Vec<Variable>,
        /// What is not any more.
        unset: Vec<SmolStr>,
    },
    /// Adds tags, and takes some away.
    Tag {
        /// What it has from then on.
        add: Vec<SmolStr>,
        /// What it has no more.
        remove: Vec<SmolStr>,
    },
    /// Ends the conversation.
    Close,
}

/// Whom a conversation is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// Whoever the routing finds.
    Routed,
    /// A group, by its strategy.
    Group(GroupId),
    /// One agent, without asking them.
    Agent(AgentId),
}

/// Whom a conversation is given next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassign {
    /// A group or an agent.
    pub to: Aim,
    /// Whether only agents who are online may get it (RE-9).
    pub only_online: bool,
    /// Whether who had it may not get it again in this stay (RE-8).
    pub exclude_previous: bool,
}

/// A condition of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Where the conversation stands.
    Status(Status),
    /// Whether a human agent has written to the visitor since this opening (RE-6).
    Outgoing(bool),
    /// What is known of it, as in a routing rule; what can't be told does not hold.
    When(Condition),
}

/// Where a conversation stands, as far as a branch asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not closed.
    Open,
    /// Waiting for an agent, offered or not.
    Waiting,
    /// An agent has it.
    Active,
    /// Nobody could.
    Missed,
}

/// A step as it is walked: branches are jumps forward, so every walk ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Assign(Aim),
    Wait(Duration),
    /// On to `to` unless all hold.
    Unless {
        all: Vec<Test>,
        to: u16,
    },
    Goto(u16),
    Comment(SmolStr),
    Reassign(Reassign),
    Priority(Priority),
    Set {
        set: Vec<Variable>,
        unset: Vec<SmolStr>,
    },
    Tag {
        add: Vec<SmolStr>,
        remove: Vec<SmolStr>,
    },
    Close,
}

impl Workflow {
    /// A workflow of these steps: at most [`STEPS_MAX`], at most [`DEPTH_MAX`] deep.
    #[must_use]
    pub fn new(name: SmolStr, steps: &[Step]) -> Self {
        let mut ops = Vec::new();
        lay_out(steps, &mut ops);
        let digest = hash(format!("{ops:?}").as_bytes());
        Self { name, on_opened: true, on_reopened: false, origins: vec![Origin::Visitor], ops, digest }
    }

    pub(super) fn op(&self, at: u16) -> Option<&Op> {
        self.ops.get(usize::from(at))
    }

    /// Whether its steps are still those of this hash.
    pub(super) fn is(&self, digest: u32) -> bool {
        self.digest == digest
    }

    pub(super) fn digest(&self) -> u32 {
        self.digest
    }

    /// Where the first step sends a conversation that is routed for the first time.
    pub(super) fn first_aim(&self) -> Option<&Aim> {
        match self.ops.first() {
            Some(Op::Assign(aim)) => Some(aim),
            _ => None,
        }
    }
}

fn lay_out(steps: &[Step], ops: &mut Vec<Op>) {
    for step in steps {
        match step {
            Step::Assign(aim) => ops.push(Op::Assign(aim.clone())),
            Step::Wait(time) => ops.push(Op::Wait(*time)),
            Step::Branch { all, then, otherwise } => {
                let unless = ops.len();
                ops.push(Op::Goto(0));
                lay_out(then, ops);
                let over = ops.len();
                ops.push(Op::Goto(0));
                ops[unless] = Op::Unless { all: all.clone(), to: here(ops) };
                lay_out(otherwise, ops);
                ops[over] = Op::Goto(here(ops));
            }
            Step::Comment(text) => ops.push(Op::Comment(text.clone())),
            Step::Reassign(reassign) => ops.push(Op::Reassign(reassign.clone())),
            Step::Priority(priority) => ops.push(Op::Priority(*priority)),
            Step::Set { set, unset } => ops.push(Op::Set { set: set.clone(), unset: unset.clone() }),
            Step::Tag { add, remove } => ops.push(Op::Tag { add: add.clone(), remove: remove.clone() }),
            Step::Close => ops.push(Op::Close),
        }
    }
}

fn here(ops: &[Op]) -> u16 {
    u16::try_from(ops.len()).unwrap_or(u16::MAX)
}

/// FNV-1a: the same in every build, which the standard library's hashers don't promise.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_laid_out_as_jumps_forward() {
        let inner = Step::Branch { all: Vec::new(), then: vec![Step::Close], otherwise: Vec::new() };
        let steps = [
            Step::Assign(Aim::Routed),
            Step::Branch {
                all: vec![Test::Outgoing(false)],
                then: vec![inner],
                otherwise: vec![Step::Close],
            },
            Step::Comment("end".into()),
        ];
        let flow = Workflow::new("flow".into(), &steps);
        let jumps: Vec<(usize, u16)> = (0..)
            .zip(&flow.ops)
            .filter_map(|(at, op)| match op {
                Op::Unless { to, .. } | Op::Goto(to) => Some((at, *to)),
                _ => None,
            })
            .collect();
        assert_eq!(jumps, [(1, 6), (2, 5), (4, 5), (5, 7)]);
        assert_eq!(flow.op(7), Some(&Op::Comment("end".into())));
        assert!(jumps.iter().all(|(at, to)| usize::from(*to) > *at));
        assert_ne!(flow.digest(), Workflow::new("flow".into(), &steps[..2]).digest());
    }
}
