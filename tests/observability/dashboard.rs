//! The Grafana dashboard, and the conventions that Grafana's own linter asks for.

use serde_json::Value;

const JSON: &str = include_str!("../../config/observability/dashboards/maitred.json");

/// Units that the panels use; Grafana shows a misspelt one as text behind the number.
const UNITS: [&str; 6] = ["short", "s", "percentunit", "cps", "Bps", "bytes"];

/// Variables that narrow the panels, in the order in which each narrows the next.
const VARIABLES: [&str; 4] = ["job", "instance", "workspace", "group"];

/// The classic schema that Grafana 9 to 13 import.
const SCHEMA: u64 = 36;

/// The dashboard.
#[derive(Debug)]
pub(crate) struct Dashboard(Value);

/// One query of a panel.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) expr: String,
    legend: String,
    instant: bool,
}

impl Target {
    fn of(query: &Value) -> Self {
        Self {
            expr: text(&query["expr"]).to_owned(),
            legend: text(&query["legendFormat"]).to_owned(),
            instant: query["instant"] == true,
        }
    }

    /// The labels that the legend shows.
    pub(crate) fn legend_labels(&self) -> Vec<String> {
        let parts = self.legend.split("{{").skip(1);
        parts.filter_map(|part| part.split_once("}}")).map(|(label, _)| label.trim().to_owned()).collect()
    }
}

impl Dashboard {
    pub(crate) fn load() -> Self {
        Self::load_with("", "")
    }

    /// The dashboard with something written otherwise; to see that a check finds it.
    pub(crate) fn load_with(this: &str, otherwise: &str) -> Self {
        Self(serde_json::from_str(&JSON.replacen(this, otherwise, 1)).expect("the dashboard is JSON"))
    }

    /// Every query, with the title of its panel or annotation.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&str, Target)> {
        let annotations =
            list(&self.0["annotations"]["list"]).map(|one| (text(&one["name"]), Target::of(one)));
        let panels = self.panels().filter(|panel| panel["type"] != "row").flat_map(|panel| {
            list(&panel["targets"]).map(move |target| (text(&panel["title"]), Target::of(target)))
        });
        panels.chain(annotations)
    }

    /// What breaks a convention, one line each.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_head(&mut faults);
        self.check_variables(&mut faults);
        check_data_sources(&self.0, &mut faults);
        for panel in self.panels() {
            check_panel(panel, &mut faults);
        }
        self.check_places(&mut faults);
        for (panel, target) in self.targets() {
            check_target(panel, &target, &mut faults);
        }
        faults
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.0["panels"])
    }

    fn check_head(&self, faults: &mut Vec<String>) {
        let mut expect = |good: bool, what: &str| {
            if !good {
                faults.push(what.to_owned());
            }
        };
        expect(self.0["schemaVersion"] == SCHEMA, "not the classic schema that Grafana 9 imports");
        expect(self.0["editable"] == false, "it has to be read-only, or people's changes get lost");
        expect(self.0["uid"] == "maitred", "the uid is part of people's links");
        expect(self.0.get("id").is_none(), "an id is a database's, not the file's");
    }

    fn check_variables(&self, faults: &mut Vec<String>) {
        let variables: Vec<_> = list(&self.0["templating"]["list"]).collect();
        let names: Vec<_> = variables.iter().map(|variable| text(&variable["name"])).collect();
        if names.first() != Some(&"datasource") || names[1..] != VARIABLES {
            faults.push(format!("the variables are {names:?}"));
        }
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            let name = &variable["name"];
            if variable["multi"] != true || variable["includeAll"] != true || variable["allValue"] != ".+" {
                faults.push(format!("variable {name} has to allow several, and all as .+"));
            }
            if variable["refresh"] != 2 {
                faults.push(format!("variable {name} has to be read again when the time range changes"));
            }
        }
    }

    /// No two panels have an id or a place in common.
    fn check_places(&self, faults: &mut Vec<String>) {
        let panels: Vec<_> = self.panels().collect();
        for (index, one) in panels.iter().enumerate() {
            let (x, y, w, h) = place(one);
            if x + w > 24 {
                faults.push(format!("{}: wider than the page", one["title"]));
            }
            for other in &panels[index + 1..] {
                let (ox, oy, ow, oh) = place(other);
                if x < ox + ow && ox < x + w && y < oy + oh && oy < y + h {
                    faults.push(format!("{} lies on {}", one["title"], other["title"]));
                }
                if one["id"] == other["id"] {
                    faults.push(format!("{} and {} have the same id", one["title"], other["title"]));
                }
            }
        }
    }
}

/// Whatever names a data source names the chosen one.
fn check_data_sources(part: &Value, faults: &mut Vec<String>) {
    if let Some(source) = part.get("datasource")
        && source["uid"] != "${datasource}"
    {
        faults.push(format!("{source} is not the chosen data source"));
    }
    let parts = part.as_object().into_iter().flat_map(|map| map.values()).chain(list(part));
    parts.for_each(|part| check_data_sources(part, faults));
}

fn check_panel(panel: &Value, faults: &mut Vec<String>) {
    let title = text(&panel["title"]);
    let mut expect = |good: bool, what: &str| {
        if !good {
            faults.push(format!("{title}: {what}"));
        }
    };
    expect(!title.is_empty(), "a panel needs a title");
    if panel["type"] == "row" {
        return;
    }
    expect(text(&panel["description"]).ends_with('.'), "it needs a description, in sentences");
    expect(matches!(text(&panel["type"]), "stat" | "timeseries"), "a kind of panel that was not tried");
    expect(UNITS.contains(&text(&panel["fieldConfig"]["defaults"]["unit"])), "a unit that was not tried");
    expect(list(&panel["targets"]).next().is_some(), "it shows nothing");
}

fn check_target(panel: &str, target: &Target, faults: &mut Vec<String>) {
    for part in target.expr.split('[').skip(1) {
        let window = part.split(']').next().unwrap_or_default();
        // Over the whole shown range only for a single number: a line of them would be the same sum again and again.
        let good = window == "$__rate_interval" || (window == "$__range" && target.instant);
        if !good {
            faults.push(format!("{panel}: the window [{window}] has to be $__rate_interval"));
        }
    }
    for selector in target.expr.split('{').skip(1) {
        let selector = selector.split('}').next().unwrap_or_default();
        for variable in &VARIABLES[..2] {
            if !selector.contains(&format!(r#"{variable}=~"${variable}""#)) {
                faults.push(format!("{panel}: {{{selector}}} does not follow the variable {variable}"));
            }
        }
    }
    // Each name stands before a brace, so that none escapes the check above.
    for name in target.expr.split("maitred_").skip(1) {
        if !name.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_').starts_with('{') {
            faults.push(format!("{panel}: a selector without variables in {}", target.expr));
        }
    }
}

fn place(panel: &Value) -> (u64, u64, u64, u64) {
    let at = |key: &str| {
        panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{} has no {key}", panel["title"]))
    };
    (at("x"), at("y"), at("w"), at("h"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
