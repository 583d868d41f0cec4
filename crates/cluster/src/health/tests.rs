use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Mutex;

use rosn_config::checked::{BalancerKind, Question};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::*;
use crate::balancer::{Balancer, Pick};
use crate::testing::{cluster, config, hosts};

fn health_check() -> HealthCheck {
    HealthCheck {
        service: "test".into(),
        question: Question::Connect,
        timeout: Duration::from_secs(1),
        interval: Duration::from_secs(15),
        jitter: Duration::ZERO,
        initial_delay: Duration::from_secs(1),
        healthy_threshold: NonZeroU32::MIN,
        unhealthy_threshold: NonZeroU32::MIN,
        event_log: None,
    }
}

/// Answers as it is told to, and notes when and whom it was asked about.
#[derive(Default)]
struct Script {
    /// What the next questions are answered with; after that, it is silent.
    answers: Mutex<VecDeque<Result<(), String>>>,
    asked: Mutex<Vec<(Duration, String)>>,
    began: Mutex<Option<Instant>>,
    under_way: Arc<()>,
}

impl Script {
    fn new(answers: &[bool]) -> Arc<Self> {
        let answers = answers.iter().map(|good| if *good { Ok(()) } else { Err("no".to_owned()) });
        let began = Mutex::new(Some(Instant::now()));
        Arc::new(Self { answers: Mutex::new(answers.collect()), began, ..Self::default() })
    }

    fn times(&self) -> Vec<u64> {
        self.asked.lock().unwrap().iter().map(|(at, _)| at.as_secs()).collect()
    }
}

impl Probe for Script {
    fn ask<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, Result<(), String>> {
        let at = self.began.lock().unwrap().unwrap().elapsed();
        self.asked.lock().unwrap().push((at, endpoint.label().to_owned()));
        let answer = self.answers.lock().unwrap().pop_front();
        let under_way = Arc::clone(&self.under_way);
        Box::pin(async move {
            let _under_way = under_way;
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

struct Checked {
    stats: Arc<Sharded<HealthStats>>,
    cluster: Arc<Cluster>,
    task: JoinHandle<()>,
    changes: Arc<Mutex<Vec<String>>>,
}

impl Drop for Checked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start(config: rosn_config::checked::Cluster, script: &Arc<Script>) -> Checked {
    let stats = Arc::new(Sharded::new(1));
    let cluster = cluster(config);
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let on_change: OnHealthChange = Arc::new(move |change| {
        seen.lock().unwrap().push(change.to_string());
    });
    let probe: Arc<dyn Probe> = Arc::<Script>::clone(script);
    let task =
        tokio::spawn(check_health(Arc::clone(&cluster), probe, Arc::clone(&stats), on_change));
    settle().await;
    Checked { stats, cluster, task, changes }
}

fn one_host(check: HealthCheck) -> rosn_config::checked::Cluster {
    let config = config(BalancerKind::RoundRobin, hosts(&[1]));
    rosn_config::checked::Cluster { health_check: Some(check), ..config }
}

/// Lets the time of the test pass, in steps after which everything has its turn.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 2 {
        advance(Duration::from_millis(500)).await;
        settle().await;
    }
}

async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

fn is_healthy(checked: &Checked) -> bool {
    checked.cluster.endpoints().endpoints()[0].is_healthy()
}

#[tokio::test(start_paused = true)]
async fn asks_after_the_delay_and_then_at_each_interval() {
    let script = Script::new(&[true, true, true]);
    let checked = start(one_host(health_check()), &script).await;
    assert!(is_healthy(&checked), "until it was asked");
    pass(35).await;
    assert_eq!(script.times(), [1, 16, 31]);
    assert!(is_healthy(&checked));
    assert!(checked.changes.lock().unwrap().is_empty());
}

/// The interval begins with the answer, as in MOSN: a slow endpoint is not asked twice at a time.
#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_bad_one() {
    let script = Script::new(&[]);
    let checked = start(one_host(health_check()), &script).await;
    pass(17).await;
    assert_eq!(script.times(), [1, 17]);
    assert!(!is_healthy(&checked));
    let stats = checked.stats.shard(0);
    let counts = [&stats.attempt, &stats.failure, &stats.network_failure, &stats.active_failure];
    assert_eq!(counts.map(|counter| counter.value()), [2, 1, 1, 0]);
    assert_eq!(stats.healty.value(), 0);
    let changes = checked.changes.lock().unwrap().clone();
    assert_eq!(
        changes,
        ["host:10.0.0.1:80 health_status:0 current_result:0 status_changed:1 cluster:test \
          reason:no answer within 1s"]
    );
}

#[tokio::test(start_paused = true)]
async fn as_many_answers_in_a_row_as_the_thresholds_say() {
    let check = HealthCheck {
        healthy_threshold: NonZeroU32::new(2).unwrap(),
        unhealthy_threshold: NonZeroU32::new(3).unwrap(),
        interval: Duration::from_secs(1),
        ..health_check()
    };
    let answers = [false, false, true, false, false, false, true, false, true, true, false];
    let script = Script::new(&answers);
    let checked = start(one_host(check), &script).await;
    let mut seen = Vec::new();
    for _ in answers {
        pass(1).await;
        seen.push(is_healthy(&checked));
    }
    let expected = [true, true, true, true, true, false, false, false, false, true, true];
    assert_eq!(seen, expected);
    assert_eq!(checked.changes.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_endpoint_gets_no_requests() {
    let config = config(BalancerKind::RoundRobin, hosts(&[1, 1, 1]));
    let config = rosn_config::checked::Cluster { health_check: Some(health_check()), ..config };
    let script = Script::new(&[true, false, true]);
    let checked = start(config, &script).await;
    pass(2).await;
    let bad = script.asked.lock().unwrap()[1].1.clone();
    let mut balancer = Balancer::new(checked.cluster.config(), 1);
    let set = Arc::clone(&*checked.cluster.endpoints());
    for _ in 0..10 {
        let picked = balancer.pick(&set, &Pick::default()).unwrap();
        assert_ne!(picked.label(), bad);
    }
}

/// MOSN #2282: questions about hosts that had left went on.
#[tokio::test(start_paused = true)]
async fn who_joins_is_asked_and_who_leaves_is_not() {
    let script = Script::new(&[true; 100]);
    let checked = start(one_host(health_check()), &script).await;
    pass(2).await;
    let two = hosts(&[1, 1]);
    assert!(checked.cluster.update(&two[1..]));
    pass(40).await;
    let asked = script.asked.lock().unwrap().clone();
    let of = |host: &str| asked.iter().filter(|(_, label)| label == host).count();
    assert_eq!((of("10.0.0.1:80"), of("10.0.0.2:80")), (1, 3));
    assert_eq!(checked.stats.shard(0).healty.value(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_the_questions_that_are_under_way() {
    let script = Script::new(&[]);
    let checked = start(one_host(health_check()), &script).await;
    pass(1).await;
    assert_eq!(Arc::strong_count(&script.under_way), 2);
    checked.task.abort();
    while Arc::strong_count(&script.under_way) > 1 {
        tokio::task::yield_now().await;
    }
    let count = script.times().len();
    pass(60).await;
    assert_eq!(script.times().len(), count);
    assert!(is_healthy(&checked), "nothing was found out");
}

/// MOSN keeps the health by address, across clusters and reloads; here the new cluster takes it over, and keeps it only
/// while it is looked after.
#[test]
fn a_cluster_without_checks_does_not_inherit_what_they_found() {
    let with = cluster(one_host(health_check()));
    with.endpoints().endpoints()[0].fail(Fault::ActiveCheck);
    with.endpoints().endpoints()[0].fail(Fault::Outlier);
    let changed =
        cluster(one_host(HealthCheck { timeout: Duration::from_secs(2), ..health_check() }));
    changed.inherit(&with);
    assert_eq!(changed.endpoints().endpoints()[0].faults(), 3);
    let without = cluster(config(BalancerKind::RoundRobin, hosts(&[1])));
    without.inherit(&with);
    assert_eq!(without.endpoints().endpoints()[0].faults(), Fault::Outlier as u8);
}
