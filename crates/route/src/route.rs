//! A route, compiled.

use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::{self, DirectResponse, HostRewrite, Protocol, TunnelRules};

use crate::condition::Conditions;
use crate::edits::{self, Edit};
use crate::regexes::Regexes;
use crate::rewrite::Rewrite;
use crate::{Clusters, Edits, HashPolicy, Redirect, RouteFault, Target};

/// What is done with the requests that match.
#[derive(Debug)]
pub struct Route<C> {
    pub(crate) conditions: Conditions,
    name: Arc<str>,
    level: Arc<Level>,
    action: Action<C>,
    request_edits: Edits,
    response_edits: Edits,
}

/// What the routes of a virtual host have in common.
#[derive(Debug)]
pub(crate) struct Level {
    name: Box<str>,
    require_tls: bool,
}

/// What is done with a request.
#[derive(Debug)]
pub enum Action<C> {
    /// Send it to a cluster.
    Forward(Forward<C>),
    /// Answer with another address.
    Redirect(Redirect),
    /// Answer with this.
    Direct(DirectResponse),
}

/// How a request is sent to a cluster.
#[derive(Debug)]
pub struct Forward<C> {
    /// Which cluster; see [`Table::choose`](crate::Table::choose).
    pub target: Target<C>,
    /// `upstream_protocol`, where it names one protocol.
    pub upstream_protocol: Option<Protocol>,
    /// `timeout` for the whole exchange; `None` = no limit.
    pub timeout: Option<Duration>,
    /// `retry_policy`; `None` = only connections that failed before any byte was sent.
    pub retry: Option<Retry>,
    /// What the balancer's hash is made of.
    pub hash: Option<HashPolicy>,
    /// How the Host is changed.
    pub host_rewrite: Option<HostRewrite>,
    /// What connections may become when they stop being HTTP.
    pub tunnel: Box<TunnelRules>,
    /// `metadata_match`, sorted by key.
    pub(crate) metadata: Box<[(String, String)]>,
    rewrite: Option<Rewrite>,
}

/// `retry_policy` with `retry_on` true.
#[derive(Debug)]
pub struct Retry {
    /// `num_retries`.
    pub count: u32,
    /// `retry_timeout`: for each try.
    pub try_timeout: Option<Duration>,
    status_codes: Box<[u16]>,
    /// A bit for each of them.
    grpc_status_codes: u32,
}

impl<C> Route<C> {
    /// `name`, may be empty.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The name of the virtual host, may be empty.
    pub fn virtual_host(&self) -> &str {
        &self.level.name
    }

    /// `require_tls` of the virtual host: plain requests are redirected to https.
    pub fn require_tls(&self) -> bool {
        self.level.require_tls
    }

    /// What is done with a request.
    pub fn action(&self) -> &Action<C> {
        &self.action
    }

    /// The edits of requests.
    pub fn request_edits(&self) -> &Edits {
        &self.request_edits
    }

    /// The edits of responses.
    pub fn response_edits(&self) -> &Edits {
        &self.response_edits
    }
}

impl<C> Forward<C> {
    /// Appends the path and query for the upstream to `out`, made from those the client has sent.
    /// Returns false, with `out` as it was, where they stay the same.
    ///
    /// A retry has to start from the client's path again: what is rewritten twice is wrong.
    pub fn rewrite_path(&self, path_and_query: &[u8], out: &mut Vec<u8>) -> bool {
        self.rewrite.as_ref().is_some_and(|rewrite| rewrite.apply(path_and_query, out))
    }
}

impl Retry {
    /// Whether a response with this status is tried again: one of `status_codes`, or 500 and above
    /// where there are none.
    pub fn on_status(&self, status: u16) -> bool {
        if self.status_codes.is_empty() {
            status >= 500
        } else {
            self.status_codes.contains(&status)
        }
    }

    /// Whether `status_codes` names this status: then the policy wants even requests that are not
    /// idempotent to be tried again.
    pub fn names(&self, status: u16) -> bool {
        self.status_codes.contains(&status)
    }

    /// Whether a gRPC call that ended with this status, before any message came, is tried again.
    pub fn on_grpc_status(&self, status: u32) -> bool {
        self.grpc_status_codes.checked_shr(status).is_some_and(|bits| bits & 1 == 1)
    }
}

/// Compiles the routes of one virtual host after the other.
pub(crate) struct Compiler<'a, C> {
    pub(crate) clusters: &'a Clusters<C>,
    pub(crate) regexes: Regexes,
    /// Of requests, and of responses.
    pub(crate) router_edits: (Arc<[Edit]>, Arc<[Edit]>),
}

impl<C: Clone> Compiler<'_, C> {
    /// The routes of a virtual host, or the place of the one at fault.
    pub(crate) fn routes(
        &mut self,
        virtual_host: &checked::VirtualHost,
    ) -> Result<Box<[Route<C>]>, (usize, RouteFault)> {
        let level = Arc::new(Level {
            name: virtual_host.name.as_str().into(),
            require_tls: virtual_host.require_tls,
        });
        let edits = edits::compile(&virtual_host.edits);
        let compile = |(place, route): (usize, &Arc<checked::Route>)| {
            self.route(route, &level, &edits).map_err(|fault| (place, fault))
        };
        virtual_host.routes.iter().enumerate().map(compile).collect()
    }

    fn route(
        &mut self,
        route: &checked::Route,
        level: &Arc<Level>,
        host_edits: &(Arc<[Edit]>, Arc<[Edit]>),
    ) -> Result<Route<C>, RouteFault> {
        let edits = edits::compile(&route.edits);
        Ok(Route {
            conditions: Conditions::compile(&route.matcher, &mut self.regexes)?,
            name: route.name.as_str().into(),
            level: Arc::clone(level),
            action: match &route.action {
                checked::Action::Forward(forward) => {
                    Action::Forward(self.forward(forward, &route.matcher)?)
                }
                checked::Action::Redirect(redirect) => {
                    Action::Redirect(Redirect::compile(redirect))
                }
                checked::Action::Direct(response) => Action::Direct(response.clone()),
            },
            request_edits: Edits::new([&edits.0, &host_edits.0, &self.router_edits.0]),
            response_edits: Edits::new([&edits.1, &host_edits.1, &self.router_edits.1]),
        })
    }

    fn forward(
        &mut self,
        forward: &checked::Forward,
        matcher: &checked::Match,
    ) -> Result<Forward<C>, RouteFault> {
        let rewrite = match &forward.path_rewrite {
            Some(rewrite) => Rewrite::compile(rewrite, matcher, &mut self.regexes)?,
            None => None,
        };
        Ok(Forward {
            target: Target::compile(forward, self.clusters)?,
            upstream_protocol: forward.upstream_protocol,
            timeout: forward.timeout,
            retry: forward.retry.as_ref().map(|retry| Retry {
                count: retry.count,
                try_timeout: retry.try_timeout,
                status_codes: retry.status_codes.as_slice().into(),
                grpc_status_codes: retry.grpc_status_codes,
            }),
            hash: forward.hash.as_ref().map(HashPolicy::compile),
            host_rewrite: forward.host_rewrite.clone(),
            tunnel: forward.tunnel.clone(),
            metadata: forward.metadata.as_slice().into(),
            rewrite,
        })
    }
}
