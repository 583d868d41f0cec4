use std::collections::HashMap;
use std::thread;

use rosn_config::checked::BalancerKind;

use super::*;
use crate::balancer::{Balancer, Pick};
use crate::endpoint::Fault;
use crate::stats::{HostStats, Unexported};
use crate::testing::{cluster, config, host, hosts};

fn ids(cluster: &Cluster) -> Vec<u64> {
    cluster.endpoints().endpoints().iter().map(|endpoint| endpoint.id()).collect()
}

fn labels(cluster: &Cluster) -> Vec<String> {
    cluster.endpoints().endpoints().iter().map(|endpoint| endpoint.label().to_owned()).collect()
}

#[test]
fn hosts_without_names_are_there_at_once() {
    let mut all = hosts(&[1, 2]);
    all.push(host("unix:/run/app.sock", 3));
    all.push(host("some.name:80", 1));
    all.push(host("10.0.0.1:80", 9)); // again
    let cluster = cluster(config(BalancerKind::RoundRobin, all));
    assert_eq!(labels(&cluster), ["10.0.0.1:80", "10.0.0.2:80", "unix:/run/app.sock"]);
    let weights: Vec<_> = cluster.endpoints().endpoints().iter().map(|e| e.weight()).collect();
    assert_eq!(weights, [1, 2, 3]);
}

#[test]
fn an_endpoint_outlives_updates_while_its_address_stays() {
    let cluster = cluster(config(BalancerKind::LeastRequest, hosts(&[1, 1, 1])));
    let before = cluster.endpoints().endpoints().to_vec();
    let version = cluster.endpoints().version();
    before[1].request_started();
    before[1].fail(Fault::Outlier);
    before[1].stats().shard(0).request_total.add(5);

    assert!(!cluster.update(&hosts(&[1, 1, 1])), "nothing changed");
    assert_eq!(cluster.endpoints().version(), version);

    let mut changed = hosts(&[1, 7, 1, 1]);
    changed.remove(0);
    assert!(cluster.update(&changed));
    assert_eq!(cluster.endpoints().version(), version + 1);
    let after = cluster.endpoints().endpoints().to_vec();
    assert_eq!(labels(&cluster), ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]);
    assert_eq!((after[0].id(), after[0].weight()), (before[1].id(), 7));
    assert_eq!(after[0].active_requests(), 1);
    assert!(!after[0].is_healthy());
    assert_eq!(after[0].stats().shard(0).request_total.value(), 5);
    assert!(Arc::ptr_eq(&after[1], &before[2]), "what did not change is the same");
    assert!(before.iter().all(|endpoint| endpoint.id() != after[2].id()));

    // The old description still works for a request under way.
    before[1].request_ended();
    before[1].recover(Fault::Outlier);
    assert_eq!(after[0].active_requests(), 0);
    assert!(after[0].is_healthy());

    assert!(cluster.update(&hosts(&[1])));
    assert_ne!(ids(&cluster), [before[0].id()], "it was gone for a while");
}

#[test]
fn workers_pick_while_the_set_changes() {
    let config = config(BalancerKind::WeightedRoundRobin, hosts(&[1, 2, 3]));
    let cluster = cluster(config);
    thread::scope(|scope| {
        for seed in 0..3 {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut balancer = Balancer::new(cluster.config(), seed);
                for _ in 0..20_000 {
                    let set = cluster.endpoints();
                    let endpoint = balancer.pick(&set, &Pick::default()).unwrap();
                    assert!(set.endpoints().iter().any(|other| Arc::ptr_eq(other, endpoint)));
                }
            });
        }
        for n in 0..300 {
            cluster.update(&hosts(&[3, 2, 1, 5, 1][..1 + n % 5]));
            if let Some(endpoint) = cluster.endpoints().endpoints().last() {
                endpoint.fail(Fault::ActiveCheck);
                endpoint.recover(Fault::ActiveCheck);
            }
        }
    });
}

#[test]
fn a_registry_keeps_the_counters_of_a_host() {
    #[derive(Default)]
    struct Registry(Mutex<HashMap<String, Arc<Sharded<HostStats>>>>);
    impl StatsSource for Registry {
        fn cluster(&self, cluster: &str) -> Arc<Sharded<ClusterStats>> {
            Unexported { shards: 2 }.cluster(cluster)
        }
        fn host(&self, cluster: &str, host: &str) -> Arc<Sharded<HostStats>> {
            let mut known = self.0.lock().unwrap();
            let known = known.entry(format!("{cluster} {host}"));
            Arc::clone(known.or_insert_with(|| Arc::new(Sharded::new(2))))
        }
    }
    let registry = Arc::new(Registry::default());
    let mut config = config(BalancerKind::OriginalDst, hosts(&[1]));
    config.discovery = Discovery::OriginalDst { header: None, replace_local: false };
    let cluster = Cluster::new(Arc::new(config), 9, registry.clone());
    for n in 0..5 {
        cluster.original_dst(([10, 1, 1, n], 443).into());
    }
    let mut names: Vec<_> = registry.0.lock().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["test 10.0.0.1:80", "test original_dst"]);
}

#[test]
fn original_destinations_are_kept_and_may_be_made_local() {
    for (replace_local, expected) in [(false, "10.1.1.1:443"), (true, "127.0.0.1:443")] {
        let mut config = config(BalancerKind::OriginalDst, Vec::new());
        config.discovery = Discovery::OriginalDst { header: None, replace_local };
        let cluster = cluster(config);
        let addr = ([10, 1, 1, 1], 443).into();
        let endpoint = cluster.original_dst(addr);
        assert_eq!(endpoint.addr().to_string(), expected);
        assert!(Arc::ptr_eq(&endpoint, &cluster.original_dst(addr)));
        assert_ne!(endpoint.id(), cluster.original_dst(([10, 1, 1, 1], 80).into()).id());
    }
}

#[test]
fn retries_are_a_share_of_the_active_requests_of_all_workers() {
    let config = Arc::new(config(BalancerKind::RoundRobin, hosts(&[1])));
    let cluster = Cluster::new(config, 1, Arc::new(Unexported { shards: 2 }));
    let count = || {
        let held: Vec<_> = (0..50).map_while(|_| cluster.try_retry()).collect();
        held.len()
    };
    assert_eq!(count(), 3);
    cluster.stats().shard(0).request_active.add(60);
    cluster.stats().shard(1).request_active.add(40);
    assert_eq!(count(), 20);
    cluster.stats().shard(1).request_active.add(-1000);
    assert_eq!(count(), 3);
}

#[test]
fn a_reload_keeps_the_health_of_what_stays() {
    let old = cluster(config(BalancerKind::RoundRobin, hosts(&[1, 1, 1])));
    old.endpoints().endpoints()[1].fail(Fault::Outlier);
    let new = cluster(config(BalancerKind::Random, hosts(&[4, 4])));
    new.inherit(&old);
    let health: Vec<_> = new.endpoints().endpoints().iter().map(|e| e.is_healthy()).collect();
    assert_eq!(health, [true, false]);
}

#[tokio::test]
async fn the_first_resolution_is_waited_for_where_there_is_one() {
    let soon = Duration::from_millis(20);
    let plain = cluster(config(BalancerKind::RoundRobin, hosts(&[1])));
    assert!(plain.first_resolution(soon).await);
    let named = cluster(config(BalancerKind::RoundRobin, vec![host("some.name:80", 1)]));
    assert!(!named.first_resolution(soon).await);
    named.update(&hosts(&[1]));
    assert!(named.first_resolution(soon).await);
}
