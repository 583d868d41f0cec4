//! How connections of the client are made: whose turn it is first (a proxy or the server itself), dial, the proxy's
//! handshake, TLS.
//!
//! A [`Connector`] turns the URI of a request into a [`Target`], by which a pool tells connections apart, and a target
//! into a [`Connected`] stream. It keeps no connections itself.

mod connector;
mod error;
mod proxy;
mod target;
mod uri;

pub use connector::{ConnectOptions, Connected, Connector};
pub use error::ProxyError;
pub use proxy::{Proxies, Proxy, ProxyHeaders, ProxyUrlError};
pub use target::{Scheme, Target, Versions};
pub(crate) use uri::from_url;
pub use uri::uri;
