//! How one arbiter is furnished: its local state, its tasks, its workspaces, its border post.

use std::{rc::Rc, sync::Arc};

use tokio::sync::{Notify, mpsc::UnboundedReceiver, oneshot};

use super::watchdog::{self, Pulse};
use crate::{
    actors::{
        boot,
        gate::{self, Gate, Parcel},
        intake::Intake,
        local::{Local, Shared},
    },
    transport::{
        self,
        border::{House, Post, Rates},
        paces::Paces,
    },
};

/// Everything that an arbiter needs from outside; crosses to its thread once.
pub(super) struct Furniture {
    pub(super) index: usize,
    pub(super) shared: Shared,
    pub(super) openings: Vec<boot::Opening>,
    pub(super) parcels: UnboundedReceiver<Parcel>,
    pub(super) arrivals: UnboundedReceiver<transport::Arrival>,
    pub(super) gate: Gate,
    pub(super) rates: Rates,
    pub(super) paces: Arc<Paces>,
    pub(super) house: Arc<dyn House>,
    pub(super) pulse: Pulse,
    pub(super) intake: Arc<Intake>,
    pub(super) ready: oneshot::Sender<()>,
}

/// Makes the calling thread an arbiter. Must run inside its `LocalSet`.
pub(super) fn furnish(furniture: Furniture) {
    let Furniture {
        index,
        shared,
        openings,
        parcels,
        arrivals,
        gate,
        rates,
        paces,
        house,
        pulse,
        intake,
        ready,
    } = furniture;
    let durable = Arc::new(Notify::new());
    let wake = Arc::clone(&durable);
    let news = shared.journal.watch(Box::new(move || wake.notify_one()));
    let (clock, metrics) = (shared.clock.clone(), shared.metrics.clone());
    let local = Local::new(index, shared);
    gate::settle_here(&local);
    tokio::task::spawn_local(Rc::clone(&local).flush_forever());
    tokio::task::spawn_local(Rc::clone(&local).release_forever(durable, news));
    tokio::task::spawn_local(Rc::clone(&local).turn_forever());
    tokio::task::spawn_local(Rc::clone(&local).tick_forever());
    tokio::task::spawn_local(Rc::clone(&local).call_places_forever());
    tokio::task::spawn_local(Rc::clone(&local).push_lists_forever());
    tokio::task::spawn_local(Rc::clone(&local).respawn_forever());
    tokio::task::spawn_local(watchdog::beat(pulse));
    tokio::task::spawn_local(intake.watch_forever(clock, metrics));
    for opening in openings {
        boot::open(&local, opening);
    }
    tokio::task::spawn_local(gate::receive(local, parcels));
    tokio::task::spawn_local(transport::attend(arrivals, Post::new(gate, rates, house, paces)));
    // Whoever waits for it has given up starting; there is nobody to tell.
    let _ = ready.send(());
}
