//! `header` with `type: http` of the transport `tcp`.

use super::table::format;
use super::{Map, OneOrMany, Status::*};

format! {
    /// A request that goes before the bytes of a dialer.
    HttpHeaderRequest {
        /// The version of HTTP.
        version: String, Active, "1.1";
        /// The method.
        method: String, Active, "GET";
        /// One is drawn for each connection; the listener takes only these.
        path: OneOrMany, Active, "/";
        /// One value of each is drawn for each connection. They replace those of a browser.
        headers: Map<OneOrMany>, Active, "those of a browser";
    }

    /// A response that goes before the bytes of a listener.
    HttpHeaderResponse {
        /// The version of HTTP.
        version: String, Active, "1.1";
        /// The status.
        status: String, Active, "200";
        /// Its name.
        reason: String, Active, "OK";
        /// One value of each is drawn for each connection. They replace those of a server.
        headers: Map<OneOrMany>, Active, "those of a server";
    }
}
