use super::*;

fn rewrite(kind: MatchKind, rewrite: &PathRewrite) -> Option<Rewrite> {
    let matcher = Match { kind, headers: vec![] };
    Rewrite::compile(rewrite, &matcher, &mut Regexes::default()).unwrap()
}

fn applied(rewrite: &Rewrite, path: &str) -> Option<String> {
    let mut out = b"kept".to_vec();
    let changed = rewrite.apply(path.as_bytes(), &mut out);
    let text = String::from_utf8(out).unwrap().strip_prefix("kept").unwrap().to_owned();
    assert_eq!(changed, !text.is_empty());
    changed.then_some(text)
}

fn prefix(prefix: &str, by: &str, path: &str) -> Option<String> {
    let kind = MatchKind::Prefix(prefix.into());
    applied(&rewrite(kind, &PathRewrite::Prefix(by.into())).unwrap(), path)
}

fn search(pattern: &str, substitution: &str, path: &str) -> Option<String> {
    let by = PathRewrite::Regex { pattern: pattern.into(), substitution: substitution.into() };
    applied(&rewrite(MatchKind::Prefix("/".into()), &by).unwrap(), path)
}

#[test]
fn prefixes() {
    for (matched, by, path, expected) in [
        ("/", "/abc/", "/", Some("/abc/")),
        ("/index/", "/abc/", "/index/page/", Some("/abc/page/")),
        ("/a", "/b", "/a?x=/a", Some("/b?x=/a")),
        ("/a", "/", "/a", Some("/")),
        ("/a/", "/", "/a/b?", Some("/b?")),
        // The text as it is: no slash is put in or taken out between the parts.
        ("/a", "/", "/a/b", Some("//b")),
        ("/a", "/b", "/abc", Some("/bbc")),
        ("", "/b", "/abc", Some("/b/abc")),
        // What comes out starts with a slash.
        ("/a", "b", "/a/c", Some("/b/c")),
        ("/a", "", "/a/c", Some("/c")),
        ("/a", "", "/a?q", Some("/?q")),
        ("/a", "/a", "/a/c?q", None),
        // Only a prefix that was matched is replaced.
        ("/long", "/", "/a?b", None),
    ] {
        assert_eq!(prefix(matched, by, path).as_deref(), expected, "{matched} {by} {path}");
    }
}

#[test]
fn whole_paths_and_other_matches() {
    let by = PathRewrite::Prefix("/new".into());
    let kind = MatchKind::Path { path: "/Old".into(), case_sensitive: false };
    assert_eq!(applied(&rewrite(kind, &by).unwrap(), "/old?q=1").as_deref(), Some("/new?q=1"));
    for kind in [MatchKind::Regex("/o.*".into()), MatchKind::Headers, MatchKind::Variables(vec![])]
    {
        assert!(rewrite(kind, &by).is_none());
    }
}

#[test]
fn patterns() {
    for (pattern, substitution, path, expected) in [
        ("^/service/([^/]+)(/.*)$", r"\2/instance/\1", "/service/foo/v1", Some("/v1/instance/foo")),
        ("^/service/([^/]+)(/.*)$", "$2/instance/$1", "/service/foo/v1", Some("/v1/instance/foo")),
        ("^/(?P<a>[^/]+)/(.*)$", "/${2}_x/$a/${a}", "/1/2", Some("/2_x/1/1")),
        // Go takes the longest name, and a group that is not there is empty.
        ("^/(.*)$", "/$1x", "/abc", Some("/")),
        ("^/(.*)$", r"/\1x\9", "/abc", Some("/abcx")),
        ("^/(.*)$", r"/\0", "/abc", Some("//abc")),
        ("/a", "/b", "/a/a/c?p=/a", Some("/b/b/c?p=/a")),
        ("a*", "-", "/baac", Some("/-/-b-c-")),
        ("/x(y)?", r"/z\1", "/x", Some("/z")),
        ("^/", "$$1\\\\$ \\n${no".replace(' ', "").as_str(), "/a", Some("/$1\\$\\n${noa")),
        ("^/(.*)$", "$1", "/abc", Some("/abc")),
        ("^/$", "", "/", Some("/")),
        ("/none", "/b", "/abc?x", None),
        ("/a", "/a", "/a", None),
        ("nothing", "x", "*", None),
    ] {
        let expected = expected.filter(|text| *text != path);
        assert_eq!(search(pattern, substitution, path).as_deref(), expected, "{pattern} {path}");
    }
}

/// A retry starts from what the client asked for, not from what the try before was sent: it must
/// not be rewritten to `/` (mosn/mosn#780).
#[test]
fn a_second_try_is_rewritten_like_the_first() {
    let by = PathRewrite::Prefix("/a/b".into());
    let rewrite = rewrite(MatchKind::Prefix("/a".into()), &by).unwrap();
    let first = applied(&rewrite, "/a/x?q");
    assert_eq!(first.as_deref(), Some("/a/b/x?q"));
    assert_eq!(applied(&rewrite, "/a/x?q"), first);
}

#[test]
fn refuses_what_would_break_the_request_line() {
    let matcher = Match { kind: MatchKind::Prefix("/".into()), headers: vec![] };
    for text in ["/a b", "/\r\n", "/\0", "/\x7f"] {
        let pattern = "x".to_owned();
        for by in [
            PathRewrite::Prefix(text.into()),
            PathRewrite::Regex { pattern, substitution: text.into() },
        ] {
            let error = Rewrite::compile(&by, &matcher, &mut Regexes::default()).unwrap_err();
            assert_eq!(error, RouteFault::BadRewrite);
        }
    }
}
