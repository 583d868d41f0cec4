//! The client: what through rosn has to be as it is without.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::{Stream, iter, wrappers::ReceiverStream};
use tonic::client::Grpc;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, IntoRequest, Request, Response, Status, Streaming};

use crate::codec::AsTheyAre;
use crate::{DETAILS, Failure, SERVICE};

const DEADLINE: Duration = Duration::from_millis(500);
/// What has to come at some time is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs all checks; the first that does not hold is an error.
pub async fn run(port: &str, ca: Option<&str>) -> Result<(), Failure> {
    let scheme = if ca.is_some() { "https" } else { "http" };
    let mut endpoint = Channel::from_shared(format!("{scheme}://127.0.0.1:{port}"))?;
    if let Some(ca) = ca {
        let ca = Certificate::from_pem(std::fs::read(ca)?);
        endpoint = endpoint
            .tls_config(ClientTlsConfig::new().ca_certificate(ca).domain_name("interop.test"))?;
    }
    let mut client = Client { channel: endpoint.connect().await?, checks: 0 };
    client.messages().await?;
    client.metadata().await?;
    client.streams().await?;
    client.errors().await?;
    client.deadlines().await?;
    client.cancelling().await?;
    client.side_by_side().await?;
    println!("{} checks", client.checks);
    Ok(())
}

struct Client {
    channel: Channel,
    checks: u32,
}

impl Client {
    async fn messages(&mut self) -> Result<(), Failure> {
        for size in [0, 1, 1000, 100_000, 12 << 20] {
            let message: Bytes =
                (0..size).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let answer = self.unary("Unary", message.clone()).await?.into_inner();
            self.same(answer == message, true, "a message that came back")?;
        }
        Ok(())
    }

    async fn metadata(&mut self) -> Result<(), Failure> {
        let binary = || MetadataValue::from_bytes(b"\x00\xff,\n");
        let mut request = Request::new(Bytes::new());
        request.metadata_mut().append("x-a", "1".parse()?);
        request.metadata_mut().append("x-a", "2".parse()?);
        request.metadata_mut().append_bin("x-b-bin", binary());
        let (first, mut messages, _) =
            self.server_streaming("Metadata", request).await?.into_parts();
        self.same(messages.message().await?.is_some(), true, "that there is a message")?;
        let last = messages.trailers().await?.ok_or("there are no trailers")?;
        for (map, ascii, name) in [(first, "x-a", "x-b-bin"), (last, "x-a-late", "x-b-late-bin")] {
            self.same(all(&map, ascii), "1, 2".to_owned(), ascii)?;
            self.same(map.get_bin(name), Some(&binary()), name)?;
        }
        Ok(())
    }

    async fn streams(&mut self) -> Result<(), Failure> {
        let messages = iter((0..1000).map(|size| Bytes::from(vec![b'x'; size])));
        let path = path("Collect");
        let answer =
            self.grpc().await?.client_streaming(Request::new(messages), path, AsTheyAre).await?;
        self.same(answer.into_inner(), Bytes::from("1000 499500"), "what was collected")?;

        let mut counted =
            self.server_streaming("Count", Bytes::from("1000 100")).await?.into_inner();
        for number in 0..1000 {
            let expected = format!("{number}{}", ".".repeat(100));
            self.same(counted.message().await?, Some(expected.into()), "a message of many")?;
        }
        self.same(counted.message().await?, None, "the end")?;

        // Each message is answered before the next is sent: nothing may be held back.
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(Bytes::from("0")).await?;
        let mut answers = self.talk(ReceiverStream::new(receiver)).await?;
        for number in 0..200 {
            self.same(answers.message().await?, Some(number.to_string().into()), "an answer")?;
            if number < 199 {
                sender.send((number + 1).to_string().into()).await?;
            }
        }
        drop(sender);
        self.same(answers.message().await?, None, "the end")
    }

    /// Both are trailers without a message before.
    async fn errors(&mut self) -> Result<(), Failure> {
        let text = "no such thing: ü 100%\n";
        let status = failure(self.unary("Fail", text.into()).await)?;
        self.same(
            (status.code(), status.message(), status.details()),
            (Code::NotFound, text, DETAILS),
            "the error",
        )?;
        let status = failure(self.unary("Nothing", Bytes::new()).await)?;
        self.same(status.code(), Code::Unimplemented, "an unknown method")
    }

    /// tonic's own is for the head of an answer, and says that the call is cancelled. Once there is a head, it is the
    /// server or who is between that ends the call; and then a reset, which means an internal error, says no less.
    async fn deadlines(&mut self) -> Result<(), Failure> {
        let fits = [Code::DeadlineExceeded, Code::Cancelled, Code::Internal];
        let before = self.cancelled().await?.0;
        let mut request = Request::new(Bytes::new());
        request.set_timeout(DEADLINE);
        let mut grpc = self.grpc().await?;
        let status =
            failure(timeout(PATIENCE, grpc.unary(request, path("Hang"), AsTheyAre)).await?)?;
        self.same(fits.contains(&status.code()), true, &format!("a call that hangs: {status:?}"))?;
        let remaining = self.is_cancelled(before).await?;
        self.same(
            remaining > 0.0 && remaining <= DEADLINE.as_secs_f64(),
            true,
            "what the server was given",
        )?;

        let before = self.cancelled().await?.0;
        let mut request = Request::new(Bytes::from("for ever"));
        request.set_timeout(DEADLINE);
        let mut watched = self.server_streaming("Watch", request).await?.into_inner();
        self.same(watched.message().await?, Some("first".into()), "what comes at once")?;
        let status = failure(timeout(PATIENCE, watched.message()).await?)?;
        self.same(
            fits.contains(&status.code()),
            true,
            &format!("a stream that goes on: {status:?}"),
        )?;
        self.is_cancelled(before).await?;
        Ok(())
    }

    async fn cancelling(&mut self) -> Result<(), Failure> {
        let before = self.cancelled().await?.0;
        let mut watched =
            self.server_streaming("Watch", Bytes::from("for ever")).await?.into_inner();
        self.same(watched.message().await?, Some("first".into()), "what comes at once")?;
        drop(watched);
        self.is_cancelled(before).await?;
        Ok(())
    }

    /// A stream that is not read does not stop the calls beside it, however many.
    async fn side_by_side(&mut self) -> Result<(), Failure> {
        let mut stuck =
            self.server_streaming("Count", Bytes::from("100 1000000")).await?.into_inner();
        stuck.message().await?;
        let mut calls = JoinSet::new();
        for number in 0..300 {
            let mut grpc = self.grpc().await?;
            calls.spawn(async move {
                let message = Bytes::from(number.to_string());
                let answer =
                    grpc.unary(Request::new(message.clone()), path("Unary"), AsTheyAre).await;
                answer.map(|answer| answer.into_inner() == message)
            });
        }
        while let Some(answer) = calls.join_next().await {
            self.same(answer??, true, "a message that came back")?;
        }
        Ok(())
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, Failure> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await?;
        Ok(grpc)
    }

    async fn unary(&self, method: &str, message: Bytes) -> Result<Response<Bytes>, Status> {
        let mut grpc = self.grpc().await.map_err(Status::from_error)?;
        grpc.unary(Request::new(message), path(method), AsTheyAre).await
    }

    async fn server_streaming(
        &self,
        method: &str,
        request: impl IntoRequest<Bytes>,
    ) -> Result<Response<Streaming<Bytes>>, Failure> {
        let mut grpc = self.grpc().await?;
        Ok(grpc.server_streaming(request.into_request(), path(method), AsTheyAre).await?)
    }

    async fn talk(
        &self,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Streaming<Bytes>, Failure> {
        let answers =
            self.grpc().await?.streaming(Request::new(messages), path("Talk"), AsTheyAre).await?;
        Ok(answers.into_inner())
    }

    /// How many calls were cancelled, and the seconds that the last one to hang had left.
    async fn cancelled(&self) -> Result<(u64, f64), Failure> {
        let answer = self.unary("Cancelled", Bytes::new()).await?.into_inner();
        let (count, remaining) =
            str::from_utf8(&answer)?.split_once(' ').ok_or("two numbers are wanted")?;
        Ok((count.parse()?, remaining.parse().unwrap_or(f64::NAN)))
    }

    /// The server gets to know of it, and what a call that hung had left.
    async fn is_cancelled(&self, before: u64) -> Result<f64, Failure> {
        timeout(PATIENCE, async {
            loop {
                let (count, remaining) = self.cancelled().await?;
                if count > before {
                    return Ok(remaining);
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await?
    }

    fn same<T: PartialEq + Debug>(
        &mut self,
        got: T,
        expected: T,
        what: &str,
    ) -> Result<(), Failure> {
        if got != expected {
            return Err(format!("{what} is {got:?}, not {expected:?}").into());
        }
        self.checks += 1;
        Ok(())
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("{SERVICE}{method}").parse().expect("methods are words")
}

fn failure<T>(outcome: Result<T, Status>) -> Result<Status, Failure> {
    match outcome {
        Err(status) => Ok(status),
        Ok(_) => Err("the call went well".into()),
    }
}

/// Values of one name may be put together on the way: their order is what counts.
fn all(map: &MetadataMap, name: &str) -> String {
    let values: Vec<_> = map.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(", ")
}
