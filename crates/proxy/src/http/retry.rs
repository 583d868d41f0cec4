//! Whether a request that failed is sent again.

use std::net::SocketAddr;

use rosn_cluster::Permit;
use rosn_net::DialError;

use super::failure::{Failure, Flags};
use super::forward::Sending;
use crate::upstream::ConnectFailure;

/// Hosts that are tried when no connection can be made, without a retry policy.
const CONNECT_TRIES: u32 = 3;
/// The first back-off of a retry, in nanoseconds; it doubles each time.
const BACK_OFF: u64 = 25_000_000;

/// What was tried so far.
#[derive(Default)]
pub(super) struct Tried {
    /// The right to retries, held until the last one has ended.
    pub(super) permit: Option<Permit>,
    /// The addresses that CONNECT asks for, once they are known.
    pub(super) destinations: Vec<SocketAddr>,
    /// Ids of endpoints that failed.
    pub(super) endpoints: Vec<u64>,
    connects: u32,
    stale: u32,
    refused: u32,
    retries: u32,
    /// The client has seen a part of a response.
    pub(super) begun: bool,
    /// The request may have been carried out.
    pub(super) reached: bool,
    /// The next try opens a connection of its own.
    pub(super) fresh: bool,
}

#[derive(Debug)]
pub(super) enum Decision {
    GiveUp,
    /// There is a policy, and it is used up.
    Limit,
    Now,
    After(u64),
}

impl Tried {
    /// Whether the policy allows another retry.
    pub(super) fn retries_left(&self, sending: &Sending<'_>) -> bool {
        sending.forward.retry.as_ref().is_some_and(|retry| self.retries < retry.count)
    }

    pub(super) fn decide(
        &mut self,
        failure: &Failure,
        sending: &Sending<'_>,
        replayable: bool,
    ) -> Decision {
        if !replayable || failure.is_downstream() {
            return Decision::GiveUp;
        }
        match failure {
            // The name that CONNECT asks for has no address, and would have none a moment later.
            Failure::Connect(ConnectFailure::Dial(error))
                if matches!(**error, DialError::Resolve { .. } | DialError::NoAddress { .. }) =>
            {
                return Decision::GiveUp;
            }
            Failure::Connect(failure) if !sending.upstream.may_retry(failure, &self.endpoints) => {
                return Decision::GiveUp;
            }
            Failure::Connect(_) => {
                self.connects += 1;
                if self.connects < CONNECT_TRIES && sending.forward.retry.is_none() {
                    return Decision::Now;
                }
            }
            // Not a failure of the endpoint: it closed a connection that had been idle.
            Failure::Stale if sending.idempotent && self.stale < CONNECT_TRIES => {
                self.stale += 1;
                self.fresh = true;
                return Decision::Now;
            }
            // It was never looked at, so it may go elsewhere whatever it is.
            Failure::Refused(_) if self.refused < CONNECT_TRIES => {
                self.refused += 1;
                return Decision::Now;
            }
            Failure::Refused(_) => {}
            Failure::Stale
            | Failure::Reset(_)
            | Failure::TryTimeout
            | Failure::Protocol(_)
            | Failure::Http2(_) => {}
            Failure::Status(_) | Failure::GrpcStatus(_) => {}
            _ => return Decision::GiveUp,
        }
        let Some(retry) = &sending.forward.retry else { return Decision::GiveUp };
        let named = match failure {
            Failure::Status(status) => retry.names(*status),
            Failure::GrpcStatus(_) => true, // there are no others
            _ => false,
        };
        if self.reached && !sending.idempotent && !named {
            return Decision::GiveUp;
        }
        if self.retries >= retry.count {
            return Decision::Limit;
        }
        self.retries += 1;
        Decision::After(BACK_OFF << (self.retries - 1).min(6))
    }
}

/// Asks for the right to a retry, unless the request has it already.
pub(super) fn may_retry(
    permit: &mut Option<Permit>,
    sending: &Sending<'_>,
    flags: &mut Flags,
) -> bool {
    if permit.is_none() {
        *permit = sending.upstream.cluster.try_retry();
    }
    if permit.is_none() {
        sending.upstream.stats().request_retry_overflow.add(1);
        flags.insert(Flags::OVERFLOW);
    }
    permit.is_some()
}
