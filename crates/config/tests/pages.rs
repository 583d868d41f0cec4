//! The configuration's JSON Schema and reference page, kept in `docs/`.

use std::path::Path;

/// They are what the code says. `cargo xtask schema` has this write them.
#[test]
fn the_pages_in_docs_are_what_the_code_says() {
    let schema = serde_json::to_string_pretty(&rosn_config::schema()).unwrap() + "\n";
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, text) in [("schema.json", schema), ("reference.md", rosn_config::reference())] {
        let path = docs.join(name);
        if std::env::var_os("ROSN_WRITE_PAGES").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(committed == text, "docs/{name} is out of date: `cargo xtask schema` writes it");
    }
}
