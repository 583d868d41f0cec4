//! MOSN configurations: read, checked, compared and described.
//!
//! A configuration goes through three forms. The *text* (JSON, or YAML) becomes a tree whose every value knows its
//! line. The tree is decoded by the rules of Go's `encoding/json` into *raw* structs: keys without regard to case,
//! unknown keys reported, durations as Go writes them. The raw structs are checked into a [`checked::Config`]: every
//! reference resolved, every value in its own type. What is wrong is collected on the way, all of it, as
//! [`Diagnostics`]; only a configuration without errors comes out.
//!
//! ```
//! use rosn_config::{Format, LoadOptions, load_text};
//!
//! let text = r#"{
//!   "servers": [{
//!     "listeners": [{ "name": "in", "address": "127.0.0.1:2045", "bind_port": true, "filter_chains": [{ "filters": [
//!       { "type": "tcp_proxy", "config": { "cluster": "bakcend" } }
//!     ]}]}]
//!   }],
//!   "cluster_manager": { "clusters": [{ "name": "backend", "hosts": [{ "address": "127.0.0.1:8080" }] }] }
//! }"#;
//! let loaded = load_text("example.json", text, Format::Json, &LoadOptions::default());
//!
//! assert!(loaded.config.is_none());
//! let fault = loaded.diagnostics.iter().next().expect("there is a fault");
//! assert_eq!(fault.message, "no cluster is named `bakcend`");
//! assert_eq!(fault.help.as_deref(), Some("did you mean `backend`?"));
//! assert_eq!((fault.line, fault.column), (4, 53));
//! assert_eq!(fault.path, "servers[0].listeners[0].filter_chains[0].filters[0].config.cluster");
//! ```
//!
//! Two configurations are told apart by [`diff`], for a reload that touches only what changed. The format itself is
//! one table ([`schema`] as JSON Schema, [`reference()`] as a page of Markdown).
//!
//! Nothing here is asynchronous, reads the environment, or keeps state between calls.

mod check;
pub mod checked;
mod context;
pub mod convert;
mod diagnostic;
mod diff;
mod format;
mod load;
mod suggest;
pub mod template;
mod text;

pub use check::faults;
pub use checked::Config;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Changes, Diff, diff};
pub use format::{reference, schema};
pub use load::{Defaults, LoadOptions, Loaded, TlsFinding, TlsSide, load, load_text};
pub use template::{Template, TemplateError, Variable, Variables};
pub use text::Format;
