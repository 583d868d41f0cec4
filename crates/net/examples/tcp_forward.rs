//! Forwards TCP connections: `tcp_forward 127.0.0.1:8604 127.0.0.1:9002`.
//!
//! The smallest proxy that can be made of this crate, on one thread; it serves to measure it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{
    AcceptAction, DialOptions, ListenOptions, Stream, Tunnel, accept_error, bind_tcp, dial,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(target)) = (args.next(), args.next()) else {
        return Err("usage: tcp_forward <listen ip:port> <target ip:port or unix:path>".into());
    };
    let target: Addr = target.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = bind_tcp(listen.parse()?, &ListenOptions::default())?;
        let listener = listener.map(tokio::net::TcpListener::from_std)?;
        let scratch = Rc::new(RefCell::new(vec![0; 256 << 10]));
        loop {
            let client = match listener.accept().await {
                Ok((client, _)) => client,
                Err(error) => match accept_error(&error) {
                    AcceptAction::Retry => continue,
                    AcceptAction::BackOff => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                    AcceptAction::Fatal => return Err(error.into()),
                },
            };
            let (target, scratch) = (target.clone(), Rc::clone(&scratch));
            tokio::task::spawn_local(async move {
                match dial(&target, &DialOptions::default()).await {
                    Ok(server) => {
                        let mut tunnel = Tunnel::new(Stream::from(client), server, b"", b"");
                        poll_fn(|cx| tunnel.poll(cx, &mut scratch.borrow_mut())).await;
                    }
                    Err(error) => eprintln!("{error}"),
                }
            });
        }
    })
}
