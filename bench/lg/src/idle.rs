//! Keep-alive connections that have had one response each and then lie still. The backend runs elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::args::{Args, Outcome};

pub fn run(args: &Args) -> Outcome {
    let to = args.target()?;
    let mut held = Vec::new();
    for number in 0..args.number("--conns", 1000usize)? {
        held.push(open(to).map_err(|reason| format!("connection {number} to {to}: {reason}"))?);
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).map_err(|error| error.to_string())?;
    Ok(())
}

fn open(to: SocketAddrV4) -> Outcome<TcpStream> {
    let exchange = || -> std::io::Result<(TcpStream, Vec<u8>)> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /0 HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut head = vec![0; 4096];
        let count = stream.read(&mut head)?;
        head.truncate(count);
        Ok((stream, head))
    };
    let (stream, head) = exchange().map_err(|error| error.to_string())?;
    if head.starts_with(b"HTTP/1.1 200") {
        Ok(stream)
    } else {
        Err(format!("not a 200: {:?}", String::from_utf8_lossy(&head)))
    }
}
