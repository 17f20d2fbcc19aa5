//! Made-up visitors, and the frontend that speaks for them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::{random_bool, random_range};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{super::super::failure::Failure, one_of, pause};
use crate::{
    client::{Client, Notices, RequestError, Told},
    config::Workspace,
    ids::{ConversationId, GroupId, VisitorId},
    protocol::{
        Notice, Text, Variables,
        notice::{VisitorChange, VisitorSide},
        request::Open,
        words::{Speaker, Target, Variable},
    },
};

const NAMES: [&str; 16] = [
    "Zoe", "Yuri", "Xenia", "Walter", "Vera", "Uma", "Tariq", "Sofia", "Rosa", "Quentin", "Paula", "Omar",
    "Nils", "Mei", "Luca", "Kofi",
];
const QUESTIONS: [&str; 5] = [
    "Hello, is anybody there?",
    "My parcel has not arrived.",
    "Do you deliver to Portugal?",
    "I was charged twice.",
    "How do I change my plan?",
];
const REMARKS: [&str; 4] =
    ["Ah, I see.", "That was quick, thank you!", "Could you say that again?", "Perfect."];

/// Visitors who come at once, so that there is something to see.
const FIRST: u64 = 3;

/// How long anybody stays at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who listens to the events of which conversation.
type Listeners = HashMap<ConversationId, UnboundedSender<VisitorChange>>;

/// Lets visitors come, so many a second, and hands each what is said to them.
pub(super) async fn come(
    client: Client,
    mut notices: Notices,
    workspace: Arc<Workspace>,
    rate: f64,
) -> Result<(), Failure> {
    let mut visits = JoinSet::new();
    let mut listeners = Listeners::new();
    let mut come = 0;
    let next = sleep(Duration::ZERO);
    tokio::pin!(next);
    loop {
        tokio::select! {
            () = &mut next, if rate > 0.0 => {
                come += 1;
                let id: ConversationId = Uuid::now_v7().into();
                let (told, events) = unbounded_channel();
                listeners.retain(|_, listener| !listener.is_closed());
                listeners.insert(id, told);
                visits.spawn(visit(client.clone(), id, events, Arc::clone(&workspace)));
                let mean = if come < FIRST { 0.1 } else { 1.0 / rate };
                next.as_mut().reset(tokio::time::Instant::now() + Duration::from_secs_f64(mean * random_range(0.5..1.5)));
            }
            told = notices.next() => match told {
                Some(Told::Notice(Notice::VisitorEvent(event))) => {
                    if let Some(listener) = listeners.get(&event.conversation) {
                        // Who has gone does not listen.
                        let _ = listener.send(event.entry.change);
                    }
                }
                Some(_) => {}
                None => return Ok(()),
            },
            // A refused visit is part of life here.
            Some(_) = visits.join_next() => {}
        }
    }
}

/// One visitor, from asking to going.
async fn visit(
    client: Client,
    conversation: ConversationId,
    mut events: UnboundedReceiver<VisitorChange>,
    workspace: Arc<Workspace>,
) -> Result<(), RequestError> {
    let Some(channel) = workspace.settings.channels.first().cloned() else { return Ok(()) };
    let groups: Vec<GroupId> = workspace.groups.iter().map(|group| group.name.clone()).collect();
    let visitor: VisitorId = Uuid::now_v7().into();
    let speaker = Speaker::Visitor(visitor);
    let open = Open {
        conversation,
        speaker,
        channel,
        target: choose(&groups),
        preferred: None,
        priority: if random_bool(0.1) { 1 } else { 5 },
        variables: Variables::try_from(vec![Variable {
            name: Text::clip("first_name"),
            value: Text::clip(one_of(&NAMES)),
        }])?,
        message: Some(Text::clip(one_of(&QUESTIONS))),
        visitor: None,
        bot: None,
    };
    client.open(open).await?;
    // Some do not wait long.
    let patience = if random_bool(0.1) { Duration::from_millis(1_500) } else { PATIENCE };
    loop {
        match timeout(patience, events.recv()).await {
            Ok(Some(VisitorChange::Said { from: VisitorSide::Agent { .. }, .. })) if random_bool(0.7) => {
                pause(300..1_200).await;
                client.say(conversation, speaker, one_of(&REMARKS)).await?;
            }
            Ok(Some(VisitorChange::Closed { .. } | VisitorChange::Fallback { .. }) | None) | Err(_) => {
                client.announce(visitor, false).await?;
                return Ok(());
            }
            Ok(Some(_)) => {}
        }
    }
}

/// Nearly half ask for the first group, the others for any; a few do not say.
fn choose(groups: &[GroupId]) -> Target {
    let popular =
        if random_bool(0.45) { groups.first() } else { groups.get(random_range(0..groups.len().max(1))) };
    match popular {
        Some(group) if random_bool(0.9) => Target::Group(group.clone()),
        Some(_) => Target::Default,
        None => Target::Everyone,
    }
}
