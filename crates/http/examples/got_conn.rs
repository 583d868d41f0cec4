//! Says for each request whether its connection was used before: `got_conn http://example.com/ http://example.com/`.
//!
//! A transport that wraps another knows the request that is under way; a trace tells of its connection. Redirects are
//! requests of their own, so their lines come too.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::{Request, Response, Uri};
use rosn_http::client::Client;
use rosn_http::connect::uri;
use rosn_http::{Body, BoxFuture, Error, RoundTrip, Transport};
use rosn_trace::{ClientTrace, Event, Interest, RequestTraceExt as _};

/// Keeps track of the request that is under way, and is told of its events.
struct Current {
    transport: Transport,
    uri: Arc<Mutex<Uri>>,
}

impl RoundTrip for Current {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        *self.uri.lock().expect("nobody panics with it") = request.uri().clone();
        self.transport.round_trip(request)
    }
}

struct GotConn {
    uri: Arc<Mutex<Uri>>,
}

impl ClientTrace for GotConn {
    fn interest(&self) -> Interest {
        Interest::POOL
    }

    fn event(&self, _at: Instant, event: &Event<'_>) {
        if let Event::GotConn(info) = event {
            let uri = self.uri.lock().expect("nobody panics with it");
            println!("Connection reused for {uri}? {}", info.reused);
        }
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
    let current = Arc::new(Mutex::new(Uri::default()));
    let transport = Transport::builder().build()?;
    let client = Client::new(Current { transport, uri: current.clone() });
    for url in std::env::args().skip(1) {
        let mut request = Request::get(uri(&url)?).body(Body::empty())?;
        request.with_trace(GotConn { uri: current.clone() });
        let mut body = client.request(request).await?.into_body();
        // The connection is free for the next request when the body has been read.
        while let Some(frame) = body.next().await {
            frame?;
        }
    }
    Ok(())
}
