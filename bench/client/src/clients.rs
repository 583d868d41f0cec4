//! The clients, each as its documentation shows it, with pools that keep every connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::{Body, Transport};
use tokio::net::TcpStream;

use crate::{Exchange, Outcome};

pub trait Client: Send + Sync + Sized + 'static {
    /// One request and its whole response: the status, and how long the body was.
    fn exchange(&self, exchange: Exchange) -> impl Future<Output = Outcome<(u16, usize)>> + Send;
}

fn uri(address: SocketAddr, exchange: Exchange) -> String {
    format!("http://{address}{}", exchange.path())
}

/// The request without its body, which each client has in a type of its own.
fn request<B>(uri: &Uri, exchange: Exchange, body: impl FnOnce(Bytes) -> B) -> Request<B> {
    let (method, sent) = match exchange {
        Exchange::Get | Exchange::GetHttp2 => (Method::GET, &b""[..]),
        Exchange::Post => (Method::POST, Exchange::SENT),
    };
    let mut request = Request::new(body(Bytes::from_static(sent)));
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    request
}

pub struct Rosn {
    transport: Transport,
    uri: Uri,
}

impl Rosn {
    pub fn new(address: SocketAddr, exchange: Exchange) -> Outcome<Self> {
        let connect = ConnectOptions { proxies: Proxies::none(), ..ConnectOptions::default() };
        // Go's default of two would close the others
        let mut builder = Transport::builder().connect(connect).max_idle_per_host(1000);
        if exchange.http2() {
            builder = builder.versions(Versions::Http2);
        }
        let transport = builder.build()?;
        Ok(Self { transport, uri: uri(address, exchange).parse()? })
    }
}

impl Client for Rosn {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let request = request(&self.uri, exchange, Body::from);
        let mut response = self.transport.send(request).await?;
        let mut length = 0;
        while let Some(frame) = response.body_mut().next().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok((response.status().as_u16(), length))
    }
}

pub struct HyperUtil {
    client: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl HyperUtil {
    pub fn new(address: SocketAddr, exchange: Exchange) -> Outcome<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http2_only(exchange.http2())
            .build(connector);
        Ok(Self { client, uri: uri(address, exchange).parse()? })
    }
}

impl Client for HyperUtil {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let request = request(&self.uri, exchange, Full::new);
        let mut response = self.client.request(request).await?;
        let mut length = 0;
        while let Some(frame) = response.body_mut().frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok((response.status().as_u16(), length))
    }
}

pub struct Reqwest {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl Reqwest {
    pub fn new(address: SocketAddr, exchange: Exchange) -> Outcome<Self> {
        let mut builder = reqwest::Client::builder().no_proxy();
        if exchange.http2() {
            builder = builder.http2_prior_knowledge();
        }
        let client = builder.build()?;
        Ok(Self { client, url: uri(address, exchange).parse()? })
    }
}

impl Client for Reqwest {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let url = self.url.clone();
        let request = match exchange {
            Exchange::Get | Exchange::GetHttp2 => self.client.get(url),
            Exchange::Post => self.client.post(url).body(Exchange::SENT),
        };
        let mut response = request.send().await?;
        let mut length = 0;
        while let Some(chunk) = response.chunk().await? {
            length += chunk.len();
        }
        Ok((response.status().as_u16(), length))
    }
}

/// No HTTP client at all: bytes that are ready to be sent, and as many back as are known to come. What it costs nobody can
/// save who uses tokio's sockets; what a client costs above it is its own.
pub struct Raw {
    address: SocketAddr,
    request: Vec<u8>,
    idle: Mutex<Vec<(TcpStream, Vec<u8>)>>,
}

impl Raw {
    pub fn new(address: SocketAddr, exchange: Exchange) -> Outcome<Self> {
        let path = exchange.path();
        let mut request = match exchange {
            Exchange::GetHttp2 => return Err("raw does not speak HTTP/2".into()),
            Exchange::Get => format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
            Exchange::Post => {
                let length = Exchange::SENT.len();
                format!(
                    "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n"
                )
            }
        }
        .into_bytes();
        if let Exchange::Post = exchange {
            request.extend_from_slice(Exchange::SENT);
        }
        Ok(Self { address, request, idle: Mutex::default() })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(TcpStream, Vec<u8>)>> {
        self.idle.lock().expect("no panic while it is held")
    }

    /// The length of all that comes back until the body is whole.
    async fn response(
        &self,
        socket: &TcpStream,
        buffer: &mut [u8],
        body: usize,
    ) -> io::Result<usize> {
        let mut came = 0;
        loop {
            socket.readable().await?;
            match socket.try_read(&mut buffer[came..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => came += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if came > body && buffer[..came - body].ends_with(b"\r\n\r\n") {
                return Ok(came);
            }
        }
    }
}

impl Client for Raw {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let idle = self.idle().pop();
        let (socket, mut buffer) = match idle {
            Some(idle) => idle,
            None => {
                let socket = TcpStream::connect(self.address).await?;
                socket.set_nodelay(true)?;
                (socket, vec![0; 8192])
            }
        };
        while socket.try_write(&self.request).is_err() {
            socket.writable().await?;
        }
        self.response(&socket, &mut buffer, exchange.body()).await?;
        let status = std::str::from_utf8(&buffer[9..12])?.parse()?;
        self.idle().push((socket, buffer));
        Ok((status, exchange.body()))
    }
}
