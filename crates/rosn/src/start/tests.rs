use super::*;

#[test]
fn the_banner_says_what_listens_and_what_to_try() {
    let config = Source::Embedded.load(false).config.unwrap();
    let text = banner(&config, true);
    assert!(text.starts_with("rosn "), "{text}");
    for part in [
        "  appListener     127.0.0.1:2047   http, router application\n",
        "  clientListener  127.0.0.1:2045   http, router client_router\n",
        "  admin           127.0.0.1:34901  admin API\n",
        "  curl http://127.0.0.1:2045/\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(!banner(&config, false).contains("curl"));
}
