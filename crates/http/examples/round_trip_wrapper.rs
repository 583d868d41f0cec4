//! A transport that wraps another: it logs each request that passes, sends a trace along, and turns requests for one host
//! to another: `round_trip_wrapper http://example.com/ example.com=127.0.0.1:8080`.
//!
//! Whatever is a `RoundTrip` can be wrapped, and so can the wrapper. The trace that a request has already is not
//! touched: the wrapper's is called first, then the others.

use std::process::ExitCode;
use std::time::Instant;

use http::uri::Authority;
use http::{Request, Response, Uri};
use rosn_http::client::Client;
use rosn_http::{Body, BoxFuture, Error, Phase, RoundTrip, Transport};
use rosn_trace::{Callbacks, RequestTraceExt as _};

/// Logs what passes.
struct Logged<T>(T);

impl<T: RoundTrip> RoundTrip for Logged<T> {
    fn round_trip(
        &self,
        mut request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let (what, begun) = (format!("{} {}", request.method(), request.uri()), Instant::now());
        request.with_trace(
            Callbacks::new()
                .on_dns_done(|_, host, addrs, _, _| println!("  {host} is {addrs:?}"))
                .on_connect_done(|_, _, addr, result, _| {
                    println!("  connected to {addr}: {result:?}")
                })
                .on_got_conn(|info| {
                    println!("  connection {}, reused: {}", info.conn, info.reused)
                }),
        );
        Box::pin(async move {
            println!("> {what}");
            let result = self.0.round_trip(request).await;
            match &result {
                Ok(response) => println!("< {} after {:?}", response.status(), begun.elapsed()),
                Err(error) => println!("! {error}"),
            }
            result
        })
    }
}

/// Sends what is for one host to another.
struct Turned<T> {
    transport: T,
    from: String,
    to: Authority,
}

impl<T: RoundTrip> RoundTrip for Turned<T> {
    fn round_trip(
        &self,
        mut request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        if request.uri().host() == Some(&*self.from) {
            let mut parts = request.uri().clone().into_parts();
            parts.authority = Some(self.to.clone());
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(error) => return Box::pin(async { Err(Error::new(Phase::Request, error)) }),
            }
        }
        self.transport.round_trip(request)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: round_trip_wrapper URL [HOST=AUTHORITY]")?;
    let transport = Transport::builder().build()?;
    let client = match arguments.next().as_deref().and_then(|turn| turn.split_once('=')) {
        Some((from, to)) => {
            let turned = Turned { transport, from: from.to_owned(), to: to.parse()? };
            Client::new(Logged(turned))
        }
        None => Client::new(Logged(transport)),
    };
    let response = client.get(&url).await?;
    let body = response.into_body().bytes(16 << 20).await?;
    println!("{} bytes", body.len());
    Ok(())
}
