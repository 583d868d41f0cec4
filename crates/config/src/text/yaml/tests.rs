use crate::text::{Format, Node, Sources, Value, parse};

fn yaml(text: &str) -> Result<Node, Vec<&'static str>> {
    let parsed = parse(0, text, Format::Yaml);
    match parsed.root {
        Some(root) if parsed.faults.is_empty() => Ok(root),
        _ => Err(vec!["fault"; parsed.faults.len()]),
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number.clone().into(),
        Value::String(text) => text.as_ref().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Object(members) => {
            members.iter().map(|m| (m.key.as_ref().to_owned(), json(&m.value))).collect()
        }
    }
}

#[test]
fn scalars_follow_the_core_schema() {
    for (text, expected) in [
        ("a: 1", serde_json::json!({"a": 1})),
        ("a: -1.5e3", serde_json::json!({"a": -1500.0})),
        ("a: 0x1F", serde_json::json!({"a": 31})),
        ("a: 0o17", serde_json::json!({"a": 15})),
        ("a: ~\nb:", serde_json::json!({"a": null, "b": null})),
        ("a: True", serde_json::json!({"a": true})),
        ("a: 'true'", serde_json::json!({"a": "true"})),
        ("a: !!str 1", serde_json::json!({"a": "1"})),
        ("a: 1.2.3.4:80", serde_json::json!({"a": "1.2.3.4:80"})),
        ("a: .inf", serde_json::json!({"a": ".inf"})),
        ("1: 2", serde_json::json!({"1": 2})),
        ("- a\n- [b, {c: d}]", serde_json::json!(["a", ["b", {"c": "d"}]])),
        ("a: &x {b: 1}\nc: *x", serde_json::json!({"a": {"b": 1}, "c": {"b": 1}})),
        (
            "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3",
            serde_json::json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ),
    ] {
        assert_eq!(yaml(text).map(|node| json(&node)), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_a_configuration_is_a_fault() {
    for text in [
        "",
        "# nothing",
        "a: [",
        "a: b: c",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "a: *nothing",
        "a: &x [*x]",
    ] {
        assert!(yaml(text).is_err(), "{text}");
    }
    assert!(yaml(&"[".repeat(10_000)).is_err());
}

#[test]
fn laughs_are_bounded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let all = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{all}]\n"));
    }
    assert!(yaml(&text).is_err());
}

#[test]
fn places_count_characters_but_spans_count_bytes() {
    let text = "ä: ö\nb:\n  - c: dß\n    e: f\n";
    let root = yaml(text).unwrap();
    let mut sources = Sources::default();
    sources.add("f.yaml".into(), text.into(), Format::Yaml, String::new());
    sources.at_mut(0).root = Some(root.clone());
    let item = &root.members()[1].value.items()[0];
    let d = item.members()[0].value.span;
    assert_eq!(sources.text(d), "dß");
    assert_eq!(sources.place(d), "f.yaml:3:8");
    assert_eq!(sources.path(d), "b[0].c");
    assert_eq!(sources.path(item.span), "b[0]");
    assert_eq!(sources.path(item.members()[1].key_span), "b[0].e");
    assert_eq!(sources.path(root.span), "");
}
