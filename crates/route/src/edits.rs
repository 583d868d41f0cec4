//! What is added to and removed from the headers of a request or response.

use std::sync::Arc;

use rosn_config::checked;
use rosn_config::{Template, Variables};

/// Edits in the order in which they are made: those of the route, of the virtual host and of the
/// router, and in each of them additions before removals (MOSN).
#[derive(Debug, Clone, Default)]
pub struct Edits {
    /// Without empty ones; those of virtual host and router are shared between routes.
    levels: Box<[Arc<[Edit]>]>,
}

/// One edit.
#[derive(Debug)]
pub enum Edit {
    /// Add a header.
    Add(HeaderAdd),
    /// Remove all headers of this name, which is in lower case.
    Remove(Box<str>),
}

/// A header to add.
#[derive(Debug)]
pub struct HeaderAdd {
    /// As written.
    pub name: Box<str>,
    /// In lower case.
    pub lower_name: Box<str>,
    /// True: where the header is there with a value, `,` and the new value are appended to it.
    /// False: it is replaced.
    pub append: bool,
    value: Template,
}

impl Edits {
    pub(crate) fn new(levels: [&Arc<[Edit]>; 3]) -> Self {
        Self { levels: levels.into_iter().filter(|edits| !edits.is_empty()).cloned().collect() }
    }

    /// True where nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The edits, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.levels.iter().flat_map(|level| level.iter())
    }
}

impl HeaderAdd {
    /// Appends the value to `out`; a variable without a value is the empty text, as in MOSN.
    ///
    /// Returns false, with `out` as it was, where the value could not stand in a header: variables
    /// may come from the outside, and a line break would be a header of their own (RFC 9110
    /// section 5.5).
    pub fn write_value(&self, variables: &dyn Variables, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.value.render(variables, "", out);
        let fits = !out[start..].iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        if !fits {
            out.truncate(start);
        }
        fits
    }
}

/// The edits of one level: those of requests, and those of responses.
pub(crate) fn compile(edits: &checked::HeaderEdits) -> (Arc<[Edit]>, Arc<[Edit]>) {
    (
        compile_side(&edits.request_add, &edits.request_remove),
        compile_side(&edits.response_add, &edits.response_remove),
    )
}

fn compile_side(add: &[checked::HeaderAdd], remove: &[String]) -> Arc<[Edit]> {
    let add = add.iter().map(|header| {
        Edit::Add(HeaderAdd {
            name: header.name.as_str().into(),
            lower_name: header.name.to_ascii_lowercase().into(),
            append: header.append,
            value: header.value.with_unknown_as_text(),
        })
    });
    let remove = remove.iter().map(|name| Edit::Remove(name.to_ascii_lowercase().into()));
    add.chain(remove).collect()
}

#[cfg(test)]
mod tests {
    use rosn_config::Variable;

    use super::*;

    struct Host(&'static [u8]);

    impl Variables for Host {
        fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
            let known = *variable == Variable::Host;
            if known {
                out.extend_from_slice(self.0);
            }
            known
        }
    }

    fn level(name: &str) -> checked::HeaderEdits {
        let add = |name: String, value: &str| checked::HeaderAdd {
            name,
            value: Template::parse(value).unwrap(),
            append: true,
        };
        checked::HeaderEdits {
            request_add: vec![add(format!("X-{name}"), "%x-mosn-host%;%duration%;a%20b%20")],
            request_remove: vec![format!("Gone-{name}")],
            response_add: vec![],
            response_remove: vec![],
        }
    }

    #[test]
    fn levels_in_order_and_additions_first() {
        let levels = ["route", "host", "router"].map(|name| compile(&level(name)).0);
        let edits = Edits::new([&levels[0], &levels[1], &levels[2]]);
        let shown: Vec<_> = edits
            .iter()
            .map(|edit| match edit {
                Edit::Add(add) => format!("+{}", add.name),
                Edit::Remove(name) => format!("-{name}"),
            })
            .collect();
        let expected =
            ["+X-route", "-gone-route", "+X-host", "-gone-host", "+X-router", "-gone-router"];
        assert_eq!(shown, expected);
        assert!(!edits.is_empty());
    }

    #[test]
    fn nothing_to_do_is_seen_at_once() {
        let (request, response) = compile(&checked::HeaderEdits::default());
        assert!(Edits::new([&request, &response, &request]).is_empty());
    }

    #[test]
    fn values_are_rendered_and_never_break_the_line() {
        let (edits, _) = compile(&level("a"));
        let Edit::Add(add) = &edits[0] else { panic!("{edits:?}") };
        let mut out = b"kept".to_vec();
        assert!(add.write_value(&Host(b"a.com"), &mut out));
        assert_eq!(out, b"kepta.com;;a%20b%20");
        for bad in [&b"a\r\nEvil: 1"[..], b"\n", b"\0"] {
            let mut out = b"kept".to_vec();
            assert!(!add.write_value(&Host(bad), &mut out));
            assert_eq!(out, b"kept");
        }
    }
}
