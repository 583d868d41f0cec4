//! Clusters and their hosts.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;

use crate::checked::{
    BalancerKind, Balancing, Breakers, Cluster, Discovery, Host, Http2Settings, SlowStart,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, Metadata, Mosn};
use crate::text::{Span, Value};

use super::stream::{self, Found, Side};
use super::{ClusterFacts, dns, health, http2, missing, tls};

/// All clusters by name. Of two with one name the last counts, as in MOSN.
pub(super) fn clusters(mosn: &Mosn, context: &mut Context<'_>) -> BTreeMap<Arc<str>, Cluster> {
    let manager = mosn.cluster_manager.value();
    let shared_tls = manager.and_then(|manager| manager.tls_context.value());
    let shared_tls = shared_tls.map_or(tls::Found::Off, |tls| tls::cluster(tls, context));
    let mut all = BTreeMap::new();
    let mut places: BTreeMap<&str, Span> = BTreeMap::new();
    for raw in manager.map(|manager| manager.clusters.items()).unwrap_or_default() {
        let Some((name, span)) = raw.name.filled() else {
            if !matches!(raw.name, Field::Faulty) {
                missing(raw.span, "name", context);
            }
            continue;
        };
        if let Some(first) = places.insert(name, span) {
            let message =
                format!("a second cluster is named `{name}`; this one replaces the first");
            let fault = Fault::warning(span, "duplicate-cluster", message);
            let first = context.sources.place(first);
            context.add(fault.help(format!("first given at {first}")));
        }
        let cluster = cluster(raw, name, &shared_tls, context);
        all.insert(cluster.name.clone(), cluster);
    }
    all
}

/// The names of clusters, also of those that have a fault.
pub(super) fn names(clusters: &BTreeMap<Arc<str>, Cluster>) -> BTreeMap<Arc<str>, ClusterFacts> {
    clusters.iter().map(|(name, cluster)| (name.clone(), ClusterFacts::of(cluster))).collect()
}

fn cluster(
    raw: &raw::Cluster,
    name: &str,
    shared_tls: &tls::Found,
    context: &mut Context<'_>,
) -> Cluster {
    let discovery = discovery(raw, context);
    let mut hosts: Vec<Host> = raw.hosts.items().iter().filter_map(|h| host(h, context)).collect();
    let found =
        stream::either(&raw.stream_settings, &raw.stream_settings_v2ray, Side::Cluster, context);
    if let Some(found) = &found {
        check_stream(raw, found, &mut hosts, context);
    }
    if hosts.is_empty() && raw.hosts.items().is_empty() && !matches!(raw.hosts, Field::Faulty) {
        warn_no_hosts(raw, name, &discovery, context);
    }
    let is_secure = found.as_ref().is_some_and(|found| found.settings.tls.is_some());
    let tls = tls(raw, shared_tls, is_secure, context);
    let (tls, inactive) = match tls {
        tls::Found::Off => (None, None),
        tls::Found::On(tls) => (Some(Arc::new(*tls)), None),
        tls::Found::Inactive(why) => (None, Some(why.to_owned())),
    };
    if let Some(why) = &inactive {
        let what = format!("{why}: requests to this cluster are answered with 503");
        context.add(super::not_yet(raw.name.span_or(raw.span), &what));
    }
    Cluster {
        name: name.into(),
        discovery,
        balancer: balancer(raw, context),
        balancing: balancing(raw, context),
        slow_start: slow_start(raw, context),
        subsets: raw
            .lb_subset_config
            .value()
            .is_some_and(|s| !s.subset_selectors.items().is_empty()),
        hosts,
        max_requests_per_connection: NonZeroU32::new(raw.max_request_per_conn.or(1024)),
        buffer_limit: raw.conn_buffer_limit_bytes.or(16384) as usize,
        mark: raw.mark.or(0),
        breakers: breakers(raw, context),
        connect_timeout: connect_timeout(raw, context),
        idle_timeout: raw.idle_timeout.value().copied(),
        panic_threshold: panic_threshold(raw, context),
        health_check: health::check(raw, name, tls.is_some(), context),
        stream: found.map(|found| found.settings),
        tls,
        http2: http2::settings(&raw.http2, Http2Settings::for_clusters(), context),
        inactive,
    }
}

/// The manager's TLS where the cluster asks for it, else its own. `is_secure`: its `stream_settings` have TLS.
fn tls(
    raw: &raw::Cluster,
    shared: &tls::Found,
    is_secure: bool,
    context: &mut Context<'_>,
) -> tls::Found {
    let own = raw.tls_context.value().map_or(tls::Found::Off, |own| tls::cluster(own, context));
    let (found, span) = match (raw.cluster_manager_tls.or(false), shared) {
        (true, tls::Found::On(_) | tls::Found::Inactive(_)) => {
            (shared.clone(), raw.cluster_manager_tls.span_or(raw.span))
        }
        _ => (own, raw.tls_context.span_or(raw.span)),
    };
    if is_secure && !matches!(found, tls::Found::Off) {
        let message = "`tls_context` would be a second TLS inside that of `stream_settings`";
        context.add(Fault::error(span, "both-given", message).help("remove one of them"));
    }
    found
}

/// What `stream_settings` do not go together with. A unix socket of theirs is a host by itself.
fn check_stream(
    raw: &raw::Cluster,
    found: &Found,
    hosts: &mut Vec<Host>,
    context: &mut Context<'_>,
) {
    let transport = &found.settings.transport;
    if let Some(address) = stream::socket_address(&found.settings)
        && hosts.is_empty()
    {
        hosts.push(Host {
            address,
            hostname: String::new(),
            weight: 1,
            metadata: Vec::new(),
            tls_disable: false,
        });
    }
    for (host, raw) in hosts.iter().zip(raw.hosts.items()) {
        if transport.is_datagram() && matches!(host.address, Addr::Unix(_)) {
            let message = format!("`{}` needs an IP address or a name", transport.scheme());
            context.add(Fault::error(raw.address.span_or(raw.span), "bad-address", message));
        }
    }
}

fn warn_no_hosts(raw: &raw::Cluster, name: &str, discovery: &Discovery, context: &mut Context<'_>) {
    if matches!(discovery, Discovery::OriginalDst { .. }) {
        return;
    }
    let message = format!("the cluster `{name}` has no hosts");
    let fault = Fault::warning(raw.name.span_or(raw.span), "no-hosts", message);
    context.add(fault.help("requests to it are answered with 502 (no healthy upstream)"));
}

fn discovery(raw: &raw::Cluster, context: &mut Context<'_>) -> Discovery {
    let kind = raw.r#type.value().map(|kind| kind.0.as_str()).unwrap_or_default();
    let balancer = raw.lb_type.value().map(|kind| kind.0.as_str()).unwrap_or_default();
    if kind == "ORIGINAL_DST" || balancer == "LB_ORIGINAL_DST" {
        let config = raw.original_dst_lb_config.value();
        let by_header = config.is_some_and(|config| config.use_header.or(false));
        let header = config.map(|config| config.header_name.text()).filter(|name| !name.is_empty());
        return Discovery::OriginalDst {
            header: by_header.then(|| header.unwrap_or("host").to_ascii_lowercase()),
            replace_local: config.is_some_and(|config| config.replace_local.or(false)),
        };
    }
    match kind {
        "STRICT_DNS" => return Discovery::StrictDns(dns::dns(raw, context)),
        "" | "SIMPLE" | "STATIC" | "DYNAMIC" | "EDS" => {}
        other => {
            let message = format!("no type of cluster is named `{other}`; `SIMPLE` is taken");
            let span = raw.r#type.span_or(raw.span);
            let fault = Fault::warning(span, "unknown-cluster-type", message);
            context.add(fault.suggest(other, raw::ClusterType::CHOICES.iter().copied()));
        }
    }
    Discovery::Static
}

fn balancer(raw: &raw::Cluster, context: &mut Context<'_>) -> BalancerKind {
    let Some((kind, span)) = raw.lb_type.spanned() else { return BalancerKind::RoundRobin };
    match kind.0.as_str() {
        "" | "LB_ROUNDROBIN" => BalancerKind::RoundRobin,
        "LB_RANDOM" => BalancerKind::Random,
        "LB_WEIGHTED_ROUNDROBIN" => BalancerKind::WeightedRoundRobin,
        "LB_LEAST_REQUEST" => BalancerKind::LeastRequest,
        "LB_LEAST_CONNECTION" => BalancerKind::LeastConnection,
        "LB_MAGLEV" => BalancerKind::Maglev,
        "LB_REQUEST_ROUNDROBIN" => BalancerKind::RequestRoundRobin,
        "LB_PEAK_EWMA" => BalancerKind::PeakEwma,
        "LB_ORIGINAL_DST" => BalancerKind::OriginalDst,
        other => {
            let message = format!("no balancer is named `{other}`; `LB_ROUNDROBIN` is taken");
            let fault = Fault::warning(span, "unknown-balancer", message);
            context.add(fault.suggest(other, raw::LbType::CHOICES.iter().copied()));
            BalancerKind::RoundRobin
        }
    }
}

fn balancing(raw: &raw::Cluster, context: &mut Context<'_>) -> Balancing {
    let Some(config) = raw.lbconfig.value() else { return Balancing::default() };
    let default = Balancing::default();
    let mut bias = |field: &Field<f64>, default: f64| match field.spanned() {
        Some((value, _)) if *value >= 0.0 => *value,
        Some((_, span)) => {
            context.add(Fault::error(
                span,
                "out-of-range",
                "expected a number that is not negative",
            ));
            default
        }
        None => default,
    };
    Balancing {
        active_request_bias: bias(&config.active_request_bias, default.active_request_bias),
        client_error_bias: bias(&config.client_error_bias, default.client_error_bias),
        server_error_bias: bias(&config.server_error_bias, default.server_error_bias),
        choices: match config.choice_count.or(default.choices) {
            0 => default.choices,
            count => count,
        },
    }
}

fn slow_start(raw: &raw::Cluster, context: &mut Context<'_>) -> Option<SlowStart> {
    let config = raw.slow_start.value()?;
    let (mode, span) = config.mode.spanned()?;
    if mode.0.is_empty() {
        return None;
    }
    if mode.0 != "duration" {
        let message = format!("no mode of slow start is named `{}`; there is none", mode.0);
        let fault = Fault::warning(span, "unknown-slow-start-mode", message);
        context.add(fault.suggest(&mode.0, raw::SlowStartMode::CHOICES.iter().copied()));
        return None;
    }
    let window = config.slow_start_duration.or(Duration::ZERO);
    if window.is_zero() {
        let span = config.slow_start_duration.span_or(config.span);
        let message = "without `slow_start_duration` there is no slow start";
        context.add(Fault::warning(span, "no-effect", message));
        return None;
    }
    let aggression = config.aggression.or(1.0);
    if aggression <= 0.0 {
        let span = config.aggression.span_or(config.span);
        context.add(Fault::error(span, "out-of-range", "expected a number above zero"));
    }
    let min_weight = config.min_weight_percent.or(0.1);
    if !(0.0..=1.0).contains(&min_weight) {
        let span = config.min_weight_percent.span_or(config.span);
        let fault = Fault::error(span, "out-of-range", "expected a number from 0 to 1");
        context.add(fault.help("ten per cent is written 0.1"));
    }
    Some(SlowStart { window, aggression, min_weight })
}

fn breakers(raw: &raw::Cluster, context: &mut Context<'_>) -> Breakers {
    let Some((all, _)) = raw.circuit_breakers.spanned() else { return Breakers::default() };
    if let Some(second) = all.get(1) {
        let message = "only the first circuit breaker counts";
        context.add(Fault::warning(second.span, "no-effect", message));
    }
    let Some(first) = all.first() else { return Breakers::default() };
    Breakers {
        max_connections: first.max_connections.or(0),
        max_pending: first.max_pending_requests.or(0),
        max_requests: first.max_requests.or(0),
        max_retries: first.max_retries.or(0),
    }
}

fn connect_timeout(raw: &raw::Cluster, context: &mut Context<'_>) -> Duration {
    let default = Duration::from_secs(10);
    let Some((timeout, span)) = raw.connect_timeout.spanned() else { return default };
    if timeout.is_zero() {
        let message = "connecting needs a time; the default of 10s is taken";
        context.add(Fault::warning(span, "out-of-range", message));
        return default;
    }
    *timeout
}

fn panic_threshold(raw: &raw::Cluster, context: &mut Context<'_>) -> u8 {
    let Some((percent, span)) = raw.panic_threshold.spanned() else { return 50 };
    match u8::try_from(*percent).ok().filter(|percent| *percent <= 100) {
        Some(percent) => percent,
        None => {
            context.add(Fault::error(span, "out-of-range", "expected a percentage from 0 to 100"));
            50
        }
    }
}

fn host(raw: &raw::Host, context: &mut Context<'_>) -> Option<Host> {
    let Some((text, span)) = raw.address.filled() else {
        if !matches!(raw.address, Field::Faulty) {
            missing(raw.span, "address", context);
        }
        return None;
    };
    let address = match Addr::parse(text, false) {
        Ok(address) => address,
        Err(error) => {
            context.add(Fault::error(span, "bad-address", error.to_string()));
            return None;
        }
    };
    if address.port() == Some(0) {
        context.add(Fault::error(span, "bad-address", "a host has a port other than 0"));
    }
    let weight = raw.weight.or(1);
    if !(1..=128).contains(&weight) && weight != 0 {
        let message = format!("a weight is at most 128; {weight} counts as 128");
        context.add(Fault::warning(raw.weight.span_or(raw.span), "out-of-range", message));
    }
    Some(Host {
        address,
        hostname: raw.hostname.text().to_owned(),
        weight: weight.clamp(1, 128),
        metadata: metadata(&raw.metadata, context),
        tls_disable: raw.tls_disable.or(false),
    })
}

/// The texts that balancers read (`mosn.lb`), sorted by key.
pub(super) fn metadata(
    field: &Field<Metadata>,
    context: &mut Context<'_>,
) -> Vec<(String, String)> {
    let filters = field.value().and_then(|metadata| metadata.filter_metadata.value());
    let Some((_, _, filter)) =
        filters.and_then(|all| all.0.iter().find(|(name, ..)| &**name == "mosn.lb"))
    else {
        return Vec::new();
    };
    if !matches!(filter.0.value, Value::Object(_)) {
        context.add(Fault::error(
            filter.0.span,
            "wrong-type",
            format!("expected an object, found {}", filter.0.kind()),
        ));
    }
    let mut texts = BTreeMap::new();
    for member in filter.0.members() {
        if let Some(text) = <String as raw::Decode>::decode(&member.value, context) {
            texts.insert(member.key.as_ref().to_owned(), text);
        }
    }
    texts.into_iter().collect()
}
