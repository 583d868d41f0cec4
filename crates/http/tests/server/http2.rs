//! HTTP/2. The client is this crate's, or one of frames.

mod begin;
mod limits;
mod messages;
mod tunnels;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Response, Version};
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::server::{Handler, ServerOptions};
use rosn_http::transport::TransportBuilder;
use rosn_http::{Body, Transport};
use rosn_tls::{Acceptor, ClientOptions, self_signed};
use tokio::net::TcpStream;

use crate::support::*;

/// Options of a server of plain HTTP/2.
fn plain() -> ServerOptions {
    ServerOptions { plain_http2: true, ..ServerOptions::default() }
}

/// Options of a server with TLS, and of a client that trusts it.
fn secure(protocols: &[&str]) -> (ServerOptions, ClientOptions) {
    let pair = self_signed(&["localhost"]).unwrap();
    let roots = vec![pair.certificate.clone()];
    let client = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
    let alpn = protocols.iter().map(ToString::to_string).collect();
    let tls = rosn_tls::ServerOptions {
        certificates: vec![pair],
        alpn,
        ..rosn_tls::ServerOptions::default()
    };
    let tls = Some(Acceptor::new(&tls).unwrap());
    (ServerOptions { tls, ..ServerOptions::default() }, client)
}

fn client() -> TransportBuilder {
    let connect = ConnectOptions { proxies: Proxies::none(), ..ConnectOptions::default() };
    Transport::builder().connect(connect).versions(Versions::Http2)
}

impl<H: Handler> Running<H> {
    fn request(&self, method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
        let uri = format!("http://{}{path}", self.addr);
        Request::builder().method(method).uri(uri).body(body.into()).unwrap()
    }

    fn get(&self, path: &str) -> Request<Body> {
        self.request(Method::GET, path, Body::empty())
    }

    /// A client that does what it is told to.
    async fn h2(&self) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        (send, tokio::spawn(connection))
    }
}

async fn send(transport: &Transport, request: Request<Body>) -> Response<Body> {
    soon(transport.send(request)).await.unwrap()
}

async fn body(response: Response<Body>) -> String {
    let body = soon(response.into_body().bytes(1 << 24)).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Gives back what it gets.
async fn echo(request: Request<Body>) -> Response<Body> {
    let version = request.version();
    assert_eq!(version, Version::HTTP_2);
    Response::new(request.into_body())
}
