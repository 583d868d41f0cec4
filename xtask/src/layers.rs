//! Checks the architecture: who imports whom, who may know tokio, where `unsafe` may stand.

use anyhow::{Result, bail};

use crate::rust_source;
use crate::workspace::{Package, Workspace, root};

/// The crates from the bottom up. A crate may import those of lower tiers.
const TIERS: &[&[&str]] = &[
    &["rosn-base", "rosn-trace"],
    &["rosn-route", "rosn-config", "rosn-h1", "rosn-net", "rosn-tls"],
    &["rosn-cluster", "rosn-http", "rosn-telemetry", "rosn-transport"],
    &["rosn-proxy"],
    &["rosn-admin", "rosn-worker"],
    &["rosn-server"],
    &["rosn"],
];

/// What a crate may import besides, within its tier.
const WITHIN_A_TIER: &[(&str, &str)] =
    &[("rosn-route", "rosn-config"), ("rosn-tls", "rosn-net"), ("rosn-trace", "rosn-base")];

/// Not part of the product: these may import what they like, and nothing may import them.
const TOOLS: &[&str] = &["rosn-tests", "xtask"];

/// Pure code: bytes and values in, bytes and values out.
const WITHOUT_RUNTIME: &[&str] =
    &["rosn-base", "rosn-config", "rosn-h1", "rosn-route", "rosn-trace"];

/// The only crate that may hold `unsafe`.
const MAY_BE_UNSAFE: &str = "rosn-net";

/// Prints every fault, and fails where there is one.
pub(crate) fn run() -> Result<()> {
    println!("+ cargo xtask layers");
    let workspace = Workspace::read()?;
    let mut faults = Vec::new();
    for package in &workspace.packages {
        faults.extend(import_faults(&package.name, &package.dependencies));
        faults.extend(unsafe_faults(package)?);
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        bail!(
            "{} faults; the rules are in xtask/src/layers.rs and docs/ARCHITECTURE.md",
            faults.len()
        );
    }
    Ok(())
}

/// What `name` imports and may not.
fn import_faults(name: &str, dependencies: &[String]) -> Vec<String> {
    if TOOLS.contains(&name) {
        return Vec::new();
    }
    let Some(own) = tier(name) else {
        return vec![format!("{name} is not in the table of tiers: put it where it belongs")];
    };
    let mut faults = Vec::new();
    for dependency in dependencies.iter().map(String::as_str) {
        let allowed = WITHIN_A_TIER.contains(&(name, dependency));
        if tier(dependency).is_some_and(|other| other >= own) && !allowed {
            faults.push(format!("{name} imports {dependency}, which is not below it"));
        }
        if TOOLS.contains(&dependency) {
            faults.push(format!("{name} imports {dependency}, which is not part of the product"));
        }
        if dependency == "tokio" && WITHOUT_RUNTIME.contains(&name) {
            faults.push(format!("{name} imports tokio, but is to work without a runtime"));
        }
    }
    faults
}

fn tier(name: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&name))
}

/// Where `unsafe` stands that may not, and whether the lint that forbids it is on.
fn unsafe_faults(package: &Package) -> Result<Vec<String>> {
    if package.name == MAY_BE_UNSAFE {
        return Ok(Vec::new());
    }
    let mut faults = Vec::new();
    if !inherits_lints(&std::fs::read_to_string(&package.manifest)?) {
        faults.push(format!("{}: `[lints]` must say `workspace = true`", package.name));
    }
    for path in package.sources()? {
        let code = rust_source::without_comments_and_texts(&std::fs::read_to_string(&path)?);
        for (number, line) in code.lines().enumerate() {
            if rust_source::words(line).any(|word| word == "unsafe") {
                let path = path.strip_prefix(root()).unwrap_or(&path).display();
                faults
                    .push(format!("{path}:{}: `unsafe` belongs into {MAY_BE_UNSAFE}", number + 1));
            }
        }
    }
    Ok(faults)
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, dependencies: &[&str]) -> usize {
        import_faults(name, &dependencies.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
            .len()
    }

    #[test]
    fn imports_go_down() {
        assert_eq!(faults("rosn-proxy", &["rosn-h1", "rosn-cluster", "rosn-base", "tokio"]), 0);
        assert_eq!(faults("rosn-route", &["rosn-config"]), 0);
        assert_eq!(faults("rosn-config", &["rosn-route"]), 1, "only one way within a tier");
        assert_eq!(faults("rosn-worker", &["rosn-admin"]), 1);
        assert_eq!(faults("rosn-base", &["rosn-net"]), 1);
        assert_eq!(faults("rosn-server", &["rosn", "rosn-tests"]), 2);
        assert_eq!(faults("rosn-h1", &["tokio"]), 1);
        assert_eq!(faults("rosn-unheard-of", &[]), 1);
    }

    #[test]
    fn the_lints_table_is_found() {
        assert!(inherits_lints(
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n"
        ));
        assert!(!inherits_lints(
            "[package]\nworkspace = true\n[lints]\n[dependencies]\nworkspace = true\n"
        ));
        assert!(!inherits_lints("[package]\n"));
    }
}
