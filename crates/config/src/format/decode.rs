//! From trees to raw values, by the rules of Go's `encoding/json`.

use crate::context::Context;
use crate::diagnostic::{Fault, Severity};
use crate::text::{Member, Node, Value};

use super::{Field, Key, Shape, Status, Table};

/// A type of the format.
pub(crate) trait Decode: Sized {
    /// What its values look like.
    fn shape() -> Shape;

    /// Reads a value. Faults are reported; `None` where there is no value because of them.
    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self>;
}

impl<T: Decode> Field<T> {
    /// Reads the value of a key.
    pub(super) fn decode(node: &Node, context: &mut Context<'_>) -> Self {
        T::decode(node, context).map_or(Self::Faulty, |value| Self::Given(value, node.span))
    }
}

/// The members of an object by the names of a table, without those that are null. Reports unknown
/// keys, keys given twice and keys that have no effect.
pub(super) fn members(
    node: &Node,
    table: &'static Table,
    context: &mut Context<'_>,
) -> Option<Vec<(&'static str, Node)>> {
    let Value::Object(members) = &node.value else {
        context.add(wrong_type(node, "an object"));
        return None;
    };
    let mut known: Vec<(&'static Key, &Member)> = Vec::with_capacity(members.len());
    for member in members.iter() {
        let Some(key) = find(table, &member.key) else {
            unknown(member, table, context);
            continue;
        };
        // Null leaves the default, and a value given before.
        if matches!(member.value.value, Value::Null) {
            continue;
        }
        if let Some(earlier) = known.iter_mut().find(|(other, _)| std::ptr::eq(*other, key)) {
            let first = context.sources.place(earlier.1.key_span);
            let message = format!("`{}` is given twice; the last one counts", key.name);
            let fault = Fault::warning(member.key_span, "duplicate-key", message);
            context.add(fault.help(format!("first given at {first}")));
            earlier.1 = member;
        } else {
            known.push((key, member));
        }
    }
    for (key, member) in &known {
        announce(key, member, context);
    }
    Some(known.into_iter().map(|(key, member)| (key.name, member.value.clone())).collect())
}

/// The key of that name: the exact one, or else without regard to case.
pub(super) fn find(table: &'static Table, name: &str) -> Option<&'static Key> {
    let exact = table.keys.iter().find(|key| key.name == name);
    exact.or_else(|| table.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name)))
}

fn unknown(member: &Member, table: &'static Table, context: &mut Context<'_>) {
    // Editors find the schema by this key.
    if &*member.key == "$schema" {
        return;
    }
    let strict = context.options.strict || context.exact;
    let severity = if strict { Severity::Error } else { Severity::Warning };
    let names = table.keys.iter().map(|key| key.name).filter(|_| !context.report.is_full(severity));
    let near = crate::suggest::suggest(&member.key, names);
    let message = format!("unknown key `{}`", member.key);
    let fault = if strict {
        Fault::error(member.key_span, "unknown-key", message)
    } else {
        Fault::warning(member.key_span, "unknown-key", message + " is ignored")
    };
    context.add(match near {
        Some(name) => fault.help(format!("did you mean `{name}`?")),
        None => fault,
    });
}

/// Says so where a key that is given has no effect.
fn announce(key: &Key, member: &Member, context: &mut Context<'_>) {
    if !member.value.says_something() {
        return;
    }
    let span = member.key_span;
    context.add(match key.status {
        Status::Active | Status::Own | Status::Guarded(_) => return,
        Status::Later(what) => {
            Fault::notice(span, "not-yet-active", format!("not yet active: {what}"))
        }
        Status::Inert(why) => {
            Fault::notice(span, "no-effect", format!("`{}` has no effect: {why}", key.name))
        }
        Status::Go(instead) => {
            let message = format!("`{}` needs a proxy written in Go and is not run", key.name);
            Fault::notice(span, "go-only", message).help(instead)
        }
    });
}

/// The report of a value of the wrong type.
pub(super) fn wrong_type(node: &Node, expected: &str) -> Fault {
    Fault::error(node.span, "wrong-type", format!("expected {expected}, found {}", node.kind()))
}
