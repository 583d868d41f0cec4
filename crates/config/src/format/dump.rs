//! The configuration as JSON with the canonical names of keys, and without secrets.

use serde_json::{Map, Value as Json};

use crate::text::{Node, Value, is_secret};

use super::decode::find;
use super::{Decode, Mosn, Shape};

/// What stands where a secret was.
const REDACTED: &str = "***REDACTED***";

/// The whole configuration, with canonical keys, as written otherwise.
pub(crate) fn dump(root: &Node) -> Json {
    value(root, Some(Mosn::shape()), None, None)
}

fn value(node: &Node, shape: Option<Shape>, kind: Option<&str>, parent: Option<&str>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::String(text) => Json::String(text.as_ref().to_owned()),
        Value::Array(items) => {
            let of_items = match shape {
                Some(Shape::List(item)) => Some(item()),
                _ => None,
            };
            items.iter().map(|item| value(item, of_items, None, parent)).collect()
        }
        Value::Object(_) => object(node, shape, kind, parent),
    }
}

fn object(node: &Node, shape: Option<Shape>, kind: Option<&str>, parent: Option<&str>) -> Json {
    let table = match shape {
        Some(Shape::Object(table)) => Some(table),
        Some(Shape::ByType(tables)) => {
            tables.iter().find(|(name, _)| Some(*name) == kind).map(|(_, table)| *table)
        }
        _ => None,
    };
    let each = match shape {
        Some(Shape::Map(of)) => Some(of()),
        _ => None,
    };
    let kind = node.member("type").and_then(|member| member.value.as_str());
    let mut map = Map::new();
    for member in node.members() {
        let key = table.and_then(|table| find(table, &member.key));
        let name = key.map_or(&*member.key, |key| key.name);
        let shape = key.map_or(each, |key| Some((key.shape)()));
        let shown = if is_secret(parent, name) && member.value.says_something() {
            Json::String(REDACTED.to_owned())
        } else {
            value(&member.value, shape, kind, Some(name))
        };
        map.insert(name.to_owned(), shown);
    }
    Json::Object(map)
}
