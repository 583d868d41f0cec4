//! Routes and what they match.

use std::sync::Arc;

use crate::checked::{HeaderMatch, Join, Match, MatchKind, Route, ValueMatch, VariableMatch};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, Model};
use crate::text::Span;

use super::{Names, action, expression, headers, missing, not_yet, variable};

/// The routes of a virtual host.
pub(super) fn routes(
    raw: &[raw::Route],
    names: &Names,
    context: &mut Context<'_>,
) -> Vec<Arc<Route>> {
    let mut all = Vec::with_capacity(raw.len());
    for one in raw {
        if let Some(route) = route(one, names, context) {
            all.push(Arc::new(route));
        }
    }
    if all.len() == raw.len() {
        check_reach(raw, &all, context);
    }
    all
}

fn route(raw: &raw::Route, names: &Names, context: &mut Context<'_>) -> Option<Route> {
    let matcher = match raw.r#match.value() {
        Some(raw) => matcher(raw, context),
        None => {
            // MOSN's own examples have such routes: no condition is one that always holds.
            if raw.r#match.is_absent() {
                let message = "without `match` this route takes every request";
                let fault = Fault::warning(raw.span, "missing-match", message);
                context
                    .add(fault.help("if that is meant, write `\"match\": { \"prefix\": \"/\" }`"));
            }
            let always = Match { kind: MatchKind::Headers, headers: Vec::new() };
            Some(always).filter(|_| raw.r#match.is_absent())
        }
    };
    mirror(raw, names, context);
    let action = action::action(raw, names, context);
    let forward = raw.route.value();
    let edits = forward.map(|forward| {
        headers::edits(
            &forward.request_headers_to_add,
            &forward.request_headers_to_remove,
            &forward.response_headers_to_add,
            &forward.response_headers_to_remove,
            context,
        )
    });
    Some(Route {
        name: raw.name.text().to_owned(),
        matcher: matcher?,
        action: action?,
        edits: edits.unwrap_or_default(),
    })
}

/// Copies of requests are not sent yet, but where they go must be known.
fn mirror(raw: &raw::Route, names: &Names, context: &mut Context<'_>) {
    let Some((mirror, span)) = raw.request_mirror_policies.spanned() else { return };
    if let Some((cluster, span)) = mirror.cluster.filled() {
        names.cluster(cluster, span, context);
    }
    context.add(not_yet(span, "mirroring: no copies are sent"));
}

fn matcher(raw: &raw::Match, context: &mut Context<'_>) -> Option<Match> {
    let headers: Option<Vec<_>> = {
        let all: Vec<_> =
            raw.headers.items().iter().map(|header| header_match(header, context)).collect();
        all.into_iter().collect()
    };
    let kind = kind(raw, context);
    Some(Match { kind: kind?, headers: headers? })
}

/// The one kind that is taken, in MOSN's order.
fn kind(raw: &raw::Match, context: &mut Context<'_>) -> Option<MatchKind> {
    if let Some((prefix, span)) = raw.prefix.filled() {
        check_path(prefix, span, context);
        return Some(MatchKind::Prefix(prefix.to_owned()));
    }
    if let Some((path, span)) = raw.path.filled() {
        check_path(path, span, context);
        let case_sensitive = raw.case_sensitive.or(false);
        return Some(MatchKind::Path { path: path.to_owned(), case_sensitive });
    }
    if let Some((regex, span)) = raw.regex.filled() {
        expression(regex, span, context)?;
        return Some(MatchKind::Regex(regex.to_owned()));
    }
    if !raw.variables.items().is_empty() {
        let all: Vec<_> =
            raw.variables.items().iter().map(|v| variable_match(v, context)).collect();
        return all.into_iter().collect::<Option<_>>().map(MatchKind::Variables);
    }
    if let Some((expressions, span)) = raw.dsl_expressions.spanned()
        && !expressions.is_empty()
    {
        context.add(not_yet(span, "dsl_expressions: this route never matches"));
        let texts = expressions.iter().map(|e| e.expression.text().to_owned());
        return Some(MatchKind::Expressions(texts.collect()));
    }
    let whole = [&raw.prefix, &raw.path, &raw.regex].iter().all(|f| !matches!(f, Field::Faulty));
    whole.then_some(MatchKind::Headers)
}

fn check_path(path: &str, span: Span, context: &mut Context<'_>) {
    if !path.starts_with('/') && path != "*" {
        let message = "a path begins with `/`, so nothing matches this";
        let fault = Fault::warning(span, "bad-path", message);
        context.add(fault.help(format!("write `/{path}`")));
    }
    if path.contains('?') {
        let message = "the query is not part of the path, so nothing matches this";
        context.add(Fault::warning(span, "bad-path", message));
    }
}

fn header_match(raw: &raw::HeaderMatcher, context: &mut Context<'_>) -> Option<HeaderMatch> {
    let Some((name, _)) = raw.name.filled() else {
        if !matches!(raw.name, Field::Faulty) {
            missing(raw.span, "name", context);
        }
        return None;
    };
    let name = name.to_ascii_lowercase();
    let value = match raw.value.filled() {
        None => ValueMatch::Any,
        Some((pattern, span)) if raw.regex.or(false) => {
            expression(pattern, span, context)?;
            ValueMatch::Regex(pattern.to_owned())
        }
        // MOSN's fast path for RPC takes this text for every service.
        Some((".*", _)) if name == "service" => ValueMatch::Any,
        Some((value, _)) => ValueMatch::Exact(value.to_owned()),
    };
    Some(HeaderMatch { name, value })
}

fn variable_match(raw: &raw::VariableMatcher, context: &mut Context<'_>) -> Option<VariableMatch> {
    let Some((name, span)) = raw.name.filled() else {
        if !matches!(raw.name, Field::Faulty) {
            missing(raw.span, "name", context);
        }
        return None;
    };
    let value = match (raw.regex.filled(), raw.value.filled()) {
        (Some((pattern, span)), _) => {
            expression(pattern, span, context);
            ValueMatch::Regex(pattern.to_owned())
        }
        (None, Some((value, _))) => ValueMatch::Exact(value.to_owned()),
        (None, None) => ValueMatch::Any,
    };
    let join = match raw.model.spanned() {
        Some((model, span)) => match model.0.to_ascii_lowercase().as_str() {
            "" | "and" => Join::And,
            "or" => Join::Or,
            _ => {
                let message = format!("`{}` joins no conditions", model.0);
                let fault = Fault::error(span, "unknown-model", message);
                context.add(fault.suggest(&model.0, Model::CHOICES.iter().copied()));
                Join::And
            }
        },
        None => Join::And,
    };
    Some(VariableMatch { variable: variable(name, span, context)?, value, join })
}

/// Reports the first route behind one that takes every request.
fn check_reach(raw: &[raw::Route], all: &[Arc<Route>], context: &mut Context<'_>) {
    let everything = |route: &Arc<Route>| {
        let kind = &route.matcher.kind;
        route.matcher.headers.is_empty()
            && matches!(kind, MatchKind::Prefix(prefix) if prefix == "/")
    };
    let Some(last) = all.iter().position(everything).filter(|last| last + 1 < all.len()) else {
        return;
    };
    let behind = all.len() - last - 1;
    let message = match behind {
        1 => "no request reaches this route".to_owned(),
        _ => format!("no request reaches this route and the {} behind it", behind - 1),
    };
    let place = context.sources.place(raw[last].r#match.span_or(raw[last].span));
    let span = raw[last + 1].r#match.span_or(raw[last + 1].span);
    let fault = Fault::warning(span, "unreachable-route", message);
    context.add(fault.help(format!("the route at {place} takes every request; put it last")));
}
