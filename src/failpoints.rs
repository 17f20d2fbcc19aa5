//! Faults that tests plant in a running daemon: one chosen actor falls, or stands still, at one chosen place. Only builds with the
//! feature `failpoints` have this file; `serve` says so when it starts one.
//!
//! A fault is armed by [`arm`], in the same process, or by the environment variable [`VARIABLE`] for a daemon that a test starts.

use std::{
    fmt::{Debug, Display},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The environment variable with faults to begin with: `kind:id:site:on:times`, more of them after a `;`. `on` may be empty, an id may
/// be the end of one or empty for any, and `times` may be empty for always.
pub const VARIABLE: &str = "MAITRED_FAILPOINTS";

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// In the machine's step, timers (`Tick`) included.
    Handler,
    /// After what the step led to was recorded, before anybody was told.
    Recorded,
    /// While the machine is rebuilt.
    Rebuild,
    /// While the log is folded at a start; conversations only.
    Fold,
    /// In what an actor does by itself, between messages.
    Future,
    /// Outside of every guard: the actor dies.
    Escape,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Panics.
    Panic,
    /// Keeps the thread until it is disarmed.
    Block,
    /// Keeps the thread for so long.
    Dawdle(Duration),
}

/// A fault.
#[derive(Debug, Clone)]
pub struct Fault {
    /// `conversation`, `agent`, `group` or `workspace`.
    pub kind: &'static str,
    /// Whose: the text of the id, or the end of it.
    pub id: String,
    /// Where.
    pub site: Site,
    /// Only on commands whose text in a debugger contains this.
    pub on: String,
    /// How often; `None`: always.
    pub times: Option<u32>,
    /// What.
    pub deed: Deed,
}

/// Disarms the fault when it is dropped.
#[derive(Debug)]
pub struct Armed(u64);

struct Planted {
    number: u64,
    fault: Fault,
    hits: u32,
}

static FAULTS: Mutex<Vec<Planted>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();
static COUNT: AtomicUsize = AtomicUsize::new(0);
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Plants a fault in this process.
#[must_use = "it is disarmed when this is dropped"]
pub fn arm(fault: Fault) -> Armed {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    faults.push(Planted { number, fault, hits: 0 });
    COUNT.store(faults.len(), Ordering::Release);
    CHANGED.notify_all();
    Armed(number)
}

impl Armed {
    /// How often it struck.
    #[must_use]
    pub fn hits(&self) -> u32 {
        let faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().find(|planted| planted.number == self.0).map_or(0, |planted| planted.hits)
    }

    /// Waits until it has struck so often, at most 20 seconds; whether it has.
    #[must_use]
    pub fn wait_for(&self, hits: u32) -> bool {
        let faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |faults: &mut Vec<Planted>| {
            faults.iter().any(|planted| planted.number == self.0 && planted.hits < hits)
        };
        let patience = std::time::Duration::from_secs(20);
        let waited = CHANGED.wait_timeout_while(faults, patience, missing);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|planted| planted.number != self.0);
        COUNT.store(faults.len(), Ordering::Release);
        CHANGED.notify_all();
    }
}

/// Plants what [`VARIABLE`] names, for as long as the process runs.
///
/// # Errors
/// The fault that can't be read.
pub fn arm_from_environment() -> Result<usize, String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(0) };
    let faults: Vec<Fault> = text
        .split(';')
        .filter(|fault| !fault.is_empty())
        .map(|fault| parse(fault).ok_or_else(|| format!("{VARIABLE}: can't read \"{fault}\"")))
        .collect::<Result<_, _>>()?;
    let count = faults.len();
    faults.into_iter().for_each(|fault| std::mem::forget(arm(fault)));
    Ok(count)
}

fn parse(text: &str) -> Option<Fault> {
    let mut parts = text.split(':');
    let mut next = || parts.next().unwrap_or_default();
    let kinds = ["conversation", "agent", "group", "workspace"];
    let kind = next();
    let kind = kinds.into_iter().find(|known| *known == kind)?;
    let id = next().to_owned();
    let site = match next() {
        "handler" => Site::Handler,
        "recorded" => Site::Recorded,
        "rebuild" => Site::Rebuild,
        "fold" => Site::Fold,
        "future" => Site::Future,
        "escape" => Site::Escape,
        _ => return None,
    };
    let on = next().to_owned();
    let times = match next() {
        "" => None,
        times => Some(times.parse().ok()?),
    };
    Some(Fault { kind, id, site, on, times, deed: Deed::Panic })
}

/// Strikes if a fault is planted here.
pub fn hit(site: Site, kind: &str, id: &dyn Display, command: &dyn Debug) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut id_text, mut command_text) = (None, None);
    let struck = faults.iter_mut().find(|planted| {
        let fault = &planted.fault;
        fault.site == site
            && fault.kind == kind
            && fault.times.is_none_or(|times| planted.hits < times)
            && id_text.get_or_insert_with(|| id.to_string()).ends_with(&fault.id)
            && command_text.get_or_insert_with(|| format!("{command:?}")).contains(&fault.on)
    });
    let Some(planted) = struck else { return };
    planted.hits += 1;
    let (number, deed) = (planted.number, planted.fault.deed);
    CHANGED.notify_all();
    match deed {
        Deed::Panic => {
            drop(faults);
            panic!("a fault was planted here: {site:?} of {kind} {id}");
        }
        Deed::Block => {
            let armed = |faults: &mut Vec<Planted>| faults.iter().any(|planted| planted.number == number);
            drop(CHANGED.wait_while(faults, armed));
        }
        Deed::Dawdle(time) => {
            drop(faults);
            thread::sleep(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_whom_it_names_and_as_often_as_it_says() {
        let fault = parse("group:es-1:handler:Enqueue:2").expect("a fault");
        let armed = arm(fault);
        let strikes = |id: &str, command: &str| {
            std::panic::catch_unwind(|| hit(Site::Handler, "group", &id, &command)).is_err()
        };
        assert!(!strikes("sales-2", "Enqueue"));
        assert!(!strikes("sales-1", "Leave"));
        assert!(strikes("sales-1", "Enqueue"));
        assert!(strikes("sales-1", "Enqueue"));
        assert!(!strikes("sales-1", "Enqueue"));
        assert_eq!(armed.hits(), 2);
        assert!(parse("group:x:nowhere").is_none());
    }
}
