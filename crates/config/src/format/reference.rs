//! The tables as a page for people.

use super::schema::one_line;
use super::{Decode, Mosn, Shape, Status, Table};

/// The format as a page of Markdown: a section for each object, a row for each key.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         Generated from the tables in `crates/config/src/format`; do not edit.\n\n\
         Keys are matched without regard to case. Durations are written as in Go: `300ms`, `15s`, `1m30s`, `1.5h`.\n",
    );
    let mut tables = Vec::new();
    collect(Mosn::shape(), &mut tables);
    for table in tables {
        section(table, &mut page);
    }
    page
}

/// The tables in the order in which a reader meets them.
fn collect(shape: Shape, tables: &mut Vec<&'static Table>) {
    match shape {
        Shape::List(item) | Shape::Map(item) => collect(item(), tables),
        Shape::Object(table) => collect_table(table, tables),
        Shape::ByType(all) => all.iter().for_each(|(_, table)| collect_table(table, tables)),
        Shape::Leaf(_) | Shape::Choice(_) | Shape::Any => {}
    }
}

fn collect_table(table: &'static Table, tables: &mut Vec<&'static Table>) {
    if tables.iter().any(|known| known.name == table.name) {
        return;
    }
    tables.push(table);
    table.keys.iter().for_each(|key| collect((key.shape)(), tables));
}

fn section(table: &Table, page: &mut String) {
    page.push_str(&format!("\n## {}\n\n{}\n", table.name, one_line(table.doc)));
    if table.keys.is_empty() {
        return;
    }
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys {
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let meaning = one_line(key.doc).replace('|', "\\|") + &note(key.status);
        let kind = kind((key.shape)());
        page.push_str(&format!("| `{}` | {kind} | {default} | {meaning} |\n", key.name));
    }
}

fn kind(shape: Shape) -> String {
    match shape {
        Shape::Leaf(leaf) => leaf.name.to_owned(),
        Shape::Choice(_) => "string".to_owned(),
        Shape::List(item) => format!("array of {}", kind(item())),
        Shape::Map(value) => format!("object of {}", kind(value())),
        Shape::Object(table) => format!("[{0}](#{1})", table.name, table.name.to_lowercase()),
        Shape::ByType(_) => "object, by `type`".to_owned(),
        Shape::Any => "any".to_owned(),
    }
}

fn note(status: Status) -> String {
    match status {
        Status::Active => String::new(),
        Status::Own => " *A key of rosn's.*".to_owned(),
        Status::Later(what) | Status::Guarded(what) => format!(" *Not yet active ({what}).*"),
        Status::Inert(why) => format!(" *No effect: {why}.*"),
        Status::Go(instead) => format!(" *Needs a proxy written in Go; {instead}.*"),
    }
}
