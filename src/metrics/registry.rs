//! The registry of one daemon, and the handles it gives out.
//!
//! Each daemon has a recorder of its own instead of the process-wide one, so that tests can run several in one process.
//! A handle is made once and kept: counting through it costs nanoseconds, looking it up ten times as much.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Key, Label, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{buckets::BUCKETS, words::Word};

/// What every name begins with.
pub(super) const PREFIX: &str = "maitred_";

/// The labels that all series of a struct share.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What a series is counted with; `label` and `words` of a set are its type's.
pub(super) trait Series: Sized {
    /// What one has to know besides name and labels.
    type Shape;
    /// Makes the series exist, at zero.
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, shape: Self::Shape) -> Self;
}

/// Name, help text and labels of a series.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: &'a Labels,
}

/// How several handles of one series become one number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fold {
    /// Their sum.
    Sum,
    /// The largest.
    Largest,
    /// The smallest that is not zero; zero if all are.
    Earliest,
}

/// A number that goes up and down. Groups that share a series each have a level of their own, added up when read.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicI64>);

impl Level {
    /// Replaces the number.
    pub fn set(&self, value: u64) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The number now. Negative only between two updates by different threads.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one for as long as the result lives, so that a panic can't leave it counted.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.add(1);
        Held(self.clone())
    }
}

/// One that a [`Level`] counts until this is dropped.
#[derive(Debug)]
pub struct Held(Level);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// A time or a duration, shown in seconds and kept in microseconds. Zero means none.
#[derive(Clone, Debug, Default)]
pub struct Seconds(Arc<AtomicI64>);

impl Seconds {
    /// Sets it to a number of microseconds: since 1970 if it is a time.
    pub fn set_micros(&self, micros: u64) {
        self.0.store(i64::try_from(micros).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Sets it to a duration.
    pub fn set(&self, duration: Duration) {
        self.set_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// There is none any more.
    pub fn clear(&self) {
        self.set_micros(0);
    }

    /// Microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// A series for each word of a closed set.
pub struct Each<S, W> {
    series: Vec<S>,
    words: PhantomData<W>,
}

impl<S, W: Word> Each<S, W> {
    /// The series of this word.
    #[must_use]
    pub fn of(&self, word: W) -> &S {
        &self.series[word.index()]
    }

    /// All, with their words.
    pub fn iter(&self) -> impl Iterator<Item = (W, &S)> {
        W::ALL.iter().copied().zip(&self.series)
    }
}

impl<S: fmt::Debug, W> fmt::Debug for Each<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.series).finish()
    }
}

/// Counters whose words another room defines, such as refusal codes. They have to be literals of the program, which
/// bounds them; ids and addresses are none.
#[derive(Clone)]
pub struct Named {
    registry: Arc<Registry>,
    name: &'static str,
    labels: Labels,
    label: &'static str,
}

impl Named {
    /// The counter of this word; made at zero if it is new. To be kept: looking it up takes a lock.
    pub fn of(&self, word: &'static str) -> Counter {
        let labels = with(&self.labels, self.label, word);
        self.registry.recorder.register_counter(&key(self.name, &labels), &METADATA)
    }

    /// Makes the counters of these words exist at zero, so that a rate sees the first event.
    pub fn declare(&self, words: impl IntoIterator<Item = &'static str>) {
        for word in words {
            let _ = self.of(word);
        }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).field("label", &self.label).finish_non_exhaustive()
    }
}

/// Declares a struct of handles: each field's doc is the help text of the series, its literal the name without prefix.
macro_rules! series {
    ($(#[$doc:meta])* pub struct $room:ident {
        $($(#[doc = $help:literal])+ pub $field:ident: $kind:ty = $name:literal $(, $shape:expr)?;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $room { $($(#[doc = $help])+ pub $field: $kind,)* }

        impl $room {
            pub(super) fn register(
                registry: &std::sync::Arc<crate::metrics::registry::Registry>,
                labels: &crate::metrics::registry::Labels,
            ) -> Self {
                use crate::metrics::registry::{Series, Spec};
                Self { $($field: {
                    let spec = Spec { name: $name, help: concat!($($help),+), labels };
                    <$kind as Series>::register(registry, &spec, ($($shape)?))
                },)* }
            }
        }
    };
}
pub(super) use series;

/// The series of one daemon.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    board: Mutex<BTreeMap<(&'static str, Labels), Shown>>,
}

/// A gauge and the levels it is made of.
struct Shown {
    gauge: Gauge,
    fold: Fold,
    /// What one of the level's units is of the gauge's.
    unit: f64,
    parts: Vec<Arc<AtomicI64>>,
}

/// The recorder ignores where a metric comes from; it has to be said anyway.
static METADATA: metrics::Metadata<'_> = metrics::Metadata::new("maitred", metrics::Level::INFO, None);

impl Registry {
    pub(super) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for (name, bounds) in BUCKETS {
            // The only error is an empty list, which `buckets.rs` excludes at compile time.
            builder = builder
                .set_buckets_for_metric(Matcher::Full(format!("{PREFIX}{name}")), bounds)
                .unwrap_or_else(|error| panic!("the bounds of {name}: {error}"));
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle, board: Mutex::default() }
    }

    /// Everything in the text format of Prometheus, without the process's own numbers.
    pub(super) fn render(&self) -> String {
        self.refresh();
        self.handle.render()
    }

    /// Takes recorded durations out of their buffers.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn refresh(&self) {
        for shown in self.board.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let parts = shown.parts.iter().map(|part| part.load(Ordering::Relaxed));
            let value = match shown.fold {
                Fold::Sum => parts.sum(),
                Fold::Largest => parts.max().unwrap_or(0),
                Fold::Earliest => parts.filter(|part| *part != 0).min().unwrap_or(0),
            };
            #[expect(clippy::cast_precision_loss, reason = "microseconds stay below 2^53")]
            shown.gauge.set(value as f64 * shown.unit);
        }
    }

    /// One more part of a gauge, which is made if it is new.
    fn part(&self, spec: &Spec<'_>, fold: Fold, unit: f64) -> Arc<AtomicI64> {
        let part = Arc::new(AtomicI64::new(0));
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = board.entry((spec.name, spec.labels.clone())).or_insert_with(|| {
            self.recorder.describe_gauge(full(spec.name), None, spec.help.trim().into());
            let gauge = self.recorder.register_gauge(&key(spec.name, spec.labels), &METADATA);
            Shown { gauge, fold, unit, parts: Vec::new() }
        });
        shown.parts.push(Arc::clone(&part));
        part
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

// === impl Series ===

impl Series for Counter {
    type Shape = ();
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, (): ()) -> Self {
        registry.recorder.describe_counter(full(spec.name), None, spec.help.trim().into());
        registry.recorder.register_counter(&key(spec.name, spec.labels), &METADATA)
    }
}

impl Series for Histogram {
    type Shape = ();
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, (): ()) -> Self {
        let bounded = BUCKETS.iter().any(|(name, _)| *name == spec.name);
        assert!(bounded, "the histogram {} has no bounds in buckets.rs", spec.name);
        registry.recorder.describe_histogram(full(spec.name), None, spec.help.trim().into());
        registry.recorder.register_histogram(&key(spec.name, spec.labels), &METADATA)
    }
}

impl Series for Level {
    type Shape = ();
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, (): ()) -> Self {
        Self(registry.part(spec, Fold::Sum, 1.0))
    }
}

impl Series for Seconds {
    type Shape = Fold;
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, fold: Fold) -> Self {
        Self(registry.part(spec, fold, 1e-6))
    }
}

impl<S: Series<Shape: Clone>, W: Word> Series for Each<S, W> {
    /// The label's name, and what the series under it need.
    type Shape = (&'static str, S::Shape);
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, (label, shape): Self::Shape) -> Self {
        let register = |word: &W| {
            let labels = with(spec.labels, label, word.as_str());
            S::register(registry, &Spec { labels: &labels, ..spec.clone() }, shape.clone())
        };
        Self { series: W::ALL.iter().map(register).collect(), words: PhantomData }
    }
}

impl Series for Named {
    /// The label's name.
    type Shape = &'static str;
    fn register(registry: &Arc<Registry>, spec: &Spec<'_>, label: &'static str) -> Self {
        registry.recorder.describe_counter(full(spec.name), None, spec.help.trim().into());
        Self { registry: Arc::clone(registry), name: spec.name, labels: spec.labels.clone(), label }
    }
}

fn full(name: &str) -> metrics::KeyName {
    format!("{PREFIX}{name}").into()
}

fn key(name: &str, labels: &Labels) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
    Key::from_parts(full(name), labels)
}

fn with(labels: &Labels, label: &'static str, word: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((label, word.to_owned()));
    labels
}
