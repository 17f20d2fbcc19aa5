//! For whom what is news: the operator's rules, and what a webhook or a mail says.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use super::{
    delivery::{Delivery, Kind},
    mail::MailServer,
    reading::{Known, News},
    retry::Patience,
    webhook::Webhook,
    words::Topic,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, Link, WorkspaceId},
};

/// Addresses that one piece of news is mailed to at most.
const ADDRESSES_MAX: usize = 256;

/// Everything that the operator says about notifications.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Workspace by workspace; those who tell nobody anything are left out.
    pub workspaces: BTreeMap<WorkspaceId, Told>,
    /// The mail server, if there is one.
    pub mail: Option<MailServer>,
    /// How long, how often, how much.
    pub patience: Patience,
}

impl Rules {
    /// Whether nothing is told anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workspaces.is_empty()
    }
}

/// What one workspace tells outside.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// By HTTP.
    pub webhooks: Vec<Webhook>,
    /// By mail.
    pub mails: Vec<MailRule>,
    /// Which agents without a connection are told of what waits.
    pub absent: Absent,
    /// Whether those of them are told, too, who have not said whether they want it.
    pub unasked: bool,
    /// Where the agents' inbox is, `{link}` in place of the link; for mail.
    pub inbox: Option<String>,
}

/// Which agents without a connection are told of conversations that wait (AD-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// None.
    Nobody,
    /// Those whose presence says that they want conversations.
    #[default]
    Available,
    /// All members of the group.
    Members,
}

/// Who is mailed what.
#[derive(Debug, Clone)]
pub struct MailRule {
    /// Its name in the workspace.
    pub name: SmolStr,
    /// On what.
    pub topics: Vec<Topic>,
    /// To whom.
    pub to: Addressees,
}

/// To whom a mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressees {
    /// The agents whom it concerns, as far as they have an address.
    Agent,
    /// The members of the conversation's group, likewise.
    Group,
    /// These.
    These(Vec<SmolStr>),
}

/// A webhook's body.
#[derive(Serialize)]
struct Body<'a> {
    /// As Standard Webhooks has it.
    r#type: Topic,
    timestamp: String,
    /// The same as the header `webhook-id`.
    id: &'a str,
    workspace: &'a WorkspaceId,
    /// Where in the log: to order what comes out of order.
    position: u64,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<ConversationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visitor: Option<crate::ids::VisitorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a crate::ids::Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a crate::ids::GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    #[serde(skip_serializing_if = "<[AgentId]>::is_empty")]
    agents: &'a [AgentId],
    /// Where the browsers of these agents are reached, as far as that was said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    endpoints: BTreeMap<AgentId, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
}

/// What is to be sent because of one piece of news. `log`: part of the log's id, so that no other daemon's messages are taken for
/// these.
pub(super) fn deliveries(
    rules: &Rules,
    known: &Known,
    news: &News,
    log: &str,
    now: Timestamp,
) -> Vec<Delivery> {
    let Some(told) = rules.workspaces.get(&news.workspace) else { return Vec::new() };
    let message = message_id(log, news);
    let mut out = Vec::new();
    let mut body = None;
    for webhook in told.webhooks.iter().filter(|webhook| webhook.wants(news.topic)) {
        let body = body.get_or_insert_with(|| webhook_body(known, news, &message));
        let (name, body) = (webhook.name().clone(), body.clone());
        out.push(delivery(news, Kind::Webhook, message.clone(), name, body, now));
    }
    if rules.mail.is_none() {
        return out;
    }
    for rule in told.mails.iter().filter(|rule| rule.topics.contains(&news.topic)) {
        let (subject, text) = letter(told, known, news);
        for to in addresses(rule, known, news) {
            let own = format_smolstr!("{message}.{}", short(&format!("{}/{to}", rule.name)));
            let mail = delivery(news, Kind::Mail, own, rule.name.clone(), text.clone().into(), now);
            out.push(Delivery { to: Some(to), subject: Some(subject.clone()), ..mail });
        }
    }
    out
}

/// The same for the same news, however often it is read from the log. What a frontend reported under a reference is known by that, so
/// that a report that is made again is recognised.
fn message_id(log: &str, news: &News) -> SmolStr {
    match &news.reference {
        Some(reference) => {
            format_smolstr!("msg_{log}_{}", short(&format!("{}/{reference}", news.workspace)))
        }
        None => format_smolstr!("msg_{log}_{}_{}", news.position.get(), news.index),
    }
}

fn short(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..20].to_owned()
}

fn delivery(
    news: &News,
    kind: Kind,
    message: SmolStr,
    endpoint: SmolStr,
    body: Box<str>,
    now: Timestamp,
) -> Delivery {
    Delivery {
        message,
        workspace: news.workspace.clone(),
        topic: news.topic,
        kind,
        endpoint,
        to: None,
        subject: None,
        body,
        conversation: news.conversation,
        queued: now,
        due: now,
        attempts: 0,
        trouble: None,
    }
}

fn webhook_body(known: &Known, news: &News, message: &str) -> Box<str> {
    // For whoever sends the notification, and nobody else.
    let told = if news.topic == Topic::AgentNotified { &news.agents[..] } else { &[] };
    let endpoint = |agent: &AgentId| Some((*agent, known.endpoint(&news.workspace, *agent)?.as_str()));
    let body = Body {
        r#type: news.topic,
        timestamp: written(news.at),
        id: message,
        workspace: &news.workspace,
        position: news.position.get(),
        data: Data {
            conversation: news.conversation,
            link: news.link().map(|link| link.to_string()),
            visitor: news.visitor,
            channel: news.channel.as_ref(),
            group: news.group.as_ref(),
            site: news.site.as_deref(),
            agents: &news.agents,
            endpoints: told.iter().filter_map(endpoint).collect(),
            reason: news.reason.as_deref(),
            action: news.action.as_deref(),
            deadline: news.deadline.map(written),
        },
    };
    // Plain fields with text for keys are always JSON.
    serde_json::to_string(&body).unwrap_or_default().into()
}

/// A time as RFC 3339 has it.
fn written(at: Timestamp) -> String {
    let micros = i64::try_from(at.micros()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| at.to_string(), |at| at.to_string())
}

// === Mail ===

fn addresses(rule: &MailRule, known: &Known, news: &News) -> Vec<SmolStr> {
    let mut all = match &rule.to {
        Addressees::These(addresses) => addresses.clone(),
        Addressees::Agent => {
            news.agents.iter().filter_map(|agent| known.email(&news.workspace, *agent)).collect()
        }
        Addressees::Group => {
            let members = |group| known.members(&news.workspace, group, news.site.as_ref());
            let members = news.group.as_ref().map(members);
            members.into_iter().flatten().filter_map(|(_, person)| person.email.clone()).collect()
        }
    };
    all.sort_unstable();
    all.dedup();
    all.truncate(ADDRESSES_MAX);
    all
}

/// Subject and text. What visitors wrote is in neither: mail goes through other people's hands.
fn letter(told: &Told, known: &Known, news: &News) -> (SmolStr, String) {
    let group = news.group.as_ref().map_or("nobody in particular", |group| group.as_str());
    let reason = news.reason.as_deref().unwrap_or("no reason given");
    let what = match news.topic {
        Topic::Queued => format!("A conversation waits in {group}"),
        Topic::HandedOver => format!("A bot handed a conversation over to {group}"),
        Topic::Offered => format!("A conversation of {group} is offered"),
        Topic::Assigned => "A conversation was assigned".to_owned(),
        Topic::Fallback => format!("Nobody could serve a conversation of {group}"),
        Topic::Missed => format!("Nobody came back to a conversation of {group}"),
        Topic::Closed => "A conversation is over".to_owned(),
        Topic::Reopened => "A conversation was opened again".to_owned(),
        Topic::OfferMissed => "An offer was missed".to_owned(),
        Topic::AgentNotified => format!("Something waits for you in {group}"),
        Topic::ActionFailed => {
            format!("{} failed: {reason}", news.action.as_deref().unwrap_or("An action"))
        }
    };
    let mut text = format!("{what}.\n\n");
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Text takes whatever is written into it.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Workspace", &news.workspace);
    line("When", &written(news.at));
    if let Some(group) = &news.group {
        line("Group", group);
    }
    for agent in news.agents.iter().take(20) {
        line("Agent", &known.name(&news.workspace, *agent).unwrap_or_else(|| format_smolstr!("{agent}")));
    }
    if let Some(action) = &news.action {
        line("Action", action);
    }
    if let Some(reason) = &news.reason {
        line("Reason", reason);
    }
    if let Some(deadline) = news.deadline {
        line("Answer until", &written(deadline));
    }
    if let Some(conversation) = news.conversation {
        line("Conversation", &conversation);
    }
    if let (Some(inbox), Some(link)) = (&told.inbox, news.link()) {
        let _ = write!(text, "\n{}\n", inbox.replace("{link}", &link.to_string()));
    }
    (format_smolstr!("[{}] {what}", news.workspace), text)
}

impl News {
    /// Where it leads.
    fn link(&self) -> Option<Link> {
        self.conversation.map(|conversation| Link { conversation, offer: 0 })
    }
}
