//! The limits that the system sets the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors that are not connections: logs, listeners, epoll instances, admin.
const RESERVED: u64 = 64;

/// Raises the number of descriptors to what the system allows (as Go's runtime does for MOSN), and says
/// so where that is too few for the connections that the configuration allows.
pub(crate) fn raise_descriptors(max_connections: u32) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // Each connection may need another one to an upstream.
    let wanted = u64::from(max_connections) * 2 + RESERVED;
    if let Some(current) = current
        && current < wanted
    {
        warn!(
            "the system allows {current} open files, fewer than {max_connections} connections and \
             those to their upstreams may need: raise `ulimit -n`, or lower `limits.max_connections`"
        );
    }
}
