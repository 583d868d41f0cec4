//! The route table: which route a request takes, and what that route does with it.
//!
//! A checked [`Router`](rosn_config::checked::Router) is compiled once into a [`Table`], which is
//! then asked once per request. What the file says in order is answered as if it were gone through
//! in order, but is not: hosts are hashed, suffixes of hosts are tried by the lengths that exist,
//! exact paths are hashed, prefixes are searched in a sorted list, regular expressions are searched
//! for all at once. Ten thousand virtual hosts cost about as much as ten.
//!
//! A [`Route`] then says what to do: [`Table::choose`] picks the cluster, [`Forward::rewrite_path`]
//! and [`Edits`] change the request, [`Redirect::location`] and the direct response answer it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rosn_config::checked::{
//!     Action, DirectResponse, HeaderEdits, Match, MatchKind, Route, Router, VirtualHost,
//! };
//! use rosn_config::{Variable, Variables};
//! use rosn_route::{Clusters, Headers, Input, NoRoute, Table};
//!
//! let route = Route {
//!     name: "hello".into(),
//!     matcher: Match { kind: MatchKind::Prefix("/hello".into()), headers: vec![] },
//!     action: Action::Direct(DirectResponse { status: 200, body: "hi".into() }),
//!     edits: HeaderEdits::default(),
//! };
//! let router = Router {
//!     name: "router".into(),
//!     edits: HeaderEdits::default(),
//!     virtual_hosts: vec![VirtualHost {
//!         name: "all".into(),
//!         domains: vec!["*.example.com".into()],
//!         require_tls: false,
//!         edits: HeaderEdits::default(),
//!         routes: vec![Arc::new(route)],
//!     }],
//! };
//! let table: Table<()> = Table::compile(&router, Arc::new(Clusters::default()))?;
//!
//! struct Nothing;
//! impl Headers for Nothing {
//!     fn value(&self, _: &str) -> Option<&[u8]> {
//!         None
//!     }
//! }
//! impl Variables for Nothing {
//!     fn write(&self, _: &Variable, _: &mut Vec<u8>) -> bool {
//!         false
//!     }
//! }
//! let mut input = Input {
//!     authority: b"WWW.example.com:8080",
//!     path: b"/hello/world",
//!     method: b"GET",
//!     headers: &Nothing,
//!     variables: &Nothing,
//! };
//! assert_eq!(&**table.find(&input)?.name(), "hello");
//! input.path = b"/";
//! assert_eq!(table.find(&input).unwrap_err(), NoRoute::Route);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod condition;
mod edits;
mod error;
mod hash;
mod host;
mod path;
mod redirect;
mod regexes;
mod rewrite;
mod route;
mod table;
mod target;

pub use edits::{Edit, Edits, HeaderAdd};
pub use error::{CompileError, NoRoute, RouteFault};
pub use hash::{HashPolicy, hash_address, hash_bytes};
pub use redirect::Redirect;
pub use route::{Action, Forward, Retry, Route};
pub use table::{Clusters, Headers, Input, Table};
pub use target::{Choice, Target, Weighted, WeightedTarget};
