//! Servers of HTTP/2.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::transport::TransportBuilder;
use rosn_http::{Body, Transport};
use rosn_net::Stream;
use rosn_tls::{Acceptor, ClientOptions, ServerOptions, self_signed};
use tokio::net::TcpListener;

use crate::support::until;

pub(crate) type Conn = Connection<Stream, Bytes>;

/// A server whose connections follow a script.
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    pub(crate) client: ClientOptions,
    scheme: &'static str,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Peer {
    /// `script` is called with the number of each connection, from 0, and its stream.
    pub(crate) async fn raw<F, Fut>(protocols: Option<&[&str]>, script: F) -> Self
    where
        F: Fn(usize, Stream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (acceptor, client) = protocols.map(secret).unzip();
        let (counts, script) = ((Arc::clone(&accepted), Arc::clone(&open)), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let number = counts.0.fetch_add(1, Ordering::SeqCst);
                counts.1.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&counts.1);
                tokio::spawn(async move {
                    let stream = Stream::from(stream);
                    match acceptor {
                        None => script(number, stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                script(number, stream.into_stream()).await;
                            }
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let scheme = if protocols.is_some() { "https" } else { "http" };
        let client = client.unwrap_or_default();
        Self { addr, client, scheme, accepted, open }
    }

    /// With the settings of `builder`, by TLS or not.
    pub(crate) async fn with<F, Fut>(builder: Builder, tls: bool, script: F) -> Self
    where
        F: Fn(usize, Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let protocols: Option<&[&str]> = if tls { Some(&["h2", "http/1.1"]) } else { None };
        let script = Arc::new(script);
        Self::raw(protocols, move |number, stream| {
            let (builder, script) = (builder.clone(), Arc::clone(&script));
            async move {
                if let Ok(conn) = builder.handshake(stream).await {
                    script(number, conn).await;
                }
            }
        })
        .await
    }

    pub(crate) async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::with(Builder::new(), false, script).await
    }

    /// Answers each request by `handler`.
    pub(crate) async fn answering<F, Fut>(handler: F) -> Self
    where
        F: Fn(Asked) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::start(move |_, conn| serve(conn, handler.clone())).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}{path}", self.scheme, self.addr.port())
    }

    pub(crate) fn get(&self) -> Request<Body> {
        self.request(Method::GET, Body::empty())
    }

    pub(crate) fn request(&self, method: Method, body: impl Into<Body>) -> Request<Body> {
        Request::builder().method(method).uri(self.url("/")).body(body.into()).unwrap()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// All but so many connections are closed.
    pub(crate) async fn no_leak_but(&self, count: usize) {
        until(|| self.open.load(Ordering::SeqCst) == count).await;
    }

    pub(crate) async fn no_leak(&self) {
        until(|| self.open.load(Ordering::SeqCst) == 0).await;
    }

    /// A transport that trusts it, and knows that it speaks HTTP/2 where that is not negotiated.
    pub(crate) fn builder(&self) -> TransportBuilder {
        let versions = if self.scheme == "https" { Versions::Negotiated } else { Versions::Http2 };
        Transport::builder().connect(self.options()).versions(versions)
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions { proxies: Proxies::none(), ..Default::default() };
        options.tls = self.client.clone();
        options
    }

    pub(crate) fn transport(&self) -> Transport {
        self.builder().build().unwrap()
    }
}

/// A certificate for `localhost`, and who trusts it.
fn secret(protocols: &[&str]) -> (Acceptor, ClientOptions) {
    let pair = self_signed(&["localhost"]).unwrap();
    let roots = vec![pair.certificate.clone()];
    let client = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
    let alpn = protocols.iter().map(ToString::to_string).collect();
    let options = ServerOptions { certificates: vec![pair], alpn, ..ServerOptions::default() };
    (Acceptor::new(&options).unwrap(), client)
}

/// Answers the requests of a connection, each in a task of its own, until the client goes.
pub(crate) async fn serve<F, Fut>(mut conn: Conn, handler: F)
where
    F: Fn(Asked) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    while let Some(Ok((request, respond))) = conn.accept().await {
        tokio::spawn(handler(Asked { request, respond }));
    }
}

/// A request at the server.
pub(crate) struct Asked {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

impl Asked {
    pub(crate) fn answer(&mut self, status: u16, end: bool) -> SendStream<Bytes> {
        let response = Response::builder().status(status).body(()).unwrap();
        self.respond.send_response(response, end).unwrap()
    }

    /// Answers 200 with this.
    pub(crate) fn text(&mut self, text: &'static str) {
        self.answer(200, false).send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
    }

    /// The whole body and the trailers of the request.
    pub(crate) async fn body(&mut self) -> (String, Option<HeaderMap>) {
        let body = self.request.body_mut();
        let mut all = Vec::new();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
            all.extend_from_slice(&data);
        }
        (String::from_utf8(all).unwrap(), body.trailers().await.unwrap())
    }
}
