//! A configuration of v2ray's (v4 JSON), as far as it can be converted.

use super::table::format;
use super::{Free, Status::*};

format! {
    /// A whole configuration.
    V2ray {
        /// What is logged.
        log: V2rayLog, Active, "";
        /// Where connections come in.
        inbounds: Vec<V2rayInbound>, Active, "[]";
        /// Where they go.
        outbounds: Vec<V2rayOutbound>, Active, "[]";
        /// Which outbound is taken.
        routing: V2rayRouting, Active, "";
        /// Settings of transports for everybody.
        transport: Free, Active, "";
        /// Portals and bridges.
        reverse: Free, Active, "";
        /// The old names.
        inbound: Free, Active, "";
        /// Another old name.
        outbound: Free, Active, "";
        /// Another old name.
        inbound_detour as "inboundDetour": Free, Active, "";
        /// Another old name.
        outbound_detour as "outboundDetour": Free, Active, "";
        /// Name servers.
        dns: Free, Inert("names are resolved by the system"), "";
        /// Invented answers of name servers.
        fake_dns as "fakedns": Free, Inert("names are resolved by the system"), "";
        /// The gRPC API.
        api: Free, Inert("rosn has an admin API of its own"), "";
        /// Counters.
        stats: Free, Inert("rosn always counts"), "";
        /// Timeouts and the like by user level.
        policy: Free, Inert("idle connections are closed after 300 s, v2ray's default"), "";
        /// Probes of outbounds.
        observatory: Free, Inert("there is one outbound"), "";
        /// More probes.
        burst_observatory as "burstObservatory": Free, Inert("there is one outbound"), "";
        /// A page for browsers.
        browser_forwarder as "browserForwarder": Free, Inert("nothing dials through a browser"), "";
        /// Services.
        services: Free, Inert("rosn has no such services"), "";
        /// Services by another name.
        extension: Free, Inert("rosn has no such services"), "";
    }

    /// What is logged.
    V2rayLog {
        /// `debug`, `info`, `warning`, `error` or `none`.
        loglevel: String, Active, "warning";
        /// The file of the access log.
        access: String, Active, "";
        /// The file of the server log.
        error: String, Active, "";
    }

    /// Where connections come in.
    V2rayInbound {
        /// Its name.
        tag: String, Active, "";
        /// IP address.
        listen: String, Active, "0.0.0.0";
        /// The port.
        port: Free, Active, "";
        /// The protocol.
        protocol: String, Active, "";
        /// What the protocol needs.
        settings: Free, Active, "";
        /// How bytes travel.
        stream_settings as "streamSettings": Free, Active, "";
        /// Looking into connections.
        sniffing: Free, Inert("nothing is decided by what a connection says"), "";
        /// Ports that change.
        allocate: Free, Active, "";
    }

    /// Settings of `dokodemo-door`.
    V2rayDokodemo {
        /// Where to.
        address: String, Active, "";
        /// The port.
        port: Free, Active, "";
        /// `tcp`, `udp` or both.
        network: Free, Active, "tcp";
        /// Where the client meant to go.
        follow_redirect as "followRedirect": bool, Active, "false";
        /// For idle connections.
        timeout: Free, Inert("idle connections are closed after 300 s"), "";
        /// The policy.
        user_level as "userLevel": Free, Inert("there are no users"), "";
    }

    /// Where connections go.
    V2rayOutbound {
        /// Its name.
        tag: String, Active, "";
        /// The protocol.
        protocol: String, Active, "";
        /// What the protocol needs.
        settings: Free, Active, "";
        /// How bytes travel.
        stream_settings as "streamSettings": Free, Active, "";
        /// The IP address to dial from.
        send_through as "sendThrough": String, Active, "";
        /// Several connections over one.
        mux: V2rayMux, Active, "";
        /// Dial through another outbound.
        proxy_settings as "proxySettings": Free, Active, "";
        /// How names are resolved.
        domain_strategy as "domainStrategy": Free, Inert("names are resolved by the system"), "";
    }

    /// Settings of `freedom`.
    V2rayFreedom {
        /// `host:port`, or a part of it.
        redirect: String, Active, "";
        /// How names are resolved.
        domain_strategy as "domainStrategy": Free, Inert("names are resolved by the system"), "";
        /// For idle connections.
        timeout: Free, Inert("idle connections are closed after 300 s"), "";
        /// The policy.
        user_level as "userLevel": Free, Inert("there are no users"), "";
    }

    /// Several connections over one.
    V2rayMux {
        /// Whether there is any.
        enabled: bool, Active, "false";
        /// How many.
        concurrency: Free, Active, "";
    }

    /// Which outbound is taken.
    V2rayRouting {
        /// The rules.
        rules: Vec<Free>, Active, "[]";
        /// The balancers.
        balancers: Vec<Free>, Active, "[]";
        /// How names are resolved.
        domain_strategy as "domainStrategy": Free, Inert("there is one outbound"), "";
        /// How names are compared.
        domain_matcher as "domainMatcher": Free, Inert("there is one outbound"), "";
    }
}
