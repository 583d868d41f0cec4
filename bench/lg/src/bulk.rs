//! Bytes through a tunnel, as many as go.

use std::time::Instant;

use crate::args::{Args, Outcome};
use crate::backend::Backend;
use crate::sys::{Interest, Poller, Socket, would_block};

#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    Download,
    Upload,
}

pub fn run(args: &Args, direction: Direction) -> Outcome {
    let to = args.target()?;
    let seconds: f64 = args.number("--secs", 5.0)?;
    let fail = |error: std::io::Error| format!("{to}: {error}");
    let mut poller = Poller::new().map_err(fail)?;
    let mut backend =
        if args.flag("--with-backend") { Some(Backend::start(&poller)?) } else { None };
    let interest = if direction == Direction::Upload { Interest::WRITE } else { Interest::READ };
    let mut sockets = Vec::new();
    for id in 0..args.number("--conns", 1u32)? {
        let socket = Socket::connect(id, to).map_err(fail)?;
        poller.add(&socket, interest, u64::from(id)).map_err(fail)?;
        sockets.push(socket);
    }
    let chunk = vec![b'u'; 262_144];
    let (start, mut bytes, mut events) = (Instant::now(), 0u64, Vec::new());
    while start.elapsed().as_secs_f64() < seconds {
        poller.poll(false, &mut events);
        for event in &events {
            if let Some(backend) = &mut backend
                && Backend::owns(*event)
            {
                backend.handle(&poller, *event);
                continue;
            }
            let socket = &sockets[event.token as usize];
            let moved = match direction {
                Direction::Download => socket.discard(),
                Direction::Upload => socket.send(&chunk),
            };
            match moved {
                Ok(0) => return Err(format!("{to}: the proxy closed the connection")),
                Ok(count) => bytes += count as u64,
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = bytes as f64 / seconds / 1e9;
    println!("{{\"bytes\":{bytes},\"secs\":{seconds:.4},\"gbs\":{rate:.4},\"errors\":0}}");
    Ok(())
}
