use rosn_base::Addr;

use super::Proxy;

#[test]
fn reads_urls() {
    for (text, shown) in [
        ("proxy", "http://proxy:80"),
        ("localhost:3128", "http://localhost:3128"),
        ("127.0.0.1:3128", "http://127.0.0.1:3128"),
        ("http://Proxy.Test/", "http://proxy.test:80"),
        ("http://proxy:80", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("socks5://proxy", "socks5://proxy:1080"),
        ("socks5h://[::1]", "socks5h://[::1]:1080"),
        ("socks5://127.0.0.1:9", "socks5://127.0.0.1:9"),
        ("http://пример.рф", "http://xn--e1afmkfd.xn--p1ai:80"),
        ("socks5://пример.рф", "socks5://xn--e1afmkfd.xn--p1ai:1080"),
    ] {
        assert_eq!(text.parse::<Proxy>().unwrap().to_string(), shown);
    }
    let proxy: Proxy = "socks5://127.0.0.1:9".parse().unwrap();
    assert_eq!(*proxy.addr(), Addr::Ip("127.0.0.1:9".parse().unwrap()));
}

#[test]
fn refuses_what_is_none() {
    for text in
        ["", "foo://host", "http://", "http://a:99999", "http://a b", "socks5://", "socks4://a"]
    {
        assert!(text.parse::<Proxy>().is_err(), "{text}");
    }
}

#[test]
fn passwords_are_sent_and_not_shown() {
    let proxy: Proxy = "http://us%20er:pa%3Ass%40@proxy:1".parse().unwrap();
    // "us er:pa:ss@"
    assert_eq!(proxy.authorization().unwrap(), "Basic dXMgZXI6cGE6c3NA");
    assert!(proxy.authorization().unwrap().is_sensitive());
    assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy:1 Proxy(http://proxy:1)");

    let other: Proxy = "http://proxy:1".parse().unwrap();
    assert_ne!(proxy, other);
    assert!(other.authorization().is_none());
    let error = "http://user:secret@:1".parse::<Proxy>().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
