//! Where a conversation is in a workflow (RE-1 to RE-18). Most conversations are in none, and of those that are most wait for one
//! time. The walk is one step of the machine at a time; what it waits for is recorded, so that it goes on after a restart.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Conversation, Event, FlowOutcome, Handing, Party, Phase, Purpose, Skip, State, Summons, open::Entry,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, GroupId},
    routing::{
        Context, Out, WhyNot, group,
        words::{AssignCause, Body, By, CloseReason, OfferOutcome, QueueCause, RescindReason, Variable},
        workflow::{Aim, Op, Reassign, Status, Test, Workflow},
    },
};

/// A walk through a workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Flow {
    workflow: SmolStr,
    digest: u32,
    /// The step it stands at.
    at: u16,
    stands: Stands,
    began: Timestamp,
    /// The agent's epoch and the time of the assignment that it watches (RE-15).
    held: Option<(u32, Timestamp)>,
    /// When a human agent first wrote to the visitor since this opening (RE-6).
    replied: Option<Timestamp>,
    /// Whether it was taken out of its hands: somebody else has it, or nobody.
    moved: bool,
    /// Whether it has reassigned.
    fired: bool,
    /// The first condition that did not hold.
    failed: Option<Skip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stands {
    /// At a step that is due.
    Ready,
    /// Behind a step that ends when an agent has the conversation.
    ForAgent,
    /// Behind a step that ends at this time.
    Until(Timestamp),
    /// A group or an agent was asked to take it, at this epoch; asked again at this time.
    Asking { epoch: u32, again: Timestamp },
}

/// At once.
const NOW: Timestamp = Timestamp::from_micros(0);

impl Flow {
    /// When it goes on by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self.stands {
            _ if self.moved => Some(NOW),
            Stands::Ready => Some(NOW),
            Stands::ForAgent => self.held.map(|_| NOW),
            Stands::Until(at) => Some(at),
            Stands::Asking { again, .. } => Some(again),
        }
    }

    pub(super) fn rebase(&mut self, later: impl FnOnce(&mut Timestamp)) {
        if let Stands::Until(at) = &mut self.stands {
            later(at);
        }
    }

    /// An agent became the owner, at this epoch.
    fn assigned(&mut self, epoch: u32, at: Timestamp, cause: AssignCause) {
        let asked = matches!(self.stands, Stands::Asking { .. }) && cause == AssignCause::Workflow;
        self.moved |= self.held.is_some() && !asked;
        self.held = Some((epoch, at));
    }

    /// No agent has it any more.
    fn let_go(&mut self, by_workflow: bool) {
        self.moved |= self.held.is_some() && !by_workflow;
        self.held = None;
    }
}

// === What is recorded ===

impl Conversation {
    /// What any event means for a walk that is under way.
    pub(super) fn flow_evolve(&mut self, at: Timestamp, by: &By, event: &Event) {
        if let Event::FlowStarted { workflow, digest } = event {
            let (workflow, digest) = (workflow.clone(), *digest);
            self.flow = Some(Box::new(Flow {
                workflow,
                digest,
                at: 0,
                stands: Stands::Ready,
                began: at,
                held: None,
                replied: None,
                moved: false,
                fired: false,
                failed: None,
            }));
            return;
        }
        let epoch = self.epoch;
        let Some(flow) = &mut self.flow else { return };
        match event {
            Event::Assigned { cause, .. } => flow.assigned(epoch, at, *cause),
            Event::Queued { cause, .. } => {
                flow.let_go(matches!(cause, QueueCause::Reassigned | QueueCause::NoOnlineAgent));
            }
            Event::FellBack { .. } | Event::TurnedAway { .. } | Event::ReturnedToBot => flow.let_go(false),
            Event::Said { .. } | Event::Posted { .. } if matches!(by, By::Agent(_) | By::Supervisor) => {
                flow.replied.get_or_insert(at);
            }
            Event::FlowWaits { at: step, until } => {
                flow.at = *step;
                flow.stands = until.map_or(Stands::ForAgent, Stands::Until);
            }
            Event::FlowFired { at: step, .. } => {
                flow.at = *step;
                flow.fired = true;
                flow.stands = Stands::Asking { epoch, again: at };
            }
            Event::FlowEnded { .. } | Event::Closed { .. } | Event::Quarantined => self.flow = None,
            _ => {}
        }
    }
}

// === What is decided ===

impl Conversation {
    /// The workflow that begins with this opening, if one does: the first of the file.
    pub(super) fn start_flow(&mut self, cx: &Context<'_>, reopened: bool, out: &mut Out<Event>) {
        let origin = self.opened.as_ref().map(|opened| opened.origin);
        let begins = |flow: &&std::sync::Arc<Workflow>| match reopened {
            true => flow.on_reopened,
            // RE-1: whoever else opened it has not asked anybody to answer.
            false => flow.on_opened && origin.is_some_and(|origin| flow.origins.contains(&origin)),
        };
        let Some(flow) = cx.policy.workflows.iter().find(begins) else { return };
        let (workflow, digest) = (flow.name.clone(), flow.digest());
        self.record(cx, Event::FlowStarted { workflow, digest }, out);
        if flow.first_aim().is_some() {
            self.record(cx, Event::FlowWaits { at: 0, until: None }, out);
        }
    }

    /// Where the workflow that has just begun sends it: `None` if it leaves that to others.
    pub(super) fn flow_aim(&self, cx: &Context<'_>) -> Option<Aim> {
        let flow = self.flow.as_ref()?;
        cx.policy.workflow(&flow.workflow)?.first_aim().cloned()
    }

    /// Behind the routing of an opening: an agent whom the workflow names is not asked.
    pub(super) fn flow_claims(&self, aim: Option<&Aim>, out: &mut Out<Event>) {
        if let (Some(Aim::Agent(agent)), State::Waiting(_)) = (aim, &self.state) {
            self.flow_claim(*agent, false, out);
        }
    }

    fn flow_claim(&self, agent: AgentId, only_online: bool, out: &mut Out<Event>) {
        out.tell_agent(agent, self.claim(Purpose::Flow { only_online }));
    }

    /// Goes on as far as nothing has to be waited for.
    pub(super) fn follow_flow(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let Some(flow) = &self.flow else { return };
        if flow.deadline().is_none_or(|at| at > cx.now) {
            return;
        }
        let known = cx.policy.workflow(&flow.workflow).filter(|known| known.is(flow.digest)).cloned();
        let Some(workflow) = known else { return self.end_flow(cx, Some(Skip::Changed), out) };
        if flow.moved {
            return self.end_flow(cx, Some(Skip::Moved), out);
        }
        let (at, since) = match flow.stands {
            Stands::Ready => (flow.at, flow.began),
            Stands::ForAgent => (flow.at + 1, flow.held.map_or(cx.now, |(_, since)| since)),
            Stands::Until(_) => (flow.at + 1, cx.now),
            Stands::Asking { epoch, .. } if epoch != self.epoch => {
                return self.end_flow(cx, Some(Skip::Moved), out);
            }
            Stands::Asking { .. } => return self.summon(cx, &workflow, out),
        };
        self.walk(cx, &workflow, at, since, out);
    }

    /// Takes step after step, until one has to be waited for or there are no more. `since`: when the step before ended.
    fn walk(
        &mut self,
        cx: &Context<'_>,
        workflow: &Workflow,
        mut at: u16,
        since: Timestamp,
        out: &mut Out<Event>,
    ) {
        while let Some(op) = workflow.op(at) {
            at = match op {
                Op::Assign(_) => at + 1,
                Op::Wait(time) => {
                    let until = Some(since + *time);
                    return self.record(cx, Event::FlowWaits { at, until }, out);
                }
                Op::Goto(to) => *to,
                Op::Unless { all, to } => match all.iter().find(|test| !self.holds_true(test, cx.now)) {
                    None => at + 1,
                    Some(test) => {
                        let skip = match test {
                            Test::Outgoing(false) => Skip::Answered,
                            Test::Outgoing(true) | Test::Status(_) | Test::When(_) => Skip::Condition,
                        };
                        if let Some(flow) = &mut self.flow {
                            flow.failed.get_or_insert(skip);
                        }
                        *to
                    }
                },
                Op::Comment(template) => {
                    let body = Body(self.filled_in(template, workflow).into());
                    self.record(cx, Event::Noted { body }, out);
                    at + 1
                }
                Op::Priority(priority) => {
                    self.reprioritise(cx, *priority, out);
                    at + 1
                }
                Op::Set { set, unset } => {
                    self.flow_sets(cx, set, unset, out);
                    at + 1
                }
                Op::Tag { add, remove } => {
                    self.flow_tags(cx, add, remove, out);
                    at + 1
                }
                Op::Reassign(_) => return self.fire(cx, workflow, at, out),
                Op::Close => {
                    self.end_stay(cx, OfferOutcome::Rescinded(RescindReason::Closed), out);
                    self.end_flow(cx, None, out);
                    return self.close(cx, CloseReason::ByWorkflow, out);
                }
            };
        }
        let skip = self.flow.as_ref().and_then(|flow| flow.failed.filter(|_| !flow.fired));
        self.end_flow(cx, skip, out);
    }

    /// Whether a reply was in time is decided by comparing; within the same instant by what was recorded first (RE-16).
    fn holds_true(&self, test: &Test, now: Timestamp) -> bool {
        match test {
            Test::Status(Status::Open) => self.phase() != Some(Phase::Closed),
            Test::Status(Status::Waiting) => matches!(self.state, State::Waiting(_)),
            Test::Status(Status::Active) => matches!(self.state, State::Active(_)),
            Test::Status(Status::Missed) => matches!(self.state, State::Missed { .. }),
            Test::When(condition) => condition.holds(&self.seen(now)),
            Test::Outgoing(wanted) => {
                let due = self.flow.as_ref().map(|flow| match flow.stands {
                    Stands::Until(due) => due.min(now),
                    _ => now,
                });
                let replied = self.flow.as_ref().and_then(|flow| flow.replied);
                replied.zip(due).is_some_and(|(replied, due)| replied <= due) == *wanted
            }
        }
    }

    /// What is so already is not written down again; what there is no room for is left out, and the walk goes on.
    fn flow_sets(&mut self, cx: &Context<'_>, set: &[Variable], unset: &[SmolStr], out: &mut Out<Event>) {
        let known = |name: &SmolStr| self.facts().and_then(|facts| facts.get(name));
        let set = set.iter().filter(|variable| known(&variable.name) != Some(&*variable.value.0)).cloned();
        let unset = unset.iter().filter(|name| known(name).is_some()).cloned();
        let changes = self.changes(set.collect(), unset.collect());
        if !changes.is_empty() && self.check_room(&changes, self.tags()).is_ok() {
            self.record(cx, Event::VariablesSet { changes }, out);
        }
    }

    /// As [`Conversation::flow_sets`].
    fn flow_tags(&mut self, cx: &Context<'_>, add: &[SmolStr], remove: &[SmolStr], out: &mut Out<Event>) {
        let Ok(tags) = self.tags_with(add.to_vec(), remove) else { return };
        if tags != self.tags() && self.check_room(&[], &tags).is_ok() {
            self.record(cx, Event::TagsSet { tags }, out);
        }
    }

    fn filled_in(&self, template: &str, workflow: &Workflow) -> String {
        let agent = self.owner().map_or("", |owner| owner.name.as_str());
        let group = self.group().map_or("", GroupId::as_str);
        template
            .replace("{{agent}}", agent)
            .replace("{{group}}", group)
            .replace("{{workflow}}", &workflow.name)
    }

    /// Reassigns, unless somebody is about to hand it over themselves.
    fn fire(&mut self, cx: &Context<'_>, workflow: &Workflow, at: u16, out: &mut Out<Event>) {
        match &self.state {
            State::Active(active) if active.handover.is_some() => {
                return self.end_flow(cx, Some(Skip::HandedOver), out);
            }
            State::Missed { .. } if self.needs_grant() => {
                return self.end_flow(cx, Some(Skip::Unavailable), out);
            }
            _ => {}
        }
        let workflow_name = workflow.name.clone();
        self.record(cx, Event::FlowFired { workflow: workflow_name, at }, out);
        self.summon(cx, workflow, out);
    }

    /// Asks a group or an agent to take it. The answer may be lost with who should give it: then it is asked for again.
    fn summon(&mut self, cx: &Context<'_>, workflow: &Workflow, out: &mut Out<Event>) {
        let Some(flow) = &mut self.flow else { return };
        let Some(Op::Reassign(Reassign { to, only_online, .. })) = workflow.op(flow.at) else { return };
        flow.stands = Stands::Asking { epoch: self.epoch, again: cx.now + super::ASK_AGAIN };
        let (conversation, epoch, but) = (self.id, self.epoch, self.previous(workflow));
        let site = self.site().cloned();
        match to {
            Aim::Agent(agent) => self.flow_claim(*agent, *only_online, out),
            Aim::Group(group) => {
                out.tell_group(group, group::Command::Summon { conversation, epoch, but, site })
            }
            Aim::Routed => {
                let group = self.group().cloned().unwrap_or_else(GroupId::everyone);
                out.tell_group(&group, group::Command::Summon { conversation, epoch, but, site });
            }
        }
    }

    /// Who is not to get it again.
    fn previous(&self, workflow: &Workflow) -> Option<AgentId> {
        let rule = self.reassign(workflow)?;
        self.owner().map(|owner| owner.agent).filter(|_| rule.exclude_previous)
    }

    fn reassign<'a>(&self, workflow: &'a Workflow) -> Option<&'a Reassign> {
        match workflow.op(self.flow.as_ref()?.at)? {
            Op::Reassign(reassign) => Some(reassign),
            _ => None,
        }
    }

    /// The workflow that has asked for an answer at this epoch, if it still waits for it.
    fn asking(&self, cx: &Context<'_>, epoch: u32) -> Option<std::sync::Arc<Workflow>> {
        let flow = self.flow.as_ref()?;
        let asks = matches!(flow.stands, Stands::Asking { epoch: asked, .. } if asked == epoch);
        if !asks || epoch != self.epoch || flow.moved {
            return None;
        }
        cx.policy.workflow(&flow.workflow).filter(|known| known.is(flow.digest)).cloned()
    }

    /// A group says whether somebody is there for it.
    pub(super) fn summoned(
        &mut self,
        cx: &Context<'_>,
        group: GroupId,
        epoch: u32,
        summons: Summons,
        out: &mut Out<Event>,
    ) {
        let Some(workflow) = self.asking(cx, epoch) else { return };
        out.by = By::System;
        let cause = match summons {
            Summons::Closed => return self.end_flow(cx, Some(Skip::Unavailable), out),
            Summons::SomebodyOnline => QueueCause::Reassigned,
            Summons::NobodyOnline => QueueCause::NoOnlineAgent,
        };
        self.goes_to_line(cx, &workflow, group, cause, out);
    }

    /// An agent whom a workflow named can't have it: where it was is where it waits, with its group's own rules.
    pub(super) fn unavailable(
        &mut self,
        cx: &Context<'_>,
        epoch: u32,
        why_not: WhyNot,
        out: &mut Out<Event>,
    ) {
        out.by = By::System;
        let Some(workflow) = self.asking(cx, epoch) else { return self.nobody_appointed(epoch, out) };
        let cause = match why_not {
            WhyNot::AtCap | WhyNot::WrapUp => QueueCause::Reassigned,
            _ => QueueCause::NoOnlineAgent,
        };
        let group = self.group().cloned().unwrap_or_else(GroupId::everyone);
        self.goes_to_line(cx, &workflow, group, cause, out);
    }

    /// Whom its group appointed though they are not there can't have it: it waits as any other does.
    fn nobody_appointed(&mut self, epoch: u32, out: &mut Out<Event>) {
        if let State::Waiting(stay) = &mut self.state
            && epoch == self.epoch
            && std::mem::take(&mut stay.anyone)
        {
            self.line_up(true, out);
        }
    }

    fn goes_to_line(
        &mut self,
        cx: &Context<'_>,
        workflow: &Workflow,
        group: GroupId,
        cause: QueueCause,
        out: &mut Out<Event>,
    ) {
        let barred = self.previous(workflow);
        let anyone = self.reassign(workflow).is_some_and(|rule| !rule.only_online);
        self.free_slots(None, out);
        self.leave_queue(out);
        if let Some(agent) = self.owner().map(|owner| owner.agent) {
            self.record(cx, Event::Left { agent }, out);
        }
        self.enter(cx, Entry { barred, anyone, ..Entry::new(group, cause) }, out);
        self.fired(cx, workflow, out);
    }

    /// An agent whom a workflow named holds a slot.
    pub(super) fn flow_granted(&mut self, cx: &Context<'_>, party: Party, out: &mut Out<Event>) {
        out.by = By::System;
        let asking = self.asking(cx, self.epoch);
        self.give(cx, party, Handing::to(AssignCause::Workflow), out);
        if let Some(workflow) = asking {
            self.fired(cx, &workflow, out);
        }
    }

    /// Reassigned: the steps behind it go on when an agent has it, if there are any.
    fn fired(&mut self, cx: &Context<'_>, workflow: &Workflow, out: &mut Out<Event>) {
        let Some(flow) = &self.flow else { return };
        let at = flow.at;
        if workflow.op(at + 1).is_some_and(|op| !is_end(workflow, op)) {
            self.record(cx, Event::FlowWaits { at, until: None }, out);
        } else {
            self.end_flow(cx, None, out);
        }
    }

    fn end_flow(&mut self, cx: &Context<'_>, skip: Option<Skip>, out: &mut Out<Event>) {
        let Some(flow) = &self.flow else { return };
        let workflow = flow.workflow.clone();
        let outcome = match (skip, flow.fired) {
            (None, _) => FlowOutcome::Done,
            (Some(skip), _) => FlowOutcome::Skipped(skip),
        };
        self.record(cx, Event::FlowEnded { workflow, outcome }, out);
    }

    /// The workflow it is in, and when that goes on, for people.
    #[must_use]
    pub fn workflow(&self) -> Option<(&SmolStr, Option<Timestamp>)> {
        let flow = self.flow.as_ref()?;
        let until = match flow.stands {
            Stands::Until(at) => Some(at),
            Stands::Ready | Stands::ForAgent | Stands::Asking { .. } => None,
        };
        Some((&flow.workflow, until))
    }
}

/// Whether nothing follows but jumps to the end.
fn is_end(workflow: &Workflow, op: &Op) -> bool {
    match op {
        Op::Goto(to) => workflow.op(*to).is_none_or(|op| is_end(workflow, op)),
        _ => false,
    }
}
