//! TLS for both ends of a connection: certificates from files, chosen by name or issued on the spot, verified against
//! authorities or pinned, on either side; OCSP responses, tickets that all threads and machines can share, files that
//! are read again; and errors that say what is wrong and what to do.
//!
//! An [`Acceptor`] answers the handshakes of clients, a [`Connector`] begins handshakes with servers; both are made
//! from plain options, and everything that can be wrong with those is a [`TlsError`] then and not in a handshake
//! later. What comes out is a [`TlsStream`] over whatever byte stream went in; over a connection of rosn-net it becomes
//! such a connection itself. [`PeerCertificate`] and [`Session`] are what is known of the other side then.
//!
//! [`ClientHello`] reads what a client asks for without answering it, for those who pass TLS on by its name.
//! [`CertificateFacts`] says who a certificate is for, and until when. Changed files are taken over by
//! [`Acceptor::reload`] and [`Connector::reload`], and connections that there are go on; [`InUse`] knows what was made
//! of which files.
//!
//! The protocol is rustls over AWS-LC, TLS 1.2 and 1.3; no other crate knows that, but for QUIC, which takes the
//! configurations as they are.
//!
//! ```
//! use rosn_tls::{Acceptor, ClientOptions, Connector, ServerOptions, self_signed};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let pair = self_signed(&["rosn.test"])?;
//! let trusted = vec![pair.certificate.clone()];
//! let acceptor =
//!     Acceptor::new(&ServerOptions { certificates: vec![pair], ..ServerOptions::default() })?;
//! let connector = Connector::new(&ClientOptions {
//!     system_roots: false,
//!     roots: trusted,
//!     ..ClientOptions::default()
//! })?;
//!
//! let (near, far) = tokio::io::duplex(4096);
//! let (client, server) = tokio::join!(connector.connect("rosn.test", near), acceptor.accept(far));
//! let (mut client, mut server) = (client?, server?);
//! client.write_all(b"hello").await?;
//! client.shutdown().await?;
//! let mut text = String::new();
//! server.read_to_string(&mut text).await?;
//! assert_eq!((&*text, server.server_name()), ("hello", Some("rosn.test")));
//! # Ok(())
//! # })
//! # }
//! ```

mod client;
mod contexts;
mod distinguished;
mod error;
mod explain;
mod facts;
mod hello;
mod in_use;
mod issue;
mod names;
mod ocsp;
mod options;
mod peer;
mod pem;
mod provider;
mod roots;
mod secured;
mod server;
mod session;
mod stream;
mod table;
mod tickets;
mod verify;

pub use client::Connector;
pub use error::TlsError;
pub use explain::is_untrusted;
pub use facts::{CertificateFacts, Role, UsedCertificate};
pub use hello::{ClientHello, HelloError};
pub use in_use::{Handle, InUse};
pub use issue::self_signed;
pub use names::{CipherSuite, KeyExchange, NameError};
pub use options::{
    ClientAuth, ClientOptions, ClientTrust, KeyPair, Pem, ServerOptions, Version, Versions,
};
pub use peer::PeerCertificate;
pub use roots::SystemRoots;
pub use server::Acceptor;
pub use session::Session;
pub use stream::TlsStream;
pub use tickets::Tickets;
pub use verify::chain_hash;
