//! What a daemon shows at `/metrics`, read back from the text.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use maitred::metrics::{GroupLabel, Metrics};

/// A metric by its declared name.
#[derive(Debug, Default)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    /// The values that each label has.
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
}

/// All metrics of a daemon.
#[derive(Debug)]
pub(crate) struct Exposition(BTreeMap<String, Metric>);

impl Exposition {
    /// A daemon with one group that nothing has happened to, apart from the words that other rooms declare.
    pub(crate) fn of_a_fresh_daemon() -> Self {
        let metrics = Metrics::new(&[GroupLabel {
            workspace: "acme".to_owned(),
            group: "sales".to_owned(),
            service_level_target: Duration::from_secs(20),
        }]);
        metrics.routing.refusals.declare(["at_capacity", "overloaded"]);
        metrics.transport.protocol_errors.declare(["malformed"]);
        metrics.transport.events.declare(["handshake_failures"]);
        for (_, frames) in metrics.transport.frames.iter() {
            frames.declare(["open"]);
        }
        let _ = metrics.trigger("acme", "prices");
        let _ = metrics.workflow("acme", "unanswered");
        let _ = metrics.rule("acme", "french");
        Self::read(&metrics.render())
    }

    fn read(text: &str) -> Self {
        let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').expect("a name and a type");
                metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
            } else if !line.is_empty() && !line.starts_with('#') {
                let (series, _) = line.rsplit_once(' ').expect("a series and a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let known = |name: &str| metrics.contains_key(name);
                let name = base(name, known).unwrap_or_else(|| panic!("{name} has no type"));
                let metric = metrics.get_mut(&name).expect("it is known");
                for pair in labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
                    let (label, value) = pair.split_once('=').expect("a label and a value");
                    metric
                        .labels
                        .entry(label.to_owned())
                        .or_default()
                        .insert(value.trim_matches('"').to_owned());
                }
            }
        }
        Self(metrics)
    }

    /// Adds a metric that does not come from the daemon; its labels may have any value.
    pub(crate) fn add(&mut self, name: &str, kind: &str, labels: &[&str]) {
        let labels = labels.iter().map(|label| ((*label).to_owned(), BTreeSet::new())).collect();
        self.0.insert(name.to_owned(), Metric { kind: kind.to_owned(), labels });
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The metric that a series of this name belongs to, and what the series adds to a histogram's name.
    pub(crate) fn find(&self, series: &str) -> Option<(&Metric, &'static str)> {
        let name = base(series, |name| self.has(name))?;
        let part = ["_bucket", "_sum", "_count"].into_iter().find(|part| series[name.len()..] == **part);
        let metric = &self.0[&name];
        let part = part.unwrap_or("");
        ((metric.kind == "histogram") != part.is_empty()).then_some((metric, part))
    }
}

/// The declared name that a series belongs to.
fn base(series: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    let stripped = ["_bucket", "_sum", "_count"].into_iter().filter_map(|part| series.strip_suffix(part));
    std::iter::once(series).chain(stripped).find(|name| known(name)).map(str::to_owned)
}
