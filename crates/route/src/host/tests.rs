use super::*;

/// Compiles domains, of which each is a virtual host, and tells which one is found.
fn found<'a>(domains: &[&'a str], authority: &str) -> Option<&'a str> {
    let numbered = domains.iter().zip(0..).map(|(domain, number)| (*domain, number));
    let hosts = Hosts::compile(numbered).unwrap();
    hosts.find(authority.as_bytes()).map(|number| domains[number as usize])
}

#[test]
fn the_five_priorities() {
    let all = ["*", "*.b.com", "*.b.com:81", "a.b.com", "a.b.com:81"];
    for (authority, expected) in [
        ("a.b.com:81", "a.b.com:81"),
        ("a.b.com:82", "a.b.com"),
        ("a.b.com", "a.b.com"),
        ("x.b.com:81", "*.b.com:81"),
        ("x.b.com:82", "*.b.com"),
        ("x.b.com", "*.b.com"),
        ("b.com", "*"),
        ("", "*"),
    ] {
        assert_eq!(found(&all, authority), Some(expected), "{authority}");
        // Each priority stands in for the next one.
        let next: Vec<_> = all.into_iter().filter(|domain| *domain != expected).collect();
        assert_ne!(found(&next, authority), Some(expected));
    }
    // Without the exact port, the exact host wins over a suffix with the port.
    assert_eq!(found(&["*.b.com:81", "a.b.com"], "a.b.com:81"), Some("a.b.com"));
    // A suffix with the port wins over a longer one without.
    assert_eq!(found(&["*.com:81", "*.b.com"], "a.b.com:81"), Some("*.com:81"));
    assert_eq!(found(&["*.com:81", "*.b.com"], "a.b.com:80"), Some("*.b.com"));
}

#[test]
fn the_longest_suffix_wins() {
    let domains = ["f-bar.baz.com", "*.baz.com", "*-bar.baz.com", "*.foo.com"];
    for (authority, expected) in [
        ("f-bar.baz.com", Some("f-bar.baz.com")),
        ("foo-bar.baz.com", Some("*-bar.baz.com")),
        ("foo.baz.com", Some("*.baz.com")),
        ("foo.foo.com", Some("*.foo.com")),
        ("a.b.c.foo.com", Some("*.foo.com")),
        ("foo.com", None),
        // The `*` stands for something.
        (".foo.com", None),
        ("", None),
    ] {
        assert_eq!(found(&domains, authority), expected, "{authority}");
    }
}

#[test]
fn ports_absent_any_and_numbered() {
    let both = ["a.com", "a.com:*"];
    assert_eq!(found(&both, "a.com"), Some("a.com"));
    assert_eq!(found(&both, "a.com:80"), Some("a.com:*"));
    assert_eq!(found(&both, "a.com:nonsense"), Some("a.com:*"));
    assert_eq!(found(&["a.com:*"], "a.com"), Some("a.com:*"));
    assert_eq!(found(&["a.com"], "a.com:80"), Some("a.com"));
    assert_eq!(found(&["a.com"], "a.com:"), Some("a.com"));
    assert_eq!(found(&["a.com:80"], "a.com"), None);
    assert_eq!(found(&["a.com:80", "a.com:81", "a.com:8"], "a.com:81"), Some("a.com:81"));
    assert_eq!(found(&["*:81", "*"], "x:81"), Some("*:81"));
    assert_eq!(found(&["*:81", "*"], "x:82"), Some("*"));
    assert_eq!(found(&["a.com:80"], "a.com:65616"), None);
}

#[test]
fn case_dots_and_addresses() {
    for (domain, authority, matches) in [
        ("a.com", "A.Com", true),
        ("A.com", "a.COM:80", true),
        ("a.com", "a.com.", true),
        ("a.com", "a.com.:80", true),
        ("a.com.", "a.com", true),
        ("*.com", "A.Com.", true),
        ("a.com", "a.com..", false),
        ("[::1]:80", "[::1]:80", true),
        ("[::1]:80", "[::1]:81", false),
        ("[::1]", "[::1]:81", true),
        ("[::1]", "[::1]", true),
        ("[2001:DB8::1]", "[2001:db8::1]:443", true),
        ("::1", "[::1]:80", true),
        ("::1", "::1", true),
        ("[::1]", "[::1]80", false),
        ("127.0.0.1", "127.0.0.1:2046", true),
    ] {
        assert_eq!(found(&[domain], authority).is_some(), matches, "{domain} {authority}");
    }
}

#[test]
fn the_host_is_not_looked_at_where_only_the_default_is() {
    for authority in ["", "a", "[", ":::", "a b\0", "a:b:c:d"] {
        assert_eq!(found(&["*"], authority), Some("*"));
        assert_eq!(found(&["*:*"], authority), Some("*:*"));
    }
    assert_eq!(found(&[], "a"), None);
}

#[test]
fn hosts_longer_than_any_domain() {
    let long = "x".repeat(300);
    assert_eq!(found(&["*.com", "a.com"], &format!("{long}.com")), Some("*.com"));
    let domain = format!("{}.com", "x".repeat(MAX_DOMAIN - 4));
    assert_eq!(found(&[&domain], &domain), Some(domain.as_str()));
    assert_eq!(found(&[&domain], &format!("x{domain}")), None);
    let suffix = format!("*{}", &domain[1..]);
    assert_eq!(found(&[&suffix], &format!("xx{domain}")), Some(suffix.as_str()));
    assert_eq!(found(&[&suffix], &domain), Some(suffix.as_str()));
    assert_eq!(found(&[&suffix], &domain[1..]), None);
}

#[test]
fn refuses_what_is_no_domain_and_what_is_there_twice() {
    let error = |domains: &[&'static str]| {
        Hosts::compile(domains.iter().zip(0..).map(|(d, n)| (*d, n))).unwrap_err()
    };
    for domain in ["", ":80", "a*b", "a.*", "**", "a.com:http", "a.com:65536"] {
        assert!(matches!(error(&[domain]), CompileError::BadDomain { .. }), "{domain}");
    }
    for pair in [
        ["*", "*:*"],
        ["a", "A"],
        ["a:80", "a:80"],
        ["a:*", "a:*"],
        ["*.a", "*.A"],
        ["*.a:1", "*.a:01"],
        ["[::1]", "::1"],
        ["a.", "a"],
    ] {
        assert!(matches!(error(&pair), CompileError::DuplicateDomain { .. }), "{pair:?}");
    }
}
