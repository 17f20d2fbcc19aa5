//! Rule files, read as far as they are ours: a list of rules, each with a name and an `expr` on its line or in a block
//! below it. That they are valid YAML is for promtool to say.

/// One recording or alerting rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expr: String,
}

/// A rule file.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn read(text: &str) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        // The indentation of the `expr` key whose block the lines belong to.
        let mut block = None;
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            let content = line.trim();
            if let Some(outer) = block {
                if indent > outer && !content.is_empty() {
                    let rule = rules.last_mut().expect("a block has a rule");
                    rule.expr.push_str(content);
                    rule.expr.push('\n');
                    continue;
                }
                block = None;
            }
            let name = content.strip_prefix("- record: ").or_else(|| content.strip_prefix("- alert: "));
            if let Some(name) = name {
                rules.push(Rule { name: name.to_owned(), expr: String::new() });
            } else if let Some(expr) = content.strip_prefix("expr: ") {
                match expr {
                    "|" => block = Some(indent),
                    expr => expr.clone_into(&mut rules.last_mut().expect("an expr has a rule").expr),
                }
            }
        }
        assert!(!rules.is_empty() && rules.iter().all(|rule| !rule.expr.is_empty()), "not read: {rules:?}");
        Self(rules)
    }

    pub(crate) fn all(&self) -> &[Rule] {
        &self.0
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|rule| rule.name.as_str())
    }
}
