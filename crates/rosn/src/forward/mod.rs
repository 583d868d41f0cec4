//! `rosn forward`: a tunnel in one line. The line becomes a configuration, which is checked and run as any other.

mod settings;
mod url;

#[cfg(test)]
mod tests;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rosn_config::{Defaults, Diagnostics, Format, LoadOptions, Loaded};
use rosn_server::{Options, RunError};
use serde_json::{Value, json};

use crate::Exit;
use crate::cli::{ForwardArgs, LogLevelFlag};
use crate::output;
use crate::source;
use crate::version;
use settings::{End, Side};
use url::Url;

pub(crate) fn run(args: &ForwardArgs) -> Exit {
    let (from, to, config) = match configuration(&args.from, &args.to) {
        Ok(all) => all,
        Err(error) => return usage(&error),
    };
    if args.print {
        output::print_json(&config);
        return Exit::Ok;
    }
    let folder = match Folder::make() {
        Ok(folder) => folder,
        Err(error) => return usage(&error),
    };
    let defaults = Defaults { base: folder.0.clone(), socket_dir: folder.0.clone() };
    let options = LoadOptions { defaults: Some(defaults), ..LoadOptions::default() };
    let loaded = rosn_config::load_text("forward", &config.to_string(), Format::Json, &options);
    output::complain(&findings(&loaded.diagnostics));
    if loaded.config.is_none() {
        return Exit::Usage;
    }
    serve(args, loaded, &format!("{} -> {}", from.shown(), to.shown()))
}

fn usage(error: &anyhow::Error) -> Exit {
    output::complain(&format!("error: {error:#}"));
    Exit::Usage
}

/// The two ends, and the configuration that they stand for.
fn configuration(from: &str, to: &str) -> anyhow::Result<(Url, Url, Value)> {
    let parse = |text: &str, what| {
        Url::parse(text).with_context(|| format!("{what} is `{}`", url::redacted(text)))
    };
    let (from, to) = (parse(from, "FROM")?, parse(to, "TO")?);
    let listener = End::of(&from, Side::From).context("FROM")?;
    let cluster = End::of(&to, Side::To).context("TO")?;
    let mut listens = json!({
        "name": "forward",
        "bind_port": true,
        "filter_chains": [{ "filters": [{ "type": "tcp_proxy", "config": { "cluster": "forward" } }] }],
        "stream_settings": listener.stream,
    });
    let mut dials = json!({ "name": "forward", "stream_settings": cluster.stream });
    if let Some(address) = listener.address {
        listens["address"] = address.into();
    }
    if let Some(address) = cluster.address {
        dials["hosts"] = json!([{ "address": address }]);
    }
    let config = json!({
        "servers": [{
            "default_log_path": "stderr",
            "default_log_level": "WARN",
            "listeners": [listens],
        }],
        "cluster_manager": { "clusters": [dials] },
    });
    Ok((from, to, config))
}

/// What was found, a line for each, with the end of the line that it is about.
fn findings(found: &Diagnostics) -> String {
    let mut text = String::new();
    for finding in found {
        let end = if finding.path.starts_with("cluster_manager") { "TO" } else { "FROM" };
        // Such as `kcpSettings.mtu`.
        let key = finding.path.split_once("stream_settings.").map(|(_, key)| format!("{key}: "));
        let key = key.unwrap_or_default();
        text.push_str(&format!("{}: {end}: {key}{}\n", finding.severity, finding.message));
    }
    text
}

fn serve(args: &ForwardArgs, loaded: Loaded, what: &str) -> Exit {
    let Some(config) = loaded.config.clone() else { return Exit::Usage };
    let level = args.log_level.as_deref().and_then(LogLevelFlag::parse);
    let raw = loaded.raw.clone();
    let options = Options {
        config,
        raw,
        watch: false,
        sources: Vec::new(),
        workers: None,
        log_level: level.map(LogLevelFlag::level),
        drain: None,
        features: Vec::new(),
        version: version::VERSION,
        load: Arc::new(move || loaded.clone()),
    };
    let banner = format!("{}  {what}\nstop with Ctrl-C\n", version::line());
    let (exit, error) = match rosn_server::run(options, |_| output::print(&banner)) {
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

/// A folder of this process alone, for its control socket. Dropping it removes it.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let above = source::runtime_folder();
        source::private_folder(&above)?;
        let folder = above.join(format!("forward-{}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let shown = folder.display();
                Err(error).with_context(|| format!("cannot make the folder {shown}"))
            }
            // Left behind by a process that had this number and was killed.
            _ => Ok(Self(folder)),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
