use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use rosn_config::checked::BalancerKind as Kind;

use super::*;
use crate::cluster::Cluster;
use crate::endpoint::tests::set_healthy_since;
use crate::endpoint::{Fault, Outcome};
use crate::testing::{cluster, config, hosts};

const KINDS: [Kind; 9] = [
    Kind::Random,
    Kind::RoundRobin,
    Kind::WeightedRoundRobin,
    Kind::LeastRequest,
    Kind::LeastConnection,
    Kind::Maglev,
    Kind::RequestRoundRobin,
    Kind::PeakEwma,
    Kind::OriginalDst,
];
const SECOND: u64 = 1_000_000_000;

struct Fixture {
    cluster: Arc<Cluster>,
    set: Arc<EndpointSet>,
    balancer: Balancer,
}

impl Fixture {
    fn new(kind: Kind, weights: &[u32]) -> Self {
        Self::of(&config(kind, hosts(weights)), 7)
    }

    fn of(config: &checked::Cluster, seed: u64) -> Self {
        let cluster = cluster(config.clone());
        let set = Arc::clone(&cluster.endpoints());
        Self { balancer: Balancer::new(config, seed), cluster, set }
    }

    fn endpoint(&self, index: usize) -> &Arc<Endpoint> {
        &self.set.endpoints()[index]
    }

    /// The index of the endpoint that is picked.
    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let picked = self.balancer.pick(&self.set, pick)?;
        self.set.endpoints().iter().position(|endpoint| Arc::ptr_eq(endpoint, picked))
    }

    /// How often each endpoint is picked, by requests of different hashes.
    fn shares(&mut self, count: u64) -> Vec<u64> {
        let mut shares = vec![0; self.set.endpoints().len()];
        for n in 0..count {
            let hash = siphasher::sip::SipHasher13::new().hash(&n.to_be_bytes());
            shares[self.pick(&Pick { hash: Some(hash), ..Pick::default() }).unwrap()] += 1;
        }
        shares
    }
}

/// Whether the shares are as expected; they never are all the same to the last pick by chance, so
/// the bound is far out.
fn assert_fits(shares: &[u64], weights: &[f64]) {
    let count = shares.iter().sum::<u64>() as f64;
    let sum: f64 = weights.iter().sum();
    let chi_square: f64 = shares
        .iter()
        .zip(weights)
        .map(|(share, weight)| {
            let expected = count * weight / sum;
            (*share as f64 - expected).powi(2) / expected
        })
        .sum();
    let freedom = shares.len() as f64 - 1.0;
    let bound = freedom + 6.0 * (2.0 * freedom).sqrt();
    assert!(chi_square <= bound, "{shares:?} for {weights:?}: {chi_square} > {bound}");
}

#[test]
fn equal_endpoints_get_equal_shares() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::RequestRoundRobin) {
        for count in [1, 2, 3, 10, 100] {
            let shares = Fixture::new(kind, &vec![1; count]).shares(20_000);
            assert_fits(&shares, &vec![1.0; count]);
        }
    }
}

#[test]
fn only_the_weighted_balancers_mind_weights() {
    for kind in [Kind::Random, Kind::RoundRobin, Kind::Maglev] {
        assert_fits(&Fixture::new(kind, &[1, 5, 100]).shares(30_000), &[1.0; 3]);
    }
    for kind in [Kind::LeastRequest, Kind::LeastConnection, Kind::PeakEwma] {
        let shares = Fixture::new(kind, &[1, 5, 100]).shares(10_600);
        assert_fits(&shares, &[1.0, 5.0, 100.0]);
    }
    assert_eq!(Fixture::new(Kind::WeightedRoundRobin, &[1, 5, 100]).shares(1060), [10, 50, 1000]);
}

#[test]
fn round_robin_takes_turns_from_a_place_of_its_own() {
    for kind in [Kind::RoundRobin, Kind::WeightedRoundRobin] {
        let config = config(kind, hosts(&[3; 8]));
        let mut starts = [false; 8];
        for seed in 0..200 {
            let mut fixture = Fixture::of(&config, seed);
            let first = fixture.pick(&Pick::default()).unwrap();
            starts[first] = true;
            for step in 1..20 {
                assert_eq!(fixture.pick(&Pick::default()), Some((first + step) % 8));
            }
        }
        assert_eq!(starts, [true; 8]);
    }
}

#[test]
fn weighted_workers_do_not_all_begin_with_the_same_endpoint() {
    let config = config(Kind::WeightedRoundRobin, hosts(&[2, 1, 1, 1, 1]));
    let mut first = [0; 5];
    for seed in 0..200 {
        first[Fixture::of(&config, seed).pick(&Pick::default()).unwrap()] += 1;
    }
    assert!(first.iter().filter(|count| **count > 0).count() >= 3, "{first:?}");
}

#[test]
fn request_round_robin_starts_with_the_first_and_goes_on_with_each_retry() {
    let mut fixture = Fixture::new(Kind::RequestRoundRobin, &[1, 9, 1]);
    let ids: Vec<_> = fixture.set.endpoints().iter().map(|endpoint| endpoint.id()).collect();
    for _ in 0..3 {
        for attempt in 0..5_u32 {
            let picked = fixture.pick(&Pick { attempt, ..Pick::default() });
            assert_eq!(picked, Some(attempt as usize % 3));
        }
        assert_eq!(
            fixture.pick(&Pick { tried: &ids[..1], attempt: 1, ..Pick::default() }),
            Some(1)
        );
        assert_eq!(
            fixture.pick(&Pick { tried: &ids[..2], attempt: 2, ..Pick::default() }),
            Some(2)
        );
    }
    fixture.endpoint(0).fail(Fault::ActiveCheck);
    assert_eq!(fixture.pick(&Pick::default()), Some(1));
}

#[test]
fn maglev_keeps_to_the_hash_and_goes_on_to_the_next() {
    let mut fixture = Fixture::new(Kind::Maglev, &[1; 10]);
    let ids: Vec<_> = fixture.set.endpoints().iter().map(|endpoint| endpoint.id()).collect();
    for n in 0..200_u64 {
        let pick = Pick { hash: Some(n * 7919), ..Pick::default() };
        let home = fixture.pick(&pick).unwrap();
        assert_eq!(fixture.pick(&pick), Some(home));
        let next = (home + 1) % 10;
        assert_eq!(fixture.pick(&Pick { tried: &[ids[home]], ..pick }), Some(next));
        fixture.endpoint(home).fail(Fault::Outlier);
        assert_eq!(fixture.pick(&pick), Some(next));
        assert_eq!(fixture.pick(&Pick { tried: &[ids[next]], ..pick }), Some((home + 2) % 10));
        fixture.endpoint(home).recover(Fault::Outlier);
        assert_eq!(fixture.pick(&pick), Some(home));
    }
    // Without a hash any will do.
    let picks = (0..100).map(|_| fixture.pick(&Pick::default()).unwrap());
    assert!(picks.collect::<std::collections::HashSet<_>>().len() > 5);
}

#[test]
fn maglev_keys_stay_when_an_endpoint_goes() {
    let mut fixture = Fixture::new(Kind::Maglev, &[1; 20]);
    let homes = |fixture: &mut Fixture| -> Vec<_> {
        let hashes = (0..5000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pick = |hash| {
            let pick = Pick { hash: Some(hash), ..Pick::default() };
            fixture.balancer.pick(&fixture.set, &pick).unwrap().addr().clone()
        };
        hashes.map(pick).collect()
    };
    let before = homes(&mut fixture);
    let mut fewer = hosts(&[1; 20]);
    let gone = fewer.remove(10).address;
    assert!(fixture.cluster.update(&fewer));
    fixture.set = Arc::clone(&fixture.cluster.endpoints());
    let after = homes(&mut fixture);
    assert!(!after.contains(&gone));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(moved < 5000 * 2 / 20, "{moved} of 5000 moved");
}

#[test]
fn the_least_loaded_of_two_is_taken() {
    for kind in [Kind::LeastRequest, Kind::LeastConnection] {
        let mut fixture = Fixture::new(kind, &[1; 5]);
        for (index, load) in [3, 0, 1, 9, 2].into_iter().enumerate() {
            for _ in 0..load {
                fixture.endpoint(index).request_started();
                fixture.endpoint(index).connection_opened();
            }
        }
        // Of ten pairs, the idle one is in four and wins; the busiest never does.
        let shares = fixture.shares(10_000);
        assert_eq!(shares[3], 0);
        assert_fits(&[shares[1], shares[2], shares[4], shares[0]], &[4.0, 3.0, 2.0, 1.0]);
    }
}

#[test]
fn as_many_choices_as_endpoints_find_the_least_loaded() {
    for choices in [5, 6, u32::MAX] {
        let mut config = config(Kind::LeastRequest, hosts(&[1; 5]));
        config.balancing.choices = choices;
        let mut fixture = Fixture::of(&config, 1);
        for index in [0, 1, 2, 4] {
            fixture.endpoint(index).request_started();
        }
        assert_eq!(fixture.shares(100), [0, 0, 0, 100, 0]);
    }
    let mut config = config(Kind::LeastRequest, hosts(&[1; 5]));
    config.balancing.choices = 0;
    assert_fits(&Fixture::of(&config, 1).shares(5000), &[1.0; 5]);
}

#[test]
fn weight_is_divided_by_load_to_the_power_of_the_bias() {
    for (bias, expected) in [(0.0, [1.0, 2.0]), (1.0, [1.0, 0.5]), (2.0, [1.0, 0.125])] {
        let mut config = config(Kind::LeastRequest, hosts(&[1, 2]));
        config.balancing.active_request_bias = bias;
        let mut fixture = Fixture::of(&config, 1);
        (0..3).for_each(|_| fixture.endpoint(1).request_started());
        fixture.balancer.pick(&fixture.set, &Pick::default());
        let shares = fixture.shares(9000);
        assert_fits(&shares, &expected);
    }
}

#[test]
fn peak_ewma_prefers_what_is_fast_and_works() {
    for weights in [[1, 1, 1], [2, 2, 1]] {
        let mut fixture = Fixture::new(Kind::PeakEwma, &weights);
        for (index, millis, outcome) in
            [(0, 10, Outcome::Success), (1, 100, Outcome::Success), (2, 10, Outcome::ServerError)]
        {
            fixture.endpoint(index).observe(Duration::from_millis(millis), outcome);
        }
        let shares = fixture.shares(1000);
        assert!(shares[0] > 600, "{shares:?}");
        assert!(shares[0] > 4 * shares[1] || shares[1] + shares[2] < 350, "{shares:?}");
    }
}

#[test]
fn peak_ewma_tries_a_slow_endpoint_again_after_a_while() {
    let mut fixture = Fixture::new(Kind::PeakEwma, &[1, 1]);
    fixture.pick(&Pick::default());
    fixture.endpoint(0).observe(Duration::from_millis(1), Outcome::Success);
    fixture.endpoint(1).observe(Duration::from_secs(1), Outcome::Success);
    assert_eq!(fixture.shares(100), [100, 0]);
    fixture.endpoint(0).request_started();
    let later = Pick { now_nanos: 200 * SECOND, ..Pick::default() };
    assert_eq!(fixture.pick(&later), Some(1), "both are as the others again, and one is busy");
}

/// With two endpoints the one that answered first was always cheaper than what was not known of the
/// other.
#[test]
fn peak_ewma_tries_all_endpoints() {
    for count in 2..5 {
        let mut fixture = Fixture::new(Kind::PeakEwma, &vec![1; count]);
        let mut picks = vec![0; count];
        for _ in 0..100 {
            let picked = fixture.pick(&Pick::default()).unwrap();
            picks[picked] += 1;
            let millis = if picked == 0 { 60 } else { 1 };
            fixture.endpoint(picked).observe(Duration::from_millis(millis), Outcome::Success);
        }
        assert!(picks.iter().all(|picks| *picks > 0) && picks[0] < 5, "{picks:?}");
    }
}

#[test]
fn a_single_endpoint_is_picked_only_when_healthy_or_in_a_panic() {
    for kind in KINDS {
        for weights in [&[1][..], &[1, 2]] {
            for (threshold, expected) in [(0, false), (1, true), (50, true), (100, true)] {
                let mut config = config(kind, hosts(weights));
                config.panic_threshold = threshold;
                let mut fixture = Fixture::of(&config, 3);
                assert!(fixture.pick(&Pick::default()).is_some());
                let tried = [fixture.endpoint(0).id()];
                let again = Pick { tried: &tried, attempt: 1, ..Pick::default() };
                assert!(fixture.pick(&again).is_some(), "{kind:?}: there is no other");
                fixture.set.endpoints().iter().for_each(|e| e.fail(Fault::ActiveCheck));
                assert_eq!(fixture.pick(&Pick::default()).is_some(), expected, "{kind:?}");
                fixture.set.endpoints().iter().for_each(|e| e.recover(Fault::ActiveCheck));
                assert!(fixture.pick(&Pick::default()).is_some());
            }
        }
        assert_eq!(Fixture::new(kind, &[]).pick(&Pick::default()), None);
    }
}

#[test]
fn below_the_threshold_health_is_ignored() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::RequestRoundRobin) {
        let mut fixture = Fixture::new(kind, &[1; 4]);
        fixture.endpoint(0).fail(Fault::ActiveCheck);
        fixture.endpoint(1).fail(Fault::Outlier);
        let shares = fixture.shares(4000);
        assert_eq!(shares[..2], [0, 0], "{kind:?}: a half is not below a half");
        fixture.endpoint(2).fail(Fault::ActiveCheck);
        assert_fits(&fixture.shares(4000), &[1.0; 4]);
    }
}

#[test]
fn slow_start_multiplies_the_weight() {
    for kind in [Kind::WeightedRoundRobin, Kind::LeastRequest, Kind::LeastConnection] {
        let mut config = config(kind, hosts(&[2, 2, 2]));
        let window = Duration::from_secs(10);
        config.slow_start = Some(SlowStart { window, aggression: 1.0, min_weight: 0.1 });
        let mut fixture = Fixture::of(&config, 5);
        // From here on, a second of the worker's clock is a second of the cluster's.
        fixture.pick(&Pick { now_nanos: 900 * SECOND, ..Pick::default() });
        set_healthy_since(fixture.endpoint(1), 95 * SECOND);
        set_healthy_since(fixture.endpoint(2), 100 * SECOND);
        for (at, expected) in [(100, [1.0, 0.5, 0.1]), (104, [1.0, 0.9, 0.4]), (110, [1.0; 3])] {
            let pick = Pick { now_nanos: (900 + at) * SECOND, ..Pick::default() };
            let mut shares = [0; 3];
            for n in 0..6100 {
                let index = fixture.pick(&pick).unwrap();
                // The first picks were queued with the weights of before.
                shares[index] += u64::from(n >= 100);
            }
            assert_fits(&shares, &expected);
        }
    }
}

#[test]
fn balancers_and_clusters_can_be_sent() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Balancer>();
    send::<crate::Permit>();
    sync::<Cluster>();
    sync::<EndpointSet>();
}

#[derive(Debug, Clone)]
enum Step {
    Fail(Index),
    Recover(Index),
    Replace(Vec<u32>),
    Pick { hash: Option<u64>, tried: Vec<Index>, attempt: u32, now: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let pick =
        (any::<Option<u64>>(), prop::collection::vec(any::<Index>(), 0..5), 0..9_u32, any::<u64>());
    prop_oneof![
        2 => any::<Index>().prop_map(Step::Fail),
        1 => any::<Index>().prop_map(Step::Recover),
        1 => prop::collection::vec(1..=4_u32, 0..7).prop_map(Step::Replace),
        8 => pick.prop_map(|(hash, tried, attempt, now)| Step::Pick { hash, tried, attempt, now }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: only eligible endpoints, only those that were not tried while there are
    /// others, and one whenever there is one.
    #[test]
    fn the_rules_hold_for_every_balancer(
        steps in prop::collection::vec(step(), 1..60),
        threshold in prop::sample::select(vec![0_u8, 30, 50, 100]),
        slow in any::<bool>(),
        seed in any::<u64>(),
        maglev_too in prop::bool::weighted(0.1),
    ) {
        for kind in KINDS {
            if kind == Kind::Maglev && !maglev_too {
                continue; // its table takes long to make without optimisation
            }
            let mut config = config(kind, hosts(&[1, 2, 1]));
            config.panic_threshold = threshold;
            let window = Duration::from_secs(10);
            let slow_start = SlowStart { window, aggression: 1.0, min_weight: 0.1 };
            config.slow_start = slow.then_some(slow_start);
            let mut fixture = Fixture::of(&config, seed);
            for step in &steps {
                fixture.take(step)?;
            }
        }
    }
}

impl Fixture {
    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let count = self.set.endpoints().len();
        match step {
            Step::Replace(weights) => {
                self.cluster.update(&hosts(weights));
                self.set = Arc::clone(&self.cluster.endpoints());
            }
            Step::Fail(index) if count > 0 => {
                self.endpoint(index.index(count)).fail(Fault::Outlier)
            }
            Step::Recover(index) if count > 0 => {
                self.endpoint(index.index(count)).recover(Fault::Outlier);
            }
            Step::Pick { hash, tried, attempt, now } => {
                let tried: Vec<_> = match count {
                    0 => vec![1, 2],
                    _ => tried.iter().map(|index| self.endpoint(index.index(count)).id()).collect(),
                };
                let pick = Pick { hash: *hash, tried: &tried, attempt: *attempt, now_nanos: *now };
                return self.check(&pick);
            }
            Step::Fail(_) | Step::Recover(_) => {}
        }
        Ok(())
    }

    fn check(&mut self, pick: &Pick<'_>) -> Result<(), TestCaseError> {
        let all = self.set.endpoints();
        let healthy: Vec<_> = all.iter().filter(|endpoint| endpoint.is_healthy()).collect();
        let threshold = usize::from(self.cluster.config().panic_threshold);
        let panics = healthy.len() * 100 < threshold * all.len();
        let eligible = if panics { all.iter().collect() } else { healthy };
        let untried = |endpoint: &&Arc<Endpoint>| !pick.tried.contains(&endpoint.id());
        let picked = self.balancer.pick(&self.set, pick);
        prop_assert_eq!(picked.is_some(), !eligible.is_empty());
        if let Some(picked) = picked {
            prop_assert!(eligible.iter().any(|endpoint| Arc::ptr_eq(endpoint, picked)));
            prop_assert!(untried(&picked) || !eligible.into_iter().any(|e| untried(&e)));
        }
        Ok(())
    }
}
