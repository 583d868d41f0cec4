//! The admin API over real sockets, with a made-up process behind it.

#![allow(missing_docs, clippy::unwrap_used)]

mod fake;
mod limits;
mod mosn;
mod own;

use std::sync::Arc;
use std::time::Duration;

use rosn_admin::{AdminOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) use fake::Fake;

/// A reply, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) fake: Arc<Fake>,
}

impl Server {
    pub(crate) async fn start(options: AdminOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Arc::new(Fake::default());
        tokio::spawn(serve(listener, fake.clone(), options));
        Self { address, fake }
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may have closed already.
        let _ = stream.write_all(request.as_ref()).await;
        let mut reply = Vec::new();
        let read = stream.read_to_end(&mut reply);
        let _ = tokio::time::timeout(Duration::from_secs(30), read).await.unwrap();
        split(&reply)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, head: &str, body: &str) -> Reply {
        let length = body.len();
        self.raw(format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{head}\r\n{body}",
            self.address
        ))
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, "", body).await
    }
}

pub(crate) fn split(reply: &[u8]) -> Reply {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_default();
    Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
