//! What is known of the names of a cluster's hosts.

use std::net::{IpAddr, SocketAddr};

use rosn_base::Addr;
use rosn_config::checked::{self, Discovery};

use crate::endpoint::Description;

/// The last good answer for each host of the configuration; nothing for those that are no names.
#[derive(Debug)]
pub(crate) struct Answers {
    addresses: Vec<Vec<IpAddr>>,
    /// Whether each was asked for, or need not be.
    asked: Vec<bool>,
    /// The hosts of the configuration no longer count.
    superseded: bool,
}

impl Answers {
    pub(crate) fn new(config: &checked::Cluster) -> Self {
        let is_name = |host: &checked::Host| matches!(host.address, Addr::Name(..));
        Self {
            addresses: vec![Vec::new(); config.hosts.len()],
            asked: config.hosts.iter().map(|host| !is_name(host)).collect(),
            superseded: false,
        }
    }

    pub(crate) fn of(&self, host: usize) -> &[IpAddr] {
        &self.addresses[host]
    }

    pub(crate) fn set(&mut self, host: usize, addresses: Vec<IpAddr>) {
        self.addresses[host] = addresses;
        self.asked[host] = true;
    }

    /// It was asked for in vain.
    pub(crate) fn keep(&mut self, host: usize) {
        self.asked[host] = true;
    }

    pub(crate) fn supersede(&mut self) {
        self.superseded = true;
    }

    /// Whether each name was asked for.
    pub(crate) fn complete(&self) -> bool {
        self.superseded || self.asked.iter().all(|asked| *asked)
    }

    /// Takes over the answers for the names of `config` that were in another configuration with the
    /// same discovery. They still have to be asked for.
    pub(crate) fn inherit(
        &mut self,
        config: &checked::Cluster,
        former: &Self,
        former_config: &checked::Cluster,
    ) {
        if config.discovery != former_config.discovery {
            return;
        }
        for (host, addresses) in config.hosts.iter().zip(&mut self.addresses) {
            let Addr::Name(name, _) = &host.address else { continue };
            let same =
                |host: &checked::Host| matches!(&host.address, Addr::Name(n, _) if n == name);
            if let Some(at) = former_config.hosts.iter().position(same) {
                addresses.clone_from(&former.addresses[at]);
            }
        }
    }

    /// The endpoints of the configuration, in its order.
    pub(crate) fn descriptions(&self, config: &checked::Cluster) -> Vec<Description> {
        let mut all = Vec::new();
        for (host, addresses) in config.hosts.iter().zip(&self.addresses) {
            let Addr::Name(name, port) = &host.address else {
                all.push(describe(host, host.address.clone()));
                continue;
            };
            for ip in addresses {
                let mut new = describe(host, Addr::Ip(SocketAddr::new(*ip, *port)));
                if !matches!(config.discovery, Discovery::StrictDns(_)) {
                    new.label = host.address.to_string();
                }
                if new.hostname.is_empty() {
                    new.hostname = name.to_string();
                }
                all.push(new);
            }
        }
        all
    }
}

/// The endpoints of hosts that need no resolution.
pub(crate) fn described(hosts: &[checked::Host]) -> Vec<Description> {
    let resolved = hosts.iter().filter(|host| !matches!(host.address, Addr::Name(..)));
    resolved.map(|host| describe(host, host.address.clone())).collect()
}

fn describe(host: &checked::Host, addr: Addr) -> Description {
    Description {
        label: addr.to_string(),
        addr,
        hostname: host.hostname.clone(),
        weight: host.weight,
        metadata: host.metadata.clone(),
        plain: host.tls_disable,
    }
}
