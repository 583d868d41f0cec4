//! What connections may become when they stop being HTTP.

use crate::checked::{ConnectRules, ConnectUpstream, TunnelRules, Upgrades};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, ConnectUpstream as RawUpstream, Field, HttpTunnel};

use super::stream::is_token;
use super::stream_proxy;

/// `tunnel` of a route or of `proxy`.
pub(super) fn rules(raw: &Field<HttpTunnel>, context: &mut Context<'_>) -> TunnelRules {
    let Some(raw) = raw.value() else { return TunnelRules::default() };
    TunnelRules {
        upgrade: raw.upgrade.value().map(|upgrade| upgrades(upgrade, context)),
        connect: raw.connect.value().map(|connect| self::connect(connect, context)),
        idle_timeout: raw.idle_timeout.value().copied(),
        max_lifetime: raw.max_lifetime.value().copied(),
    }
}

fn upgrades(raw: &raw::Upgrades, context: &mut Context<'_>) -> Upgrades {
    let all = match raw {
        raw::Upgrades::Switch(true) => return Upgrades::All,
        raw::Upgrades::Switch(false) => return Upgrades::Only(Vec::new()),
        raw::Upgrades::To(all) => all,
    };
    for one in all {
        if one.value.eq_ignore_ascii_case("h2c") {
            let message = "nothing is switched to h2c: such offers are passed over";
            context.add(Fault::warning(one.span, "no-effect", message));
        } else if !is_protocol(&one.value) {
            let fault = Fault::error(one.span, "bad-protocol", "this is no name of a protocol");
            context.add(fault.help("write it as it stands in `Upgrade`, such as `websocket`"));
        }
    }
    Upgrades::Only(all.iter().map(|one| one.value.clone()).collect())
}

/// RFC 9110 section 7.8: a token, and a version behind a slash.
fn is_protocol(text: &str) -> bool {
    let (name, version) = text.split_once('/').unwrap_or((text, "0"));
    is_token(name) && is_token(version)
}

fn connect(raw: &raw::HttpConnect, context: &mut Context<'_>) -> ConnectRules {
    let mut ports = Vec::new();
    match raw.ports.value() {
        None => ports.push((443, 443)),
        Some(all) => {
            for one in all {
                match stream_proxy::port_ranges(&one.value.0) {
                    Some(ranges) => ports.extend(ranges),
                    None => stream_proxy::report_ports(one.span, context),
                }
            }
        }
    }
    let upstream = match raw.upstream.spanned() {
        None => ConnectUpstream::Tcp,
        Some((upstream, span)) => match upstream.0.to_ascii_lowercase().as_str() {
            "tcp" => ConnectUpstream::Tcp,
            "http" => ConnectUpstream::Http,
            _ => {
                let message = format!("`{}` answers no CONNECT", upstream.0);
                let fault = Fault::error(span, "unknown-upstream", message);
                context.add(fault.suggest(&upstream.0, RawUpstream::CHOICES.iter().copied()));
                ConnectUpstream::Tcp
            }
        },
    };
    ConnectRules { ports, upstream }
}
