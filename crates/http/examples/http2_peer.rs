//! Both ends of HTTP/2, for tests against the programs of others.
//!
//! `http2_peer serve [CERTIFICATE KEY]` prints its port and does what paths say; `http2_peer ask URL [CA]` asks a server
//! that does the same, and prints how many checks held.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::{Body as HttpBody, Frame};
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::server::{Informational, Server, ServerOptions, handler_fn};
use rosn_http::{Body, Transport};
use rosn_net::{ListenOptions, Net, OsNet};
use rosn_tls::{Acceptor, ClientOptions, KeyPair, Pem};
use rosn_trace::{Callbacks, RequestTraceExt as _};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["serve"] => serve(None).await,
        ["serve", certificate, key] => serve(Some((certificate, key))).await,
        ["ask", url] => ask(url, None).await,
        ["ask", url, authority] => ask(url, Some(authority)).await,
        _ => Err("usage: http2_peer serve [CERTIFICATE KEY] | ask URL [CA]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(secret: Option<(&str, &str)>) -> Result<()> {
    let mut options = ServerOptions { plain_http2: true, ..ServerOptions::default() };
    if let Some((certificate, key)) = secret {
        let certificate = Pem::File(certificate.into());
        options.tls = Some(Acceptor::new(&rosn_tls::ServerOptions {
            certificates: vec![KeyPair { certificate, key: Pem::File(key.into()) }],
            alpn: vec!["h2".to_owned()],
            ..rosn_tls::ServerOptions::default()
        })?);
    }
    let listener = OsNet.listen(&"127.0.0.1:0".parse()?, &ListenOptions::default())?;
    println!("{}", listener.local_addr().to_string().rsplit(':').next().unwrap_or_default());
    let given_up = Names::default();
    let handler = handler_fn(move |request: Request<Body>| {
        let given_up = Arc::clone(&given_up);
        async move { answer(request, given_up).await }
    });
    Server::with_options(handler, options).serve(listener).await?;
    Ok(())
}

/// The names of requests that were given up.
type Names = Arc<Mutex<HashSet<String>>>;

async fn answer(request: Request<Body>, given_up: Names) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let (name, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match name {
        "echo" => Response::new(Body::new(Echo::of(request.into_body()))),
        "hints" => {
            let mut hints = HeaderMap::new();
            hints.insert(header::LINK, HeaderValue::from_static("</style.css>; rel=preload"));
            if let Some(informational) = request.extensions().get::<Informational>() {
                informational.send(StatusCode::EARLY_HINTS, &hints).expect("it is the first");
            }
            text("hinted")
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(argument.parse().unwrap_or(0))).await;
            text("slow")
        }
        // Says something, and then nothing until the other side is gone.
        "hangs" => {
            let gone = Gone { name: argument.to_owned(), given_up };
            let some = stream::once(async { Ok(Bytes::from_static(b"some")) });
            let never = stream::once(async move {
                let _gone = gone;
                pending::<io::Result<Bytes>>().await
            });
            Response::new(Body::from_stream(stream::StreamExt::chain(some, never)))
        }
        "cancelled" => {
            let is_gone = given_up.lock().expect("nobody panics with it").contains(argument);
            text(if is_gone { "true" } else { "false" })
        }
        // Breaks off in the middle of a body whose length it has told.
        "breaks" => {
            let parts = [Ok(Bytes::from_static(b"some")), Err(io::Error::other("it breaks off"))];
            let mut response = Response::new(Body::from_stream(stream::iter(parts)));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(1000));
            response
        }
        "asked" => text(&asked(&request)),
        _ => {
            let mut response = text("there is no such path");
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// What was asked, as it came.
fn asked(request: &Request<Body>) -> String {
    let cookies = request.headers().get_all(header::COOKIE).iter();
    let cookies: Vec<_> =
        cookies.map(|cookie| String::from_utf8_lossy(cookie.as_bytes())).collect();
    let version = if request.version() == Version::HTTP_2 { "2.0" } else { "1" };
    let headers = serde_json::json!({ "cookie": cookies.join("; ") });
    serde_json::json!({ "version": version, "headers": headers }).to_string()
}

fn text(text: &str) -> Response<Body> {
    Response::new(Body::from(text.to_owned()))
}

struct Gone {
    name: String,
    given_up: Names,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.given_up.lock().expect("nobody panics with it").insert(name);
    }
}

/// What comes, as it comes; then trailers, with the digest of it and of the trailers that came.
struct Echo {
    body: Body,
    digest: Option<digest::Context>,
    came: HeaderValue,
}

impl Echo {
    fn of(body: Body) -> Self {
        let came = HeaderValue::from_static("nothing");
        Self { body, digest: Some(digest::Context::new(&SHA256)), came }
    }
}

impl HttpBody for Echo {
    type Data = Bytes;
    type Error = rosn_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        while let Some(digest) = &mut this.digest {
            let digest = match ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? {
                Some(frame) => match frame.into_data() {
                    Ok(data) => {
                        digest.update(&data);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(frame) => {
                        if let Some(sent) = frame.trailers_ref().and_then(|all| all.get("x-sent")) {
                            this.came = sent.clone();
                        }
                        continue;
                    }
                },
                None => this.digest.take().map(digest::Context::finish),
            };
            let mut trailers = HeaderMap::new();
            let digest = digest.map(|digest| hex(digest.as_ref())).unwrap_or_default();
            trailers.insert("x-digest", HeaderValue::try_from(digest).expect("it is hexadecimal"));
            trailers.insert("x-came", this.came.clone());
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(None)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body of these frames.
struct Frames(VecDeque<Frame<Bytes>>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// Who asks.
struct Client {
    transport: Transport,
    url: String,
}

impl Client {
    fn new(url: &str, authority: Option<&str>) -> Result<Self> {
        let tls = ClientOptions {
            system_roots: false,
            roots: authority.map(|path| Pem::File(path.into())).into_iter().collect(),
            ..ClientOptions::default()
        };
        let connect = ConnectOptions { proxies: Proxies::none(), tls, ..ConnectOptions::default() };
        // Where TLS agrees on it, it has to be HTTP/2 without our insisting.
        let versions = if authority.is_some() { Versions::Negotiated } else { Versions::Http2 };
        let transport = Transport::builder().connect(connect).versions(versions).build()?;
        Ok(Self { transport, url: url.to_owned() })
    }

    fn request(&self, path: &str, body: impl Into<Body>) -> Result<Request<Body>> {
        let method = if path == "/echo" { Method::POST } else { Method::GET };
        Ok(Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .body(body.into())?)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        let response = self.transport.send(request).await?;
        same(&response.version(), &Version::HTTP_2, "the version")?;
        Ok(response)
    }

    async fn text(&self, path: &str, body: impl Into<Body>) -> Result<String> {
        let response = self.send(self.request(path, body)?).await?;
        Ok(String::from_utf8(response.into_body().bytes(1 << 20).await?.to_vec())?)
    }
}

async fn ask(url: &str, authority: Option<&str>) -> Result<()> {
    let client = Client::new(url, authority)?;
    same(&client.text("/slow/1", "").await?.as_str(), &"slow", "the answer to GET")?;
    trailers(&client).await?;
    let numbers: Vec<String> = (0..100).map(|number| format!("number {number}")).collect();
    let all = numbers.iter().map(|number| client.text("/echo", number.clone()));
    same(&try_join_all(all).await?, &numbers, "a hundred at a time")?;
    hints(&client).await?;
    gives_up(&client).await?;
    let broken = client.send(client.request("/breaks", "")?).await;
    let broken = match broken {
        Ok(response) => response.into_body().bytes(2000).await.is_err(),
        Err(_) => true,
    };
    same(&broken, &true, "that a body which breaks off is an error")?;
    let asked: serde_json::Value = serde_json::from_str(&client.text("/asked", "").await?)?;
    same(&asked["version"], &"2.0".into(), "what the server says of the version")?;
    println!("7 checks");
    Ok(())
}

/// Trailers in both directions, around a MiB.
async fn trailers(client: &Client) -> Result<()> {
    let data: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let digest = hex(digest::digest(&SHA256, &data).as_ref());
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sent", HeaderValue::from_static("after all"));
    let pieces = data.chunks(50_000).map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
    let frames = Frames(pieces.chain([Frame::trailers(trailers)]).collect());
    let mut request = client.request("/echo", Body::new(frames))?;
    // Go's server passes on those alone that were announced.
    request.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-sent"));
    let response = client.send(request).await?;
    let mut body = response.into_body();
    let (mut echoed, mut fields) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.next().await {
        match frame?.into_data() {
            Ok(data) => echoed.extend_from_slice(&data),
            Err(frame) => fields = frame.into_trailers().unwrap_or_default(),
        }
    }
    same(&(echoed == data), &true, "that a MiB is echoed")?;
    let field = |name| fields.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    same(&field("x-digest"), &Some(&*digest), "the digest in the trailers")?;
    same(&field("x-came"), &Some("after all"), "what came of our trailers")
}

/// 103 before 200.
async fn hints(client: &Client) -> Result<()> {
    let seen = Arc::<Mutex<Vec<u16>>>::default();
    let mut request = client.request("/hints", "")?;
    let sees = Arc::clone(&seen);
    request.with_trace(Callbacks::new().on_informational(move |status, _| {
        sees.lock().expect("nobody panics with it").push(status.as_u16());
        Ok(())
    }));
    let response = client.send(request).await?;
    same(&response.into_body().bytes(100).await?.as_ref(), &&b"hinted"[..], "what is hinted")?;
    let seen = std::mem::take(&mut *seen.lock().expect("nobody panics with it"));
    same(&seen, &vec![103], "what came before it")
}

/// A request that is given up, and one beside it that is not.
async fn gives_up(client: &Client) -> Result<()> {
    let beside = client.text("/slow/300", "");
    let hangs = async {
        let response = client.send(client.request("/hangs/rosn", "")?).await?;
        let mut body = response.into_body();
        let first = body.next().await.transpose()?.and_then(|frame| frame.into_data().ok());
        same(&first.as_deref(), &Some(&b"some"[..]), "what comes at first")?;
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    };
    let (beside, hangs) = tokio::join!(beside, hangs);
    hangs?;
    same(&beside?.as_str(), &"slow", "the one beside it")?;
    while client.text("/cancelled/rosn", "").await? != "true" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(got: &T, wanted: &T, what: &str) -> Result<()> {
    if got == wanted { Ok(()) } else { Err(format!("{what} is {got:?}, not {wanted:?}").into()) }
}
