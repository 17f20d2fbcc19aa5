//! The wire, from outside: both encodings of every message, their limits, their golden bytes, and the manual.
//!
//! Bytes and pages that are checked against the code are written anew with
//! `MAITRED_REGENERATE=1 cargo test --test protocol`; look at the difference before committing it: a golden file of a
//! released message never changes.

mod bounds;
mod direction;
mod frames;
mod golden;
mod manual;
mod python;
mod round_trip;
mod sample;
mod stranger;
mod value;

/// Whether to write what is checked, instead of checking it.
fn regenerating() -> bool {
    std::env::var_os("MAITRED_REGENERATE").is_some()
}
