//! Whatever the table is asked, it answers what going through the file in order would have.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use regex::bytes::Regex;
use rosn_config::checked::{
    Action, DirectResponse, HeaderEdits, HeaderMatch, Join, Match, MatchKind, Route, Router,
    ValueMatch, VariableMatch, VirtualHost,
};
use rosn_config::{Variable, Variables};

use crate::{Clusters, Headers, Input, NoRoute, Table};

/// What a request brings beside its host and path.
#[derive(Debug, Clone)]
struct Values {
    headers: BTreeMap<String, String>,
    method: String,
}

impl Headers for Values {
    fn value(&self, lower_name: &str) -> Option<&[u8]> {
        self.headers.get(lower_name).map(String::as_bytes)
    }
}

impl Variables for Values {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let value = match variable {
            Variable::RequestHeader(name) => self.value(name),
            Variable::Method => Some(self.method.as_bytes()),
            _ => None,
        };
        out.extend_from_slice(value.unwrap_or_default());
        value.is_some()
    }
}

/// The places of the virtual host and of the route, found as slowly and plainly as can be.
fn linear(router: &Router, input: &Input<'_>, values: &Values) -> Result<(usize, usize), NoRoute> {
    let authority = std::str::from_utf8(input.authority).unwrap().to_ascii_lowercase();
    let host = linear_host(router, &authority).ok_or(NoRoute::VirtualHost)?;
    let routes = &router.virtual_hosts[host].routes;
    let matches = |route: &Arc<Route>| linear_match(&route.matcher, input, values);
    routes.iter().position(matches).map(|route| (host, route)).ok_or(NoRoute::Route)
}

fn split(text: &str) -> (&str, &str) {
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    (host.strip_suffix('.').filter(|host| !host.is_empty()).unwrap_or(host), port)
}

fn linear_host(router: &Router, authority: &str) -> Option<usize> {
    let (host, port) = split(authority);
    let hosts = router.virtual_hosts.iter().enumerate();
    let domains = hosts.flat_map(|(place, h)| h.domains.iter().map(move |d| (place, split(d))));
    // Of all that match, the one of the highest rank: kind, length of the suffix, kind of port.
    let ranked = domains.filter_map(|(place, (domain, domain_port))| {
        let numbered = !matches!(domain_port, "" | "*");
        if numbered && domain_port != port {
            return None;
        }
        let exact_absence = domain_port.is_empty() == port.is_empty();
        let rank = if domain == "*" && !numbered {
            (0, 0, false)
        } else if let Some(suffix) = domain.strip_prefix('*') {
            if !host.ends_with(suffix) || host.len() == suffix.len() {
                return None;
            }
            (if numbered { 2 } else { 1 }, suffix.len(), exact_absence)
        } else if domain == host {
            (if numbered { 4 } else { 3 }, 0, exact_absence)
        } else {
            return None;
        };
        Some((rank, place))
    });
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, place)| place)
}

fn linear_match(matcher: &Match, input: &Input<'_>, values: &Values) -> bool {
    let text = std::str::from_utf8(input.path).unwrap();
    let kind = match &matcher.kind {
        MatchKind::Prefix(prefix) => text.starts_with(prefix),
        MatchKind::Path { path, case_sensitive: true } => text == path,
        MatchKind::Path { path, case_sensitive: false } => text.eq_ignore_ascii_case(path),
        MatchKind::Regex(pattern) => Regex::new(pattern).unwrap().is_match(input.path),
        MatchKind::Variables(conditions) => {
            // `or` splits, and in each part all must hold.
            let mut parts = vec![true];
            for (place, condition) in conditions.iter().enumerate() {
                let mut value = Vec::new();
                let present = values.write(&condition.variable, &mut value);
                *parts.last_mut().unwrap() &= holds(&condition.value, &value, present);
                if condition.join == Join::Or && place + 1 < conditions.len() {
                    parts.push(true);
                }
            }
            parts.contains(&true)
        }
        MatchKind::Expressions(_) => false,
        MatchKind::Headers => true,
    };
    kind && matcher.headers.iter().all(|header| match header.name.as_str() {
        "method" => holds(&header.value, values.method.as_bytes(), true),
        name => values.value(name).is_some_and(|value| holds(&header.value, value, true)),
    })
}

fn holds(condition: &ValueMatch, value: &[u8], present: bool) -> bool {
    match condition {
        ValueMatch::Exact(text) => text.as_bytes() == value,
        ValueMatch::Regex(pattern) => Regex::new(pattern).unwrap().is_match(value),
        ValueMatch::Any => present,
    }
}

/// Paths of so few letters that they meet often.
fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "(/[aAb]{0,2}){1,4}",
        1 => "[/aAb%]{0,6}",
        // Longer than the pieces in which paths are hashed.
        1 => "(/[aA]{30}){2,3}",
    ]
}

fn any_pattern() -> impl Strategy<Value = String> {
    "\\^?(/|a|b|[ab]|\\(a\\|b\\)|a\\*|/a\\+){1,4}\\$?"
        .prop_filter("compiles", |pattern| Regex::new(pattern).is_ok())
}

fn any_value() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        3 => "[ab]{0,2}".prop_map(ValueMatch::Exact),
        1 => "\\^?[ab]{0,2}\\$?".prop_map(ValueMatch::Regex),
        1 => Just(ValueMatch::Any),
    ]
}

fn any_variable() -> impl Strategy<Value = VariableMatch> {
    let variable = prop_oneof![
        "x-[ab]".prop_map(|name| Variable::RequestHeader(name.into())),
        Just(Variable::Method),
        Just(Variable::BytesSent),
    ];
    let join = prop_oneof![Just(Join::And), Just(Join::Or)];
    (variable, any_value(), join).prop_map(|(variable, value, join)| VariableMatch {
        variable,
        value,
        join,
    })
}

fn any_kind() -> impl Strategy<Value = MatchKind> {
    prop_oneof![
        6 => any_path().prop_map(MatchKind::Prefix),
        4 => (any_path(), any::<bool>())
            .prop_map(|(path, case_sensitive)| MatchKind::Path { path, case_sensitive }),
        3 => any_pattern().prop_map(MatchKind::Regex),
        1 => prop::collection::vec(any_variable(), 0..5).prop_map(MatchKind::Variables),
        1 => Just(MatchKind::Expressions(vec![])),
        1 => Just(MatchKind::Headers),
    ]
}

fn any_header() -> impl Strategy<Value = HeaderMatch> {
    ("x-[ab]|method", any_value()).prop_map(|(name, value)| HeaderMatch { name, value })
}

fn any_route() -> impl Strategy<Value = Arc<Route>> {
    let headers = prop_oneof![
        2 => Just(vec![]),
        1 => prop::collection::vec(any_header(), 1..3),
    ];
    (any_kind(), headers).prop_map(|(kind, headers)| {
        Arc::new(Route {
            name: String::new(),
            matcher: Match { kind, headers },
            action: Action::Direct(DirectResponse { status: 200, body: String::new() }),
            edits: HeaderEdits::default(),
        })
    })
}

fn any_domain() -> impl Strategy<Value = String> {
    "(\\*|(\\*|[ab])?[.-]?([ab]\\.){0,2}[ab])(:(\\*|[12]))?"
}

fn any_router() -> impl Strategy<Value = Router> {
    let routes = prop_oneof![
        3 => prop::collection::vec(any_route(), 0..8),
        1 => prop::collection::vec(any_route(), 0..60),
    ];
    let host = (prop::collection::vec(any_domain(), 1..4), routes);
    prop::collection::vec(host, 1..6).prop_map(|hosts| {
        let mut seen = Vec::new();
        let mut virtual_hosts = Vec::new();
        for (place, (mut domains, routes)) in hosts.into_iter().enumerate() {
            domains.retain(|domain| {
                let key = if domain == "*:*" { "*".to_owned() } else { domain.clone() };
                let fresh = !seen.contains(&key);
                seen.push(key);
                fresh
            });
            let (name, edits) = (place.to_string(), HeaderEdits::default());
            let routes = routes.into_iter().enumerate().map(|(place, route)| {
                Arc::new(Route { name: place.to_string(), ..(*route).clone() })
            });
            let routes = routes.collect();
            virtual_hosts.push(VirtualHost { name, domains, require_tls: false, edits, routes });
        }
        Router { name: "router".into(), edits: HeaderEdits::default(), virtual_hosts }
    })
}

fn any_values() -> impl Strategy<Value = Values> {
    (prop::collection::btree_map("x-[ab]", "[ab]{0,2}", 0..3), "[ab]{1,2}")
        .prop_map(|(headers, method)| Values { headers, method })
}

fn any_authority() -> impl Strategy<Value = String> {
    "([abA]?[.-]?([abB]\\.){0,3}[ab]\\.?)?(:[123]?)?"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_answers_as_the_file_reads(
        router in any_router(),
        requests in prop::collection::vec((any_authority(), any_path(), any_values()), 1..24),
    ) {
        let table: Table<()> = Table::compile(&router, Arc::new(Clusters::default())).unwrap();
        for (authority, path, values) in &requests {
            let input = Input {
                authority: authority.as_bytes(),
                path: path.as_bytes(),
                method: values.method.as_bytes(),
                headers: values,
                variables: values,
            };
            let place = |text: &str| text.parse::<usize>().unwrap();
            let found = table
                .find(&input)
                .map(|route| (place(route.virtual_host()), place(route.name())));
            prop_assert_eq!(found, linear(&router, &input, values), "{} {}", authority, path);
        }
    }

    #[test]
    fn no_request_panics(
        router in any_router(),
        authority in prop::collection::vec(any::<u8>(), 0..300),
        path in prop::collection::vec(any::<u8>(), 0..300),
        values in any_values(),
    ) {
        let table: Table<()> = Table::compile(&router, Arc::new(Clusters::default())).unwrap();
        let _ = table.find(&Input {
            authority: &authority,
            path: &path,
            method: b"",
            headers: &values,
            variables: &values,
        });
    }
}
