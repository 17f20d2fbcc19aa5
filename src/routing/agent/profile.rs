//! Who they are: created, changed, removed, and which of their commands were heard before.

use super::{Agent, Change, Event, Held, Profile};
use crate::{
    ids::GroupId,
    routing::{
        Context, Out, Refusal, Reply, conversation, group,
        words::{RescindReason, Ticket},
        workspace,
    },
};

impl Agent {
    pub(super) fn put(&mut self, cx: &Context<'_>, profile: Profile, ticket: &Ticket, out: &mut Out<Event>) {
        if self.repeated(ticket, out) {
            return;
        }
        let left: Vec<GroupId> =
            self.profile.groups.iter().filter(|group| !profile.groups.contains(group)).cloned().collect();
        self.begin(ticket, out);
        let was_seated = self.is_seated();
        if !self.exists || self.profile != profile {
            self.record(cx, Event::Profiled(profile), out);
        }
        self.owes_seat |= was_seated && !self.is_seated();
        for group in &left {
            out.tell_group(group, group::Command::MemberGone { agent: self.id });
        }
        self.tell_groups(cx, out);
        out.answer(ticket, Reply::Done);
    }

    pub(super) fn change(&mut self, cx: &Context<'_>, change: Change, ticket: &Ticket, out: &mut Out<Event>) {
        if !self.exists {
            return out.refuse(ticket, Refusal::NotFound);
        }
        let mut profile = self.profile.clone();
        if let Some(name) = change.name {
            profile.name = name;
        }
        if let Some(groups) = change.groups {
            profile.groups = groups;
        }
        profile.cap = change.cap.or(profile.cap);
        if let Some(avatar) = change.avatar {
            profile.avatar = Some(avatar).filter(|avatar| !avatar.is_empty());
        }
        if let Some(sites) = change.sites {
            profile.sites = sites;
        }
        profile.sees_bot = change.sees_bot.unwrap_or(profile.sees_bot);
        profile.live_chat = change.live_chat.unwrap_or(profile.live_chat);
        self.put(cx, profile, ticket, out);
    }

    pub(super) fn remove(&mut self, cx: &Context<'_>, ticket: &Ticket, out: &mut Out<Event>) {
        if self.repeated(ticket, out) {
            return;
        }
        if !self.exists {
            return out.refuse(ticket, Refusal::NotFound);
        }
        self.begin(ticket, out);
        self.owes_seat |= self.is_seated();
        self.record(cx, Event::Removed, out);
        // They finish what they own; what is only offered to them goes on.
        for (conversation, _) in self.holds().filter(|(_, held)| *held == Held::Reserved) {
            let why = RescindReason::Removed;
            out.tell_conversation(conversation, conversation::Command::AgentGone { agent: self.id, why });
        }
        for group in self.profile.groups.iter().chain([&GroupId::everyone()]) {
            out.tell_group(group, group::Command::MemberGone { agent: self.id });
        }
        out.answer(ticket, Reply::Done);
    }

    /// A command made this machine or the workspace fall: remembered, so that it is never run again.
    pub(super) fn failed(&mut self, cx: &Context<'_>, ticket: &Ticket, out: &mut Out<Event>) {
        match self.keys.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(())) => return out.answer(ticket, Reply::Done),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        if let Some(key) = ticket.key {
            out.by = ticket.by;
            out.key = Some(key);
            self.keys.fail(&key);
            self.record(cx, Event::CommandFailed, out);
        }
        out.refuse(ticket, Refusal::Failed);
    }

    /// Answers a command that was given before. The workspace took it for a new one and is told how the agent stands.
    pub(super) fn repeated(&self, ticket: &Ticket, out: &mut Out<Event>) -> bool {
        match self.keys.recall(ticket.key.as_ref()) {
            Ok(None) => return false,
            Ok(Some(())) => out.answer(ticket, Reply::Done),
            Err(refusal) => out.refuse(ticket, refusal),
        }
        let profile = self.exists.then(|| self.profile.clone());
        out.tell_workspace(workspace::Command::Stands { agent: self.id, profile });
        true
    }

    /// Attaches the ticket to what is recorded, so that a repeated command is recognised.
    pub(super) fn begin(&mut self, ticket: &Ticket, out: &mut Out<Event>) {
        out.by = ticket.by;
        out.key = ticket.key;
        if let Some(key) = &ticket.key {
            self.keys.remember(key, ());
        }
    }
}
