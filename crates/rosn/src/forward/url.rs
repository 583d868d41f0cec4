//! The two ends of a tunnel as URLs.

use anyhow::{bail, ensure};

/// A part of a URL that is no secret is shown, the others are not.
const SECRETS: [&str; 2] = ["seed", "secret"];

/// `scheme://host:port/path?key=value&flag`, or `unix:/path?key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// In lower case.
    pub(super) scheme: String,
    /// As it is written; empty for a unix socket.
    pub(super) address: String,
    /// With its `/`, and `%` as it is written; may be empty. The whole path of a unix socket.
    pub(super) path: String,
    /// Decoded, in order.
    pub(super) query: Vec<(String, String)>,
    shown: String,
}

impl Url {
    /// # Errors
    ///
    /// What is wrong with the text. Values of secret keys are not in it.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once(':').filter(|(scheme, rest)| {
            // `localhost:80` and `[::1]:80` are addresses.
            rest.starts_with('/')
                || !rest.starts_with(|c: char| c.is_ascii_digit() || c == ':')
                    && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let Some((scheme, rest)) = parts else {
            bail!("it has no scheme, such as `tcp://`");
        };
        let scheme = scheme.to_ascii_lowercase();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        ensure!(!text.contains('#'), "a `#` means nothing here; write it as `%23`");
        let unix = matches!(scheme.as_str(), "unix" | "ds");
        let (address, path) = if unix {
            ("", place.strip_prefix("//").unwrap_or(place).to_owned())
        } else {
            let Some(place) = place.strip_prefix("//") else { bail!("expected `{scheme}://`") };
            let end = place.find('/').unwrap_or(place.len());
            (&place[..end], place[end..].to_owned())
        };
        ensure!(!address.contains('@'), "there are no users here");
        ensure!(unix || !address.is_empty(), "it has no address");
        let path = if unix { decoded(&path)? } else { path };
        Ok(Self {
            scheme,
            address: address.to_owned(),
            path,
            query: pairs(query)?,
            shown: redacted(text),
        })
    }

    /// As it was written, without secrets.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// A URL with `***` in the place of secrets; it need not be a good one.
pub(super) fn redacted(text: &str) -> String {
    let Some((place, query)) = text.split_once('?') else { return text.to_owned() };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret)) => {
                format!("{key}=***")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{place}?{}", shown.join("&"))
}

fn pairs(query: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?.to_ascii_lowercase(), decoded(value)?);
        ensure!(all.iter().all(|(other, _)| *other != key), "`{key}` is given twice");
        all.push((key, value));
    }
    Ok(all)
}

/// A text without `%41` and the like.
fn decoded(text: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(hexadecimal) else {
            bail!("a `%` needs two hexadecimal digits behind it; `%25` is the sign itself");
        };
        bytes.push(byte);
        rest = &after[2..];
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => bail!("what `%` stands for is no text"),
    }
}

fn hexadecimal(digits: &str) -> Option<u8> {
    let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| all)
}
