//! A test of a client and a server without a single socket: a network in memory that is slow, and then cut.
//!
//!     cargo run -p rosn-net --example memory_network

use std::error::Error;
use std::future::poll_fn;
use std::time::Duration;

use rosn_net::{DialOptions, ListenOptions, MemNet, Net};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

// The clock is paused: what takes seconds in the network takes none here.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let net = MemNet::new();
    let (client, server) = (net.host([10, 0, 0, 1]), net.host([10, 0, 0, 2]));
    let link = net.link([10, 0, 0, 1], [10, 0, 0, 2]);
    link.set_latency(Duration::from_secs(1));

    // Code under test takes a `dyn Net`, and gets `OsNet` in production.
    let mut listener = server.listen(&":7".parse()?, &ListenOptions::default())?;
    tokio::spawn(async move {
        let (mut stream, peer) = poll_fn(|cx| listener.poll_accept(cx)).await?;
        println!("a client from {peer}");
        let (mut read, mut write) = tokio::io::split(&mut stream);
        tokio::io::copy(&mut read, &mut write).await
    });

    let start = Instant::now();
    let mut stream = client.connect(&"10.0.0.2:7".parse()?, &DialOptions::default()).await?;
    println!("connected after {:?}", start.elapsed());
    stream.write_all(b"hello").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    println!("an answer after {:?}", start.elapsed());

    link.cut();
    stream.write_all(b"anybody?").await?;
    let silence = timeout(Duration::from_secs(60), stream.read_u8()).await;
    println!("cut: no answer within a minute: {}", silence.is_err());
    Ok(())
}
