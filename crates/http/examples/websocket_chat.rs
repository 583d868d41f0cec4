//! A chat by WebSocket, on connections that are hijacked from HTTP: `websocket_chat 127.0.0.1:8000`, then open
//! http://127.0.0.1:8000/ in two windows.
//!
//! The handshake is HTTP and answered as such; what follows is the affair of a WebSocket library, which gets the
//! connection with the bytes that came early.

use std::process::ExitCode;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode, header};
use rosn_http::Body;
use rosn_http::hijack::{self, Hijacked};
use rosn_http::server::{Server, handler_fn};
use rosn_net::{ListenOptions, Net, OsNet};
use tokio::sync::broadcast;
use tokio_websockets::{Message, ServerBuilder};

/// Messages that a slow reader may be behind; it misses those that are older.
const BACKLOG: usize = 64;

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
    println!("http://{}/", listener.local_addr());
    let (room, _) = broadcast::channel(BACKLOG);
    let handler = handler_fn(move |request| {
        let room = room.clone();
        async move { answer(request, room) }
    });
    Server::new(handler).serve(listener).await?;
    Ok(())
}

fn answer(mut request: Request<Body>, room: broadcast::Sender<String>) -> Response<Body> {
    let Some(accept) = accept(request.headers()) else {
        return Response::builder()
            .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
            .body(Body::from(PAGE))
            .expect("the fields are valid");
    };
    let switch = hijack::on_switch(&mut request);
    tokio::spawn(async move {
        // An error is that the client has gone.
        if let Ok(hijacked) = switch.await {
            let _ = chat(hijacked, room).await;
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .expect("the fields are valid")
}

/// What answers a WebSocket handshake (RFC 6455 section 4.2.2), if this is one.
fn accept(headers: &HeaderMap) -> Option<String> {
    let asks = headers.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Some(STANDARD.encode(hash.finish()))
}

/// Passes on what this client says to all, and what others say to it.
async fn chat(
    mut hijacked: Hijacked,
    room: broadcast::Sender<String>,
) -> Result<(), tokio_websockets::Error> {
    let mut shutdown = std::mem::take(&mut hijacked.shutdown);
    let mut said = room.subscribe();
    let mut socket = ServerBuilder::new().serve(hijacked);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(message) => {
                    if let Some(text) = message?.as_text() {
                        // It is an error that nobody listens, but this client does.
                        let _ = room.send(text.to_owned());
                    }
                }
                None => return Ok(()),
            },
            text = said.recv() => match text {
                Ok(text) => socket.send(Message::text(text)).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return socket.close().await,
            },
            // A server that ends says good-bye.
            () = shutdown.wait() => return socket.close().await,
        }
    }
}

const PAGE: &str = r#"<!doctype html>
<title>chat</title>
<form><input name="text" autofocus autocomplete="off"></form>
<ul></ul>
<script>
const socket = new WebSocket(location.href.replace(/^http/, "ws"));
const form = document.querySelector("form");
form.onsubmit = () => { socket.send(form.text.value); form.reset(); return false; };
socket.onmessage = ({ data }) => {
    document.querySelector("ul").appendChild(document.createElement("li")).textContent = data;
};
</script>
"#;
