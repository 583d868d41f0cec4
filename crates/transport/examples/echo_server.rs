//! An echo server on any transport: `cargo run -p rosn-transport --example echo_server -- tcp 127.0.0.1:7000`.
//!
//! The settings are each transport's own defaults. A third argument is the path of a domain socket.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{
    DomainSocketSettings, HttpSettings, MkcpSettings, QuicSettings, StreamSettings, TcpSettings,
    TransportSettings, WebSocketSettings,
};
use rosn_transport::{Accepted, Environment, Registry};

fn settings(scheme: &str, path: Option<String>) -> Result<TransportSettings, String> {
    Ok(match scheme {
        "tcp" => TransportSettings::Tcp(TcpSettings::default()),
        "ws" => {
            let path = path.unwrap_or_else(|| "/".into());
            TransportSettings::WebSocket(WebSocketSettings { path, ..WebSocketSettings::default() })
        }
        "http" => TransportSettings::Http(HttpSettings::default()),
        "quic" => TransportSettings::Quic(QuicSettings::default()),
        "mkcp" => TransportSettings::Mkcp(MkcpSettings::default()),
        "domainsocket" => TransportSettings::DomainSocket(DomainSocketSettings {
            path: path.ok_or("which path?")?.into(),
            ..DomainSocketSettings::default()
        }),
        other => return Err(format!("there is no transport `{other}`")),
    })
}

async fn echo(accepted: Accepted) {
    let peer = accepted.peer;
    let (mut read, mut write) = tokio::io::split(accepted.stream);
    match tokio::io::copy(&mut read, &mut write).await {
        Ok(count) => println!("{peer}: {count} bytes"),
        Err(error) => println!("{peer}: {error}"),
    }
    // The end of what we have to say; where that fails, the client is gone.
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let scheme = arguments.next().unwrap_or_else(|| "tcp".into());
    let at: Addr = arguments.next().unwrap_or_else(|| "127.0.0.1:7000".into()).parse()?;
    let transport = settings(&scheme, arguments.next())?;

    let environment = Environment { owner: "echo".into(), ..Environment::system() };
    let settings = Arc::new(StreamSettings { transport, ..StreamSettings::default() });
    let mut listener = Registry::with_builtin().listen(&at, &settings, &environment)?;
    println!("{scheme} on {}", listener.local_addr());
    loop {
        let accepted = poll_fn(|cx| listener.poll_accept(cx)).await?;
        tokio::spawn(echo(accepted));
    }
}
