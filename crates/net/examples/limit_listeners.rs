//! Limits how many sockets of a process listen, with a hook: `limit_listeners 2`.
//!
//! Nothing that opens the sockets has to know of the limit.

use std::sync::Arc;

use rosn_net::hook::{ListenLimit, install};
use rosn_net::{ListenOptions, bind_tcp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limit = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let hook = Arc::new(ListenLimit::new(limit));
    let _guard = install(Arc::clone(&hook) as _);

    let mut open = Vec::new();
    let refused = loop {
        match bind_tcp("127.0.0.1:0".parse()?, &ListenOptions::default()) {
            Ok(listener) => {
                println!("listening on {}", listener.local_addr()?);
                open.push(listener);
            }
            Err(error) => break error,
        }
    };
    println!("{refused}");
    println!("{} listen", hook.listening());
    open.clear();
    println!("{} listen after they were closed", hook.listening());
    Ok(())
}
