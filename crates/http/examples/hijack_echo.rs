//! An HTTP server whose connections become something else: `hijack_echo 127.0.0.1:8000`, then
//!
//! ```text
//! $ printf 'GET /raw HTTP/1.1\r\nHost: x\r\n\r\nhello\n' | nc -N 127.0.0.1 8000
//! no more HTTP: what you send comes back
//! hello
//! ```
//!
//! `/raw` takes the connection without a response; `/switch` answers `Upgrade: echo` with 101. Bytes that came with the
//! request are echoed like those that come later.

use std::process::ExitCode;

use http::{Request, Response, StatusCode, header};
use rosn_http::Body;
use rosn_http::hijack::{self, Hijacked, Hijacker};
use rosn_http::server::{Server, handler_fn};
use rosn_net::{ListenOptions, Net, OsNet};
use tokio::io::AsyncWriteExt as _;

#[tokio::main]
async fn main() -> ExitCode {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    match run(&addr).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(addr: &str) -> Result<(), Box<dyn std::error::Error>> {
    let listener = OsNet.listen(&addr.parse()?, &ListenOptions::default())?;
    println!("http://{}/, /raw and /switch", listener.local_addr());
    Server::new(handler_fn(answer)).serve(listener).await?;
    Ok(())
}

async fn answer(mut request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/raw" => {
            let hijacker = request.extensions().get::<Hijacker>().cloned();
            if let Some(hijacker) = hijacker
                && let Ok(hijacked) = hijacker.hijack().await
            {
                // The handler may be the one who talks. What it returns is not sent any more.
                talk(hijacked).await;
            }
            Response::default()
        }
        "/switch" => {
            let switch = hijack::on_switch(&mut request);
            tokio::spawn(async move {
                match switch.await {
                    Ok(hijacked) => talk(hijacked).await,
                    Err(error) => eprintln!("{error}"),
                }
            });
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.header(header::UPGRADE, "echo").body(Body::empty());
            response.expect("the fields are valid")
        }
        _ => Response::new(Body::from("this is HTTP\n")),
    }
}

/// Sends back what comes, until the client ends, and then ends too.
async fn talk(mut hijacked: Hijacked) {
    let talk = async {
        hijacked.write_all(b"no more HTTP: what you send comes back\n").await?;
        let (mut read, mut write) = tokio::io::split(&mut hijacked);
        let count = tokio::io::copy(&mut read, &mut write).await?;
        hijacked.shutdown().await?;
        Ok::<_, std::io::Error>(count)
    };
    match talk.await {
        Ok(count) => println!("{count} bytes were echoed"),
        Err(error) => println!("an echo ended: {error}"),
    }
}
