//! How long files and functions are: values to steer by, not a gate.

use anyhow::Result;

use crate::rust_source;
use crate::workspace::{Workspace, root};

/// Prints the median and the longest.
pub(crate) fn run() -> Result<()> {
    let (mut files, mut functions) = (Vec::new(), Vec::new());
    for package in Workspace::read()?.packages {
        for path in package.sources()? {
            let source = std::fs::read_to_string(&path)?;
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            files.push((source.lines().count(), name.clone()));
            let code = rust_source::without_comments_and_texts(&source);
            functions.extend(
                function_lengths(&code).map(|(line, length)| (length, format!("{name}:{line}"))),
            );
        }
    }
    print("files", files);
    print("functions", functions);
    Ok(())
}

fn print(what: &str, mut lengths: Vec<(usize, String)>) {
    lengths.sort();
    let median = lengths.get(lengths.len() / 2).map_or(0, |(length, _)| *length);
    println!("{} {what}, median {median} lines; the longest:", lengths.len());
    for (length, name) in lengths.iter().rev().take(8) {
        println!("  {length:5} {name}");
    }
}

/// The first line and the number of lines of each function with a body, in code laid out by rustfmt.
fn function_lengths(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if !rust_source::words(line).take_while(|word| *word != "struct").any(|word| word == "fn") {
            continue;
        }
        // rustfmt closes a body at the indentation of its first line
        let ends = |line: &&str| {
            line.len() > indent
                && line[indent..].starts_with('}')
                && line[..indent].trim().is_empty()
        };
        if line.trim_end().ends_with(['}', ';', ',']) {
            continue;
        }
        let Some(length) = lines[start + 1..].iter().position(ends) else { continue };
        // a trait's method without a body, over several lines
        let declares = |line: &&str| {
            line.len() > indent && line[indent..].starts_with(')') && line.ends_with(';')
        };
        if !lines[start + 1..][..length].iter().any(declares) {
            found.push((start + 1, length + 2));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let code = "fn a() {\n    b();\n}\n\nimpl C {\n    fn d(\n        e: F,\n    ) {\n        g();\n    }\n}\n";
        assert_eq!(function_lengths(code).collect::<Vec<_>>(), [(1, 3), (6, 5)]);
        let code = "trait A {\n    fn b(\n        c: D,\n    ) -> E;\n\n    fn f() {\n        g();\n    }\n}\n";
        assert_eq!(function_lengths(code).collect::<Vec<_>>(), [(6, 3)]);
    }
}
