//! Routers: virtual hosts, routes, what they match and what they do.

use std::sync::Arc;
use std::time::Duration;

use crate::{Template, Variable};

use super::{Protocol, TunnelRules};

/// A named set of virtual hosts (`routers`, or the legacy `connection_manager` filter).
#[derive(Debug, Clone, PartialEq)]
pub struct Router {
    /// `router_config_name`.
    pub name: Arc<str>,
    /// Edits for every request through this router.
    pub edits: HeaderEdits,
    /// In the order of the file.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// One of `virtual_hosts`.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualHost {
    /// May be empty.
    pub name: String,
    /// Lower case: `host`, `host:port`, `host:*`, `*suffix`, `*suffix:port`, `*`. Checked to be unique.
    pub domains: Vec<String>,
    /// `require_tls`: `ALL` answers plain requests with a redirect to https.
    pub require_tls: bool,
    /// Edits for every request through this virtual host.
    pub edits: HeaderEdits,
    /// In the order of the file: the first that matches is taken.
    pub routes: Vec<Arc<Route>>,
}

/// One of `routers` of a virtual host.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// `name` (a key of rosn's), may be empty.
    pub name: String,
    /// `match`.
    pub matcher: Match,
    /// `direct_response`, `redirect` or `route`, the first that is given.
    pub action: Action,
    /// The four header keys of `route`.
    pub edits: HeaderEdits,
}

/// What a request must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The one kind that is taken.
    pub kind: MatchKind,
    /// All must hold as well.
    pub headers: Vec<HeaderMatch>,
}

/// See [`Match`].
#[derive(Debug, Clone, PartialEq)]
pub enum MatchKind {
    /// `prefix`: the path starts with it, case-sensitive.
    Prefix(String),
    /// `path`: the whole path.
    Path {
        /// The path.
        path: String,
        /// `case_sensitive` (false, as in MOSN).
        case_sensitive: bool,
    },
    /// `regex`: found anywhere in the path; checked to compile.
    Regex(String),
    /// `variables`, evaluated from left to right.
    Variables(Vec<VariableMatch>),
    /// `dsl_expressions`: not yet active, never matches.
    Expressions(Vec<String>),
    /// None of these: headers only.
    Headers,
}

/// One of `headers` of a match.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderMatch {
    /// Lower case; `method` stands for the request method.
    pub name: String,
    /// What the value must be.
    pub value: ValueMatch,
}

/// One of `variables` of a match.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableMatch {
    /// Which variable.
    pub variable: Variable,
    /// What the value must be.
    pub value: ValueMatch,
    /// `model`: how it is joined to the next one.
    pub join: Join,
}

/// How two conditions are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Join {
    #[default]
    And,
    Or,
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueMatch {
    /// Equal to this.
    Exact(String),
    /// This regular expression is found in it; checked to compile.
    Regex(String),
    /// Anything, as long as it is there (an exact `.*` on the RPC header `service`, or an empty value).
    Any,
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send it to a cluster.
    Forward(Forward),
    /// Answer with another address.
    Redirect(Redirect),
    /// Answer with this.
    Direct(DirectResponse),
}

/// `route`.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Which cluster.
    pub target: Target,
    /// `upstream_protocol`, where it names one protocol.
    pub upstream_protocol: Option<Protocol>,
    /// `timeout` (60 s) for the whole exchange; `None` = no limit (`"0s"`).
    pub timeout: Option<Duration>,
    /// `retry_policy`; see [`Retry`].
    pub retry: Option<Retry>,
    /// `prefix_rewrite` or `regex_rewrite`.
    pub path_rewrite: Option<PathRewrite>,
    /// `host_rewrite`, `auto_host_rewrite` or `auto_host_rewrite_header`.
    pub host_rewrite: Option<HostRewrite>,
    /// `hash_policy[0]`.
    pub hash: Option<HashPolicy>,
    /// `metadata_match.filter_metadata["mosn.lb"]`, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// `tunnel`; what it does not say is for the listener to say.
    pub tunnel: Box<TunnelRules>,
}

/// Which cluster a request goes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// `cluster_name`: a key of [`Config::clusters`](super::Config).
    Cluster(Arc<str>),
    /// `weighted_clusters`: the sum of weights is above zero.
    Weighted(Vec<WeightedCluster>),
    /// `cluster_variable`: the variable holds the name.
    Variable(Variable),
    /// `cluster_header`: the request header (lower case) holds the name.
    Header(String),
}

/// One of `weighted_clusters`.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedCluster {
    /// A key of [`Config::clusters`](super::Config).
    pub cluster: Arc<str>,
    /// Its share; 0 = never.
    pub weight: u32,
    /// Wins over the route's, key by key.
    pub metadata: Vec<(String, String)>,
}

/// `retry_policy` with `retry_on` true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// `num_retries`; 3 where it is absent.
    pub count: u32,
    /// `retry_timeout`: for each try.
    pub try_timeout: Option<Duration>,
    /// `status_codes`; empty = 500 and above.
    pub status_codes: Vec<u16>,
    /// `grpc_status_codes` (a key of rosn's): of gRPC calls that ended before a message came. Bit 14 stands for 14.
    pub grpc_status_codes: u32,
}

/// How the path is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum PathRewrite {
    /// `prefix_rewrite`: what the match found is replaced by this.
    Prefix(String),
    /// `regex_rewrite`.
    Regex {
        /// Checked to compile.
        pattern: String,
        /// With `\1` for what a group matched.
        substitution: String,
    },
}

/// How the Host is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum HostRewrite {
    /// `host_rewrite`.
    Literal(String),
    /// `auto_host_rewrite`: the host name of the endpoint (STRICT_DNS).
    Endpoint,
    /// `auto_host_rewrite_header`: the value of this request header (lower case), where it is there.
    Header(String),
}

/// What the balancer's hash is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum HashPolicy {
    /// The value of this request header (lower case).
    Header(String),
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// `path` of the cookie that is made where the request has none; empty = none is made.
        path: String,
        /// `ttl` of that cookie.
        ttl: Option<Duration>,
    },
    /// The client's address.
    SourceIp,
}

/// `redirect`.
#[derive(Debug, Clone, PartialEq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `path_redirect`.
    pub path: Option<String>,
    /// `host_redirect`.
    pub host: Option<String>,
    /// `scheme_redirect`; a port of 80 or 443 that no longer fits is dropped.
    pub scheme: Option<String>,
}

/// `direct_response`.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectResponse {
    /// From 200 to 599: an answer that ends the exchange.
    pub status: u16,
    /// May be empty.
    pub body: String,
}

/// The four header keys. Removals come after additions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeaderEdits {
    /// `request_headers_to_add`.
    pub request_add: Vec<HeaderAdd>,
    /// `request_headers_to_remove`, lower case.
    pub request_remove: Vec<String>,
    /// `response_headers_to_add`.
    pub response_add: Vec<HeaderAdd>,
    /// `response_headers_to_remove`, lower case.
    pub response_remove: Vec<String>,
}

/// A header to add.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderAdd {
    /// As written; checked to be a field name.
    pub name: String,
    /// May hold %variables%.
    pub value: Template,
    /// `append` (true): join an existing value with a comma; false: replace it.
    pub append: bool,
}
