//! An expression, and what is wrong with it given what a daemon shows.

use std::collections::BTreeSet;

use promql_parser::{
    label::MatchOp,
    parser::{self, AggregateExpr, Call, Expr, LabelModifier, VectorSelector},
};

use super::exposition::Exposition;

/// Labels that a scrape adds to every series.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Query(Expr);

impl Query {
    /// Reads an expression, with Grafana's variables in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.replace("$__rate_interval", "5m").replace("$__range", "1h");
        let expr = parser::parse(&text).map_err(|error| format!("{error} in {text}"))?;
        Ok(Self(expr))
    }

    /// Whether the series, labels and label values exist, and rates are taken of counters and then added up.
    pub(crate) fn check(&self, shown: &Exposition) -> Result<(), String> {
        check(&self.0, shown, false).map(|_| ())
    }

    /// The labels that any part of it is grouped by.
    pub(crate) fn grouped_by(&self) -> Vec<&str> {
        let mut labels = BTreeSet::new();
        collect_groupings(&self.0, &mut labels);
        labels.remove("le");
        labels.into_iter().collect()
    }
}

/// Returns the labels that the result may have. `aggregated`: inside of a sum or the like.
fn check(expr: &Expr, shown: &Exposition, aggregated: bool) -> Result<BTreeSet<String>, String> {
    match expr {
        Expr::VectorSelector(selector) => check_selector(selector, shown),
        Expr::MatrixSelector(selector) => check_selector(&selector.vs, shown),
        Expr::Aggregate(aggregate) => check_aggregate(aggregate, shown),
        Expr::Call(call) => check_call(call, shown, aggregated),
        Expr::Binary(binary) => {
            let left = check(&binary.lhs, shown, aggregated)?;
            let right = check(&binary.rhs, shown, aggregated)?;
            if let Some(LabelModifier::Include(on)) =
                binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref())
            {
                for label in &on.labels {
                    if !left.contains(label) || !right.contains(label) {
                        return Err(format!("both sides of a match need the label {label}"));
                    }
                }
            }
            Ok(left.union(&right).cloned().collect())
        }
        Expr::Paren(inner) => check(&inner.expr, shown, aggregated),
        Expr::Unary(inner) => check(&inner.expr, shown, aggregated),
        Expr::Subquery(inner) => check(&inner.expr, shown, aggregated),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(BTreeSet::new()),
    }
}

fn check_selector(selector: &VectorSelector, shown: &Exposition) -> Result<BTreeSet<String>, String> {
    let name = selector.name.as_deref().ok_or("a selector without a name")?;
    let (metric, part) = shown.find(name).ok_or_else(|| format!("the daemon shows no {name}"))?;
    let mut labels: BTreeSet<String> = metric.labels.keys().cloned().collect();
    labels.extend(TARGET_LABELS.map(str::to_owned));
    if part != "_bucket" {
        labels.remove("le");
    }
    for matcher in &selector.matchers.matchers {
        let label = &matcher.name;
        if !labels.contains(label) {
            return Err(format!("{name} has no label {label}"));
        }
        if label == "le" {
            return Err(format!("{name}: how a bucket is written differs between versions of Prometheus"));
        }
        let known = metric
            .labels
            .get(label)
            .is_none_or(|values| values.is_empty() || values.contains(&matcher.value));
        if matches!(matcher.op, MatchOp::Equal) && !known {
            return Err(format!("{label} of {name} is never {}", matcher.value));
        }
    }
    Ok(labels)
}

fn check_aggregate(aggregate: &AggregateExpr, shown: &Exposition) -> Result<BTreeSet<String>, String> {
    let inner = check(&aggregate.expr, shown, true)?;
    match &aggregate.modifier {
        None => Ok(BTreeSet::new()),
        Some(LabelModifier::Include(by)) => {
            for label in &by.labels {
                if !inner.contains(label) {
                    return Err(format!("nothing has the label {label} in {aggregate}"));
                }
            }
            Ok(by.labels.iter().cloned().collect())
        }
        Some(LabelModifier::Exclude(without)) => {
            Ok(inner.into_iter().filter(|label| !without.labels.contains(label)).collect())
        }
    }
}

fn check_call(call: &Call, shown: &Exposition, aggregated: bool) -> Result<BTreeSet<String>, String> {
    let of_counters = matches!(call.func.name, "rate" | "increase" | "irate");
    if of_counters && !aggregated {
        return Err(format!("{call} is not added up: each daemon and label gives a line of its own"));
    }
    let mut labels = BTreeSet::new();
    for arg in &call.args.args {
        if of_counters && let Expr::MatrixSelector(selector) = &**arg {
            let name = selector.vs.name.as_deref().unwrap_or_default();
            let kind = shown.find(name).map(|(metric, _)| metric.kind.as_str());
            if kind == Some("gauge") {
                return Err(format!("{name} is a gauge: it has no rate"));
            }
        }
        labels.extend(check(arg, shown, aggregated)?);
    }
    if call.func.name == "histogram_quantile" && !labels.remove("le") {
        return Err(format!("{call} needs the label le"));
    }
    Ok(labels)
}

fn collect_groupings<'a>(expr: &'a Expr, labels: &mut BTreeSet<&'a str>) {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(LabelModifier::Include(by)) = &aggregate.modifier {
                labels.extend(by.labels.iter().map(String::as_str));
            }
            collect_groupings(&aggregate.expr, labels);
        }
        Expr::Binary(binary) => {
            collect_groupings(&binary.lhs, labels);
            collect_groupings(&binary.rhs, labels);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|arg| collect_groupings(arg, labels)),
        Expr::Paren(inner) => collect_groupings(&inner.expr, labels),
        Expr::Unary(inner) => collect_groupings(&inner.expr, labels),
        Expr::Subquery(inner) => collect_groupings(&inner.expr, labels),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}
