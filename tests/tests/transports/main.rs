//! Two rosn with each transport between them: whatever goes in at one end comes out at the other.
#![allow(clippy::unwrap_used, reason = "tests")]

/// A test for each transport.
macro_rules! each {
    ($run:path) => {
        each!($run:
            tcp_http "tcp-http", tcp_tls "tcp+tls", ws "ws", ws_early "ws-early", ws_tls "ws+tls",
            http "http", http_tls "http+tls", quic "quic", quic_sealed "quic-sealed", quic_tls "quic+tls",
            mkcp "mkcp", mkcp_sealed "mkcp-sealed", mkcp_tls "mkcp+tls",
            ds "ds", ds_tls "ds+tls", ds_abstract "ds-abstract"
        );
    };
    ($run:path: $($name:ident $link:literal),*) => {
        $(
            #[test]
            fn $name() {
                $run($link);
            }
        )*
    };
}

mod certificates;
mod client_address;
mod http;
mod reload;
mod strangers;
mod tcp;
