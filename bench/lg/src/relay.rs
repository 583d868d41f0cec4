//! A bad network for one client: datagrams are lost or late.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::args::{Args, Outcome};

/// No datagram is longer.
const LONGEST: usize = 65536;
/// How long to sleep when nothing is there and nothing is due.
const NAP: Duration = Duration::from_micros(100);

/// Passes datagrams between a client of `--port` and `--addr` until the process is ended.
pub fn run(args: &Args) -> Outcome {
    let front = bind(args.number("--port", 0)?)?;
    let back = bind(0)?;
    back.connect(args.target()?).map_err(|error| format!("--addr: {error}"))?;
    let (loss, delay) = (args.number("--loss", 5.0)?, args.number("--delay", 50)?);
    let mut random = Random(args.number("--seed", 1)?);
    let (mut there, mut here) = (VecDeque::new(), VecDeque::new());
    let mut client: Option<SocketAddr> = None;
    let mut buffer = vec![0; LONGEST];
    println!("ready");
    loop {
        let due = Instant::now() + Duration::from_millis(delay);
        let mut idle = true;
        while let Some((len, from)) = receive(&front, &mut buffer)? {
            client = Some(from);
            idle = false;
            if random.percent() >= loss {
                there.push_back((due, buffer[..len].to_vec()));
            }
        }
        while let Some((len, _)) = receive(&back, &mut buffer)? {
            idle = false;
            if random.percent() >= loss {
                here.push_back((due, buffer[..len].to_vec()));
            }
        }
        // What cannot be sent is lost, as on any network.
        while let Some(datagram) = next(&mut there) {
            let _ = back.send(&datagram);
        }
        while let Some(datagram) = next(&mut here) {
            let _ = client.map(|client| front.send_to(&datagram, client));
        }
        if idle {
            std::thread::sleep(NAP);
        }
    }
}

fn bind(port: u16) -> Outcome<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let socket = socket.map_err(|error| format!("port {port}: {error}"))?;
    socket.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(socket)
}

/// A datagram that is there. A peer that is gone (ECONNREFUSED) has sent none.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Outcome<Option<(usize, SocketAddr)>> {
    match socket.recv_from(buffer) {
        Ok(received) => Ok(Some(received)),
        Err(error)
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The next datagram whose time has come.
fn next(queue: &mut VecDeque<(Instant, Vec<u8>)>) -> Option<Vec<u8>> {
    let (due, _) = queue.front()?;
    if *due > Instant::now() {
        return None;
    }
    queue.pop_front().map(|(_, datagram)| datagram)
}

/// xorshift64*: the same sequence for the same seed.
struct Random(u64);

impl Random {
    /// From 0 up to 100.
    fn percent(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let word = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        word as f64 / (1_u64 << 53) as f64 * 100.0
    }
}
