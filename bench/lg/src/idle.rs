//! Keep-alive connections that have had one response each and then lie still. The backend runs elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use rustls::StreamOwned;

use crate::args::{Args, Outcome};
use crate::h2;
use crate::tls::Tls;

/// What a connection is, with whatever is needed to keep it.
trait Held: Read + Write {}
impl<T: Read + Write> Held for T {}

pub fn run(args: &Args) -> Outcome {
    let to = args.target()?;
    let h2 = args.flag("--h2").then(|| h2::Requests::from_args(args)).transpose()?;
    let tls = Tls::from_args(args, if h2.is_some() { "h2" } else { "http/1.1" })?;
    let mut held = Vec::new();
    for number in 0..args.number("--conns", 1000usize)? {
        let open = || {
            let mut stream = connect(to, tls.as_ref())?;
            match &h2 {
                None => exchange(&mut stream)?,
                Some(requests) => h2::exchange(&mut stream, requests)?,
            }
            Ok(stream)
        };
        let stream = open()
            .map_err(|error: std::io::Error| format!("connection {number} to {to}: {error}"))?;
        held.push(stream);
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).map_err(|error| error.to_string())?;
    Ok(())
}

fn connect(to: SocketAddrV4, tls: Option<&Tls>) -> std::io::Result<Box<dyn Held>> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(StreamOwned::new(*tls.connection()?, stream)),
    })
}

fn exchange(stream: &mut impl Held) -> std::io::Result<()> {
    stream.write_all(b"GET /0 HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut head = vec![0; 4096];
    let count = stream.read(&mut head)?;
    head.truncate(count);
    if head.starts_with(b"HTTP/1.1 200") {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&head);
        Err(std::io::Error::other(format!("not a 200: {text:?}")))
    }
}
