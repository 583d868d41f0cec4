//! The tables as JSON Schema.

use serde_json::{Map, Value, json};

use super::{Decode, Mosn, Shape, Status, Table};

/// The format as a JSON Schema (draft 2020-12), for editors.
///
/// It says what a key may hold; that names resolve, and the like, is for [`load`](crate::load) to check. Keys are
/// matched as they are written here, although the loader takes them without regard to case.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let root = of_shape(Mosn::shape(), &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rosn configuration",
        "$ref": root["$ref"],
        "$defs": definitions,
    })
}

fn of_shape(shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Leaf(leaf) => (leaf.schema)(),
        // Other texts may be allowed with a warning, so the list is a hint.
        Shape::Choice(choices) => json!({ "anyOf": [{ "enum": choices }, { "type": "string" }] }),
        Shape::List(item) => json!({ "type": "array", "items": of_shape(item(), definitions) }),
        Shape::Map(value) => {
            json!({ "type": "object", "additionalProperties": of_shape(value(), definitions) })
        }
        Shape::Object(table) => of_table(table, definitions),
        Shape::ByType(tables) => {
            let any: Vec<_> =
                tables.iter().map(|(_, table)| of_table(table, definitions)).collect();
            json!({ "type": "object", "anyOf": any })
        }
        Shape::Any => json!({}),
    }
}

fn of_table(table: &'static Table, definitions: &mut Map<String, Value>) -> Value {
    let reference = json!({ "$ref": format!("#/$defs/{}", table.name) });
    if definitions.contains_key(table.name) {
        return reference;
    }
    definitions.insert(table.name.to_owned(), Value::Null);
    let mut properties = Map::new();
    let mut by_type = Vec::new();
    for key in table.keys {
        let shape = (key.shape)();
        let mut property = match (shape, of_shape(shape, definitions)) {
            (Shape::ByType(tables), _) => {
                by_type.extend(conditions(key.name, tables));
                json!({ "type": "object" })
            }
            (_, property) => property,
        };
        if let Some(object) = property.as_object_mut() {
            object.insert("description".to_owned(), describe(key.doc, key.status).into());
            if !key.default.is_empty() {
                object.insert("x-default".to_owned(), key.default.into());
            }
        }
        properties.insert(key.name.to_owned(), property);
    }
    let mut definition = json!({
        "type": ["object", "null"],
        "description": one_line(table.doc),
        "properties": properties,
    });
    if !by_type.is_empty() {
        definition["allOf"] = by_type.into();
    }
    definitions.insert(table.name.to_owned(), definition);
    reference
}

/// "Where `type` is this, `config` is that."
fn conditions(key: &str, tables: &[(&'static str, &'static Table)]) -> Vec<Value> {
    let one = |(kind, table): &(&str, &Table)| {
        json!({
            "if": { "properties": { "type": { "const": kind } }, "required": ["type"] },
            "then": { "properties": { key: { "$ref": format!("#/$defs/{}", table.name) } } },
        })
    };
    tables.iter().map(one).collect()
}

fn describe(doc: &str, status: Status) -> String {
    let doc = one_line(doc);
    match status {
        Status::Active => doc,
        Status::Own => format!("{doc} (rosn only)"),
        Status::Later(_) | Status::Guarded(_) => format!("{doc} (not yet active)"),
        Status::Inert(why) => format!("{doc} (without effect: {why})"),
        Status::Go(_) => format!("{doc} (needs Go; not run)"),
    }
}

/// A doc comment as one line.
pub(super) fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
