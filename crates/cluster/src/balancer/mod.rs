//! The load balancers (`lb_type`).
//!
//! Each worker has a [`Balancer`] of its own for each cluster. It keeps a list of the endpoints that
//! may be chosen, which is made anew only when the set or the health of an endpoint changes: a pick
//! looks at no endpoint that it does not consider, and allocates nothing.

mod edf;
mod slow_start;

use std::sync::Arc;

use fastrand::Rng;
use rosn_config::checked::{self, BalancerKind, Balancing, SlowStart};

use crate::endpoint::{Endpoint, power};
use crate::set::EndpointSet;
use edf::Edf;

/// Chooses endpoints of one cluster for one worker.
#[derive(Debug)]
pub struct Balancer {
    kind: BalancerKind,
    biases: Balancing,
    slow_start: Option<SlowStart>,
    /// In per cent.
    panic_threshold: u64,
    random: Rng,
    view: View,
    /// The next place in the list, for round robin.
    next: usize,
    queue: Edf,
}

/// What is known of the request that an endpoint is chosen for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pick<'a> {
    /// Of what `hash_policy` names: equal hashes get the same endpoint from `LB_MAGLEV`. `None` = any.
    pub hash: Option<u64>,
    /// Ids of the endpoints that failed this request: avoided while there are others.
    pub tried: &'a [u64],
    /// 0 at first, then one more for each retry.
    pub attempt: u32,
    /// A reading of the worker's clock, in nanoseconds since any epoch, as long as it stays the same.
    pub now_nanos: u64,
}

/// What a pick chooses from.
#[derive(Debug, Default)]
struct View {
    /// Of the set; 0 = none yet.
    version: u64,
    /// Of the endpoints' health.
    health_version: u64,
    /// Indices into the set, ascending: those of the healthy endpoints, or of all in a panic.
    eligible: Vec<u32>,
    /// All are eligible.
    everyone: bool,
    /// Whether endpoints have to be chosen by weight.
    weighted: bool,
    /// Turns a reading of the worker's clock into time since the cluster's epoch (wrapping).
    clock_offset: u64,
}

impl Balancer {
    /// A balancer for the cluster. `seed` decides where it starts, so that workers with different
    /// seeds do not all begin with the same endpoint.
    pub fn new(config: &checked::Cluster, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        Self {
            kind: config.balancer,
            biases: config.balancing,
            slow_start: config.slow_start,
            panic_threshold: config.panic_threshold.into(),
            next: random.u32(..) as usize,
            random,
            view: View::default(),
            queue: Edf::default(),
        }
    }

    /// The endpoint for a request; `None` if the set is empty, or if no endpoint is healthy and
    /// `panic_threshold` is 0.
    ///
    /// An unhealthy endpoint is never chosen while a healthy one exists, unless fewer than
    /// `panic_threshold` per cent are healthy: then health is ignored. An endpoint that was tried is
    /// not chosen again while another eligible one was not. All sets given to one balancer have to
    /// be of one cluster.
    pub fn pick<'s>(&mut self, set: &'s EndpointSet, pick: &Pick<'_>) -> Option<&'s Arc<Endpoint>> {
        let health_version = set.common().health_version();
        if self.view.version != set.version() || self.view.health_version != health_version {
            self.renew(set, health_version, pick.now_nanos);
        }
        if self.view.eligible.is_empty() {
            return None;
        }
        let index = match self.kind {
            BalancerKind::Random => self.random(set, pick),
            BalancerKind::Maglev => self.maglev(set, pick),
            BalancerKind::RequestRoundRobin => self.view.other(set, pick.attempt as usize, pick),
            BalancerKind::RoundRobin | BalancerKind::OriginalDst => self.round_robin(set, pick),
            _ if self.view.weighted => self.by_weight(set, pick)?,
            // All weigh the same.
            BalancerKind::WeightedRoundRobin => self.round_robin(set, pick),
            BalancerKind::LeastRequest => {
                self.least(set, pick, |endpoint| f64::from(endpoint.active_requests()))
            }
            BalancerKind::LeastConnection => {
                self.least(set, pick, |endpoint| f64::from(endpoint.active_connections()))
            }
            BalancerKind::PeakEwma => {
                let (now, biases) = (self.view.cluster_time(pick), self.biases);
                self.least(set, pick, |endpoint| endpoint.cost(now, &biases))
            }
        };
        set.endpoints().get(index)
    }

    fn renew(&mut self, set: &EndpointSet, health_version: u64, now_nanos: u64) {
        let endpoints = set.endpoints();
        let view = &mut self.view;
        view.version = set.version();
        view.health_version = health_version;
        view.clock_offset = set.common().now().wrapping_sub(now_nanos);
        view.weighted =
            minds_weights(self.kind) && (!set.equal_weights() || self.slow_start.is_some());
        let indices = 0..u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
        let healthy = |index: &u32| endpoints[*index as usize].is_healthy();
        view.eligible.clear();
        view.eligible.extend(indices.clone().filter(healthy));
        let share = view.eligible.len() as u64 * 100;
        if share < self.panic_threshold * endpoints.len() as u64 {
            view.eligible.clear();
            view.eligible.extend(indices);
        }
        view.everyone = view.eligible.len() == endpoints.len();
        if view.weighted {
            self.reset_queue(set, now_nanos);
        }
    }

    fn random(&mut self, set: &EndpointSet, pick: &Pick<'_>) -> usize {
        let at = self.random.usize(..self.view.eligible.len());
        self.view.other(set, at, pick)
    }

    fn round_robin(&mut self, set: &EndpointSet, pick: &Pick<'_>) -> usize {
        let at = self.view.other_at(set, self.next, pick);
        self.next = at + 1;
        self.view.eligible[at] as usize
    }

    /// The endpoint of the hash, else the next eligible one after it in the set.
    fn maglev(&mut self, set: &EndpointSet, pick: &Pick<'_>) -> usize {
        let hash = pick.hash.unwrap_or_else(|| self.random.u64(..));
        let index = set.maglev().and_then(|table| table.index(hash)).unwrap_or(0);
        // The place of the index, or of the first eligible one after it, in the list.
        let at = if self.view.everyone {
            index
        } else {
            self.view.eligible.partition_point(|other| (*other as usize) < index)
        };
        self.view.other(set, at, pick)
    }

    /// The least loaded of `choice_count` that are chosen at random.
    fn least(
        &mut self,
        set: &EndpointSet,
        pick: &Pick<'_>,
        load: impl Fn(&Endpoint) -> f64,
    ) -> usize {
        let count = self.view.eligible.len();
        let choices = (self.biases.choices as usize).min(count);
        let load_at = |view: &View, at: usize| load(&set.endpoints()[view.eligible[at] as usize]);
        let first = self.random.usize(..count);
        let mut best = self.view.other_at(set, first, pick);
        let mut least = load_at(&self.view, best);
        for choice in 1..choices {
            let next = if choices == count {
                first + choice
            } else {
                // Any but the best so far.
                best + 1 + self.random.usize(..count - 1)
            };
            let at = self.view.other_at(set, next, pick);
            let load = load_at(&self.view, at);
            if load < least {
                (best, least) = (at, load);
            }
        }
        self.view.eligible[best] as usize
    }
}

/// Picks by weight.
impl Balancer {
    fn by_weight(&mut self, set: &EndpointSet, pick: &Pick<'_>) -> Option<usize> {
        let now = self.view.cluster_time(pick);
        let weight = weigher(self.kind, &self.biases, self.slow_start.as_ref(), set, now);
        let index = if pick.tried.is_empty() {
            self.queue.next(weight)?
        } else {
            let tried = |index: u32| pick.tried.contains(&set.endpoints()[index as usize].id());
            self.queue.next_other(tried, weight)?
        };
        Some(index as usize)
    }

    /// Queues the eligible endpoints, and makes a random number of picks: workers that renew their
    /// views at the same time must not begin with the same endpoint.
    fn reset_queue(&mut self, set: &EndpointSet, now_nanos: u64) {
        let now = now_nanos.wrapping_add(self.view.clock_offset);
        let weight = weigher(self.kind, &self.biases, self.slow_start.as_ref(), set, now);
        let unit = match (self.kind, self.slow_start) {
            (BalancerKind::WeightedRoundRobin, None) => {
                edf::unit(set.endpoints().iter().map(|endpoint| endpoint.weight()))
            }
            _ => 1,
        };
        self.queue.reset(&self.view.eligible, unit, &weight);
        for _ in 0..self.random.usize(..=self.view.eligible.len()) {
            self.queue.next(&weight);
        }
    }
}

fn minds_weights(kind: BalancerKind) -> bool {
    matches!(
        kind,
        BalancerKind::WeightedRoundRobin
            | BalancerKind::LeastRequest
            | BalancerKind::LeastConnection
            | BalancerKind::PeakEwma
    )
}

/// What the endpoint of an index weighs at present.
fn weigher<'a>(
    kind: BalancerKind,
    biases: &'a Balancing,
    slow_start: Option<&'a SlowStart>,
    set: &'a EndpointSet,
    now: u64,
) -> impl Fn(u32) -> f64 + 'a {
    move |index| {
        let endpoint = &*set.endpoints()[index as usize];
        let mut weight = f64::from(endpoint.weight());
        if let Some(slow_start) = slow_start {
            weight *= slow_start::factor(slow_start, now.saturating_sub(endpoint.healthy_since()));
        }
        let by_load = |active: u32| power(f64::from(active) + 1.0, biases.active_request_bias);
        match kind {
            BalancerKind::LeastRequest => weight / by_load(endpoint.active_requests()),
            BalancerKind::LeastConnection => weight / by_load(endpoint.active_connections()),
            BalancerKind::PeakEwma => weight / endpoint.cost(now, biases),
            _ => weight,
        }
    }
}

impl View {
    /// The first place in the list, from `at` on and around, of an endpoint that was not tried; `at`
    /// if all were.
    fn other_at(&self, set: &EndpointSet, at: usize, pick: &Pick<'_>) -> usize {
        let count = self.eligible.len();
        let at = at % count;
        if pick.tried.is_empty() {
            return at;
        }
        let tried = |at: usize| {
            let endpoint = &set.endpoints()[self.eligible[at] as usize];
            pick.tried.contains(&endpoint.id())
        };
        // Each endpoint that was tried can be in the way once.
        let last = count.min(pick.tried.len() + 1);
        (0..last).map(|step| (at + step) % count).find(|at| !tried(*at)).unwrap_or(at)
    }

    /// The index of the endpoint at [`other_at`](Self::other_at).
    fn other(&self, set: &EndpointSet, at: usize, pick: &Pick<'_>) -> usize {
        self.eligible[self.other_at(set, at, pick)] as usize
    }

    /// Nanoseconds since the cluster's epoch.
    fn cluster_time(&self, pick: &Pick<'_>) -> u64 {
        pick.now_nanos.wrapping_add(self.clock_offset)
    }
}

#[cfg(test)]
mod tests;
