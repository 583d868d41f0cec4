//! Included directories: `router_configs` with virtual hosts, `clusters_configs` with clusters.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::context::Context;
use crate::diagnostic::Fault;
use crate::text::{Member, Node, Value};

/// Puts what is included into its place. False where a file of it could not be parsed.
pub(super) fn expand(main: u32, context: &mut Context<'_>) -> bool {
    let Some(mut root) = context.sources.at(main).root.clone() else { return true };
    let mut whole = true;
    for (path, server) in each(&mut root, "servers", "") {
        for (path, router) in each(server, "routers", &path) {
            whole &= include(router, &path, ROUTER, context);
        }
        for (path, listener) in each(server, "listeners", &path) {
            whole &= expand_listener(listener, &path, context);
        }
    }
    if let Some(manager) = child(&mut root, "cluster_manager") {
        whole &= include(manager, "cluster_manager", CLUSTERS, context);
    }
    context.sources.at_mut(main).root = Some(root);
    whole
}

/// The old way: a router inside the filter `connection_manager`.
fn expand_listener(listener: &mut Node, path: &str, context: &mut Context<'_>) -> bool {
    let mut whole = true;
    for (path, chain) in each(listener, "filter_chains", path) {
        for (path, filter) in each(chain, "filters", &path) {
            let kind = filter.member("type").and_then(|member| member.value.as_str());
            if kind != Some("connection_manager") {
                continue;
            }
            if let Some(config) = child(filter, "config") {
                whole &= include(config, &format!("{path}.config"), ROUTER, context);
            }
        }
    }
    whole
}

/// The key of a directory, and the key that its files stand for.
type Keys = (&'static str, &'static str);
const ROUTER: Keys = ("router_configs", "virtual_hosts");
const CLUSTERS: Keys = ("clusters_configs", "clusters");

/// Reads the directory that `node` names, if it names one.
fn include(node: &mut Node, path: &str, keys: Keys, context: &mut Context<'_>) -> bool {
    let (directory_key, list_key) = keys;
    let Some(member) = node.member(directory_key).cloned() else { return true };
    let Some(directory) = member.value.as_str().filter(|directory| !directory.is_empty()) else {
        return true;
    };
    if node.member(list_key).is_some_and(|list| list.value.says_something()) {
        let message = format!("`{directory_key}` and `{list_key}` exclude each other");
        let fault = Fault::error(member.key_span, "both-given", message);
        context.add(
            fault.help(format!("remove one of them; `{directory_key}` is a directory of files")),
        );
        return true;
    }
    let place = context.file(directory);
    context.read.push(place.clone());
    let files = match json_files(&place) {
        Ok(files) => files,
        Err(error) => {
            let message = format!("the directory cannot be read: {error}");
            context.add(Fault::error(member.value.span, "include-unreadable", message));
            return false;
        }
    };
    if files.is_empty() {
        let message = "the directory has no `*.json` files";
        context.add(Fault::warning(member.value.span, "include-empty", message));
    }
    let mut items = Vec::with_capacity(files.len());
    let mut whole = true;
    for file in files {
        let mount = format!("{path}.{list_key}[{}]", items.len());
        let added = super::add_file(&file, file.display().to_string(), mount, context);
        whole &= added.reliable;
        items.extend(context.sources.at(added.source).root.clone().filter(|_| added.reliable));
    }
    let value = Node { span: member.value.span, value: Value::Array(items.into()) };
    let list = Member { key: list_key.into(), key_span: member.key_span, value };
    if let Value::Object(members) = &mut node.value {
        *members = members.iter().cloned().chain([list]).collect();
    }
    whole
}

/// The `*.json` files of a directory, by name.
fn json_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The value of a key.
fn child<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let Value::Object(members) = &mut node.value else { return None };
    let index = members.iter().rposition(|member| member.key.eq_ignore_ascii_case(key))?;
    Some(&mut Rc::make_mut(members)[index].value)
}

/// The elements of the array at a key, with their paths.
fn each<'n>(node: &'n mut Node, key: &str, path: &str) -> Vec<(String, &'n mut Node)> {
    let dot = if path.is_empty() { "" } else { "." };
    match child(node, key).map(|list| &mut list.value) {
        Some(Value::Array(items)) => Rc::make_mut(items)
            .iter_mut()
            .enumerate()
            .map(|(index, item)| (format!("{path}{dot}{key}[{index}]"), item))
            .collect(),
        _ => Vec::new(),
    }
}
