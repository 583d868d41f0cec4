use std::collections::BTreeMap;

use rosn_config::checked::{
    self, HeaderEdits, HeaderMatch, Join, Match, MatchKind, ValueMatch, VariableMatch, VirtualHost,
};
use rosn_config::{Template, Variable};

use super::*;
use crate::{Action, Edit, RouteFault};

/// Names and values, as headers and as variables.
#[derive(Default)]
struct Values(BTreeMap<&'static str, &'static str>);

impl Headers for Values {
    fn value(&self, lower_name: &str) -> Option<&[u8]> {
        self.0.get(lower_name).map(|value| value.as_bytes())
    }
}

impl Variables for Values {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let value = self.0.get(&*variable.name());
        out.extend_from_slice(value.map_or("", |value| value).as_bytes());
        value.is_some()
    }
}

fn prefix(text: &str) -> MatchKind {
    MatchKind::Prefix(text.into())
}

fn path(text: &str, case_sensitive: bool) -> MatchKind {
    MatchKind::Path { path: text.into(), case_sensitive }
}

fn header(name: &str, value: ValueMatch) -> HeaderMatch {
    HeaderMatch { name: name.into(), value }
}

fn exact(text: &str) -> ValueMatch {
    ValueMatch::Exact(text.into())
}

fn search(pattern: &str) -> ValueMatch {
    ValueMatch::Regex(pattern.into())
}

fn forward(target: checked::Target) -> checked::Action {
    checked::Action::Forward(checked::Forward {
        target,
        upstream_protocol: None,
        timeout: None,
        retry: None,
        path_rewrite: None,
        host_rewrite: None,
        hash: None,
        metadata: vec![("zone".into(), "a".into())],
        tunnel: Box::default(),
    })
}

/// A route with the text of its place as its name.
fn route(place: usize, kind: MatchKind, headers: Vec<HeaderMatch>) -> Arc<checked::Route> {
    Arc::new(checked::Route {
        name: place.to_string(),
        matcher: Match { kind, headers },
        action: forward(checked::Target::Cluster("one".into())),
        edits: HeaderEdits::default(),
    })
}

fn router(hosts: Vec<(&str, Vec<Arc<checked::Route>>)>) -> Router {
    let virtual_host = |(domain, routes): (&str, _)| VirtualHost {
        name: format!("host {domain}"),
        domains: vec![domain.into()],
        require_tls: domain.starts_with("tls"),
        edits: HeaderEdits::default(),
        routes,
    };
    Router {
        name: "router".into(),
        edits: HeaderEdits::default(),
        virtual_hosts: hosts.into_iter().map(virtual_host).collect(),
    }
}

fn compile(router: &Router) -> Result<Table<u32>, CompileError> {
    let clusters = [("one".into(), 1), ("two".into(), 2)].into_iter().collect();
    Table::compile(router, Arc::new(clusters))
}

fn input<'a>(path: &'a str, values: &'a Values) -> Input<'a> {
    let [path, method] = [path.as_bytes(), b"GET"];
    Input { authority: b"a.com", path, method, headers: values, variables: values }
}

/// The place of the route that the path and values lead to.
fn found(kinds: &[(MatchKind, Vec<HeaderMatch>)], path: &str, values: &Values) -> Option<usize> {
    let routes = kinds
        .iter()
        .enumerate()
        .map(|(place, (kind, headers))| route(place, kind.clone(), headers.clone()));
    let table = compile(&router(vec![("*", routes.collect())])).unwrap();
    let found = table.find(&input(path, values));
    if let Err(missing) = found {
        assert_eq!(missing, NoRoute::Route);
    }
    found.ok().map(|route| route.name().parse().unwrap())
}

#[test]
fn each_kind_of_match() {
    let nothing = Values::default();
    for (kind, path, matches) in [
        (prefix("/a"), "/a", true),
        (prefix("/a"), "/ab", true),
        (prefix("/a"), "/A", false),
        (prefix("/a/"), "/a", false),
        (prefix("/"), "*", false),
        (prefix(""), "*", true),
        // Encoded characters are not the ones they stand for.
        (prefix("/a b"), "/a%20b", false),
        (prefix("/%41"), "/%41", true),
        (path("/Foo", false), "/foo", true),
        (path("/Foo", false), "/foo/", false),
        (path("/Foo", true), "/foo", false),
        (path("/Foo", true), "/Foo", true),
        (MatchKind::Regex("b+".into()), "/abbc", true),
        (MatchKind::Regex("^b+".into()), "/abbc", false),
        (MatchKind::Regex("^/a.c$".into()), "/abc", true),
        (MatchKind::Headers, "/any", true),
        (MatchKind::Expressions(vec!["true".into()]), "/any", false),
        (MatchKind::Variables(vec![]), "/any", true),
    ] {
        let kinds = [(kind, vec![])];
        assert_eq!(found(&kinds, path, &nothing).is_some(), matches, "{kinds:?} {path}");
    }
}

/// CONNECT has no path, so that no condition on one keeps it out, but headers and variables do.
#[test]
fn connect_is_matched_without_its_path() {
    let values = Values::default();
    let with_port = |port: &str| {
        let mut route = Arc::unwrap_or_clone(route(0, path("/nowhere", true), vec![]));
        route.name = port.into();
        Arc::new(route)
    };
    let direct = checked::Action::Direct(checked::DirectResponse { status: 200, body: "".into() });
    let mut answers = Arc::unwrap_or_clone(route(1, prefix("/"), vec![]));
    answers.action = direct;
    let asks = route(2, prefix("/"), vec![header("x", exact("y"))]);
    let never = route(3, MatchKind::Expressions(vec![]), vec![]);
    let routes = vec![Arc::new(answers), asks, never, with_port("a"), with_port("b")];
    let table = compile(&router(vec![("a.com", routes), ("b.com:80", vec![])])).unwrap();
    let mut input = input("", &values);
    input.method = b"CONNECT";
    for (authority, accepted, expected) in [
        ("a.com:443", 5, Ok("a")),
        ("A.com:1", 5, Ok("a")),
        ("a.com:443", 0, Err(NoRoute::Route)),
        ("b.com:80", 5, Err(NoRoute::Route)),
        ("b.com:443", 5, Err(NoRoute::VirtualHost)),
    ] {
        input.authority = authority.as_bytes();
        let left = std::cell::Cell::new(accepted);
        let accepts = |_: &Forward<u32>| {
            left.set(left.get() - 1);
            left.get() >= 0
        };
        let found = table.find_connect(&input, accepts).map(|route| route.name().to_string());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{authority}");
    }
}

#[test]
fn the_first_of_the_file_wins() {
    let nothing = Values::default();
    let kinds: Vec<_> = [
        path("/a/b", true),
        MatchKind::Regex("^/re".into()),
        prefix("/a/b/c"),
        path("/A/B", false),
        prefix("/a"),
        prefix("/a/b"),
        prefix("/re"),
        prefix("/"),
    ]
    .map(|kind| (kind, vec![]))
    .into();
    for (path, expected) in [
        ("/a/b", Some(0)),
        ("/A/b", Some(3)),
        ("/a/b/c", Some(2)),
        ("/a/b/d", Some(4)),
        ("/real", Some(1)),
        ("/x", Some(7)),
        ("", None),
    ] {
        assert_eq!(found(&kinds, path, &nothing), expected, "{path}");
    }
}

#[test]
fn headers_come_on_top_and_all_must_hold() {
    let values = Values([("x-a", "one"), ("x-b", "two"), ("x-empty", "")].into());
    for (headers, matches) in [
        (vec![], true),
        (vec![header("x-a", exact("one"))], true),
        (vec![header("X-A", exact("one"))], true),
        (vec![header("x-a", exact("One"))], false),
        (vec![header("x-a", exact("on"))], false),
        (vec![header("x-a", search("^o.e$"))], true),
        (vec![header("x-a", search("n"))], true),
        (vec![header("x-a", search("^n"))], false),
        (vec![header("x-a", ValueMatch::Any)], true),
        (vec![header("x-empty", ValueMatch::Any)], true),
        (vec![header("x-c", ValueMatch::Any)], false),
        (vec![header("x-c", search(".*"))], false),
        (vec![header("x-a", exact("one")), header("x-b", exact("two"))], true),
        (vec![header("x-a", exact("one")), header("x-b", exact("one"))], false),
        (vec![header("method", exact("GET"))], true),
        (vec![header("method", exact("get"))], false),
        (vec![header("method", search("POST|GET"))], true),
    ] {
        for kind in [prefix("/"), path("/a", false), MatchKind::Regex("a".into())] {
            let kinds = [(kind, headers.clone())];
            assert_eq!(found(&kinds, "/a", &values).is_some(), matches, "{headers:?}");
        }
        assert_eq!(found(&[(MatchKind::Headers, headers)], "/a", &values).is_some(), matches);
    }
}

#[test]
fn a_route_whose_headers_do_not_hold_gives_way_to_the_next() {
    let kinds = [
        (prefix("/a"), vec![header("x-a", exact("1"))]),
        (path("/a", false), vec![header("x-a", exact("2"))]),
        (prefix("/"), vec![header("x-a", exact("3"))]),
        (prefix("/a"), vec![]),
        (prefix("/a"), vec![header("x-a", exact("4"))]),
    ];
    for (value, expected) in [("1", 0), ("2", 1), ("3", 2), ("4", 3)] {
        assert_eq!(found(&kinds, "/a", &Values([("x-a", value)].into())), Some(expected));
    }
}

#[test]
fn variables_are_joined_from_left_to_right() {
    use Join::{And, Or};
    let values = Values([("x-mosn-method", "GET"), ("request_arg_q", "7")].into());
    // Each letter is a condition that holds (t) or does not (f), with what joins it to the next.
    for (conditions, matches) in [
        (vec![('t', And)], true),
        (vec![('f', And)], false),
        // What stands at the end joins nothing.
        (vec![('t', Or)], true),
        (vec![('f', Or)], false),
        (vec![('t', And), ('f', And)], false),
        (vec![('f', Or), ('t', And)], true),
        (vec![('t', Or), ('f', And), ('f', And)], true),
        (vec![('f', Or), ('t', And), ('f', And)], false),
        (vec![('t', And), ('f', Or), ('t', And)], true),
        (vec![('f', And), ('t', Or), ('f', And)], false),
        (vec![('f', And), ('t', Or), ('f', Or), ('t', Or)], true),
        (vec![('f', And), ('t', And), ('t', Or)], false),
    ] {
        let condition = |(holds, join): &(char, Join)| VariableMatch {
            variable: Variable::Method,
            value: exact(if *holds == 't' { "GET" } else { "PUT" }),
            join: *join,
        };
        let kind = MatchKind::Variables(conditions.iter().map(condition).collect());
        assert_eq!(found(&[(kind, vec![])], "/", &values).is_some(), matches, "{conditions:?}");
    }
    for (variable, value, matches) in [
        (Variable::RequestArg("q".into()), search("^[0-9]$"), true),
        (Variable::RequestArg("q".into()), ValueMatch::Any, true),
        // A variable without a value is the empty text, but is not there.
        (Variable::RequestArg("p".into()), ValueMatch::Any, false),
        (Variable::RequestArg("p".into()), search("^$"), true),
        (Variable::Inactive("x-mosn-rpc-service"), exact("a"), false),
    ] {
        let kind = MatchKind::Variables(vec![VariableMatch { variable, value, join: And }]);
        assert_eq!(found(&[(kind.clone(), vec![])], "/", &values).is_some(), matches, "{kind:?}");
    }
}

#[test]
fn hosts_lead_to_their_own_routes() {
    let table = compile(&router(vec![
        ("tls.com", vec![route(0, prefix("/"), vec![])]),
        ("*.com", vec![route(1, prefix("/a"), vec![])]),
    ]))
    .unwrap();
    let nothing = Values::default();
    let find = |authority: &'static str, path| {
        table.find(&Input { authority: authority.as_bytes(), ..input(path, &nothing) })
    };
    let first = find("TLS.com:443", "/a").unwrap();
    assert_eq!((&**first.name(), first.virtual_host()), ("0", "host tls.com"));
    assert!(first.require_tls());
    let second = find("x.com", "/a").unwrap();
    assert_eq!((&**second.name(), second.require_tls()), ("1", false));
    // A host without a matching route does not fall through to the next.
    assert_eq!(find("x.com", "/b").unwrap_err(), NoRoute::Route);
    assert_eq!(find("x.org", "/a").unwrap_err(), NoRoute::VirtualHost);
    assert_eq!(find("", "/a").unwrap_err(), NoRoute::VirtualHost);
}

#[test]
fn clusters_are_chosen_by_name_weight_header_and_variable() {
    let weighted = |cluster: &str, weight| checked::WeightedCluster {
        cluster: cluster.into(),
        weight,
        metadata: vec![("zone".into(), cluster.into())],
    };
    let values = Values([("x-to", "two"), ("x-mosn-host", "one"), ("x-bad", "three")].into());
    for (target, expected) in [
        (checked::Target::Cluster("one".into()), Some((1, "a"))),
        (checked::Target::Weighted(vec![weighted("one", 0), weighted("two", 1)]), Some((2, "two"))),
        (checked::Target::Header("x-to".into()), Some((2, "a"))),
        (checked::Target::Header("x-bad".into()), None),
        (checked::Target::Header("x-none".into()), None),
        (checked::Target::Variable(Variable::Host), Some((1, "a"))),
        (checked::Target::Variable(Variable::Path), None),
    ] {
        let mut config = (*route(0, prefix("/"), vec![])).clone();
        config.action = forward(target);
        let table = compile(&router(vec![("*", vec![Arc::new(config)])])).unwrap();
        let input = input("/", &values);
        let Action::Forward(forward) = table.find(&input).unwrap().action() else { panic!() };
        let choice = table.choose(forward, &input, 0);
        let choice = choice.map(|choice| (*choice.cluster, choice.metadata[0].1.as_str()));
        assert_eq!(choice, expected);
    }
    let table = compile(&router(vec![])).unwrap();
    assert_eq!(table.cluster(b"two"), Some(&2));
    assert_eq!(table.cluster(b"\xff"), None);
}

#[test]
fn edits_of_the_three_levels() {
    let add = |name: &str| HeaderEdits {
        response_add: vec![checked::HeaderAdd {
            name: name.into(),
            value: Template::parse("1").unwrap(),
            append: true,
        }],
        ..HeaderEdits::default()
    };
    let mut config = (*route(0, prefix("/"), vec![])).clone();
    config.edits = add("route");
    let mut router = router(vec![("*", vec![Arc::new(config)])]);
    router.virtual_hosts[0].edits = add("host");
    router.edits = add("router");
    let table = compile(&router).unwrap();
    let nothing = Values::default();
    let route = table.find(&input("/", &nothing)).unwrap();
    assert!(route.request_edits().is_empty());
    let names = route.response_edits().iter().map(|edit| match edit {
        Edit::Add(add) => &*add.name,
        Edit::Remove(name) => name,
    });
    assert_eq!(names.collect::<Vec<_>>(), ["route", "host", "router"]);
}

#[test]
fn retries_by_status() {
    for (status_codes, yes, no) in [
        (vec![], &[500, 503, 599][..], &[200, 404, 499][..]),
        (vec![404, 503], &[404, 503], &[500, 502, 200]),
    ] {
        let mut config = (*route(0, prefix("/"), vec![])).clone();
        let checked::Action::Forward(forward) = &mut config.action else { panic!() };
        forward.retry = Some(checked::Retry {
            count: 3,
            try_timeout: None,
            status_codes,
            grpc_status_codes: 1 << 14,
        });
        let table = compile(&router(vec![("*", vec![Arc::new(config)])])).unwrap();
        let nothing = Values::default();
        let route = table.find(&input("/", &nothing)).unwrap();
        let Action::Forward(forward) = route.action() else { panic!() };
        let retry = forward.retry.as_ref().unwrap();
        assert!(yes.iter().all(|status| retry.on_status(*status)));
        assert!(!no.iter().any(|status| retry.on_status(*status)));
        let of_grpc = (0..40).filter(|status| retry.on_grpc_status(*status));
        assert_eq!(of_grpc.collect::<Vec<_>>(), [14]);
    }
}

#[test]
fn faults_say_where() {
    let mut unknown = (*route(1, prefix("/"), vec![])).clone();
    unknown.action = forward(checked::Target::Cluster("gone".into()));
    let routes = vec![route(0, prefix("/"), vec![]), Arc::new(unknown)];
    let error = compile(&router(vec![("a", vec![]), ("b", routes)])).unwrap_err();
    let fault = RouteFault::UnknownCluster("gone".into());
    assert_eq!(error, CompileError::Route { virtual_host: "host b".into(), route: 1, fault });
    assert_eq!(error.to_string(), "virtual host `host b`, route 1: there is no cluster `gone`");

    for kind in [
        MatchKind::Regex("(".into()),
        MatchKind::Variables(vec![VariableMatch {
            variable: Variable::Method,
            value: search("["),
            join: Join::And,
        }]),
    ] {
        let error = compile(&router(vec![("*", vec![route(0, kind, vec![])])])).unwrap_err();
        assert!(matches!(error, CompileError::Route { fault: RouteFault::Regex(_), .. }));
    }
    let twice = router(vec![("a", vec![]), ("A", vec![])]);
    assert_eq!(compile(&twice).unwrap_err(), CompileError::DuplicateDomain { domain: "A".into() });
}
