//! `sockets`: what stands between the process and the system's socket calls.

use std::time::Duration;

use super::Status::*;
use super::table::{choices, format};

format! {
    /// What stands between the process and the system's socket calls.
    Sockets {
        /// Listening sockets at a time.
        listen_limit: u32, Own, "no limit";
        /// Accepted connections at a time.
        accept_limit: AcceptLimit, Own, "{}";
        /// Each dial is logged, before and after.
        dial_log: bool, Own, "false";
        /// SO_MARK of every socket that dials; 0 is none.
        mark: u32, Own, "0";
        /// The IP address that every socket dials from.
        bind_address: String, Own, "";
        /// The device that every socket dials through.
        bind_device: String, Own, "";
        /// IP_TRANSPARENT for every listening socket.
        tproxy: bool, Own, "false";
        /// What goes wrong on purpose.
        faults: Vec<SocketFault>, Own, "[]";
    }

    /// Accepted connections at a time.
    AcceptLimit {
        /// Of the process.
        total: u32, Own, "no limit";
        /// Of each listener.
        per_listener: u32, Own, "no limit";
        /// Of each IP address.
        per_client: u32, Own, "no limit";
    }

    /// What goes wrong on purpose with a share of the connects to a cluster: `error` or `delay`.
    SocketFault {
        /// The cluster.
        cluster: String, Own, "every one";
        /// The share.
        percent: f64, Own, "100";
        /// `refused`, `reset`, `timeout` or `unreachable`.
        error: FaultError, Own, "";
        /// They take so much longer.
        delay: Duration, Own, "";
    }
}

choices! {
    /// How a connect fails.
    FaultError: "refused", "reset", "timeout", "unreachable";
}
