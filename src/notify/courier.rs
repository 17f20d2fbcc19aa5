//! The thread that sends: what is due flies, as much at a time as its endpoint may be asked, and lands in the queue again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet};

use super::{
    delivery::{Delivery, Kind},
    mail,
    queue::{Counted, Lane, Queue},
    rules::Rules,
    webhook::{Verdict, Webhook},
    words::{Error, Outcome},
};
use crate::clock::{Clock, Timestamp};

/// How long it waits after the queue's file failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Told how each attempt went; with how long it took from queueing, if it is delivered.
pub type Count = Arc<dyn Fn(Kind, Outcome, Option<Duration>) + Send + Sync>;

/// What clerk and courier share.
pub(super) struct Desk {
    pub(super) clock: Clock,
    pub(super) count: Count,
    /// There is one while anything is told outside.
    pub(super) queue: Mutex<Option<Queue>>,
    pub(super) rules: RwLock<Arc<Rules>>,
    pub(super) wake: Notify,
    pub(super) ended: AtomicBool,
    pub(super) pending: Arc<AtomicU64>,
}

type Landed = Vec<(u64, Arc<Delivery>, Verdict)>;

impl Desk {
    pub(super) fn queue(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn counted(&self, all: Vec<Counted>) {
        let now = self.clock.now();
        for (kind, outcome, queued) in all {
            (self.count)(kind, outcome, queued.map(|queued| now.since(queued)));
        }
    }

    pub(super) fn note_pending(&self, queue: Option<&Queue>) {
        self.pending.store(queue.map_or(0, Queue::len) as u64, Ordering::Relaxed);
    }
}

/// Sends until it is ended. What flies then is sent again after the next start.
pub(super) async fn run(desk: Arc<Desk>) {
    let mut flights: JoinSet<Verdict> = JoinSet::new();
    let mut aboard: HashMap<tokio::task::Id, (u64, Arc<Delivery>)> = HashMap::new();
    while !desk.ended.load(Ordering::Acquire) {
        let (off, next) = due(&desk);
        let rules = desk.rules();
        for (id, delivery) in off {
            let rules = Arc::clone(&rules);
            let aboard_too = Arc::clone(&delivery);
            let flight = flights.spawn(async move { send(&rules, &aboard_too).await });
            aboard.insert(flight.id(), (id, delivery));
        }
        let mut landed = Landed::new();
        tokio::select! {
            biased;
            Some(first) = flights.join_next_with_id(), if !flights.is_empty() => {
                take_in(first, &mut aboard, &mut landed);
                while let Some(more) = flights.try_join_next_with_id() {
                    take_in(more, &mut aboard, &mut landed);
                }
            }
            () = desk.wake.notified() => {}
            () = until(&desk.clock, next) => {}
        }
        if !landed.is_empty()
            && let Err(error) = settle(&desk, landed)
        {
            tracing::error!(%error, "how deliveries went can't be written down: they are tried again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn due(desk: &Desk) -> (Vec<(u64, Arc<Delivery>)>, Option<Timestamp>) {
    let rules = desk.rules();
    let most = |lane: &Lane| match lane {
        Lane::Webhook(workspace, name) => {
            let told = rules.workspaces.get(workspace);
            let webhook = told.and_then(|told| told.webhooks.iter().find(|webhook| webhook.name() == name));
            webhook.map_or(1, Webhook::concurrency)
        }
        Lane::Mail => mail::CONCURRENCY,
    };
    match &mut *desk.queue() {
        Some(queue) => {
            let off = queue.take_off(desk.clock.now(), most);
            (off, queue.next_due(most))
        }
        None => (Vec::new(), None),
    }
}

/// Until this time; for ever if there is none.
async fn until(clock: &Clock, at: Option<Timestamp>) {
    let Some(at) = at else { return std::future::pending().await };
    loop {
        let now = clock.now();
        if now >= at {
            return;
        }
        if clock.is_manual() {
            clock.moved_from(now).await;
        } else {
            tokio::time::sleep(at.since(now)).await;
        }
    }
}

fn take_in(
    flight: Result<(tokio::task::Id, Verdict), tokio::task::JoinError>,
    aboard: &mut HashMap<tokio::task::Id, (u64, Arc<Delivery>)>,
    landed: &mut Landed,
) {
    let (task, verdict) = match flight {
        Ok(done) => done,
        Err(fell) => (fell.id(), Verdict::Again { why: "the attempt fell over".to_owned(), after: None }),
    };
    if let Some((id, delivery)) = aboard.remove(&task) {
        landed.push((id, delivery, verdict));
    }
}

/// One attempt.
async fn send(rules: &Rules, delivery: &Delivery) -> Verdict {
    let within = rules.patience.timeout;
    match delivery.kind {
        Kind::Webhook => match webhook(rules, delivery) {
            Some(webhook) => webhook.send(delivery, within).await,
            None => Verdict::Never { why: "the configuration has no such webhook any more".to_owned() },
        },
        Kind::Mail => match &rules.mail {
            Some(server) => server.send(delivery, within).await,
            None => Verdict::Never { why: "the configuration has no mail server any more".to_owned() },
        },
    }
}

fn webhook<'r>(rules: &'r Rules, delivery: &Delivery) -> Option<&'r Webhook> {
    let told = rules.workspaces.get(&delivery.workspace)?;
    told.webhooks.iter().find(|webhook| *webhook.name() == delivery.endpoint)
}

/// Where a delivery goes now.
pub(super) fn url(rules: &Rules, delivery: &Delivery) -> Option<String> {
    webhook(rules, delivery).map(|webhook| webhook.url().to_owned())
}

fn settle(desk: &Desk, landed: Landed) -> Result<(), Error> {
    for (_, delivery, verdict) in &landed {
        if let Verdict::Gone { why } = verdict {
            let (workspace, endpoint) = (&delivery.workspace, &delivery.endpoint);
            tracing::warn!(%workspace, %endpoint, why, "a webhook wants nothing any more: it is told nothing until its url changes or a delivery is retried by hand");
        }
    }
    let rules = desk.rules();
    let mut queue = desk.queue();
    let Some(open) = &mut *queue else { return Ok(()) };
    let counted = open.land(landed, desk.clock.now(), &rules.patience, |delivery| url(&rules, delivery))?;
    desk.note_pending(Some(open));
    drop(queue);
    desk.counted(counted);
    Ok(())
}
