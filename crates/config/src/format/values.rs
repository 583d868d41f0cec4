//! Single values, lists and maps.

mod duration;

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use crate::context::Context;
use crate::diagnostic::Fault;
use crate::text::{Node, Span, Value};

use super::decode::wrong_type;
use super::{Decode, Leaf, Shape};

/// A value with its place, for elements of lists.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T: Decode> Decode for Spanned<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        T::decode(node, context).map(|value| Self { value, span: node.span })
    }
}

impl Decode for String {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf { name: "string", schema: || json!({ "type": "string" }) })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::String(text) => Some(text.as_ref().to_owned()),
            // As MOSN's YAML library: what is meant to be a text need not be quoted.
            Value::Number(_) | Value::Bool(_) if context.sources.is_yaml(node.span) => {
                Some(context.sources.text(node.span).trim().to_owned())
            }
            _ => {
                context.add(wrong_type(node, "a string"));
                None
            }
        }
    }
}

impl Decode for bool {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf { name: "bool", schema: || json!({ "type": "boolean" }) })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let fault = match &node.value {
            Value::Bool(value) => return Some(*value),
            Value::String(text) => {
                // As MOSN's YAML library, which is of YAML 1.1.
                let yaml = context.sources.is_yaml(node.span);
                match text.to_ascii_lowercase().as_str() {
                    "y" | "yes" | "on" if yaml => return Some(true),
                    "n" | "no" | "off" if yaml => return Some(false),
                    "true" | "false" => wrong_type(node, "true or false").help("remove the quotes"),
                    _ => wrong_type(node, "true or false"),
                }
            }
            _ => wrong_type(node, "true or false"),
        };
        context.add(fault);
        None
    }
}

macro_rules! integers {
    ($($type:ty),+) => { $(
        impl Decode for $type {
            fn shape() -> Shape {
                Shape::Leaf(&Leaf {
                    name: "integer",
                    schema: || json!({ "type": "integer", "minimum": Self::MIN, "maximum": Self::MAX }),
                })
            }

            fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
                let range = format!("an integer from {} to {}", Self::MIN, Self::MAX);
                let fault = match &node.value {
                    Value::Number(number) => {
                        let value = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
                        match value.and_then(|value| Self::try_from(value).ok()) {
                            Some(value) => return Some(value),
                            None => Fault::error(node.span, "out-of-range", format!("expected {range}")),
                        }
                    }
                    Value::String(text) if text.parse::<Self>().is_ok() => {
                        wrong_type(node, &range).help("remove the quotes")
                    }
                    _ => wrong_type(node, &range),
                };
                context.add(fault);
                None
            }
        }
    )+ };
}

integers!(u16, u32, u64, i64);

impl Decode for f64 {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf { name: "number", schema: || json!({ "type": "number" }) })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Number(number) => number.as_f64(),
            _ => None,
        };
        if number.is_none() {
            context.add(wrong_type(node, "a number"));
        }
        number
    }
}

impl Decode for Duration {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf {
            name: "duration",
            schema: || json!({ "anyOf": [{ "type": "string", "pattern": duration::PATTERN }, { "const": 0 }] }),
        })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let expected = "a duration such as \"15s\"";
        let fault = match &node.value {
            Value::String(text) => match duration::parse(text) {
                Ok(duration) => return Some(duration),
                Err(error) => Fault::error(node.span, "bad-duration", error.to_string()),
            },
            Value::Number(number) if number.as_f64() == Some(0.0) => return Some(Self::ZERO),
            Value::Number(number) => {
                let fault = Fault::error(node.span, "bad-duration", "a duration needs a unit");
                fault.help(format!("write it as a string, such as \"{number}s\""))
            }
            _ => wrong_type(node, expected),
        };
        context.add(fault);
        None
    }
}

/// A duration that MOSN holds as a plain number of nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nanoseconds(pub(crate) Duration);

impl Decode for Nanoseconds {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf {
            name: "duration or nanoseconds",
            schema: || {
                let text = json!({ "type": "string", "pattern": duration::PATTERN });
                json!({ "anyOf": [text, { "type": "integer", "minimum": 0 }] })
            },
        })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::String(_) => Duration::decode(node, context).map(Self),
            _ => u64::decode(node, context)
                .map(|nanoseconds| Self(Duration::from_nanos(nanoseconds))),
        }
    }
}

/// A port, which may stand in quotes though MOSN refuses that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(pub(crate) u16);

impl Decode for Port {
    fn shape() -> Shape {
        u16::shape()
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        if let Some(port) = node.as_str().and_then(|text| text.parse().ok()) {
            let message = "a port is a number, without quotes; MOSN refuses this";
            context
                .add(Fault::warning(node.span, "quoted-number", message).help("remove the quotes"));
            return Some(Self(port));
        }
        u16::decode(node, context).map(Self)
    }
}

/// Ports as a text such as `80`, `80-90` or `80,443`, or one as a number.
#[derive(Debug, Clone)]
pub(crate) struct Ports(pub(crate) String);

impl Decode for Ports {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf { name: "ports", schema: || json!({ "type": ["string", "integer"] }) })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::Number(number) => Some(Self(number.to_string())),
            _ => String::decode(node, context).map(Self),
        }
    }
}

/// The number of workers; `None` for `"auto"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor(pub(crate) Option<NonZeroUsize>);

/// More workers than any machine has cores for are a slip of the pen.
const MAX_WORKERS: u64 = 1024;

impl Decode for Processor {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf {
            name: "integer or \"auto\"",
            schema: || {
                let number = json!({ "type": "integer", "minimum": 0, "maximum": MAX_WORKERS });
                json!({ "anyOf": [number, { "type": "string", "pattern": "^(auto|[0-9]+)?$" }] })
            },
        })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.is_empty() || text.eq_ignore_ascii_case("auto") => Some(0),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number| *number <= MAX_WORKERS) {
            Some(number) => Some(Self(NonZeroUsize::new(usize::try_from(number).unwrap_or(0)))),
            None => {
                let expected =
                    format!("expected the number of workers, up to {MAX_WORKERS}, or \"auto\"");
                context.add(Fault::error(node.span, "out-of-range", expected));
                None
            }
        }
    }
}

/// A value that is looked at later, or never.
#[derive(Debug, Clone)]
pub(crate) struct Free(pub(crate) Node);

impl Decode for Free {
    fn shape() -> Shape {
        Shape::Any
    }

    fn decode(node: &Node, _: &mut Context<'_>) -> Option<Self> {
        Some(Self(node.clone()))
    }
}

/// A text, or several.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneOrMany(pub(crate) Vec<Spanned<String>>);

impl Decode for OneOrMany {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf {
            name: "string or array of string",
            schema: || {
                let text = json!({ "type": "string" });
                json!({ "anyOf": [text, { "type": "array", "items": text }] })
            },
        })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(_) => Vec::decode(node, context).map(Self),
            _ => Spanned::decode(node, context).map(|one| Self(vec![one])),
        }
    }
}

/// An object in which unknown keys are errors, whatever the caller wants.
#[derive(Debug, Clone)]
pub(crate) struct Exact<T>(pub(crate) T);

impl<T: Decode> Decode for Exact<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let before = std::mem::replace(&mut context.exact, true);
        let value = T::decode(node, context);
        context.exact = before;
        value.map(Self)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn shape() -> Shape {
        Shape::List(T::shape)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            context.add(wrong_type(node, "an array"));
            return None;
        };
        let mut all = Some(Self::with_capacity(items.len()));
        for item in items.iter() {
            // Null is the zero value in Go, of which nothing sensible comes in a list.
            match T::decode(item, context) {
                Some(value) => {
                    if let Some(all) = &mut all {
                        all.push(value);
                    }
                }
                None => all = None,
            }
        }
        all
    }
}

/// An object with keys of the user's own.
#[derive(Debug, Clone)]
pub(crate) struct Map<T>(pub(crate) Vec<(Rc<str>, Span, T)>);

impl<T: Decode> Decode for Map<T> {
    fn shape() -> Shape {
        Shape::Map(T::shape)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let Value::Object(members) = &node.value else {
            context.add(wrong_type(node, "an object"));
            return None;
        };
        let mut all: Vec<(Rc<str>, Span, T)> = Vec::with_capacity(members.len());
        let mut places = std::collections::HashMap::with_capacity(members.len());
        let mut whole = true;
        for member in members.iter().filter(|member| !matches!(member.value.value, Value::Null)) {
            let Some(value) = T::decode(&member.value, context) else {
                whole = false;
                continue;
            };
            let entry = (member.key.clone(), member.key_span, value);
            match places.get(&member.key) {
                Some(&place) => {
                    let message = format!("`{}` is given twice; the last one counts", member.key);
                    context.add(Fault::warning(member.key_span, "duplicate-key", message));
                    all[place] = entry;
                }
                None => {
                    places.insert(member.key.clone(), all.len());
                    all.push(entry);
                }
            }
        }
        whole.then_some(Self(all))
    }
}
