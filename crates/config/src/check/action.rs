//! What routes do with a request.

use std::time::Duration;

use crate::checked::{
    Action, DirectResponse, Forward, HashPolicy, HostRewrite, PathRewrite, Redirect, Retry, Target,
    WeightedCluster,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, HashPolicy as RawHash, RouteAction};
use crate::text::Span;

use super::{Names, cluster, expression, headers, missing, proxy, tunnel, variable};

/// The first that is given, in MOSN's order.
pub(super) fn action(raw: &raw::Route, names: &Names, context: &mut Context<'_>) -> Option<Action> {
    if let Some(direct) = raw.direct_response.value() {
        return direct_response(direct, context).map(Action::Direct);
    }
    if let Some(raw) = raw.redirect.value() {
        return redirect(raw, context).map(Action::Redirect);
    }
    if let Some(raw) = raw.route.value() {
        return forward(raw, names, context).map(Action::Forward);
    }
    if raw.direct_response.is_absent() && raw.redirect.is_absent() && raw.route.is_absent() {
        let fault =
            Fault::error(raw.span, "missing-key", "this route says nothing to do with a request");
        context.add(fault.help("give it `route`, `redirect` or `direct_response`"));
    }
    None
}

fn direct_response(raw: &raw::DirectResponse, context: &mut Context<'_>) -> Option<DirectResponse> {
    let Some((status, span)) = raw.status.spanned() else {
        if raw.status.is_absent() {
            missing(raw.span, "status", context);
        }
        return None;
    };
    let status = final_status(*status, span, context)?;
    Some(DirectResponse { status, body: raw.body.text().to_owned() })
}

/// A status code that can end an exchange.
fn final_status(status: i64, span: Span, context: &mut Context<'_>) -> Option<u16> {
    let fitting = u16::try_from(status).ok().filter(|status| (200..=599).contains(status));
    if fitting.is_none() {
        let message = "expected a status code from 200 to 599";
        context.add(Fault::error(span, "bad-status", message));
    }
    fitting
}

fn redirect(raw: &raw::Redirect, context: &mut Context<'_>) -> Option<Redirect> {
    let status = match raw.response_code.spanned() {
        None | Some((0, _)) => 301,
        Some((code @ (301 | 302 | 303 | 307 | 308), _)) => u16::try_from(*code).unwrap_or(301),
        Some((_, span)) => {
            let message = "a redirect has the status code 301, 302, 303, 307 or 308";
            context.add(Fault::error(span, "bad-status", message));
            return None;
        }
    };
    let text = |field: &Field<String>| field.filled().map(|(text, _)| text.to_owned());
    let redirect = Redirect {
        status,
        path: text(&raw.path_redirect),
        host: text(&raw.host_redirect),
        scheme: text(&raw.scheme_redirect),
    };
    for field in [&raw.path_redirect, &raw.host_redirect, &raw.scheme_redirect] {
        if let Some((text, span)) = field.filled()
            && text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ')
        {
            let message = "an address holds no spaces and no control characters";
            context.add(Fault::error(span, "bad-redirect", message));
        }
    }
    if redirect.path.is_none() && redirect.host.is_none() && redirect.scheme.is_none() {
        let fault = Fault::warning(
            raw.span,
            "endless-redirect",
            "this sends a request to where it came from",
        );
        context.add(fault.help("give `path_redirect`, `host_redirect` or `scheme_redirect`"));
    }
    Some(redirect)
}

fn forward(raw: &RouteAction, names: &Names, context: &mut Context<'_>) -> Option<Forward> {
    let hash = hash(raw, context);
    let target = target(raw, names, context);
    if hash.is_none() && raw.hash_policy.is_absent() {
        warn_maglev(raw, names, context);
    }
    Some(Forward {
        upstream_protocol: proxy::upstream_protocol(&raw.upstream_protocol, context),
        timeout: match raw.timeout.value() {
            None => Some(Duration::from_secs(60)),
            Some(timeout) => Some(*timeout).filter(|timeout| !timeout.is_zero()),
        },
        retry: retry(raw, context),
        path_rewrite: path_rewrite(raw, context),
        host_rewrite: host_rewrite(raw, context),
        hash,
        metadata: cluster::metadata(&raw.metadata_match, context),
        tunnel: Box::new(tunnel::rules(&raw.tunnel, context)),
        target: target?,
    })
}

fn target(raw: &RouteAction, names: &Names, context: &mut Context<'_>) -> Option<Target> {
    let weighted = raw.weighted_clusters.spanned().filter(|(clusters, _)| !clusters.is_empty());
    if let Some((clusters, span)) = weighted {
        return weighted_clusters(clusters, span, names, context);
    }
    if let Some((name, span)) = raw.cluster_name.filled() {
        return names.cluster(name, span, context).map(Target::Cluster);
    }
    if let Some((name, span)) = raw.cluster_variable.filled() {
        return variable(name, span, context).map(Target::Variable);
    }
    if let Some((name, span)) = raw.cluster_header.filled() {
        return headers::check_name(name, span, context)
            .then(|| Target::Header(name.to_ascii_lowercase()));
    }
    let faulty = [&raw.cluster_name, &raw.cluster_variable, &raw.cluster_header]
        .iter()
        .any(|field| matches!(field, Field::Faulty));
    if !faulty && !matches!(raw.weighted_clusters, Field::Faulty) {
        let fault = Fault::error(raw.span, "missing-key", "this route names no cluster");
        context.add(fault.help("give it `cluster_name`"));
    }
    None
}

fn weighted_clusters(
    raw: &[raw::WeightedCluster],
    span: Span,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Target> {
    let mut all = Vec::with_capacity(raw.len());
    for one in raw {
        let Some(raw) = one.cluster.value() else {
            if one.cluster.is_absent() {
                missing(one.span, "cluster", context);
            }
            continue;
        };
        let Some((name, span)) = raw.name.filled() else {
            if !matches!(raw.name, Field::Faulty) {
                missing(raw.span, "name", context);
            }
            continue;
        };
        let metadata = cluster::metadata(&raw.metadata_match, context);
        if let Some(cluster) = names.cluster(name, span, context) {
            all.push(WeightedCluster { cluster, weight: raw.weight.or(0), metadata });
        }
    }
    let total: u64 = all.iter().map(|cluster| u64::from(cluster.weight)).sum();
    if all.len() == raw.len() && (total == 0 || u32::try_from(total).is_err()) {
        let message = match total {
            0 => "all weights are 0, so no cluster is ever chosen".to_owned(),
            _ => format!("the sum of weights is {total}, which is more than {}", u32::MAX),
        };
        context.add(Fault::error(span, "bad-weights", message));
    }
    (all.len() == raw.len()).then_some(Target::Weighted(all))
}

/// Maglev chooses by a hash, and without a policy there is only the client's address to make it of.
fn warn_maglev(raw: &RouteAction, names: &Names, context: &mut Context<'_>) {
    let single = raw.cluster_name.filled().into_iter();
    let many =
        raw.weighted_clusters.items().iter().filter_map(|w| w.cluster.value()?.name.filled());
    for (name, span) in single.chain(many) {
        if names.is_maglev(name) {
            let message =
                format!("`{name}` is an LB_MAGLEV cluster, but this route has no `hash_policy`");
            let fault = Fault::warning(span, "maglev-without-hash", message);
            context.add(fault.help("requests are spread by the client's address"));
        }
    }
}

fn retry(raw: &RouteAction, context: &mut Context<'_>) -> Option<Retry> {
    let policy = raw.retry_policy.value()?;
    let mut status_codes = Vec::new();
    if let Some((codes, span)) = policy.status_codes.spanned() {
        for code in codes {
            match u16::try_from(*code).ok().filter(|code| (100..=599).contains(code)) {
                Some(code) => status_codes.push(code),
                None => {
                    let message = format!("{code} is not a status code: they are from 100 to 599");
                    context.add(Fault::error(span, "bad-status", message));
                }
            }
        }
    }
    policy.retry_on.or(false).then(|| Retry {
        count: policy.num_retries.or(3),
        try_timeout: policy.retry_timeout.value().copied().filter(|timeout| !timeout.is_zero()),
        status_codes,
        grpc_status_codes: policy
            .grpc_status_codes
            .items()
            .iter()
            .fold(0, |bits, code| bits | 1 << code.0),
    })
}

fn path_rewrite(raw: &RouteAction, context: &mut Context<'_>) -> Option<PathRewrite> {
    if let Some((prefix, span)) = raw.prefix_rewrite.filled() {
        check_line(prefix, span, context);
        if let Some((_, span)) = raw.regex_rewrite.spanned() {
            let message = "`regex_rewrite` has no effect beside `prefix_rewrite`";
            context.add(Fault::warning(span, "no-effect", message));
        }
        return Some(PathRewrite::Prefix(prefix.to_owned()));
    }
    let rewrite = raw.regex_rewrite.value()?;
    let Some((pattern, span)) = rewrite.pattern.value().and_then(|pattern| pattern.regex.filled())
    else {
        if !matches!(rewrite.pattern, Field::Faulty) {
            let fault = Fault::warning(
                rewrite.span,
                "no-effect",
                "without `pattern.regex` nothing is rewritten",
            );
            context.add(fault);
        }
        return None;
    };
    let groups = expression(pattern, span, context)?;
    let substitution = rewrite.substitution.text();
    let span = rewrite.substitution.span_or(rewrite.span);
    check_line(substitution, span, context);
    check_groups(substitution, groups, span, context);
    Some(PathRewrite::Regex { pattern: pattern.to_owned(), substitution: substitution.to_owned() })
}

/// Reports `\9` where the expression has fewer groups.
fn check_groups(substitution: &str, groups: usize, span: Span, context: &mut Context<'_>) {
    let mut characters = substitution.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            continue;
        }
        if let Some(group) = characters.next().and_then(|c| c.to_digit(10))
            && group as usize > groups
        {
            let message =
                format!("the expression has {groups} groups, so `\\{group}` stands for nothing");
            context.add(Fault::error(span, "bad-substitution", message));
        }
    }
}

fn host_rewrite(raw: &RouteAction, context: &mut Context<'_>) -> Option<HostRewrite> {
    if let Some((host, span)) = raw.host_rewrite.filled() {
        check_line(host, span, context);
        return Some(HostRewrite::Literal(host.to_owned()));
    }
    if let Some((name, span)) = raw.auto_host_rewrite_header.filled() {
        return headers::check_name(name, span, context)
            .then(|| HostRewrite::Header(name.to_ascii_lowercase()));
    }
    raw.auto_host_rewrite.or(false).then_some(HostRewrite::Endpoint)
}

/// What becomes part of a request line or of the Host header.
fn check_line(text: &str, span: Span, context: &mut Context<'_>) {
    if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        let message = "this holds a space or a control character, which would break the request";
        context.add(Fault::error(span, "bad-rewrite", message));
    }
}

fn hash(raw: &RouteAction, context: &mut Context<'_>) -> Option<HashPolicy> {
    let (policies, _) = raw.hash_policy.spanned()?;
    if let Some(second) = policies.get(1) {
        let message = "only the first hash policy counts";
        context.add(Fault::warning(second.span, "no-effect", message));
    }
    let RawHash { span, header, cookie, source_ip } = policies.first()?;
    if let Some(header) = header.value() {
        let (name, span) = header.key.filled().or_else(|| {
            missing(header.span, "key", context);
            None
        })?;
        return headers::check_name(name, span, context)
            .then(|| HashPolicy::Header(name.to_ascii_lowercase()));
    }
    if let Some(cookie) = cookie.value() {
        return hash_cookie(cookie, context);
    }
    if source_ip.value().is_some() {
        return Some(HashPolicy::SourceIp);
    }
    if header.is_absent() && cookie.is_absent() && source_ip.is_absent() {
        let fault = Fault::error(*span, "missing-key", "this hash policy says nothing");
        context.add(fault.help("give it `header`, `cookie` or `source_ip`"));
    }
    None
}

fn hash_cookie(cookie: &raw::HashCookie, context: &mut Context<'_>) -> Option<HashPolicy> {
    let Some((name, span)) = cookie.name.filled() else {
        missing(cookie.span, "name", context);
        return None;
    };
    let path = cookie.path.text();
    // RFC 6265 section 4.1.1.
    if path.bytes().any(|byte| byte.is_ascii_control() || byte == b';') {
        let span = cookie.path.span_or(cookie.span);
        context.add(Fault::error(
            span,
            "bad-cookie",
            "the path of a cookie holds no `;` and no control characters",
        ));
    }
    if !headers::check_name(name, span, context) {
        return None;
    }
    Some(HashPolicy::Cookie {
        name: name.to_owned(),
        path: path.to_owned(),
        ttl: cookie.ttl.value().copied().filter(|ttl| !ttl.is_zero()),
    })
}
