//! The server. Each method is one of streams in both directions: this is how tonic can add trailers to an answer.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, iter, once};
use tonic::body::Body;
use tonic::metadata::{KeyAndValueRef, MetadataKey, MetadataMap};
use tonic::server::{Grpc, StreamingService};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};
use tower_service::Service;

use crate::codec::AsTheyAre;
use crate::{DETAILS, Failure, SERVICE};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
type Answer = Result<Response<Messages>, Status>;

/// Prints the port, and serves until it is killed.
pub async fn run(pair: Option<(&str, &str)>) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let mut server = Server::builder();
    if let Some((certificate, key)) = pair {
        let identity = Identity::from_pem(std::fs::read(certificate)?, std::fs::read(key)?);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    server.serve_with_incoming(Echo::default(), TcpListenerStream::new(listener)).await?;
    Ok(())
}

/// The service, and what it has seen.
#[derive(Clone, Default)]
struct Echo {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Calls that were waiting when they were given up.
    cancelled: u64,
    /// The seconds that the last one to hang had left.
    remaining: Option<f64>,
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().strip_prefix(SERVICE).unwrap_or_default().to_owned();
        let call = Call { method, echo: self.clone() };
        let mut grpc = Grpc::new(AsTheyAre).apply_max_message_size_config(Some(usize::MAX), None);
        Box::pin(async move { Ok(grpc.streaming(call, request).await) })
    }
}

struct Call {
    method: String,
    echo: Echo,
}

impl StreamingService<Bytes> for Call {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Boxed<Answer>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let echo = self.echo.clone();
        match self.method.as_str() {
            "Unary" => Box::pin(async { Ok(one(only(request).await?)) }),
            "Metadata" => Box::pin(metadata(request)),
            "Collect" => Box::pin(collect(request)),
            "Count" => Box::pin(count(request)),
            "Talk" => {
                Box::pin(ready(Ok(Response::new(Box::pin(request.into_inner()) as Messages))))
            }
            "Fail" => Box::pin(fail(request)),
            "Hang" => Box::pin(ready(Ok(echo.hang(request.metadata())))),
            "Watch" => {
                Box::pin(ready(Ok(echo.until_cancelled(Some(Bytes::from_static(b"first"))))))
            }
            "Cancelled" => Box::pin(ready(Ok(one(echo.seen().into())))),
            _ => Box::pin(ready(Err(Status::unimplemented("no such method")))),
        }
    }
}

impl Echo {
    /// Its head is sent at once, so that tonic's own deadline is none that ends the call.
    fn hang(&self, metadata: &MetadataMap) -> Response<Messages> {
        let timeout = metadata.get("grpc-timeout").and_then(|value| seconds(value.to_str().ok()?));
        self.lock().remaining = timeout;
        self.until_cancelled(None)
    }

    /// A stream that does not end, and is counted when it is given up.
    fn until_cancelled(&self, first: Option<Bytes>) -> Response<Messages> {
        let (sender, receiver) = mpsc::channel(1);
        let echo = self.clone();
        tokio::spawn(async move {
            if let Some(first) = first {
                // that it fails is seen below
                let _ = sender.send(Ok(first)).await;
            }
            sender.closed().await;
            echo.lock().cancelled += 1;
        });
        Response::new(Box::pin(ReceiverStream::new(receiver)))
    }

    fn seen(&self) -> String {
        let seen = self.lock();
        let remaining = seen.remaining.map_or("none".to_owned(), |seconds| seconds.to_string());
        format!("{} {remaining}", seen.cancelled)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics while holding it")
    }
}

/// Sends back what came, before and after the message.
async fn metadata(request: Request<Streaming<Bytes>>) -> Answer {
    let (mut first, mut last) = (MetadataMap::new(), MetadataMap::new());
    for pair in request.metadata().iter() {
        match pair {
            KeyAndValueRef::Ascii(key, value) if key.as_str().starts_with("x-") => {
                first.append(key, value.clone());
                last.append(named(&format!("{key}-late"))?, value.clone());
            }
            KeyAndValueRef::Binary(key, value) if key.as_str().starts_with("x-") => {
                let late = key.as_str().replace("-bin", "-late-bin");
                first.append_bin(key, value.clone());
                let late = MetadataKey::from_bytes(late.as_bytes());
                last.append_bin(late.map_err(|_| Status::internal("a name"))?, value.clone());
            }
            _ => {}
        }
    }
    let message = only(request).await?;
    // The end of a stream with this status is what tonic has for trailers of one's own.
    let messages = [Ok(message), Err(Status::with_metadata(Code::Ok, "", last))];
    let mut response = Response::new(Box::pin(iter(messages)) as Messages);
    *response.metadata_mut() = first;
    Ok(response)
}

fn named(name: &str) -> Result<MetadataKey<tonic::metadata::Ascii>, Status> {
    MetadataKey::from_bytes(name.as_bytes()).map_err(|_| Status::internal("a name"))
}

async fn collect(request: Request<Streaming<Bytes>>) -> Answer {
    let (mut messages, mut count, mut size) = (request.into_inner(), 0, 0);
    while let Some(message) = messages.message().await? {
        count += 1;
        size += message.len();
    }
    Ok(one(format!("{count} {size}").into()))
}

async fn count(request: Request<Streaming<Bytes>>) -> Answer {
    let message = only(request).await?;
    let numbers = str::from_utf8(&message).ok().and_then(|text| {
        let (count, size) = text.split_once(' ')?;
        Some((count.parse::<usize>().ok()?, size.parse::<usize>().ok()?))
    });
    let (count, size) =
        numbers.ok_or_else(|| Status::invalid_argument("two numbers are wanted"))?;
    let message = move |number| Ok(Bytes::from(format!("{number}{}", ".".repeat(size))));
    Ok(Response::new(Box::pin(iter((0..count).map(message)))))
}

async fn fail(request: Request<Streaming<Bytes>>) -> Answer {
    let message = String::from_utf8_lossy(&only(request).await?).into_owned();
    Err(Status::with_details(Code::NotFound, message, Bytes::from_static(DETAILS)))
}

async fn only(request: Request<Streaming<Bytes>>) -> Result<Bytes, Status> {
    request
        .into_inner()
        .message()
        .await?
        .ok_or_else(|| Status::invalid_argument("there is no message"))
}

fn one(message: Bytes) -> Response<Messages> {
    Response::new(Box::pin(once(Ok(message))))
}

/// What `grpc-timeout` says.
fn seconds(text: &str) -> Option<f64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "H" => 3600.0,
        "M" => 60.0,
        "S" => 1.0,
        "m" => 1e-3,
        "u" => 1e-6,
        "n" => 1e-9,
        _ => return None,
    };
    Some(f64::from(digits.parse::<u32>().ok()?) * factor)
}
