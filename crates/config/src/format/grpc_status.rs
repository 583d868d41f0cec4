//! Status codes of gRPC.

use serde_json::json;

use crate::context::Context;
use crate::diagnostic::Fault;
use crate::text::{Node, Value};

use super::decode::wrong_type;
use super::{Decode, Leaf, Shape};

/// By number (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>).
const NAMES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
];

/// The status of a call that failed: a number from 1 to 16, or its name in any case, with `-` or `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrpcStatus(pub(crate) u8);

impl GrpcStatus {
    fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let at = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(at).ok().map(Self)
    }
}

impl Decode for GrpcStatus {
    fn shape() -> Shape {
        const LEAF: Leaf = Leaf {
            name: "gRPC status",
            schema: || {
                json!({ "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": 16 },
                    { "enum": NAMES[1..] },
                    { "type": "string" },
                ] })
            },
        };
        Shape::Leaf(&LEAF)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let status = match &node.value {
            Value::Number(number) => number.as_u64().and_then(|n| u8::try_from(n).ok()).map(Self),
            Value::String(name) => Self::of_name(name),
            _ => {
                context.add(wrong_type(node, "a gRPC status such as \"unavailable\""));
                return None;
            }
        };
        let status = status.filter(|status| (1..=16).contains(&status.0));
        if status.is_none() {
            let message = "expected the gRPC status of a call that failed, 1 to 16 or its name";
            let fault = Fault::error(node.span, "bad-grpc-status", message);
            context.add(match &node.value {
                Value::String(name) => fault.suggest(name, NAMES[1..].iter().copied()),
                _ => fault,
            });
        }
        status
    }
}
