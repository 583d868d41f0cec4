//! The configuration's JSON Schema and reference page, kept in `docs/`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::root;

/// Writes both files.
pub(crate) fn write() -> Result<()> {
    for (path, text) in pages()? {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Fails where a file differs from what the code says.
pub(crate) fn check() -> Result<()> {
    println!("+ cargo xtask schema --check");
    for (path, text) in pages()? {
        let committed = std::fs::read_to_string(&path);
        if committed.with_context(|| format!("cannot read {}", path.display()))? != text {
            bail!("{} is out of date: run `cargo xtask schema` and commit it", path.display());
        }
    }
    Ok(())
}

fn pages() -> Result<[(PathBuf, String); 2]> {
    let schema = serde_json::to_string_pretty(&rosn_config::schema())? + "\n";
    let docs = root().join("docs");
    Ok([(docs.join("schema.json"), schema), (docs.join("reference.md"), rosn_config::reference())])
}
