//! From files to a checked configuration.

mod include;
mod read;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::checked::Config;
use crate::checked::TlsContext;
use crate::context::Context;
use crate::diagnostic::{Diagnostics, Fault, Report};
use crate::format::{Decode, Mosn, dump};
use crate::text::{Format, Sources, Span, parse};
use crate::{check, text};

/// How a configuration is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Unknown keys are errors instead of warnings.
    pub strict: bool,
    /// Where files go that the configuration does not place. `None`: as in MOSN, by the place of the
    /// configuration file.
    pub defaults: Option<Defaults>,
    /// Resolves a host name that a listener has for an address, and a port. The default asks the system.
    pub resolve: fn(&str, u16) -> io::Result<SocketAddr>,
    /// Judges what is in the certificates of a `tls_context`. The default says nothing: only whether the files can be
    /// read is looked at here.
    pub tls: fn(&TlsContext, TlsSide) -> Vec<TlsFinding>,
}

/// Who has a TLS context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TlsSide {
    Listener,
    Cluster,
}

/// What is to be said of the certificates of a TLS context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFinding {
    /// It cannot be used so; else a warning.
    pub is_error: bool,
    /// In words; where it is about a file, with its path as [`Pem`](crate::checked::Pem) has it.
    pub message: String,
}

/// Where files go that the configuration does not place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// `logs/mosn.log`, `logs/mosn.pid` and `logs/<listener>_access.log` are below this.
    pub base: PathBuf,
    /// The directory of control sockets.
    pub socket_dir: PathBuf,
}

/// What came of loading.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration; `None` where there is an error.
    pub config: Option<Config>,
    /// What was written, with included files in their places, keys by their canonical names and secrets
    /// replaced by `***REDACTED***`; null where the text could not be parsed.
    pub raw: serde_json::Value,
    /// Everything that was found.
    pub diagnostics: Diagnostics,
    /// The file and the directories that it includes, as far as they are known, also those that could not
    /// be read: where one of them changes, loading may come to something else. A directory stands for
    /// the files in it. Empty for a text that includes nothing.
    pub sources: Vec<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { strict: false, defaults: None, resolve: resolve_by_system, tls: |_, _| Vec::new() }
    }
}

impl Defaults {
    /// MOSN's: the parent of the configuration's directory is the base, and sockets are beside the
    /// configuration.
    pub fn beside(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("/"));
        let base = directory.parent().unwrap_or(directory);
        Self { base: base.to_owned(), socket_dir: directory.to_owned() }
    }
}

/// Loads a file and what it includes. The extension says whether it is JSON or YAML.
pub fn load(path: &Path, options: &LoadOptions) -> Loaded {
    let name = path.display().to_string();
    let defaults = options.defaults.clone().unwrap_or_else(|| Defaults::beside(path));
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut context = Context::new(options, directory);
    context.read.push(path.to_owned());
    let main = add_file(path, name, String::new(), &mut context);
    finish(main, &defaults, context)
}

/// Loads a text. `name` stands for it in diagnostics; paths in it are relative to the working directory.
pub fn load_text(name: &str, text: &str, format: Format, options: &LoadOptions) -> Loaded {
    let defaults = options
        .defaults
        .clone()
        .unwrap_or_else(|| Defaults { base: PathBuf::from("."), socket_dir: PathBuf::from(".") });
    let mut context = Context::new(options, PathBuf::new());
    let main =
        add_text(name.to_owned(), text.as_bytes().to_vec(), format, String::new(), &mut context);
    finish(main, &defaults, context)
}

/// Parses a text, for whoever makes something else of it than a configuration. `None` where a fault leaves open what
/// was meant.
pub(crate) fn parse_text<'o>(
    name: &str,
    text: &str,
    options: &'o LoadOptions,
) -> (Context<'o>, Option<text::Node>) {
    let mut context = Context::new(options, PathBuf::new());
    let bytes = text.as_bytes().to_vec();
    let added = add_text(name.to_owned(), bytes, Format::Json, String::new(), &mut context);
    let root = context.sources.at(added.source).root.clone().filter(|_| added.reliable);
    (context, root)
}

impl<'o> Context<'o> {
    fn new(options: &'o LoadOptions, directory: PathBuf) -> Self {
        Self {
            sources: Sources::default(),
            report: Report::default(),
            options,
            exact: false,
            read: Vec::new(),
            directory,
        }
    }
}

/// What became of a file: its number, and whether its value can be relied upon.
#[derive(Clone, Copy)]
struct Added {
    source: u32,
    reliable: bool,
}

fn add_file(path: &Path, name: String, mount: String, context: &mut Context<'_>) -> Added {
    match read::read(path) {
        Ok(bytes) => add_text(name, bytes, Format::of(path), mount, context),
        Err(error) => {
            let source = context.sources.add(name, String::new(), Format::of(path), mount);
            let fault = Fault::error(Span::new(source, 0, 0), error.code(), error.to_string());
            context.add(fault.whole_file());
            Added { source, reliable: false }
        }
    }
}

fn add_text(
    name: String,
    bytes: Vec<u8>,
    format: Format,
    mount: String,
    context: &mut Context<'_>,
) -> Added {
    let (text, marked) = match read::decode(bytes) {
        Ok(decoded) => decoded,
        Err(error) => {
            let source = context.sources.add(name, String::new(), format, mount);
            let fault = Fault::error(Span::new(source, 0, 0), error.code(), error.to_string());
            context.add(fault.whole_file());
            return Added { source, reliable: false };
        }
    };
    let source = context.sources.add(name, text, format, mount);
    if marked {
        let message = "the file begins with a byte order mark, which MOSN refuses";
        let fault = Fault::warning(Span::new(source, 0, 0), "byte-order-mark", message);
        context.add(fault.help("save it as UTF-8 without one").whole_file());
    }
    let parsed = parse(source, &context.sources.at(source).text, format);
    let place = context.sources.at_mut(source);
    place.root = parsed.root;
    place.secrets = parsed.secrets;
    place.secrets.sort_unstable();
    for fault in parsed.faults {
        context.add(fault);
    }
    Added { source, reliable: parsed.reliable }
}

fn finish(main: Added, defaults: &Defaults, mut context: Context<'_>) -> Loaded {
    let mut raw = serde_json::Value::Null;
    let mut config = None;
    if main.reliable {
        let whole = include::expand(main.source, &mut context);
        let root: Option<text::Node> = context.sources.at(main.source).root.clone();
        if let Some(root) = root {
            let mosn = Mosn::decode(&root, &mut context);
            if let Some(mosn) = mosn.filter(|_| whole) {
                config = check::check(&mosn, defaults, &mut context);
            }
            raw = dump(&root);
        }
    }
    if context.report.has_errors() {
        config = None;
    }
    let sources = std::mem::take(&mut context.read);
    Loaded { config, raw, diagnostics: context.report.finish(), sources }
}

fn resolve_by_system(host: &str, port: u16) -> io::Result<SocketAddr> {
    let found = (host, port).to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}
