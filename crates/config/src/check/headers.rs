//! Headers to add and to remove.

use crate::checked::{HeaderAdd, HeaderEdits};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Field, HeaderToAdd, Texts};
use crate::text::Span;

use super::{header_template, missing};

/// The four keys together.
pub(super) fn edits(
    request_add: &Field<Vec<HeaderToAdd>>,
    request_remove: &Field<Texts>,
    response_add: &Field<Vec<HeaderToAdd>>,
    response_remove: &Field<Texts>,
    context: &mut Context<'_>,
) -> HeaderEdits {
    HeaderEdits {
        request_add: additions(request_add.items(), context),
        request_remove: removals(request_remove, context),
        response_add: additions(response_add.items(), context),
        response_remove: removals(response_remove, context),
    }
}

fn additions(raw: &[HeaderToAdd], context: &mut Context<'_>) -> Vec<HeaderAdd> {
    raw.iter().filter_map(|header| addition(header, context)).collect()
}

fn addition(raw: &HeaderToAdd, context: &mut Context<'_>) -> Option<HeaderAdd> {
    let Some(header) = raw.header.value() else {
        if raw.header.is_absent() {
            missing(raw.span, "header", context);
        }
        return None;
    };
    let Some((name, span)) = header.key.filled() else {
        if !matches!(header.key, Field::Faulty) {
            missing(header.span, "key", context);
        }
        return None;
    };
    let named = check_name(name, span, context);
    let value_span = header.value.span_or(header.span);
    let text = header.value.text();
    if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        // RFC 9110 section 5.5; a line end here would begin a header of its own.
        let message = "the value of a header holds no line end and no NUL";
        context.add(Fault::error(value_span, "bad-header-value", message));
        return None;
    }
    let value = header_template(text, value_span, context)?;
    named.then(|| HeaderAdd { name: name.to_owned(), value, append: raw.append.or(true) })
}

fn removals(raw: &Field<Texts>, context: &mut Context<'_>) -> Vec<String> {
    let mut names = Vec::with_capacity(raw.items().len());
    for name in raw.items() {
        if check_name(&name.value, name.span, context) {
            names.push(name.value.to_ascii_lowercase());
        }
    }
    names
}

/// Whether a text can be the name of a header that is edited; reports where it cannot.
pub(super) fn check_name(name: &str, span: Span, context: &mut Context<'_>) -> bool {
    // RFC 9110 section 5.6.2.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let message = "this is not the name of a header";
        let fault = Fault::error(span, "bad-header-name", message);
        context.add(fault.help("a name holds letters, digits and any of !#$%&'*+-.^_`|~"));
        return false;
    }
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    {
        let message = format!("`{name}` says where a message ends and cannot be edited");
        context.add(Fault::error(span, "framing-header", message));
        return false;
    }
    true
}
