//! The table of a router: from a request to a route, and from a route to a cluster.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rosn_config::Variables;
use rosn_config::checked::Router;

use crate::condition;
use crate::host::Hosts;
use crate::path::PathIndex;
use crate::regexes::Regexes;
use crate::route::{Action, Compiler, Forward, Route};
use crate::{Choice, CompileError, NoRoute, Target, edits};

/// All clusters by name, shared by all tables of a configuration. `C` is whatever the caller
/// knows a cluster by.
pub type Clusters<C> = HashMap<Arc<str>, C, RandomState>;

/// The headers of a request.
pub trait Headers {
    /// The value of the first header of this name, which is in lower case.
    fn value(&self, lower_name: &str) -> Option<&[u8]>;
}

/// What is looked at to find a route.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The Host, with its port if it has one; empty where there is none.
    pub authority: &'a [u8],
    /// The path as it came, without the query. Percent-encoding is not decoded.
    pub path: &'a [u8],
    /// The method, with regard to case.
    pub method: &'a [u8],
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The variables.
    pub variables: &'a dyn Variables,
}

/// A compiled router.
#[derive(Debug)]
pub struct Table<C> {
    hosts: Hosts,
    virtual_hosts: Box<[VirtualHost<C>]>,
    clusters: Arc<Clusters<C>>,
}

#[derive(Debug)]
struct VirtualHost<C> {
    index: PathIndex,
    /// In the order of the file.
    routes: Box<[Route<C>]>,
}

impl<C: Clone> Table<C> {
    /// Compiles a router.
    ///
    /// # Errors
    /// Says which domain or route is at fault; that of a checked configuration is none.
    pub fn compile(router: &Router, clusters: Arc<Clusters<C>>) -> Result<Self, CompileError> {
        let domains = router.virtual_hosts.iter().zip(0..).flat_map(|(virtual_host, number)| {
            virtual_host.domains.iter().map(move |domain| (domain.as_str(), number))
        });
        let hosts = Hosts::compile(domains)?;
        let mut compiler = Compiler {
            clusters: &clusters,
            regexes: Regexes::default(),
            router_edits: edits::compile(&router.edits),
        };
        let mut virtual_hosts = Vec::with_capacity(router.virtual_hosts.len());
        for virtual_host in &router.virtual_hosts {
            let routes = compiler.routes(virtual_host).map_err(|(route, fault)| {
                CompileError::Route { virtual_host: virtual_host.name.clone(), route, fault }
            })?;
            let keys = virtual_host.routes.iter().zip(&routes).map(|(config, route)| {
                (condition::key(&config.matcher), route.conditions.is_empty())
            });
            let index = PathIndex::compile(keys);
            virtual_hosts.push(VirtualHost { index, routes });
        }
        Ok(Self { hosts, virtual_hosts: virtual_hosts.into(), clusters })
    }
}

impl<C> Table<C> {
    /// The route of a request: the first one of its virtual host that matches.
    ///
    /// Allocates nothing, save where variables are matched or more than a few regular expressions
    /// are searched for.
    ///
    /// # Errors
    /// Says whether the host or the route is missing.
    pub fn find(&self, input: &Input<'_>) -> Result<&Route<C>, NoRoute> {
        let number = self.hosts.find(input.authority).ok_or(NoRoute::VirtualHost)?;
        let VirtualHost { index, routes } = &self.virtual_hosts[number as usize];
        let mut scratch = Vec::new();
        let accepts = |route| routes[route as usize].conditions.hold(input, &mut scratch);
        let route = index.find(input.path, accepts).ok_or(NoRoute::Route)?;
        Ok(&routes[route as usize])
    }

    /// The route of a CONNECT request, which has no path: the first one of its virtual host that forwards, whose way of
    /// forwarding `accepts`, and whose conditions on headers and variables hold. Conditions on paths are not looked at.
    ///
    /// # Errors
    /// Says whether the host or the route is missing.
    pub fn find_connect(
        &self,
        input: &Input<'_>,
        accepts: impl Fn(&Forward<C>) -> bool,
    ) -> Result<&Route<C>, NoRoute> {
        let number = self.hosts.find(input.authority).ok_or(NoRoute::VirtualHost)?;
        let mut scratch = Vec::new();
        let fits = |route: &&Route<C>| {
            matches!(route.action(), Action::Forward(forward) if accepts(forward))
                && route.conditions.hold_without_path(input, &mut scratch)
        };
        self.virtual_hosts[number as usize].routes.iter().find(fits).ok_or(NoRoute::Route)
    }

    /// The cluster of a request, to be chosen once: retries stay with it. `random` decides between
    /// weighted clusters. `None` where a variable or header names no cluster that there is.
    pub fn choose<'a>(
        &'a self,
        forward: &'a Forward<C>,
        input: &Input<'_>,
        random: u64,
    ) -> Option<Choice<'a, C>> {
        let cluster = match &forward.target {
            Target::Cluster(cluster) => cluster,
            Target::Weighted(weighted) => {
                let target = weighted.pick(random);
                return Some(Choice { cluster: &target.cluster, metadata: &target.metadata });
            }
            Target::Header(name) => self.cluster(input.headers.value(name)?)?,
            Target::Variable(variable) => {
                let mut name = Vec::new();
                input.variables.write(variable, &mut name).then_some(())?;
                self.cluster(&name)?
            }
        };
        Some(Choice { cluster, metadata: &forward.metadata })
    }

    /// The cluster of a name that is only known when the request is there.
    pub fn cluster(&self, name: &[u8]) -> Option<&C> {
        self.clusters.get(std::str::from_utf8(name).ok()?)
    }
}

#[cfg(test)]
mod equals_linear;
#[cfg(test)]
mod tests;
