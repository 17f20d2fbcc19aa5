//! Stories: each rule of routing as a small story that is told through one door.
//!
//! Holds: the door and the stories, one file per part of a conversation's life.
//! Knows: the machines, as anybody outside sees them. Never: actors, a clock that moves by itself.
//! Start reading at: [`floor::Floor`].

mod floor;

mod announcements;
mod bots;
mod counted;
mod decisions;
mod endings;
mod facts;
mod fallback;
mod hours;
mod keys;
mod models;
mod notices;
mod offers;
mod opening;
mod presence;
mod quarantine;
mod queueing;
mod reload;
mod restart;
mod rules;
mod scope;
mod shapes;
mod slots;
mod strategies;
mod transfers;
mod workflows;
