//! `sockopt`, as sockets take it.

use std::net::SocketAddr;
use std::time::Duration;

use rosn_config::checked::{SocketSettings, Tproxy};
use rosn_net::{DialOptions, KeepAlive, ListenOptions, SocketOptions};

use crate::Environment;

/// v2ray's `tcpFastOpenQueueLength`, where there is none.
const FAST_OPEN_QUEUE: u32 = 4096;

/// How to listen. Without the file mode of a unix socket.
pub fn listen_options(settings: &SocketSettings, environment: &Environment) -> ListenOptions {
    let queue = match settings.fast_open_queue {
        0 => FAST_OPEN_QUEUE,
        queue => queue,
    };
    ListenOptions {
        owner: environment.owner.clone(),
        reuse_port: environment.reuse_port,
        socket: socket_options(settings, queue),
        ..ListenOptions::default()
    }
}

/// How to dial.
pub fn dial_options(settings: &SocketSettings, environment: &Environment) -> DialOptions {
    DialOptions {
        owner: environment.owner.clone(),
        bind: settings.bind.map(|ip| SocketAddr::new(ip, 0)),
        socket: socket_options(settings, 1),
        ..DialOptions::default()
    }
}

/// When a silent peer is asked whether it still is there: Go's 15 s where nothing is said.
pub fn keep_alive(settings: &SocketSettings) -> KeepAlive {
    const GO: Duration = Duration::from_secs(15);
    KeepAlive::On {
        idle: settings.keep_alive_idle.unwrap_or(GO),
        interval: settings.keep_alive_interval.unwrap_or(GO),
        count: None,
    }
}

fn socket_options(settings: &SocketSettings, fast_open: u32) -> SocketOptions {
    SocketOptions {
        mark: settings.mark,
        device: (!settings.device.is_empty()).then(|| settings.device.as_str().into()),
        transparent: settings.tproxy == Tproxy::Tproxy,
        keep_alive: keep_alive(settings),
        fast_open: settings.fast_open.map(|on| if on { fast_open } else { 0 }),
        receive_buffer: settings.receive_buffer,
        send_buffer: settings.send_buffer,
        force_buffers: settings.force_buffers,
        mptcp: settings.mptcp,
    }
}
