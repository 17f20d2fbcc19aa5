//! Sets of values under one name, so that a file can start from the way of working of a product. They are data: nothing in
//! the program asks which one was taken.

use std::mem;

use super::{
    tree::{Entry, Kind, Table, Value},
    values::{Rule, Wrong, refuse},
};

/// The presets that the program carries, by name: each a layer between the built-in default and the operator's file.
pub const PRESETS: [(&str, &str); 5] = [
    ("adobe", include_str!("../../config/presets/adobe.toml")),
    ("botnation", include_str!("../../config/presets/botnation.toml")),
    ("brevo", include_str!("../../config/presets/brevo.toml")),
    ("respond-io", include_str!("../../config/presets/respond-io.toml")),
    ("zendesk", include_str!("../../config/presets/zendesk.toml")),
];

/// The name of one of [`PRESETS`].
pub(super) struct Named;

impl Rule for Named {
    type Out = String;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<String> {
        match value.text().filter(|name| text(name).is_some()) {
            Some(name) => Some(name.to_owned()),
            None => refuse(value, "is not a preset", self.expected(), "", wrongs),
        }
    }

    fn write(&self, name: &String) -> Option<toml::Value> {
        Some(name.as_str().into())
    }

    fn expected(&self) -> String {
        format!("one of {}", PRESETS.map(|(name, _)| name).join(", "))
    }
}

/// The layer that these layers ask for, the uppermost counting: what messages call it, and its text.
pub(super) fn asked<'t>(layers: impl IntoIterator<Item = &'t Table>) -> Option<(String, &'static str)> {
    let name = layers.into_iter().filter_map(|layer| layer.text("preset")).last()?;
    Some((format!("config/presets/{name}.toml (built in)"), text(name)?))
}

/// Gives the file's workspaces the sections of the preset's one, such as `[workspace.picker]`, below their own. Its groups and
/// whatever else is a list name what only an example has, and stay behind.
pub(super) fn lend(preset: &Table, file: &mut Table) {
    let Some((_, example)) = preset.tables("workspace").next() else { return };
    let Some(Entry { value: Value { kind: Kind::List(workspaces), .. }, .. }) =
        file.entries.get_mut("workspace")
    else {
        return;
    };
    for workspace in workspaces {
        let Kind::Table(workspace) = &mut workspace.kind else { continue };
        let sections = example.entries.iter().filter(|(_, entry)| matches!(entry.value.kind, Kind::Table(_)));
        let mut lent = Table { entries: sections.map(|(key, entry)| (key.clone(), entry.clone())).collect() };
        lent.overlay(mem::take(workspace));
        *workspace = lent;
    }
}

fn text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
