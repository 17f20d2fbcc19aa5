//! maitred as a black box: a real daemon per test, driven over real QUIC. Time is a manual clock that the tests move by hand; nothing sleeps.

#[path = "../outside/mod.rs"]
mod outside;

mod archive;
mod counted;
mod departures;
#[cfg(feature = "failpoints")]
mod falls;
mod feeds;
mod floor;
mod geo;
mod history;
mod hostile;
mod hours;
mod keys;
mod life;
mod lobby;
mod moves;
mod notify;
mod offers;
mod page;
mod picker;
mod places;
mod rates;
mod raw;
mod restart;
mod roles;
mod sleep;
