use rosn_config::checked::LogLevel;

use super::*;

fn read(line: &[&str]) -> Cli {
    try_read(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn try_read(line: &[&str]) -> Result<Cli, Error> {
    Cli::read(std::iter::once("rosn").chain(line.iter().copied()).map(OsString::from))
}

/// The arguments of a start, with or without the word.
fn start(line: &[&str]) -> StartArgs {
    let cli = read(line);
    match cli.command {
        None => cli.start,
        Some(Command::Start(args)) => args,
        Some(other) => panic!("{line:?} is {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_start_needs_no_word() {
    assert!(read(&[]).command.is_none());
    for line in [
        &["-c", "a.json"][..],
        &["start", "-c", "a.json"],
        &["start", "--config", "a.json"],
        &["start", "--config=a.json"],
        &["start", "-config", "a.json"],
        &["-config=a.json"],
    ] {
        assert_eq!(start(line).config.config.as_deref(), Some("a.json".as_ref()), "{line:?}");
    }
}

#[test]
fn every_flag_of_mosn_is_taken() {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    for (flags, value) in [
        (
            &["--service-cluster", "-s", "-service-cluster"][..],
            (|a| &a.node.service_cluster) as fn(&StartArgs) -> &Option<String>,
        ),
        (&["--service-node", "-n"], |a| &a.node.service_node),
        (&["--service-type", "-p"], |a| &a.node.service_type),
        (&["--cluster-domain", "--domain", "-domain"], |a| &a.node.cluster_domain),
        (&["--pod-namespace", "--pns", "-pns"], |a| &a.node.pod_namespace),
        (&["--pod-name", "--pn", "-pn"], |a| &a.node.pod_name),
        (&["--pod-ip", "--pi", "-pi"], |a| &a.node.pod_ip),
        (&["--log-level", "-l"], |a| &a.log_level),
        (&["--log-format", "--lf", "-lf"], |a| &a.ignored.log_format),
        (&["--local-address-ip-version"], |a| &a.ignored.local_address_ip_version),
        (&["--restart-epoch"], |a| &a.ignored.restart_epoch),
        (&["--parent-shutdown-time-s"], |a| &a.ignored.parent_shutdown_time_s),
        (&["--max-obj-name-len"], |a| &a.ignored.max_obj_name_len),
        (&["--log-format-prefix-with-location"], |a| &a.ignored.log_format_prefix_with_location),
        (&["--bootstrap-version"], |a| &a.ignored.bootstrap_version),
        (&["--drain-strategy"], |a| &a.ignored.drain_strategy),
    ] {
        for flag in flags {
            assert_eq!(text(value(&start(&["start", flag, "7"]))), "7", "{flag}");
            assert_eq!(text(value(&start(&[flag, "7"]))), "7", "{flag}");
        }
    }
}

#[test]
fn flags_that_repeat_add_up() {
    for flag in ["--service-meta", "--sm", "-sm"] {
        let args = start(&["start", flag, "a=1", flag, "b=2,c=3"]);
        assert_eq!(args.node.service_meta, ["a=1", "b=2", "c=3"], "{flag}");
    }
    for flag in ["--service-lables", "--sl", "-sl", "--service-labels"] {
        assert_eq!(start(&["start", flag, "a=1"]).node.service_lables, ["a=1"], "{flag}");
    }
    for flag in ["--component-log-level", "--lc"] {
        let args = start(&["start", flag, "misc:error"]);
        assert_eq!(args.ignored(), ["--component-log-level"], "{flag}");
    }
}

#[test]
fn a_pilot_agents_line_is_taken() {
    let args = start(&[
        "-c",
        "etc/istio/proxy/envoy-rev0.json",
        "--restart-epoch",
        "0",
        "--drain-time-s",
        "45",
        "--drain-strategy",
        "immediate",
        "--parent-shutdown-time-s",
        "60",
        "--local-address-ip-version",
        "v4",
        "--bootstrap-version",
        "3",
        "--disable-hot-restart",
        "--log-format",
        "%Y-%m-%dT%T.%fZ",
        "--log-level",
        "warning",
        "--component-log-level",
        "misc:error",
        "--concurrency",
        "2",
        "--service-cluster",
        "reviews.default",
        "--service-node",
        "sidecar~10.0.0.1~x.y~y.svc",
    ]);
    assert_eq!(args.workers(), NonZeroUsize::new(2).map(Workers::Count));
    assert_eq!(args.drain_time_s, Some(45));
    assert_eq!(args.ignored().len(), 8);
}

#[test]
fn workers_and_booleans() {
    assert_eq!(start(&[]).workers(), None);
    assert_eq!(start(&["--workers", "0"]).workers(), Some(Workers::PerCore));
    assert_eq!(
        start(&["--disable-hot-restart=false", "--watch"]).ignored(),
        ["--disable-hot-restart"]
    );
    assert!(start(&["start", "--watch"]).watch);
    for bad in [&["--workers", "-1"][..], &["--workers", "x"], &["--drain-time-s", "1.5"]] {
        assert!(try_read(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn feature_gates_are_read_as_go_does() {
    let open = |text: &str| -> Vec<String> {
        let gates = start(&["-f", text]).feature_gates.all();
        gates.into_iter().filter(|gate| gate.1).map(|gate| gate.0).collect()
    };
    assert_eq!(open(""), [""; 0]);
    assert_eq!(open("auto_config=true, XdsMtlsEnable=T,"), ["XdsMtlsEnable", "auto_config"]);
    assert_eq!(open("auto_config=1,auto_config=false"), [""; 0]);
    for bad in ["auto_config", "auto_config=yes", "Auto=true"] {
        assert!(try_read(&["-f", bad]).is_err(), "{bad}");
    }
}

#[test]
fn log_levels_have_two_vocabularies() {
    for (word, level) in [
        ("trace", LogLevel::Trace),
        ("warning", LogLevel::Warn),
        ("WARN", LogLevel::Warn),
        ("critical", LogLevel::Fatal),
        ("INFO", LogLevel::Info),
    ] {
        assert_eq!(LogLevelFlag::parse(word), Some(LogLevelFlag::Level(level)), "{word}");
    }
    assert_eq!(LogLevelFlag::parse("off"), Some(LogLevelFlag::Off));
    assert_eq!(LogLevelFlag::parse("loud"), None);
}

#[test]
fn other_words_have_their_own_flags() {
    let Some(Command::Check(check)) =
        read(&["check", "-c", "a", "--strict", "--format", "json"]).command
    else {
        panic!("not a check")
    };
    assert!(check.strict && check.format == ReportFormat::Json);
    assert!(matches!(read(&["stop"]).command, Some(Command::Stop(_))));
    assert!(matches!(read(&["reload", "-config", "a"]).command, Some(Command::Reload(_))));
    assert!(read(&["-v"]).version && read(&["--version"]).version && read(&["-V"]).version);
    for bad in [&["strat"][..], &["check", "--frmat", "json"], &["stop", "--watch"], &["-c"]] {
        assert!(try_read(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn only_whole_long_flags_get_a_second_dash() {
    assert_eq!(start(&["-lwarning"]).log_level.as_deref(), Some("warning"));
    assert_eq!(start(&["-l", "warning", "-sm=a=b"]).node.service_meta, ["a=b"]);
    assert_eq!(start(&["-ca.json"]).config.config.as_deref(), Some("a.json".as_ref()));
}
