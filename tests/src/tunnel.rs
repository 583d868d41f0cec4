//! Two rosn one behind the other, with a transport between them.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::{cluster, config, http_listener, listener, router_to};
use crate::l4::{Peer, cluster_of, connect, local, merge, with};
use crate::{Rosn, free_port, wait_until};

/// The name in the certificate of [`Pki`].
pub const NAME: &str = "far.test";

/// A certificate for [`NAME`] and the CA that has signed it, as files.
#[derive(Debug)]
pub struct Pki {
    folder: TempDir,
}

impl Pki {
    /// Makes them.
    #[must_use]
    pub fn new() -> Self {
        let pki = Self { folder: TempDir::with_prefix("rosn-pki-").unwrap() };
        pki.renew();
        pki
    }

    /// Another CA and another certificate, in the same files.
    ///
    /// # Panics
    ///
    /// If they cannot be made.
    pub fn renew(&self) {
        let folder = &self.folder;
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &ca);
        fs::write(folder.path().join("ca.crt"), ca.pem()).unwrap();
        fs::write(folder.path().join("leaf.crt"), leaf.unwrap().pem()).unwrap();
        fs::write(folder.path().join("leaf.key"), key.serialize_pem()).unwrap();
    }

    /// `ca.crt`, `leaf.crt` or `leaf.key`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The directory of the files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `tlsSettings` of a listener.
    #[must_use]
    pub fn listening(&self) -> Value {
        let certificate = json!({
            "certificateFile": self.file("leaf.crt"), "keyFile": self.file("leaf.key"),
        });
        json!({ "certificates": [certificate] })
    }

    /// `tlsSettings` of a dialer that trusts nobody else.
    #[must_use]
    pub fn dialing(&self) -> Value {
        let ca = json!({ "usage": "verify", "certificateFile": self.file("ca.crt") });
        json!({ "serverName": NAME, "disableSystemRoot": true, "certificates": [ca] })
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

/// What is between the two: `stream_settings` of the far listener and of the near cluster.
#[derive(Debug)]
pub struct Link {
    /// Of the far listener.
    pub listen: Value,
    /// Of the near cluster.
    pub dial: Value,
    pki: Pki,
}

impl Link {
    /// By the names of [`settings`], each with `+tls` behind it for TLS.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let pki = Pki::new();
        let mut listen = settings(name.trim_end_matches("+tls"), pki.folder());
        let mut dial = listen.clone();
        if name.ends_with("+tls") {
            merge(&mut listen, json!({ "security": "tls", "tlsSettings": pki.listening() }));
            merge(&mut dial, json!({ "security": "tls", "tlsSettings": pki.dialing() }));
        }
        Self { listen, dial, pki }
    }

    /// The certificates, where there is TLS.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Whether the link runs over UDP.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        matches!(self.listen["network"].as_str(), Some("quic" | "mkcp"))
    }
}

/// `stream_settings` for both sides.
///
/// # Panics
///
/// For a name that it does not know.
#[must_use]
pub fn settings(name: &str, folder: &Path) -> Value {
    match name {
        "tcp" => json!({ "network": "tcp" }),
        "tcp-http" => json!({
            "network": "tcp", "tcpSettings": { "header": { "type": "http", "request": { "path": ["/a"] } } },
        }),
        "ws" => json!({ "network": "ws", "wsSettings": { "path": "/tunnel" } }),
        "ws-early" => json!({
            "network": "ws", "wsSettings": {
                "path": "/tunnel", "maxEarlyData": 2048, "earlyDataHeaderName": "Sec-WebSocket-Protocol",
            },
        }),
        "http" => {
            json!({ "network": "http", "httpSettings": { "host": ["far.test"], "path": "/tunnel" } })
        }
        "quic" => json!({ "network": "quic", "quicSettings": {} }),
        "quic-sealed" => json!({
            "network": "quic", "quicSettings": {
                "security": "chacha20-poly1305", "key": "abc", "header": { "type": "srtp" },
            },
        }),
        "mkcp" => json!({ "network": "mkcp", "kcpSettings": { "tti": 20 } }),
        "mkcp-sealed" => json!({
            "network": "mkcp",
            "kcpSettings": { "tti": 20, "seed": "abc", "header": { "type": "wireguard" } },
        }),
        "ds" => json!({
            "network": "domainsocket", "dsSettings": { "path": folder.join("link.sock"), "mode": "0600" },
        }),
        "ds-abstract" => {
            let name = format!("rosn-tests-{}-{}", std::process::id(), free_port());
            json!({
                "network": "domainsocket",
                "dsSettings": { "path": name, "abstract": true, "padding": true },
            })
        }
        _ => panic!("no transport is called {name}"),
    }
}

/// Near rosn, far rosn, and what is between them.
#[derive(Debug)]
pub struct Pair {
    /// The one that clients connect to.
    pub near: Rosn,
    /// The one that connects to origins.
    pub far: Rosn,
    /// What is between them.
    pub link: Link,
    /// Where `near` listens.
    pub port: u16,
    /// Where `far` listens.
    pub far_port: u16,
    /// What `near` was started with.
    pub near_config: Value,
    /// What `far` was started with.
    pub far_config: Value,
}

impl Pair {
    /// `tcp_proxy` on both sides, to this peer; near's listener is `near`, its cluster `far`, and so on.
    #[must_use]
    pub fn tcp(link: Link, peer: &Peer) -> Self {
        let filter =
            |cluster: &str| json!({ "type": "tcp_proxy", "config": { "cluster": cluster } });
        let (port, far_port) = (free_port(), free_port());
        let near = config(
            &[listener("near", port, filter("far"))],
            &[],
            &[with(cluster("far", &[far_port]), json!({ "stream_settings": link.dial }))],
        );
        let listens = with(
            listener("far", far_port, filter("up")),
            json!({ "stream_settings": link.listen }),
        );
        let far = config(&[listens], &[], &[cluster_of("up", &[peer.host()])]);
        Self::start(link, port, far_port, near, far, &[])
    }

    /// `proxy` with HTTP/1.1 on both sides, to this port; both write an access log, `access.log` in their folders.
    #[must_use]
    pub fn http(link: Link, origin: u16) -> Self {
        let (port, far_port) = (free_port(), free_port());
        let log = json!({ "access_logs": [{
            "log_path": "access.log",
            "log_format": "%downstream_remote_address% %response_code% %upstream_host%",
        }] });
        let near = config(
            &[with(http_listener("near", port, "r"), log.clone())],
            &[router_to("r", "far")],
            &[with(cluster("far", &[far_port]), json!({ "stream_settings": link.dial }))],
        );
        let listens = with(http_listener("far", far_port, "r"), log);
        let listens = with(listens, json!({ "stream_settings": link.listen }));
        let far = config(&[listens], &[router_to("r", "up")], &[cluster("up", &[origin])]);
        Self::start(link, port, far_port, near, far, &[])
    }

    /// Starts both with these configurations.
    #[must_use]
    pub fn start(
        link: Link,
        port: u16,
        far_port: u16,
        near_config: Value,
        far_config: Value,
        arguments: &[&str],
    ) -> Self {
        let far = Rosn::start_with(&far_config, arguments);
        let near = Rosn::start_with(&near_config, arguments);
        Self { near, far, link, port, far_port, near_config, far_config }
    }

    /// A new connection to near.
    #[must_use]
    pub fn client(&self) -> TcpStream {
        connect(local(self.port))
    }

    /// Waits until near has no client.
    pub fn settled_without_far(&self) {
        wait_until("near has no clients", || self.near.active().0 == 0);
    }

    /// Waits until near has no client, and neither has a request under way. Far may have connections that near keeps.
    pub fn settled(&self) {
        wait_until("nothing is going on", || {
            let (downstream, requests, _) = self.near.active();
            (downstream, requests, self.far.active().1) == (0, 0, 0)
        });
    }

    /// The same, and far has no connection either.
    pub fn settled_without_upstream(&self) {
        self.settled();
        wait_until("far has no connections", || self.far.active().0 == 0);
    }
}
