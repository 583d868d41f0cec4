//! Logs every dial, before and after it, with a hook of one's own: `log_dials 127.0.0.1:80 unix:/run/a.sock`.
//!
//! [`rosn_net::hook::DialLog`] does the same through `tracing`.

use std::sync::Arc;
use std::time::Instant;

use rosn_net::hook::{Call, Decision, Hooks, Op, SocketHook};
use rosn_net::{DialOptions, dial};

struct Log;

impl SocketHook for Log {
    fn before(&self, op: &Op<'_>) -> Decision {
        let (Call::Connect, Some(addr)) = (op.call, op.addr) else { return Decision::Continue };
        println!("{} dials {addr}", op.owner);
        let (addr, begun) = (addr.clone(), Instant::now());
        Decision::After(Box::new(move |outcome| {
            println!("{addr}: {outcome:?} after {:?}", begun.elapsed());
            Ok(())
        }))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = DialOptions {
        owner: "log_dials".into(),
        hooks: Hooks::from(Arc::new(Log)),
        ..DialOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    for target in std::env::args().skip(1) {
        if let Err(error) = runtime.block_on(dial(&target.parse()?, &options)) {
            println!("{error}");
        }
    }
    Ok(())
}
