use proptest::prelude::*;

use super::*;

/// Every variable's value is its name in angle brackets; headers named `none` have no value.
struct Named;

impl Variables for Named {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let name = variable.name();
        if name.ends_with("_none") {
            return false;
        }
        out.extend_from_slice(format!("<{name}>").as_bytes());
        true
    }
}

fn rendered(text: &str) -> String {
    let mut out = Vec::new();
    Template::parse(text).unwrap().render(&Named, "-", &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn renders_variables_and_text() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("%start_time%", "<start_time>"),
        ("%start_time%%duration%", "<start_time><duration>"),
        ("a %protocol% b", "a <protocol> b"),
        ("%x-mosn-path-original%", "<x-mosn-path-original>"),
        ("%request_header_X-Id%", "<request_header_x-id>"),
        ("%request_header_none%", "-"),
        ("%no_such%", "-"),
        // A `%` that starts no name is text.
        ("%", "%"),
        ("%%", "%%"),
        ("%%%", "%%%"),
        ("100%", "100%"),
        ("50% of %duration%", "50% of <duration>"),
        ("%%duration%", "%<duration>"),
        ("%% %duration%", "%% <duration>"),
        ("ä%ü%duration%", "ä%ü<duration>"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn tells_literals_from_templates() {
    let literal = |text| Template::parse(text).unwrap().as_literal().map(str::to_owned);
    assert_eq!(literal(""), Some(String::new()));
    assert_eq!(literal("a % b %% c"), Some("a % b %% c".to_owned()));
    assert_eq!(literal("%duration%"), None);
    assert_eq!(literal("%unknown%"), None);
}

#[test]
fn lists_unknown_names_and_takes_them_as_text_on_demand() {
    let template = Template::parse("a%20b%20c %duration% %durattion%").unwrap();
    assert_eq!(template.unknown_variables().collect::<Vec<_>>(), ["20b", "durattion"]);
    let mut out = Vec::new();
    template.with_unknown_as_text().render(&Named, "-", &mut out);
    assert_eq!(out, b"a%20b%20c <duration> %durattion%");
    let text = Template::parse("a%20b%20c").unwrap().with_unknown_as_text();
    assert_eq!(text.as_literal(), Some("a%20b%20c"));
}

#[test]
fn refuses_a_text_without_end() {
    let text = "x".repeat(MAX_LENGTH + 1);
    assert_eq!(Template::parse(&text), Err(TemplateError::TooLong(MAX_LENGTH + 1)));
    assert!(Template::parse(&text[1..]).is_ok());
}

#[test]
fn every_name_is_a_variable_and_gives_its_name_back() {
    for name in variable_names() {
        let name = if name.ends_with('_') { format!("{name}some") } else { (*name).to_owned() };
        let variable = Variable::parse(&name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(variable.name(), name);
        assert!(!matches!(variable, Variable::Inactive(_)));
    }
}

#[test]
fn variables_of_protocols_and_of_later_features() {
    let parse = Variable::parse;
    assert_eq!(
        parse("Http1_request_header_Via"),
        Some(Variable::Http1(Box::new(Variable::RequestHeader("via".into()))))
    );
    assert_eq!(parse("Http2_cookie_Sid"), {
        Some(Variable::Http2(Box::new(Variable::Cookie("Sid".into()))))
    });
    assert_eq!(parse("x-mosn-rpc-service"), Some(Variable::Inactive("x-mosn-rpc-service")));
    for name in ["", "Start_Time", "request_header_", "cookie_", "Http1_", "Http1_start_time"] {
        assert_eq!(parse(name), None, "{name}");
    }
    assert_eq!(parse("Http1_Http1_request_uri"), None);
    assert_eq!(parse("Http1_response_header_x"), None);
}

proptest! {
    #[test]
    fn no_text_panics_and_texts_without_percent_are_kept(text in "\\PC*|[%a_]{0,12}") {
        let template = Template::parse(&text).unwrap();
        if !text.contains('%') {
            prop_assert_eq!(template.as_literal(), Some(text.as_str()));
        }
        // Unknown names taken as text, and nothing else in it, is the text itself.
        if !template.parts.iter().any(|part| matches!(part, Part::Variable(_))) {
            let as_text = template.with_unknown_as_text();
            prop_assert_eq!(as_text.as_literal(), Some(text.as_str()));
        }
    }
}
