//! What an accept loop does about an error.

use std::io;

use rustix::io::Errno;

/// What to do after `accept` failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptAction {
    /// That connection is gone; accept the next one at once.
    Retry,
    /// The process or the system is out of something: pause (say 100 ms) so that connections can
    /// end, then accept again.
    BackOff,
    /// The listener itself is unusable.
    Fatal,
}

/// Classifies an error of `accept`.
///
/// Linux passes on pending network errors of the new connection from `accept`; accept(2) says to
/// treat those like a connection that never came.
///
/// ```
/// use rosn_net::{AcceptAction, accept_error};
/// use std::io;
///
/// let error = io::Error::from(io::ErrorKind::ConnectionAborted);
/// assert_eq!(accept_error(&error), AcceptAction::Retry);
/// ```
pub fn accept_error(error: &io::Error) -> AcceptAction {
    match Errno::from_io_error(error) {
        Some(
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::AGAIN
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::TIMEDOUT
            | Errno::CONNRESET,
        ) => AcceptAction::Retry,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => AcceptAction::BackOff,
        Some(_) => AcceptAction::Fatal,
        None => match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::WouldBlock => AcceptAction::Retry,
            io::ErrorKind::OutOfMemory => AcceptAction::BackOff,
            _ => AcceptAction::Fatal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_action() {
        for (errno, action) in [
            (Errno::CONNABORTED, AcceptAction::Retry),
            (Errno::INTR, AcceptAction::Retry),
            (Errno::PROTO, AcceptAction::Retry),
            (Errno::PERM, AcceptAction::Retry), // a firewall rule refused the connection
            (Errno::MFILE, AcceptAction::BackOff),
            (Errno::NFILE, AcceptAction::BackOff),
            (Errno::NOBUFS, AcceptAction::BackOff),
            (Errno::NOMEM, AcceptAction::BackOff),
            (Errno::BADF, AcceptAction::Fatal),
            (Errno::INVAL, AcceptAction::Fatal),
        ] {
            assert_eq!(accept_error(&errno.into()), action, "{errno}");
        }
    }
}
