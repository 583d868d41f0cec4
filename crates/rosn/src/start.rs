//! `rosn start`.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use rosn_config::Loaded;
use rosn_config::checked::{Config, Listener, Service, StreamSettings};
use rosn_server::{Options, RunError};

use crate::Exit;
use crate::check;
use crate::cli::{LogLevelFlag, StartArgs, Workers};
use crate::output;
use crate::pid_file::PidFile;
use crate::source::Source;
use crate::version;

pub(crate) fn run(args: StartArgs) -> Exit {
    let source = match Source::find(&args.config) {
        Ok(source) => source,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            return Exit::Usage;
        }
    };
    let Some((config, raw, sources)) = load(&source, args.strict) else { return Exit::Start };
    // MOSN's default is a folder that is there; one of its own is made here.
    let sockets = &config.server.socket_dir;
    if !sockets.exists() {
        let _ = DirBuilder::new().mode(0o700).create(sockets); // the server says so where there is none
    }
    // Held until the end: its removal says that the process is gone.
    let _pid_file = match source.prepare().and_then(|()| PidFile::take(&config.server.pid_file)) {
        Ok(pid_file) => pid_file,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            return Exit::Start;
        }
    };
    if !args.ignored().is_empty() {
        let flags = args.ignored().join(", ");
        output::complain(&format!("note: accepted for compatibility, without effect: {flags}"));
    }
    let embedded = source == Source::Embedded;
    let strict = args.strict;
    let options = Options {
        config,
        raw,
        watch: args.watch,
        sources,
        workers: args.workers().and_then(Workers::count),
        log_level: log_level(&args).map(LogLevelFlag::level),
        drain: args.drain_time_s.map(Duration::from_secs),
        features: args.feature_gates.all(),
        version: version::VERSION,
        load: Arc::new(move || source.load(strict)),
    };
    let ended = rosn_server::run(options, |config| output::print(&banner(config, embedded)));
    let (exit, error) = match ended {
        Ok(()) => return Exit::Ok,
        Err(error @ RunError::Start(_)) => {
            (Exit::Start, anyhow!(error).context("rosn could not start"))
        }
        Err(error @ RunError::Stop(_)) => {
            (Exit::Stop, anyhow!(error).context("rosn did not stop cleanly"))
        }
    };
    output::complain(&format!("error: {error:#}"));
    exit
}

/// The configuration, or nothing after its faults have been shown.
fn load(source: &Source, strict: bool) -> Option<(Config, serde_json::Value, Vec<PathBuf>)> {
    let Loaded { config, raw, diagnostics, sources } = source.load(strict);
    // That the built-in configuration shows off what is yet to come is no news to its user.
    if !diagnostics.is_empty() && (config.is_none() || *source != Source::Embedded) {
        output::complain(&check::report(&diagnostics, output::colours(&io::stderr())));
    }
    if config.is_none()
        && let Some(hint) = source.hint()
    {
        output::complain(&hint);
    }
    Some((config?, raw, sources))
}

fn log_level(args: &StartArgs) -> Option<LogLevelFlag> {
    let word = args.log_level.as_deref().filter(|word| !word.is_empty())?;
    let level = LogLevelFlag::parse(word);
    if level.is_none() {
        output::complain(&format!(
            "warning: no log level `{word}`: the configuration's is taken; there are trace, debug, \
             info, warning, error, critical and off"
        ));
    }
    level
}

/// What listens, one per line, and what to try.
fn banner(config: &Config, embedded: bool) -> String {
    let mut text = version::line();
    if embedded {
        text.push_str("running the built-in configuration; give another one with -c FILE\n");
    }
    let mut lines: Vec<_> = config.listeners.iter().map(|listener| line(listener)).collect();
    if let Some(admin) = &config.admin {
        lines.push(("admin".into(), admin.address.to_string(), "admin API".into()));
    }
    for sink in &config.metrics.prometheus {
        let what = format!("metrics at {}", sink.endpoint);
        lines.push(("prometheus".into(), sink.address.to_string(), what));
    }
    let width = |of: fn(&(String, String, String)) -> &String| {
        lines.iter().map(|line| of(line).chars().count()).max().unwrap_or_default()
    };
    let (names, addresses) = (width(|line| &line.0), width(|line| &line.1));
    for (name, address, what) in &lines {
        text.push_str(&format!("  {name:names$}  {address:addresses$}  {what}\n"));
    }
    if embedded {
        text.push_str(
            "try\n  curl http://127.0.0.1:2045/\n  curl http://127.0.0.1:34901/api/v1/states\n  \
             curl http://127.0.0.1:34901/\nstop with Ctrl-C or `rosn stop`\n",
        );
    }
    text
}

fn line(listener: &Listener) -> (String, String, String) {
    let what = match &listener.service {
        Service::Inactive(reason) => format!("not started: {reason}"),
        _ if !listener.bind => "virtual".into(),
        Service::Http(proxy) => format!("http, router {}", proxy.router),
        Service::Tcp(_) => "tcp".into(),
        Service::Udp(_) => "udp".into(),
    };
    let what = if listener.tls.is_some() { format!("{what} over TLS") } else { what };
    let what = match listener.stream.as_deref().filter(|settings| !settings.is_plain()) {
        Some(settings) => format!("{what} over {}", way(settings)),
        None => what,
    };
    (listener.name.to_string(), listener.address.to_string(), what)
}

/// Such as `ws with TLS`.
fn way(settings: &StreamSettings) -> String {
    let tls = if settings.tls.is_some() { " with TLS" } else { "" };
    format!("{}{tls}", settings.transport.scheme())
}

#[cfg(test)]
mod tests;
