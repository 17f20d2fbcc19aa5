//! `explain`: why a conversation was routed as it was, why it waits, and why a certain agent would not get it.

use super::{block_on, conversations, failure::Failure, roster::Roster, show, socket::Door};
use crate::protocol::{
    reply::{DecisionView, Explanation, Ruling},
    request::Explain,
    words::ChosenBy,
};

/// What may follow the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The conversation's id, or the end of it
    conversation: String,
    /// Say why this agent would not be offered it now: the name, the key in the configuration, or the id
    #[arg(long)]
    agent: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    block_on(async {
        let (client, _) = args.door.connect().await?;
        let roster = Roster::of(&client).await?;
        let conversation = conversations::find(&client, &args.conversation).await?;
        let agent = args.agent.as_ref().map(|text| roster.find(text)).transpose()?;
        let explanation: Explanation = client.ask(Explain { conversation, agent }).await?;
        if args.json {
            return show::json(&explanation);
        }
        show::line(format_args!("conversation {conversation}"))?;
        if let Some(rules) = &explanation.rules {
            show::line(ruled(rules))?;
        }
        for decision in explanation.decisions.iter() {
            show::line(decided(decision, &roster))?;
        }
        if explanation.decisions.is_empty() {
            show::line("no decision about an agent was made yet")?;
        }
        if let Some(why) = &explanation.waits_because {
            show::line(format_args!("now: {}", roster.named(why)))?;
        }
        if let (Some(agent), Some(reason)) = (agent, &explanation.agent_reason) {
            let name = roster.name(agent);
            match reason.as_str() {
                "eligible" => {
                    show::line(format_args!("{name}: eligible, would be asked when it is their turn"))?
                }
                reason => show::line(format_args!("{name}: is not asked now, because {reason}"))?,
            }
        }
        Ok(())
    })
}

/// `14:36:06.204  rules: french matched; vips not_matched; sent by french`.
fn ruled(rules: &Ruling) -> String {
    let verdicts = rules.verdicts.iter().zip(1..).map(|(said, number)| {
        let name = match said.rule.as_str() {
            "" => format!("#{number}"),
            name => name.to_owned(),
        };
        format!("{name} {}", show::word(&said.verdict))
    });
    let verdicts: Vec<String> = verdicts.collect();
    let sent = match &rules.sent_by {
        Some(rule) => format!("sent by {}", rule.as_str()),
        None => "sent by none".to_owned(),
    };
    format!("{}  rules: {}; {sent}", show::time_of_day(rules.at), verdicts.join("; "))
}

/// `14:36:06.204  sales  round_robin  Ana; next Ben, Chloe; not Dev (tried_it); 2 offline`.
fn decided(decision: &DecisionView, roster: &Roster) -> String {
    let chosen = match (&decision.fallback, decision.chosen.is_empty()) {
        (Some(reason), _) => format!("fallback, {}", show::word(reason)),
        (None, true) => "nobody".to_owned(),
        (None, false) => roster.list(decision.chosen.iter().copied()),
    };
    let mut text = format!(
        "{}  stay {}  {}  {}: {chosen}",
        show::time_of_day(decision.at),
        decision.stay,
        decision.group,
        show::word(&decision.strategy)
    );
    if let Some(by @ (ChosenBy::Preferred | ChosenBy::Direct)) = &decision.by {
        text.push_str(&format!(" ({})", show::word(by)));
    }
    if !decision.next.is_empty() {
        text.push_str(&format!("; next {}", roster.list(decision.next.iter().copied())));
    }
    for excluded in decision.excluded.iter() {
        text.push_str(&format!("; not {} ({})", roster.name(excluded.agent), excluded.reason.as_str()));
    }
    for others in decision.others.iter() {
        text.push_str(&format!("; {} {}", others.count, others.reason.as_str()));
    }
    text
}
