use crate::Format;
use crate::diagnostic::Report;
use crate::text::{Sources, parse};

/// The faults of a text as `line:column code`, in order.
fn faults(text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let source = sources.add("f.json".into(), text.into(), Format::Json, String::new());
    let parsed = parse(source, text, Format::Json);
    let mut report = Report::default();
    for fault in parsed.faults {
        report.add(&sources, fault);
    }
    let found = report.finish();
    found.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.code)).collect()
}

#[test]
fn what_is_json_has_no_fault() {
    for text in [
        "{}",
        " [ ] ",
        "null",
        "-0.5e+3",
        r#"{"a": [1, 2.5, "x", true, false, null, {}], "b": {"c": []}}"#,
        r#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#,
        // Go takes a lone surrogate for U+FFFD.
        r#""\ud83d""#,
    ] {
        assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn every_fault_is_placed_and_named() {
    for (text, expected) in [
        ("", &["0:0 empty-file"][..]),
        ("  \n ", &["0:0 empty-file"]),
        ("{\"a\": 1,}", &["1:8 trailing-comma"]),
        ("[1,\n2,\n]", &["2:2 trailing-comma"]),
        ("{\"a\": 1\n \"b\": 2}", &["1:7 missing-comma"]),
        ("[1 2]", &["1:2 missing-comma"]),
        ("[1,,2]", &["1:4 extra-comma"]),
        ("[,1]", &["1:2 extra-comma"]),
        ("{\"a\": }", &["1:7 expected-value"]),
        ("{\"a\" 1}", &["1:4 expected-colon"]),
        ("{\"a\" = 1}", &["1:6 expected-colon"]),
        ("{a: 1}", &["1:2 unquoted-key"]),
        ("{'a': 'b'}", &["1:2 single-quotes", "1:7 single-quotes"]),
        ("{\"a\": True, \"b\": yes}", &["1:7 expected-value", "1:18 expected-value"]),
        ("// hello\n{}", &["1:1 comment"]),
        ("{} # end", &["1:4 comment"]),
        ("{/* a\n b */}", &["1:2 comment"]),
        ("{\"a\": \"b\n}", &["1:7 unterminated-string"]),
        ("{\"a\": [1, 2}", &["1:12 mismatched-bracket"]),
        ("{\"a\": {\"b\": 1}", &["1:1 unclosed-bracket"]),
        ("{}}", &["1:3 trailing-text"]),
        ("{} {}", &["1:4 trailing-text"]),
        ("{\"a\": 01}", &["1:7 bad-number"]),
        ("{\"a\": 15s}", &["1:7 bad-number"]),
        ("{\"a\": 1e999}", &["1:7 bad-number"]),
        (r#"{"a": "\x"}"#, &["1:8 bad-escape"]),
        (r#"{"a": "\u12"}"#, &["1:8 bad-escape"]),
        ("{\"a\": \"b\tc\"}", &["1:9 control-character"]),
        ("{\"ä\": 1,}", &["1:8 trailing-comma"]),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
}

#[test]
fn depth_and_the_number_of_faults_are_bounded() {
    assert_eq!(faults(&"[".repeat(100_000)), ["1:129 too-deep"]);
    assert_eq!(faults(&"[1 1".repeat(1000)).len(), 20);
    assert_eq!(faults(&format!("[{}]", "1 ".repeat(1000))).len(), 20);
}

#[test]
fn an_unclosed_bracket_is_found_by_the_indentation() {
    let text = "{\n  \"a\": {\n    \"b\": 1\n  ,\n  \"c\": 2\n}\n";
    let mut sources = Sources::default();
    let source = sources.add("f.json".into(), text.into(), Format::Json, String::new());
    let faults = parse(source, text, Format::Json).faults;
    let mut report = Report::default();
    faults.into_iter().for_each(|fault| report.add(&sources, fault));
    let shown = report.finish().render_text(false);
    assert!(shown.contains("this `{` is not closed"), "{shown}");
    assert!(shown.contains("`{` at line 2, column 8 that is not closed"), "{shown}");
}
