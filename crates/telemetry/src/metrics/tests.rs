use rosn_config::checked::StatsMatcher;

use super::*;

rosn_base::stats! {
    /// What the tests count.
    struct TestStats {
        /// A counter.
        request_total: Counter,
        /// A gauge.
        request_active: Gauge,
        /// A histogram.
        request_time: Histogram,
    }
}

rosn_base::stats! {
    /// Another set with the same labels.
    struct OtherStats {
        /// A counter.
        bytes_read_total: Counter,
    }
}

fn registry() -> (Registry, Vec<Arc<Sharded<TestStats>>>) {
    let registry = Registry::new("1.2.3-beta");
    let sets = vec![
        registry.sharded::<TestStats>("downstream", &[("proxy", "global")], 2),
        registry.sharded::<TestStats>("downstream", &[("listener", "a\"b\\c\nd ä")], 2),
        registry.sharded::<TestStats>("upstream", &[("host", "h:1"), ("cluster", "c")], 2),
    ];
    sets[0].shard(0).request_total.add(5);
    sets[0].shard(1).request_total.add(2);
    sets[0].shard(1).request_active.add(-3);
    sets[0].shard(1).request_time.record(1_500_000);
    sets[0].shard(0).request_time.record(120_000_000_000);
    (registry, sets)
}

fn buckets(name: &str, labels: &str, counts: [u64; 17]) -> String {
    let bounds = [
        "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
        "0.25", "0.5", "1", "2.5", "10", "60", "+Inf",
    ];
    bounds
        .iter()
        .zip(counts)
        .map(|(bound, count)| format!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n"))
        .collect()
}

#[test]
fn the_prometheus_text_is_stable_and_escaped() {
    let (registry, _sets) = registry();
    let odd = r#"listener="a\"b\\c\nd ä""#;
    let (down, up) = ("downstream_request_time_seconds", "upstream_request_time_seconds");
    let global = r#"proxy="global""#;
    let host = r#"cluster="c",host="h:1""#;
    let counts = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2];
    let expected = [
        "# HELP downstream_request_active request active of downstream.\n".to_owned(),
        "# TYPE downstream_request_active gauge\n".to_owned(),
        format!("downstream_request_active{{{odd}}} 0\n"),
        format!("downstream_request_active{{{global}}} -3\n"),
        "# HELP downstream_request_time_min request time of downstream. Shortest, in nanoseconds.\n"
            .to_owned(),
        "# TYPE downstream_request_time_min gauge\n".to_owned(),
        format!("downstream_request_time_min{{{odd}}} 0\n"),
        format!("downstream_request_time_min{{{global}}} 1500000\n"),
        "# HELP downstream_request_time_max request time of downstream. Longest, in nanoseconds.\n"
            .to_owned(),
        "# TYPE downstream_request_time_max gauge\n".to_owned(),
        format!("downstream_request_time_max{{{odd}}} 0\n"),
        format!("downstream_request_time_max{{{global}}} 120000000000\n"),
        format!("# HELP {down} request time of downstream. In seconds.\n"),
        format!("# TYPE {down} histogram\n"),
        buckets(down, odd, [0; 17]),
        format!("{down}_sum{{{odd}}} 0\n{down}_count{{{odd}}} 0\n"),
        buckets(down, global, counts),
        format!("{down}_sum{{{global}}} 120.0015\n{down}_count{{{global}}} 2\n"),
        "# HELP downstream_request_total request total of downstream.\n".to_owned(),
        "# TYPE downstream_request_total counter\n".to_owned(),
        format!("downstream_request_total{{{odd}}} 0\n"),
        format!("downstream_request_total{{{global}}} 7\n"),
    ];
    let text = registry.prometheus(&StatsMatcher::default(), false);
    let (first, rest) = text.split_once("# HELP upstream").unwrap();
    assert_eq!(first, expected.concat());
    assert!(rest.contains(&buckets(up, host, [0; 17])));
    assert!(rest.ends_with(&format!("upstream_request_total{{{host}}} 0\n")));
    assert_eq!(text, registry.prometheus(&StatsMatcher::default(), false));
}

#[test]
fn each_name_has_one_head_and_its_samples_together() {
    let (registry, _sets) = registry();
    let text = registry.prometheus(&StatsMatcher::default(), true);
    let mut heads = std::collections::BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            current = head.split(' ').next().unwrap().to_owned();
            assert!(heads.insert(current.clone()), "{current} twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&current), "{line} under {current}");
        }
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "));
    assert!(text.contains("\nmeta_version:1_2_3_beta{mosn=\"info\"} 1\n"));
    registry.set_state(6);
    let text = registry.prometheus(&StatsMatcher { all: true, ..Default::default() }, true);
    assert!(text.ends_with("\nmeta_mosn_state_code{mosn=\"info\"} 6\n"));
}

#[test]
fn the_same_labels_give_the_same_counters_while_they_are_held() {
    let registry = Registry::new("1");
    let a = registry.sharded::<TestStats>("t", &[("x", "1"), ("y", "2")], 2);
    a.shard(0).request_total.add(1);
    let b = registry.sharded::<TestStats>("t", &[("y", "2"), ("x", "1")], 2);
    assert!(Arc::ptr_eq(&a, &b));
    let fewer = registry.sharded::<TestStats>("t", &[("y", "2"), ("x", "1")], 1);
    assert!(Arc::ptr_eq(&a, &fewer));
    let other = registry.sharded::<OtherStats>("t", &[("x", "1"), ("y", "2")], 2);
    other.shard(0).bytes_read_total.add(9);
    let text = registry.prometheus(&StatsMatcher::default(), false);
    assert!(text.contains("t_request_total{x=\"1\",y=\"2\"} 1\n"));
    assert!(text.contains("t_bytes_read_total{x=\"1\",y=\"2\"} 9\n"));
    drop((a, b, fewer, other));
    assert_eq!(registry.prometheus(&StatsMatcher::default(), false), "");
    assert!(lock(&registry.sets).is_empty());
    let again = registry.sharded::<TestStats>("t", &[("x", "1"), ("y", "2")], 2);
    assert_eq!(again.shard(0).request_total.value(), 0);
    let more = registry.sharded::<TestStats>("t", &[("x", "1"), ("y", "2")], 3);
    assert_eq!(more.shards(), 3);
}

#[test]
fn what_the_matcher_names_is_left_out_everywhere() {
    let (registry, _sets) = registry();
    let keys = ["request_time", "request_active"].map(str::to_owned).to_vec();
    let exclude = StatsMatcher { labels: vec!["host".into(), "listener".into()], keys, all: false };
    let text = registry.prometheus(&exclude, false);
    assert_eq!(text.lines().last(), Some("downstream_request_total{proxy=\"global\"} 7"));
    assert_eq!(text.lines().count(), 3);
    assert_eq!(registry.stats_glob(&exclude), "request_total:7\n");
    let json = registry.stats_json(&exclude, None).unwrap();
    let expected = "{\n\t\"downstream\": {\n\t\t\"proxy.global\": {\n\t\t\t\"request_total\": \"7\"\n\t\t}\n\t}\n}";
    assert_eq!(json, expected);
    let all = StatsMatcher { all: true, ..StatsMatcher::default() };
    assert_eq!(registry.prometheus(&all, false), "");
    assert_eq!(registry.stats_json(&all, None).unwrap(), "{}");
    assert_eq!(registry.stats_glob(&all), "");
}

#[test]
fn the_admin_shapes_are_mosns() {
    let (registry, _sets) = registry();
    let none = StatsMatcher::default();
    assert_eq!(
        registry.stats_glob(&none),
        "request_total:7\nrequest_active:-3\nrequest_time_min:1500000\nrequest_time_max:120000000000\n"
    );
    let all: serde_json::Value =
        serde_json::from_str(&registry.stats_json(&none, None).unwrap()).unwrap();
    assert_eq!(all["upstream"]["cluster.c.host.h:1"]["request_time_max"], "0");
    assert_eq!(all["downstream"].as_object().unwrap().len(), 2);
    let one = registry.stats_json(&none, Some("upstream.cluster.c.host.h:1")).unwrap();
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one.as_object().unwrap().len(), 1);
    assert_eq!(registry.stats_json(&none, Some("request_total")), None);
}

#[test]
fn other_sources_can_be_registered() {
    struct Fixed;
    impl Source for Fixed {
        fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
            f("up", Value::Gauge(1));
        }
    }
    let registry = Registry::new("1");
    let source = Arc::new(Fixed);
    registry.register("9 lives", &[], &source);
    let text = registry.prometheus(&StatsMatcher::default(), false);
    assert_eq!(
        text,
        "# HELP _9_lives_up up of 9 lives.\n# TYPE _9_lives_up gauge\n_9_lives_up 1\n"
    );
    drop(source);
    assert_eq!(registry.prometheus(&StatsMatcher::default(), false), "");
}
