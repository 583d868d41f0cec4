//! Values as written, whether in JSON or in YAML.

use std::rc::Rc;

use super::Span;

/// A value and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// From its first to its last character.
    pub(crate) span: Span,
    /// The value.
    pub(crate) value: Value,
}

/// A value. Arrays and objects are shared, so that a YAML alias costs nothing.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(Rc<str>),
    Array(Rc<[Node]>),
    Object(Rc<[Member]>),
}

/// A key of an object and its value.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The key, without quotes.
    pub(crate) key: Rc<str>,
    /// Where the key is.
    pub(crate) key_span: Span,
    /// Its value.
    pub(crate) value: Node,
}

impl Node {
    /// What it is, for "expected ..., found ...". Never shows the value itself, which may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// False for null, false, 0 and everything empty: what a key means that is not there.
    pub(crate) fn says_something(&self) -> bool {
        match &self.value {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(value) => value.as_f64() != Some(0.0),
            // YAML may write false so.
            Value::String(value) => !matches!(value.as_ref(), "" | "no" | "off" | "false"),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }
    }

    /// The members of an object; none for anything else.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The member that Go's decoder would take: without regard to case, the last one.
    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        self.members().iter().rev().find(|member| member.key.eq_ignore_ascii_case(key))
    }

    /// The text, if this is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether the value of a key is a secret, by the key of the object or array that it stands in.
pub(crate) fn is_secret(parent: Option<&str>, key: &str) -> bool {
    // `key` is also half of a header.
    const KEEPERS: [&str; 2] = ["quicSettings", "certificates"];
    let kept = |parent: &str| KEEPERS.iter().any(|keeper| parent.eq_ignore_ascii_case(keeper));
    is_secret_key(key) || (key.eq_ignore_ascii_case("key") && parent.is_some_and(kept))
}

/// Whether the value of a key is a secret wherever it stands: it is masked wherever a line is shown or a value dumped.
pub(crate) fn is_secret_key(key: &str) -> bool {
    const WORDS: [&str; 6] =
        ["private_key", "privatekey", "token", "secret", "password", "credential"];
    let key = key.to_ascii_lowercase();
    let whole = matches!(key.as_str(), "ticket" | "authentication" | "seed");
    // `credential_policy` and the like name a way, not a secret.
    whole || (WORDS.iter().any(|word| key.contains(word)) && !key.ends_with("_policy"))
}
