//! The table of paths, and how a request finds its handler.

mod config;
mod envoy;
mod logs;
mod process;
mod stats;

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tracing::info;

use crate::auth::Guard;
use crate::control::Control;
use crate::request::{Query, Reply, read_body, text};

/// What a handler is given.
struct Call {
    method: Method,
    control: Arc<dyn Control>,
    query: Query,
    body: Bytes,
    /// The client would rather have JSON than text.
    wants_json: bool,
}

/// Which methods a path answers to. HEAD goes wherever GET goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Methods {
    Get,
    Post,
    GetOrPost,
    Any,
}

enum Handler {
    /// Answers at once.
    Now(fn(&Call) -> Reply),
    /// Reads the configuration again.
    Reload,
}

struct Endpoint {
    path: &'static str,
    methods: Methods,
    /// Open to those who have no token: says nothing but yes or no.
    free: bool,
    handler: Handler,
}

const fn get(path: &'static str, handler: fn(&Call) -> Reply) -> Endpoint {
    Endpoint { path, methods: Methods::Get, free: false, handler: Handler::Now(handler) }
}

const fn post(path: &'static str, handler: fn(&Call) -> Reply) -> Endpoint {
    Endpoint { path, methods: Methods::Post, free: false, handler: Handler::Now(handler) }
}

/// Every path. The first group is MOSN's, the second Envoy's as far as a pilot-agent asks, the
/// third our own.
const ENDPOINTS: &[Endpoint] = &[
    get("/", help),
    get("/api/v1/version", process::version),
    get("/api/v1/config_dump", config::dump),
    get("/api/v1/stats", stats::stats),
    get("/api/v1/stats_glob", stats::glob),
    post("/api/v1/update_loglevel", logs::update_level),
    get("/api/v1/get_loglevel", logs::levels),
    post("/api/v1/enable_log", logs::enable),
    post("/api/v1/disable_log", logs::disable),
    get("/api/v1/states", process::states),
    Endpoint {
        path: "/api/v1/plugin",
        methods: Methods::Any,
        free: false,
        handler: Handler::Now(process::plugin),
    },
    get("/api/v1/features", process::features),
    get("/api/v1/env", process::environment),
    get("/stats", envoy::stats),
    get("/server_info", envoy::server_info),
    get("/config_dump", envoy::config_dump),
    get("/metrics", stats::prometheus),
    get("/api/v1/connections", stats::connections),
    get("/api/v1/clusters", stats::clusters),
    Endpoint {
        path: "/api/v1/reload",
        methods: Methods::Post,
        free: false,
        handler: Handler::Reload,
    },
    post("/api/v1/stop", process::stop),
    Endpoint { methods: Methods::GetOrPost, ..get("/api/v1/faults", process::faults) },
    Endpoint { free: true, ..get("/healthz", process::healthz) },
    Endpoint { free: true, ..get("/ready", process::ready) },
];

/// Answers one request.
pub(crate) async fn answer(
    control: Arc<dyn Control>,
    guard: Arc<Guard>,
    request: Request<Incoming>,
) -> Reply {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path);
    if !endpoint.is_some_and(|endpoint| endpoint.free)
        && let Some(refusal) = guard.refuse(&head.method, &head.headers)
    {
        return refusal;
    }
    let Some(endpoint) = endpoint else { return not_found(path) };
    if let Some(refusal) = wrong_method(endpoint.methods, &head.method) {
        return refusal;
    }
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let wants_json = wants_json(&query, &head.headers);
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    if head.method == Method::POST {
        info!(path, "admin request");
    }
    let call = Call { method: head.method, control, query, body, wants_json };
    match endpoint.handler {
        Handler::Now(handler) => handler(&call),
        Handler::Reload => process::reload(call).await,
    }
}

fn help(_: &Call) -> Reply {
    let mut body = String::from("supported APIs:\n");
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path != "/") {
        body.push_str(endpoint.path);
        body.push('\n');
    }
    text(StatusCode::OK, body)
}

fn wrong_method(allowed: Methods, method: &Method) -> Option<Reply> {
    let (fits, names) = match allowed {
        Methods::Any => return None,
        Methods::Get => (matches!(*method, Method::GET | Method::HEAD), "GET, HEAD"),
        Methods::Post => (*method == Method::POST, "POST"),
        Methods::GetOrPost => {
            (matches!(*method, Method::GET | Method::HEAD | Method::POST), "GET, HEAD, POST")
        }
    };
    (!fits).then(|| {
        // MOSN sends no body here.
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "");
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(names));
        reply
    })
}

fn not_found(path: &str) -> Reply {
    // Distances are quadratic in the length.
    let shown: String = path.chars().take(100).collect();
    let last = |path: &str| path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
    let close = ENDPOINTS.iter().map(|endpoint| endpoint.path).filter(|known| {
        strsim::jaro_winkler(known, &shown) > 0.9
            || strsim::levenshtein(known, &shown) <= 3 && known.len() > 3
            || last(known).is_some_and(|known| Some(known) == last(&shown))
    });
    let mut body = format!("no such path: {shown}\n");
    for (at, path) in close.enumerate() {
        body.push_str(if at == 0 { "did you mean:\n" } else { "" });
        body.push_str(path);
        body.push('\n');
    }
    body.push_str("GET / lists all paths\n");
    text(StatusCode::NOT_FOUND, body)
}

fn wants_json(query: &Query, headers: &HeaderMap) -> bool {
    match query.first("format") {
        Some(format) => format == "json",
        None => headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/json")),
    }
}
