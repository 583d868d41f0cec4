//! Configurations of other programs as rosn's.
//!
//! What changes nothing is named as a notice; what cannot be converted is an error, and nothing comes out then.
//!
//! ```
//! let v2ray = r#"{
//!   "inbounds": [{ "listen": "127.0.0.1", "port": 1080, "protocol": "dokodemo-door",
//!                  "settings": { "address": "192.0.2.1", "port": 80 } }],
//!   "outbounds": [{ "protocol": "freedom", "streamSettings": { "network": "ws" } }]
//! }"#;
//! let converted = rosn_config::convert::v2ray("config.json", v2ray, None);
//! let text = converted.text.expect("all of it can be converted");
//! assert!(text.contains(r#""address": "127.0.0.1:1080""#));
//! ```

mod comments;
mod inbound;
mod outbound;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::context::Context;
use crate::diagnostic::{Diagnostics, Fault};
use crate::format::{Decode, Field, Free, V2ray, V2rayRouting};
use crate::text::{Format, Node, Span, Value};
use crate::{LoadOptions, load_text};

/// What came of a conversion.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The configuration as JSON, with its secrets; `None` where something cannot be converted.
    pub text: Option<String>,
    /// Everything that was found, with places in the text that was converted.
    pub diagnostics: Diagnostics,
}

/// Converts a configuration of v2ray's (v4 JSON, comments allowed): each `dokodemo-door` with one address for TCP
/// becomes a listener whose connections go through the first outbound, which must be `freedom`.
///
/// `name` stands for the text in diagnostics. `output` is the file that the result is going to be written to: its
/// process number and control socket are put beside it, so that several of them can run at a time.
pub fn v2ray(name: &str, text: &str, output: Option<&Path>) -> Converted {
    let options = LoadOptions::default();
    let (mut context, root) = crate::load::parse_text(name, &comments::blank(text), &options);
    let raw = root.and_then(|root| V2ray::decode(&root, &mut context));
    let converted = raw.map(|raw| configuration(&raw, output, &mut context));
    if context.report.has_errors() {
        return Converted { text: None, diagnostics: context.report.finish() };
    }
    let text = converted.map(|json| format!("{json:#}\n"));
    // What is wrong only with the whole, such as an address that is taken twice.
    let loaded = text
        .as_deref()
        .map(|text| load_text("<the converted configuration>", text, Format::Json, &options));
    match loaded {
        Some(loaded) if loaded.config.is_none() => {
            Converted { text: None, diagnostics: loaded.diagnostics }
        }
        _ => Converted { text, diagnostics: context.report.finish() },
    }
}

fn configuration(raw: &V2ray, output: Option<&Path>, context: &mut Context<'_>) -> Json {
    for (field, key) in [
        (&raw.inbound, "inbound"),
        (&raw.outbound, "outbound"),
        (&raw.inbound_detour, "inboundDetour"),
        (&raw.outbound_detour, "outboundDetour"),
        (&raw.transport, "transport"),
        (&raw.reverse, "reverse"),
    ] {
        if let Some((_, span)) = said(field) {
            context.add(cannot(span, &format!("`{key}`")));
        }
    }
    if let Some(routing) = raw.routing.value() {
        check_routing(routing, context);
    }
    let outbound = outbound::first(raw, context);
    let mut listeners = Vec::new();
    let mut clusters = Vec::new();
    for (index, inbound) in raw.inbounds.items().iter().enumerate() {
        let found = inbound::convert(inbound, index, outbound.as_ref(), context);
        if let Some((listener, cluster)) = found {
            listeners.push(listener);
            clusters.push(cluster);
        }
    }
    if raw.inbounds.items().is_empty() && !matches!(raw.inbounds, Field::Faulty) {
        let message = "there are no `inbounds`, so that there is nothing to listen on";
        context.add(Fault::error(raw.span, "missing-key", message));
    }
    let mut server = Map::new();
    let (target, level) = log(raw, context);
    server.insert("default_log_path".to_owned(), target.into());
    server.insert("default_log_level".to_owned(), level.into());
    server.insert("listeners".to_owned(), listeners.into());
    let mut whole = Map::new();
    if let Some((pid, sockets)) = output.and_then(places) {
        whole.insert("pid".to_owned(), pid.into());
        whole.insert("uds_dir".to_owned(), sockets.into());
    }
    whole.insert("servers".to_owned(), json!([server]));
    whole.insert("cluster_manager".to_owned(), json!({ "clusters": clusters }));
    Json::Object(whole)
}

/// Where the process number and the control socket go: into a folder beside the configuration, and of its name.
fn places(output: &Path) -> Option<(String, String)> {
    let folder = std::path::absolute(output).ok()?.with_extension("run");
    let pid = folder.join("rosn.pid");
    Some((pid.to_str()?.to_owned(), folder.to_str()?.to_owned()))
}

fn check_routing(routing: &V2rayRouting, context: &mut Context<'_>) {
    for rule in routing.rules.items() {
        context.add(cannot(rule.0.span, "a rule of `routing`"));
    }
    for balancer in routing.balancers.items() {
        context.add(cannot(balancer.0.span, "a balancer of `routing`"));
    }
}

/// Where the server log goes, and how much of it there is.
fn log(raw: &V2ray, context: &mut Context<'_>) -> (String, &'static str) {
    let Some(log) = raw.log.value() else { return ("stdout".to_owned(), "WARN") };
    let level = match log.loglevel.text().to_ascii_lowercase().as_str() {
        "debug" => "DEBUG",
        "info" => "INFO",
        "error" => "ERROR",
        "none" => "FATAL",
        "" | "warning" => "WARN",
        other => {
            let message = format!("no log level is named `{other}`; `warning` is taken");
            context.add(Fault::warning(
                log.loglevel.span_or(log.span),
                "unknown-log-level",
                message,
            ));
            "WARN"
        }
    };
    if let Some((_, span)) = log.access.filled().filter(|(path, _)| *path != "none") {
        let message = "`access` has no effect: tunnels have no access log";
        context.add(Fault::notice(span, "no-effect", message));
    }
    let target = match log.error.text() {
        "" | "none" => "stdout".to_owned(),
        path => path.to_owned(),
    };
    (target, level)
}

/// Names what cannot be converted.
fn cannot(span: Span, what: &str) -> Fault {
    Fault::error(span, "not-converted", format!("{what} cannot be converted"))
}

/// The value and its place, if it says something.
fn said(field: &Field<Free>) -> Option<(&Node, Span)> {
    field.spanned().map(|(free, span)| (&free.0, span)).filter(|(node, _)| node.says_something())
}

/// A port, which v2ray also takes in quotes.
fn port(field: &Field<Free>, context: &mut Context<'_>) -> Option<u16> {
    let (Free(node), span) = field.spanned()?;
    let port = match &node.value {
        Value::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let port = port.filter(|port| *port != 0);
    if port.is_none() {
        let fault = cannot(span, "this port");
        context.add(fault.help("expected one port, from 1 to 65535"));
    }
    port
}

/// A value as it is written.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::String(text) => Json::String(text.as_ref().to_owned()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => Json::Object(
            members
                .iter()
                .map(|member| (member.key.as_ref().to_owned(), plain(&member.value)))
                .collect(),
        ),
    }
}
