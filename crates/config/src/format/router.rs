//! Routers, virtual hosts and routes.

use std::time::Duration;

use super::table::{choices, format};
use super::{Free, GrpcStatus, HttpTunnel, Map, Status::*, Texts};

format! {
    /// A named set of virtual hosts.
    Router {
        /// The name that `proxy` takes.
        router_config_name: String, Active, "";
        /// Headers to add to every request.
        request_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from every request.
        request_headers_to_remove: Texts, Active, "[]";
        /// Headers to add to every response.
        response_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from every response.
        response_headers_to_remove: Texts, Active, "[]";
        /// A directory with one virtual host in each `*.json` file, instead of `virtual_hosts`.
        router_configs: String, Active, "";
        /// By the host of the request.
        virtual_hosts: Vec<VirtualHost>, Active, "[]";
    }

    /// The routes of some hosts.
    VirtualHost {
        /// A name for people.
        name: String, Active, "";
        /// `host`, `host:port`, `host:*`, `*suffix`, `*suffix:port` or `*`.
        domains: Texts, Active, "";
        /// The first that matches is taken.
        routers: Vec<Route>, Active, "[]";
        /// `NONE`, or `ALL`: plain requests are redirected to https.
        require_tls: RequireTls, Active, "NONE";
        /// Headers to add to every request.
        request_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from every request.
        request_headers_to_remove: Texts, Active, "[]";
        /// Headers to add to every response.
        response_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from every response.
        response_headers_to_remove: Texts, Active, "[]";
        /// What stream filters do otherwise here, by their type.
        per_filter_config: Map<Free>, Later("per_filter_config: stream filters"), "{}";
    }

    /// A condition and what is done where it holds.
    Route {
        /// A name for access logs (`%route_name%`).
        name: String, Own, "";
        /// The condition.
        r#match as "match": Match, Active, "";
        /// Send the request to a cluster.
        route: RouteAction, Active, "";
        /// Answer with another address.
        redirect: Redirect, Active, "";
        /// Answer with this.
        direct_response: DirectResponse, Active, "";
        /// Texts about the route.
        metadata: Metadata, Inert("nothing reads it"), "";
        /// What stream filters do otherwise here, by their type.
        per_filter_config: Map<Free>, Later("per_filter_config: stream filters"), "{}";
        /// Send a copy of the request elsewhere.
        request_mirror_policies: Mirror, Guarded("mirroring"), "";
    }

    /// What a request must look like. One kind is taken: the first that is given of `prefix`, `path`, `regex`,
    /// `variables`, `dsl_expressions`, else `headers` alone.
    Match {
        /// What the path begins with.
        prefix: String, Active, "";
        /// The whole path.
        path: String, Active, "";
        /// Whether case counts in `path`.
        case_sensitive: bool, Own, "false";
        /// A regular expression that is found in the path.
        regex: String, Active, "";
        /// All must hold as well.
        headers: Vec<HeaderMatcher>, Active, "[]";
        /// Conditions on variables, from left to right.
        variables: Vec<VariableMatcher>, Active, "[]";
        /// CEL expressions, of which all must hold.
        dsl_expressions: Vec<DslExpression>, Guarded("dsl_expressions"), "[]";
    }

    /// A condition on a header.
    HeaderMatcher {
        /// The header; `method` stands for the request method.
        name: String, Active, "";
        /// The value; empty is any.
        value: String, Active, "";
        /// The value is a regular expression.
        regex: bool, Active, "false";
    }

    /// A condition on a variable.
    VariableMatcher {
        /// The variable.
        name: String, Active, "";
        /// The value.
        value: String, Active, "";
        /// Or a regular expression.
        regex: String, Active, "";
        /// How it is joined to the next one: `and` or `or`.
        model: Model, Active, "and";
    }

    /// A CEL expression.
    DslExpression {
        /// The expression.
        expression: String, Active, "";
    }

    /// Which cluster a request goes to, and how. Of the four ways to name clusters, the first that is given is taken:
    /// `weighted_clusters`, `cluster_name`, `cluster_variable`, `cluster_header`.
    RouteAction {
        /// The cluster.
        cluster_name: String, Active, "";
        /// The variable that holds the name of the cluster.
        cluster_variable: String, Active, "";
        /// The request header that holds the name of the cluster.
        cluster_header: String, Active, "";
        /// Clusters by weight.
        weighted_clusters: Vec<WeightedCluster>, Active, "[]";
        /// The protocol to the cluster.
        upstream_protocol: String, Active, "that of the listener";
        /// What a balancer's hash is made of; only the first counts.
        hash_policy: Vec<HashPolicy>, Active, "[]";
        /// Only endpoints with this metadata.
        metadata_match: Metadata, Active, "";
        /// For the whole exchange; `0s` is no limit.
        timeout: Duration, Active, "60s";
        /// When a request is sent again.
        retry_policy: RetryPolicy, Active, "";
        /// Replaces what `prefix` found, or the whole path of `path`.
        prefix_rewrite: String, Active, "";
        /// Replaces what a regular expression finds in the path.
        regex_rewrite: RegexRewrite, Active, "";
        /// Replaces the host.
        host_rewrite: String, Active, "";
        /// Replaces the host by that of the endpoint (`STRICT_DNS`).
        auto_host_rewrite: bool, Active, "false";
        /// Replaces the host by the value of this header.
        auto_host_rewrite_header: String, Active, "";
        /// What connections may become when they stop being HTTP.
        tunnel: HttpTunnel, Own, "that of the listener";
        /// Headers to add to the request.
        request_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from the request.
        request_headers_to_remove: Texts, Active, "[]";
        /// Headers to add to the response.
        response_headers_to_add: Vec<HeaderToAdd>, Active, "[]";
        /// Headers to remove from the response.
        response_headers_to_remove: Texts, Active, "[]";
    }

    /// One of several clusters.
    WeightedCluster {
        /// The cluster.
        cluster: ClusterWeight, Active, "";
    }

    /// A cluster and its share.
    ClusterWeight {
        /// The cluster.
        name: String, Active, "";
        /// Its share; 0 is never.
        weight: u32, Active, "0";
        /// Only endpoints with this metadata; wins over that of the route.
        metadata_match: Metadata, Active, "";
    }

    /// What a balancer's hash is made of: one of these.
    HashPolicy {
        /// A request header.
        header: HashHeader, Active, "";
        /// A cookie.
        cookie: HashCookie, Active, "";
        /// The client's address.
        source_ip: HashSource, Active, "";
    }

    /// A hash of a request header.
    HashHeader {
        /// The header.
        key: String, Active, "";
    }

    /// A hash of a cookie.
    HashCookie {
        /// The cookie.
        name: String, Active, "";
        /// The path of the cookie that is made where the request has none; empty makes none.
        path: String, Active, "";
        /// How long that cookie lives.
        ttl: Duration, Active, "";
    }

    /// A hash of the client's address.
    HashSource {
    }

    /// When a request is sent again.
    RetryPolicy {
        /// Whether it is.
        retry_on: bool, Active, "false";
        /// For each try.
        retry_timeout: Duration, Active, "no limit of its own";
        /// How many times it is sent again.
        num_retries: u32, Active, "3";
        /// After which answers; none is 500 and above.
        status_codes: Vec<u32>, Active, "[]";
        /// The same for gRPC calls, whose status came before any message: `unavailable`, `resource-exhausted` and so
        /// on, or numbers.
        grpc_status_codes: Vec<GrpcStatus>, Own, "[]";
    }

    /// Replaces what a regular expression finds in the path.
    RegexRewrite {
        /// The expression.
        pattern: RegexPattern, Active, "";
        /// What takes its place, with `\1` for what its first group found.
        substitution: String, Active, "";
    }

    /// A regular expression.
    RegexPattern {
        /// The expression.
        regex: String, Active, "";
        /// A limit of RE2.
        google_re2: GoogleRe2, Inert("expressions always take linear time"), "";
    }

    /// Limits of RE2.
    GoogleRe2 {
        /// The size of its program.
        max_program_size: Free, Active, "";
    }

    /// Answer with another address.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        response_code: i64, Active, "301";
        /// The path.
        path_redirect: String, Active, "that of the request";
        /// The host.
        host_redirect: String, Active, "that of the request";
        /// The scheme.
        scheme_redirect: String, Active, "that of the request";
    }

    /// Answer without a cluster.
    DirectResponse {
        /// The status code.
        status: i64, Active, "";
        /// The body.
        body: String, Active, "";
    }

    /// Send a copy of the request elsewhere.
    Mirror {
        /// Where.
        cluster: String, Active, "";
        /// How many of a hundred requests.
        percent: u32, Active, "0";
        /// Whether copies are traced.
        trace_sampled: bool, Inert("MOSN never implemented it"), "false";
    }

    /// Texts by filter; balancers read `mosn.lb`.
    Metadata {
        /// By filter.
        filter_metadata: Map<Free>, Active, "";
    }

    /// A header to add.
    HeaderToAdd {
        /// Name and value.
        header: HeaderPair, Active, "";
        /// Join an existing value with a comma, instead of replacing it.
        append: bool, Active, "true";
    }

    /// A header.
    HeaderPair {
        /// Its name.
        key: String, Active, "";
        /// Its value, with %variables%.
        value: String, Active, "";
    }
}

choices! {
    /// Whether plain requests are served.
    RequireTls: "NONE", "EXTERNAL_ONLY", "ALL";
    /// How two conditions are joined.
    Model: "and", "or";
}
