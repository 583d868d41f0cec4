//! Connections that stop being HTTP: Upgrade and CONNECT.

use std::time::Duration;

use serde_json::json;

use crate::context::Context;
use crate::text::{Node, Value};

use super::decode::wrong_type;
use super::table::{choices, format};
use super::{Decode, Leaf, Ports, Shape, Spanned, Status::*};

format! {
    /// What connections may become when they stop being HTTP. On `proxy` it is what holds for the routes of the
    /// listener; a key of the same object on a route wins.
    HttpTunnel {
        /// Whether requests with `Upgrade` may switch protocols: `true` is to any but h2c, an array is to these. What may
        /// not is answered with 403; offers of h2c are passed over.
        upgrade: Upgrades, Own, "true";
        /// Lets CONNECT through; without it the answer is 405.
        connect: HttpConnect, Own, "";
        /// How long a tunnel may be without bytes in either direction; `0s` is no limit.
        idle_timeout: Duration, Own, "1h";
        /// How long a tunnel may last; `0s` is no limit.
        max_lifetime: Duration, Own, "0s";
    }

    /// What CONNECT may reach. It has no path: its route is the first of the virtual host that has `connect` and whose
    /// `headers` and `variables` hold, whatever path they ask for.
    HttpConnect {
        /// Ports that may be named, such as `443` or `"8000-8999"`; others are answered with 403. An empty array is none.
        ports: Vec<Spanned<Ports>>, Own, "[443]";
        /// `tcp`: rosn connects to the cluster, or, where that is of type `ORIGINAL_DST`, to the host that the request
        /// names, and passes bytes on. `http`: the request is passed on to the cluster, whose hosts are proxies.
        upstream: ConnectUpstream, Own, "tcp";
    }
}

choices! {
    /// What answers CONNECT.
    ConnectUpstream: "tcp", "http";
}

/// Whether protocols may be switched: all, none, or these.
#[derive(Debug, Clone)]
pub(crate) enum Upgrades {
    Switch(bool),
    To(Vec<Spanned<String>>),
}

impl Decode for Upgrades {
    fn shape() -> Shape {
        Shape::Leaf(&Leaf {
            name: "bool or array of string",
            schema: || {
                let tokens = json!({ "type": "array", "items": { "type": "string" } });
                json!({ "anyOf": [{ "type": "boolean" }, tokens] })
            },
        })
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(_) => Vec::decode(node, context).map(Self::To),
            Value::Bool(on) => Some(Self::Switch(*on)),
            _ => {
                let what = "true, false, or an array of protocols such as [\"websocket\"]";
                context.add(wrong_type(node, what));
                None
            }
        }
    }
}
