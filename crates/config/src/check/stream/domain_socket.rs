//! The transport `domainsocket`.

use std::path::PathBuf;

use crate::checked::DomainSocketSettings;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field};

/// Bytes of a unix socket's name on Linux, with the NUL before or behind it.
const MAX_NAME: usize = 108;

pub(super) fn settings(
    raw: &raw::StreamSettings,
    context: &mut Context<'_>,
) -> Option<DomainSocketSettings> {
    let absent = raw::DsSettings::default();
    let (settings, span) = match &raw.ds_settings {
        Field::Faulty => return None,
        Field::Absent => (&absent, raw.span),
        Field::Given(settings, span) => (settings, *span),
    };
    let Some((path, place)) = settings.path.filled() else {
        if !matches!(settings.path, Field::Faulty) {
            let fault = Fault::error(span, "missing-key", "a unix socket needs a path");
            context.add(fault.help("give it `dsSettings.path`"));
        }
        return None;
    };
    if path.len() >= MAX_NAME || path.contains('\0') {
        let message = format!("the name of a unix socket has at most {} bytes", MAX_NAME - 1);
        context.add(Fault::error(place, "bad-path", message));
    }
    let is_abstract = settings.is_abstract.or(false);
    if settings.padding.or(false) && !is_abstract {
        let span = settings.padding.span_or(span);
        let message = "`padding` has no effect: the name is not abstract";
        context.add(Fault::warning(span, "no-effect", message));
    }
    Some(DomainSocketSettings {
        path: PathBuf::from(path),
        is_abstract,
        padding: is_abstract && settings.padding.or(false),
        mode: mode(settings, is_abstract, context),
    })
}

/// Octal text, as `chmod` takes it.
fn mode(raw: &raw::DsSettings, is_abstract: bool, context: &mut Context<'_>) -> Option<u32> {
    let (text, span) = raw.mode.filled()?;
    if is_abstract {
        let message = "`mode` has no effect: an abstract socket has no file";
        context.add(Fault::warning(span, "no-effect", message));
        return None;
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
    if mode.is_none() {
        let message = "expected permissions in octal digits";
        context.add(Fault::error(span, "bad-mode", message).help("such as `\"0660\"`"));
    }
    mode
}
