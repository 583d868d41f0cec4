//! What can go wrong.

/// Why a router is not compiled. A checked configuration gives none of these.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// A domain that is no domain.
    #[error("the domain `{domain}` is not valid: {reason}")]
    BadDomain {
        /// As written.
        domain: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A domain that is there twice.
    #[error("the domain `{domain}` is there twice in one router")]
    DuplicateDomain {
        /// The second one, as written.
        domain: String,
    },
    /// Something in a route.
    #[error("virtual host `{virtual_host}`, route {route}: {fault}")]
    Route {
        /// The name of the virtual host.
        virtual_host: String,
        /// The place of the route in the virtual host, from 0.
        route: usize,
        /// What is wrong.
        fault: RouteFault,
    },
}

/// What is wrong with a route.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RouteFault {
    /// A cluster that is not there.
    #[error("there is no cluster `{0}`")]
    UnknownCluster(String),
    /// Weighted clusters of which none may be chosen.
    #[error("the weights of all clusters are 0")]
    NoWeight,
    /// A regular expression that does not compile.
    #[error("the regular expression does not compile: {0}")]
    Regex(#[from] regex::Error),
    /// A rewrite that would break the line of the request (RFC 9112 section 3).
    #[error("a rewritten path must not hold spaces or control characters")]
    BadRewrite,
}

/// Why there is no route for a request: it is answered with 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No virtual host has the domain.
    #[error("no virtual host is for this host")]
    VirtualHost,
    /// The virtual host has no route that matches.
    #[error("no route of the virtual host matches")]
    Route,
}
