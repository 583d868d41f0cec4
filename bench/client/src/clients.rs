//! The clients, each as its documentation shows it, with pools that keep every connection.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{Exchange, Outcome};

pub trait Client: Send + Sync + Sized + 'static {
    /// One request and its whole response: the status, and how long the body was.
    fn exchange(&self, exchange: Exchange) -> impl Future<Output = Outcome<(u16, usize)>> + Send;
}

fn uri(address: SocketAddr, exchange: Exchange) -> String {
    format!("http://{address}{}", exchange.path())
}

/// The request without its body, which each client has in a type of its own.
fn request<B>(uri: &Uri, exchange: Exchange, body: impl FnOnce(&'static [u8]) -> B) -> Request<B> {
    let (method, sent) = match exchange {
        Exchange::Get => (Method::GET, &b""[..]),
        Exchange::Post => (Method::POST, Exchange::SENT),
    };
    let mut request = Request::new(body(sent));
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    request
}

pub struct HyperUtil {
    client: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl HyperUtil {
    pub fn new(address: SocketAddr, exchange: Exchange) -> Outcome<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client =
            hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, uri: uri(address, exchange).parse()? })
    }
}

impl Client for HyperUtil {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let request = request(&self.uri, exchange, |sent| Full::new(Bytes::from_static(sent)));
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
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, url: uri(address, exchange).parse()? })
    }
}

impl Client for Reqwest {
    async fn exchange(&self, exchange: Exchange) -> Outcome<(u16, usize)> {
        let url = self.url.clone();
        let request = match exchange {
            Exchange::Get => self.client.get(url),
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
