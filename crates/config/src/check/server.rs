//! What concerns the process, and the admin server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::Defaults;
use crate::checked::{self, AcceptMode, Admin, Log, LogLevel, LogTarget, Roller, Secret, Server};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, Mosn};
use crate::text::Span;

use super::{address, missing};

/// `servers[0]`, or the defaults where there is none (an xDS bootstrap).
pub(super) fn server(
    mosn: &Mosn,
    raw: Option<&raw::Server>,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Server {
    let absent = raw::Server::default();
    let raw = raw.unwrap_or(&absent);
    let path = |field: &Field<String>, default: PathBuf| match field.filled() {
        Some((path, _)) => PathBuf::from(path),
        None => default,
    };
    Server {
        name: raw.mosn_server_name.text().to_owned(),
        workers: raw.processor.value().and_then(|processor| processor.0),
        accept: accept(raw, context),
        graceful_timeout: raw.graceful_timeout.or(Duration::from_secs(30)),
        limits: limits(raw, context),
        log: Log {
            target: log_target(raw.default_log_path.text(), defaults),
            level: log_level(raw, context),
            roller: roller(raw, context),
        },
        pid_file: path(&mosn.pid, defaults.base.join("logs/mosn.pid")),
        socket_dir: path(&mosn.uds_dir, defaults.socket_dir.clone()),
    }
}

fn accept(raw: &raw::Server, context: &mut Context<'_>) -> AcceptMode {
    let Some((mode, span)) = raw.accept.spanned() else { return AcceptMode::default() };
    match mode.0.as_str() {
        "" | "reuseport" => AcceptMode::ReusePort,
        "balanced" => AcceptMode::Balanced,
        other => {
            let message = format!("connections do not come to workers by `{other}`");
            let fault = Fault::error(span, "unknown-accept", message);
            context.add(fault.suggest(other, raw::Accept::CHOICES.iter().copied()));
            AcceptMode::default()
        }
    }
}

fn limits(raw: &raw::Server, context: &mut Context<'_>) -> checked::Limits {
    let default = checked::Limits::default();
    let Some(raw) = raw.limits.value() else { return default };
    let mut number = |field: &Field<u32>, default: u32| match field.spanned() {
        Some((0, span)) => {
            context.add(Fault::error(span, "out-of-range", "a limit is above zero"));
            default
        }
        Some((value, _)) => *value,
        None => default,
    };
    let max_connections = number(&raw.max_connections, default.max_connections);
    let max_head_bytes = number(&raw.max_head_bytes, 64 * 1024) as usize;
    let max_headers = number(&raw.max_headers, 100) as usize;
    let max_request_line_bytes = number(&raw.max_request_line_bytes, 16 * 1024) as usize;
    let mut time = |field: &Field<Duration>, default: Duration| match field.spanned() {
        Some((value, span)) if value.is_zero() => {
            context.add(Fault::error(span, "out-of-range", "a limit is above zero"));
            default
        }
        Some((value, _)) => *value,
        None => default,
    };
    checked::Limits {
        max_connections,
        header_timeout: time(&raw.header_timeout, default.header_timeout),
        idle_timeout: time(&raw.idle_timeout, default.idle_timeout),
        handshake_timeout: time(&raw.handshake_timeout, default.handshake_timeout),
        detection_timeout: time(&raw.detection_timeout, default.detection_timeout),
        max_head_bytes,
        max_headers,
        max_request_line_bytes,
        // Zero is a sensible limit here: nothing is kept.
        max_idle_upstream: raw.max_idle_upstream.or(default.max_idle_upstream),
    }
}

/// The kinds of MOSN's `default_log_path` (`mosn.io/pkg/log`).
fn log_target(text: &str, defaults: &Defaults) -> LogTarget {
    match text {
        "" => LogTarget::File(defaults.base.join("logs/mosn.log")),
        "stdout" | "/dev/stdout" => LogTarget::Stdout,
        "stderr" | "/dev/stderr" => LogTarget::Stderr,
        "syslog" => LogTarget::Syslog(None),
        _ => match text.strip_prefix("syslog://") {
            Some(rest) => LogTarget::Syslog(Some(rest.to_owned()).filter(|rest| !rest.is_empty())),
            None => LogTarget::File(PathBuf::from(text)),
        },
    }
}

fn log_level(raw: &raw::Server, context: &mut Context<'_>) -> LogLevel {
    let Some((level, span)) = raw.default_log_level.spanned() else { return LogLevel::default() };
    match level.0.to_ascii_uppercase().as_str() {
        "FATAL" => LogLevel::Fatal,
        "ERROR" => LogLevel::Error,
        "WARN" => LogLevel::Warn,
        "" | "INFO" => LogLevel::Info,
        "DEBUG" => LogLevel::Debug,
        "TRACE" => LogLevel::Trace,
        _ => {
            let message = format!("no log level is named `{}`; `INFO` is taken", level.0);
            let fault = Fault::warning(span, "unknown-log-level", message);
            context.add(fault.suggest(&level.0, raw::LogLevel::CHOICES.iter().copied()));
            LogLevel::Info
        }
    }
}

fn roller(raw: &raw::Server, context: &mut Context<'_>) -> Roller {
    let Some((text, span)) = raw.global_log_roller.filled() else { return Roller::default() };
    let mut roller = Roller::default();
    for part in text.split_whitespace() {
        if let Err(message) = roller_part(part, &mut roller) {
            let fault = Fault::error(span, "bad-roller", message);
            context.add(fault.help("such as `time=24 size=100 age=7 keep=10 compress=on`"));
        }
    }
    roller
}

fn roller_part(part: &str, roller: &mut Roller) -> Result<(), String> {
    let (key, value) =
        part.split_once('=').ok_or_else(|| format!("`{part}` is not `key=value`"))?;
    if key == "compress" {
        roller.compress = matches!(value, "on" | "true" | "yes");
        return match value {
            "on" | "true" | "yes" | "off" | "false" | "no" => Ok(()),
            _ => Err("`compress` is `on` or `off`".to_owned()),
        };
    }
    let number = value.parse::<u64>().map_err(|_| format!("`{key}` needs a number"))?;
    let number = Some(number).filter(|number| *number > 0);
    match key {
        "time" => roller.hours = number,
        "size" => roller.megabytes = number,
        "age" => roller.max_age_days = number,
        "keep" => roller.max_files = number,
        _ => return Err(format!("`{key}` says nothing about rolling")),
    }
    Ok(())
}

/// The admin server, where there is one.
pub(super) fn admin(mosn: &Mosn, context: &mut Context<'_>) -> Option<Admin> {
    let raw = mosn.admin.value()?;
    let Some(socket) = raw.address.value().and_then(|address| address.socket_address.value())
    else {
        if raw.address.is_absent()
            || raw.address.value().is_some_and(|a| a.socket_address.is_absent())
        {
            missing(raw.span, "address.socket_address", context);
        }
        return None;
    };
    let Some((port, _)) = socket.port_value.spanned() else {
        if socket.port_value.is_absent() {
            missing(socket.span, "port_value", context);
        }
        return None;
    };
    let span = socket.address.span_or(socket.span);
    let address = admin_address(socket.address.text(), port.0, span, context)?;
    let token = raw.token.filled().map(|(token, _)| Secret(token.to_owned()));
    if !address.ip().is_loopback() && token.is_none() {
        let message =
            "everyone who reaches this address can see the configuration and change log levels";
        let fault = Fault::warning(span, "open-admin", message);
        context.add(fault.help("use 127.0.0.1, or set `token` beside `address`"));
    }
    Some(Admin { address, token })
}

fn admin_address(
    text: &str,
    port: u16,
    span: Span,
    context: &mut Context<'_>,
) -> Option<SocketAddr> {
    if text.is_empty() {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Some(SocketAddr::new(ip, port));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.chars().all(name) || text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        let message = "this is neither an IP address nor a host name";
        context.add(
            Fault::error(span, "bad-address", message).help("the port goes into `port_value`"),
        );
        return None;
    }
    address::resolve(text, port, span, context)
}
