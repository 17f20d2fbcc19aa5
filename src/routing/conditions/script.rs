//! The way out: an expression in CEL, for what the typed tests can't say.
//!
//! Of CEL there is what compares: `== != < <= > >= && || ! + - * / % in ? :`, `size`, `contains`, `startsWith`, `endsWith`, `int`,
//! `double`, `string`, `bool`, lists, and `all`, `exists`, `exists_one`, `map` and `filter`, not within one another. Names with a
//! meaning of their own stand as they are (`page.url`), custom variables behind `custom.` (`custom.cart_value`); an unknown name is an
//! error when the configuration is loaded. All are text, empty if nothing is known, but `tag` and `page.tags`, which are lists of
//! text, and `now` and `priority`, which are whole numbers. What fails on what is known (`int('')`) counts as a no.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, IdedExpr, Program, Value,
    common::{
        ast::{EntryExpr, Expr, LiteralValue},
        types::{CelInt, CelString},
        value::Val,
    },
};
use smol_str::SmolStr;

use super::{Fault, Known, is_set, name_fault, well_known};

/// Longest expression, in bytes: with one loop at a time, what bounds how long it may take.
const TEXT_MAX: usize = 2_048;

/// Operators and brackets in one expression.
const OPERATORS_MAX: usize = 128;

/// How deep brackets, and signs before one another, may stand. The parser goes as deep as the text does, and a stack that is
/// used up can't be caught.
const DEPTH_MAX: usize = 12;

/// Before the name of a custom variable.
const CUSTOM: &str = "custom";

/// Names that are whole numbers.
const NUMBERS: [&str; 2] = ["now", "priority"];

/// Functions that may be called, operators aside.
const FUNCTIONS: [&str; 9] =
    ["bool", "contains", "double", "endsWith", "exists", "int", "size", "startsWith", "string"];

/// It could not be told: evaluating failed, or led to no yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// An expression, compiled, with the names that it asks for.
#[derive(Clone)]
pub(super) struct Script(Arc<Compiled>);

struct Compiled {
    text: String,
    program: Program,
    /// As CEL calls it, and what it means.
    names: Vec<(String, SmolStr)>,
}

/// The standard functions, the same for every expression.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Script {
    pub(super) fn compile(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() || text.len() > TEXT_MAX {
            let expected = format!("an expression of 1 to {TEXT_MAX} bytes");
            return Err(Fault::new("has the wrong length", expected, ""));
        }
        bounded(text)?;
        // The parser is not ours: whatever it falls over is the operator's to mend.
        let parsed = catch_unwind(AssertUnwindSafe(|| STANDARD.compile(text)));
        let program = match parsed {
            Ok(Ok(program)) => program,
            Ok(Err(errors)) => return Err(syntax(text, &errors)),
            Err(_) => return Err(Fault::new("can't be read as CEL", "an expression in CEL", "")),
        };
        let mut check = Check { program: &program, text, names: BTreeSet::new(), local: Vec::new() };
        check.node(program.expression())?;
        check.yes_or_no(program.expression())?;
        let names = check.names.into_iter().map(|name| (name.clone(), meaning(&name))).collect();
        Ok(Self(Arc::new(Compiled { text: text.to_owned(), program, names })))
    }

    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &SmolStr> {
        self.0.names.iter().map(|(_, name)| name)
    }

    pub(super) fn holds(&self, known: &dyn Known) -> Result<bool, Failed> {
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&STANDARD));
            for (called, name) in &self.0.names {
                context.add_variable_as_val(called.as_str(), value(known, name));
            }
            self.0.program.execute(&context)
        }));
        match evaluated {
            Ok(Ok(Value::Bool(holds))) => Ok(holds),
            _ => Err(Failed),
        }
    }
}

/// What a name of CEL's means to what is known.
fn meaning(name: &str) -> SmolStr {
    let custom = name.strip_prefix(CUSTOM).and_then(|rest| rest.strip_prefix('.'));
    SmolStr::new(custom.unwrap_or(name))
}

fn value(known: &dyn Known, name: &str) -> Box<dyn Val> {
    let text = known.get(name).unwrap_or_default();
    if is_set(name) {
        let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
        let values: Vec<Box<dyn Val>> =
            values.map(|value| -> Box<dyn Val> { Box::new(CelString::from(value.to_owned())) }).collect();
        return Box::new(cel::common::types::CelList::from(values));
    }
    if NUMBERS.contains(&name)
        && let Ok(number) = text.parse::<i64>()
    {
        return Box::new(CelInt::from(number));
    }
    Box::new(CelString::from(text.into_owned()))
}

/// Refuses what would take the parser too deep, before it sees it. Quoted text counts for nothing.
fn bounded(text: &str) -> Result<(), Fault> {
    let (mut quote, mut raw, mut escaped) = (None, false, false);
    let (mut depth, mut signs, mut operators, mut before) = (0_usize, 0, 0, ' ');
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' && !raw => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => {
                signs = if matches!(c, '!' | '-') {
                    signs + 1
                } else if c.is_whitespace() {
                    signs
                } else {
                    0
                };
                operators +=
                    usize::from(c.is_ascii_punctuation() && !matches!(c, '_' | '.' | ',' | '\'' | '"'));
                match c {
                    '\'' | '"' => (quote, raw) = (Some(c), matches!(before, 'r' | 'R')),
                    '(' | '[' | '{' | '?' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
        before = c;
        if depth > DEPTH_MAX || signs > DEPTH_MAX || operators > OPERATORS_MAX {
            let expected = format!("at most {OPERATORS_MAX} operators, {DEPTH_MAX} deep");
            let mut fault =
                Fault::new("is too much for one expression", expected, "make several rules of it");
            fault.at = Some(at..at + c.len_utf8());
            return Err(fault);
        }
    }
    Ok(())
}

fn syntax(text: &str, errors: &cel::ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else {
        return Fault::new("can't be read as CEL", "an expression in CEL", "");
    };
    let mut fault = Fault::new(format!("is not CEL: {}", first.msg), "an expression in CEL", "");
    let (line, column) = (usize::try_from(first.pos.0).ok(), usize::try_from(first.pos.1).ok());
    fault.at = line.zip(column).and_then(|(line, column)| {
        let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
        let at = before + column.saturating_sub(1);
        (at < text.len()).then_some(at..at + 1)
    });
    fault
}

/// Goes through an expression before it is ever used.
struct Check<'a> {
    program: &'a Program,
    text: &'a str,
    names: BTreeSet<String>,
    /// Names that a loop brings.
    local: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn fault(&self, node: &IdedExpr, message: String, expected: &str, help: &str) -> Fault {
        let mut fault = Fault::new(message, expected, help);
        let span = self.program.source_info().offset_for(node.id);
        fault.at = span.and_then(|(start, stop)| {
            let (start, stop) = (usize::try_from(start).ok()?, usize::try_from(stop).ok()? + 1);
            (start < stop && stop <= self.text.len()).then_some(start..stop)
        });
        fault
    }

    fn node(&mut self, node: &'a IdedExpr) -> Result<(), Fault> {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(_) | Expr::Select(_) => self.name(node),
            Expr::Call(call) => {
                self.function(node, &call.func_name)?;
                call.target.iter().try_for_each(|target| self.node(target))?;
                call.args.iter().try_for_each(|arg| self.node(arg))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.node(element)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.node(&entry.key)?;
                    self.node(&entry.value)
                }
                EntryExpr::StructField(field) => self.node(&field.value),
            }),
            Expr::Comprehension(comp) => {
                if !self.local.is_empty() {
                    let message = "a loop within a loop".to_owned();
                    return Err(self.fault(node, message, "one loop at a time", "make two rules of it"));
                }
                self.node(&comp.iter_range)?;
                self.local.extend([comp.iter_var.as_str(), comp.accu_var.as_str()]);
                self.local.extend(comp.iter_var2.as_deref());
                let parts = [&comp.accu_init, &comp.loop_cond, &comp.loop_step, &comp.result];
                let checked = parts.into_iter().try_for_each(|part| self.node(part));
                self.local.clear();
                checked
            }
            Expr::Struct(_) => {
                let message = "values with fields can't be made here".to_owned();
                Err(self.fault(node, message, "text, numbers and lists", ""))
            }
        }
    }

    fn function(&self, node: &IdedExpr, name: &str) -> Result<(), Fault> {
        let operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        if operator || FUNCTIONS.contains(&name) {
            return Ok(());
        }
        let help = match name {
            "matches" => "the test `regex` does this, and its pattern is read only once",
            "has" => "compare the name with '': what is not known is empty",
            _ => "",
        };
        let message = format!("there is no function `{name}` here");
        Err(self.fault(node, message, &FUNCTIONS.join(", "), help))
    }

    fn name(&mut self, node: &'a IdedExpr) -> Result<(), Fault> {
        let mut segments = Vec::new();
        let mut inner = node;
        let root = loop {
            match &inner.expr {
                Expr::Ident(name) => break name.as_str(),
                Expr::Select(select) if select.test => {
                    let help = "compare the name with '': what is not known is empty";
                    return Err(self.fault(node, "there is no `has` here".to_owned(), "a comparison", help));
                }
                Expr::Select(select) => {
                    segments.push(select.field.as_str());
                    inner = &select.operand;
                }
                _ => {
                    let message = "only names have parts".to_owned();
                    return Err(self.fault(node, message, "a name", "text, numbers and lists have none"));
                }
            }
        };
        if self.local.contains(&root) {
            let message = format!("`{root}` has no parts");
            return if segments.is_empty() { Ok(()) } else { Err(self.fault(node, message, "", "")) };
        }
        segments.push(root);
        segments.reverse();
        let name = segments.join(".");
        let known = match segments.as_slice() {
            [CUSTOM, rest @ ..] => !rest.is_empty() && name_fault(&rest.join(".")).is_none(),
            _ => well_known(&name),
        };
        if !known {
            let help = "custom variables stand behind `custom.`: `custom.cart_value`";
            return Err(self.fault(
                inner,
                format!("there is no name `{name}`"),
                "a name that is known",
                help,
            ));
        }
        self.names.insert(name);
        Ok(())
    }

    /// Refuses what plainly leads to something else.
    fn yes_or_no(&self, node: &IdedExpr) -> Result<(), Fault> {
        const TELLING: [&str; 12] =
            ["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "contains", "bool"];
        let tells = match &node.expr {
            Expr::Call(call) if call.func_name == "_?_:_" => {
                return call.args.iter().skip(1).try_for_each(|arg| self.yes_or_no(arg));
            }
            Expr::Call(call) => {
                TELLING.contains(&call.func_name.as_str())
                    || call.func_name == "startsWith"
                    || call.func_name == "endsWith"
            }
            Expr::Literal(LiteralValue::Boolean(_)) | Expr::Comprehension(_) => true,
            _ => false,
        };
        if tells {
            return Ok(());
        }
        Err(self.fault(node, "says neither yes nor no".to_owned(), "a comparison", ""))
    }
}
