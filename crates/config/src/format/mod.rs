//! The format of the configuration: one table for each of its objects.
//!
//! A table ([`table::format`]) names the keys of an object with their types, meaning, default and status. From it
//! come the struct that holds the values as written ("raw"), the decoder, the detection of unknown keys, the JSON
//! Schema and the reference page. Nothing else lists keys.

mod decode;
mod dump;
mod reference;
mod schema;
mod table;
mod values;

mod cluster;
mod filters;
mod grpc_status;
mod http_header;
mod listener;
mod metrics;
mod mosn;
mod router;
mod server;
mod sockets;
mod stream;
mod tls;
mod tunnel;
mod v2ray;

#[cfg(test)]
mod tests;

pub use reference::reference;
pub use schema::schema;

pub(crate) use cluster::*;
pub(crate) use decode::Decode;
pub(crate) use dump::dump;
pub(crate) use filters::*;
pub(crate) use grpc_status::GrpcStatus;
pub(crate) use http_header::*;
pub(crate) use listener::*;
pub(crate) use metrics::*;
pub(crate) use mosn::*;
pub(crate) use router::*;
pub(crate) use server::*;
pub(crate) use sockets::*;
pub(crate) use stream::*;
pub(crate) use tls::*;
pub(crate) use tunnel::*;
pub(crate) use v2ray::*;
pub(crate) use values::*;

use crate::text::Span;

/// What a value may look like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A single value.
    Leaf(&'static Leaf),
    /// A text from a list. Other texts are for the check to judge.
    Choice(&'static [&'static str]),
    /// An array.
    List(fn() -> Self),
    /// An object with keys of the user's own.
    Map(fn() -> Self),
    /// An object with the keys of a table.
    Object(&'static Table),
    /// An object whose table depends on the key `type` beside it.
    ByType(&'static [(&'static str, &'static Table)]),
    /// Anything.
    Any,
}

/// A kind of single value.
pub(crate) struct Leaf {
    /// For the reference page.
    pub(crate) name: &'static str,
    /// Its JSON Schema.
    pub(crate) schema: fn() -> serde_json::Value,
}

/// The keys of an object.
pub(crate) struct Table {
    /// Its name in the schema and on the reference page.
    pub(crate) name: &'static str,
    /// What the object is.
    pub(crate) doc: &'static str,
    /// In the order of the reference page.
    pub(crate) keys: &'static [Key],
}

/// A key of an object.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
    pub(crate) shape: fn() -> Shape,
    pub(crate) status: Status,
    /// As it would be written; empty where there is none.
    pub(crate) default: &'static str,
}

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It works as in MOSN.
    Active,
    /// A key of rosn's, which works.
    Own,
    /// It will work; until then a notice says that this is not active.
    Later(&'static str),
    /// It will work; the check of the object says what happens until then.
    Guarded(&'static str),
    /// It has no effect, for this reason.
    Inert(&'static str),
    /// It needs Go, and this is what to use instead.
    Go(&'static str),
}

/// The value of a key as written.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    /// Not written, or null.
    #[default]
    Absent,
    /// Written, but of the wrong type; that is reported.
    Faulty,
    /// Written.
    Given(T, Span),
}

impl<T> Field<T> {
    /// The value, if one is written.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Given(value, _) => Some(value),
            _ => None,
        }
    }

    /// The value and its place.
    pub(crate) fn spanned(&self) -> Option<(&T, Span)> {
        match self {
            Self::Given(value, span) => Some((value, *span)),
            _ => None,
        }
    }

    /// Whether the key is not written. A faulty one is, so that it is not missed as well.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The place of the value, or that of the object where there is none.
    pub(crate) fn span_or(&self, object: Span) -> Span {
        self.spanned().map_or(object, |(_, span)| span)
    }
}

impl<T: Copy> Field<T> {
    /// The value, or what holds where none is written.
    pub(crate) fn or(&self, default: T) -> T {
        self.value().copied().unwrap_or(default)
    }
}

impl<T> Field<Vec<T>> {
    /// The elements; none where the key is not written.
    pub(crate) fn items(&self) -> &[T] {
        self.value().map(Vec::as_slice).unwrap_or_default()
    }
}

impl Field<String> {
    /// The text; empty where the key is not written.
    pub(crate) fn text(&self) -> &str {
        self.value().map(String::as_str).unwrap_or_default()
    }

    /// The text and its place, unless it is empty: for Go, an empty text is one that is not there.
    pub(crate) fn filled(&self) -> Option<(&str, Span)> {
        self.spanned()
            .map(|(text, span)| (text.as_str(), span))
            .filter(|(text, _)| !text.is_empty())
    }
}
