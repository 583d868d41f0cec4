//! `STRICT_DNS`: every address of every name is an endpoint.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use rosn_config::checked::{Dns, DnsFamily};

use super::Follower;

/// An answer with a shorter time to live is kept this long.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// The resolver of a cluster, made when it is needed and anew after a failure: the resolver file may
/// have changed.
#[derive(Clone)]
pub(super) struct Resolvers {
    current: Arc<Mutex<Option<TokioResolver>>>,
}

/// Addresses, and how long they may be kept; `None` if some of them are from before.
struct Answer {
    addresses: Vec<IpAddr>,
    valid_until: Option<Instant>,
}

/// Follows a name, for ever. Cancel safe.
pub(super) async fn follow(mut follower: Follower, config: Dns, resolvers: Resolvers) {
    loop {
        let mut interval = config.refresh;
        let present = follower.answer();
        let found = match resolvers.resolver(&config) {
            Ok(resolver) => resolve(&resolver, &config, &follower.name, &present).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(answer) => {
                if config.respect_ttl
                    && let Some(until) = answer.valid_until
                {
                    interval = until.saturating_duration_since(Instant::now()).max(LEAST_TTL);
                }
                follower.resolved(answer.addresses);
            }
            Err(error) => {
                resolvers.forget();
                follower.failed(&reason(&error));
            }
        }
        follower.pause(interval).await;
    }
}

/// Asks for all families that the configuration wants. A family that fails keeps its `present`
/// addresses while another one has an answer.
async fn resolve(
    resolver: &TokioResolver,
    config: &Dns,
    name: &str,
    present: &[IpAddr],
) -> Result<Answer, NetError> {
    let name = Name::from_str_relaxed(name)?;
    let wanted = match config.family {
        DnsFamily::V4 => &[RecordType::A][..],
        DnsFamily::V6 => &[RecordType::AAAA],
        DnsFamily::Both => &[RecordType::A, RecordType::AAAA],
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut valid_until: Option<Instant> = None;
    let mut answered = false;
    let mut failure = None;
    let mut outdated = false;
    for kind in wanted {
        match resolver.lookup(name.clone(), *kind).await {
            Ok(lookup) => {
                let found = lookup.answers().iter().filter_map(|answer| answer.data.ip_addr());
                addresses.extend(found);
                answered = true;
                let until = lookup.valid_until();
                valid_until = Some(valid_until.map_or(until, |other| other.min(until)));
            }
            Err(error) => {
                if !error.is_no_records_found() {
                    let of_kind = |ip: &&IpAddr| ip.is_ipv4() == (*kind == RecordType::A);
                    addresses.extend(present.iter().filter(of_kind));
                    outdated = true;
                }
                failure = Some(error);
            }
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    if answered && !addresses.is_empty() {
        return Ok(Answer { addresses, valid_until: valid_until.filter(|_| !outdated) });
    }
    Err(failure.unwrap_or(NetError::Message("the answer holds no address")))
}

/// Why there are no addresses, in words.
fn reason(error: &NetError) -> String {
    if error.is_nx_domain() {
        "the name does not exist".to_owned()
    } else if error.is_no_records_found() {
        "the name has no address of the wanted family".to_owned()
    } else {
        error.to_string()
    }
}

impl Resolvers {
    pub(super) fn new() -> Self {
        Self { current: Arc::default() }
    }

    fn resolver(&self, config: &Dns) -> Result<TokioResolver, NetError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = &*current {
            return Ok(resolver.clone());
        }
        let resolver = build(config)?;
        Ok(current.insert(resolver).clone())
    }

    fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn build(config: &Dns) -> Result<TokioResolver, NetError> {
    let (mut resolver, mut options) = if config.servers.is_empty() {
        let (resolver, mut options) = read_resolver_file(config);
        options.use_hosts_file = ResolveHosts::Always;
        (resolver, options)
    } else {
        let servers = config.servers.iter().map(|server| name_server(*server)).collect();
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        (ResolverConfig::from_name_servers(servers), options)
    };
    if !config.search.is_empty() {
        let (_, _, servers) = resolver.into_parts();
        let search = config.search.iter().map(Name::from_str_relaxed);
        resolver = ResolverConfig::from_parts(None, search.collect::<Result<_, _>>()?, servers);
    }
    // What is refreshed has to be asked for.
    options.cache_size = 0;
    if let Some(ndots) = config.ndots {
        options.ndots = ndots as usize;
    }
    if let Some(timeout) = config.timeout {
        options.timeout = timeout;
    }
    if let Some(attempts) = config.attempts {
        options.attempts = attempts as usize;
    }
    let provider = TokioRuntimeProvider::default();
    TokioResolver::builder_with_config(resolver, provider).with_options(options).build()
}

/// What the resolver file says; where it names no server or cannot be read, the server of this host,
/// as resolv.conf(5) has it.
fn read_resolver_file(config: &Dns) -> (ResolverConfig, ResolverOpts) {
    let path = &config.resolver_file;
    let parsed =
        std::fs::read(path).map_err(NetError::from).and_then(system_conf::parse_resolv_conf);
    parsed.unwrap_or_else(|error| {
        tracing::warn!(file = %path.display(), %error, "the resolver file is not usable: asking 127.0.0.1");
        let local = name_server((Ipv4Addr::LOCALHOST, 53).into());
        (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
    })
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = addr.port();
        connection
    });
    NameServerConfig::new(addr.ip(), true, connections.into())
}
