//! `stream_settings`: v2ray's `streamSettings` (its v4 JSON), and a few keys of rosn's in it.

use super::table::{choices, format};
use super::{Exact, Free, HttpHeaderRequest, HttpHeaderResponse, Map, OneOrMany, Status::*, Texts};

format! {
    /// How the bytes of a connection travel: v2ray's `streamSettings`, also written so. In it unknown keys and
    /// values are errors.
    StreamSettings {
        /// `tcp`, `ws` (`websocket`), `http` (`h2`), `quic`, `domainsocket` (`ds`) or `mkcp` (`kcp`).
        network: StreamNetwork, Active, "tcp";
        /// `none` or `tls`. v2ray speaks plain text where it does not know the word; here that is an error.
        security: StreamSecurity, Active, "none";
        /// With `security: tls`.
        tls_settings as "tlsSettings": TlsSettings, Active, "{}";
        /// With `network: tcp`.
        tcp_settings as "tcpSettings": TcpSettings, Active, "{}";
        /// With `network: ws`.
        ws_settings as "wsSettings": WsSettings, Active, "{}";
        /// With `network: http`.
        http_settings as "httpSettings": HttpSettings, Active, "{}";
        /// With `network: quic`. Where there are none, datagrams are sealed with a key that everybody knows, as in
        /// v2ray; `{}` seals nothing.
        quic_settings as "quicSettings": QuicSettings, Active, "";
        /// With `network: domainsocket`.
        ds_settings as "dsSettings": DsSettings, Active, "";
        /// With `network: mkcp`.
        kcp_settings as "kcpSettings": KcpSettings, Active, "{}";
        /// Of the transport gRPC.
        grpc_settings as "grpcSettings": Free, Inert("this transport is not supported"), "";
        /// Of the transport gRPC.
        gun_settings as "gunSettings": Free, Inert("this transport is not supported"), "";
        /// Of the transport Hysteria 2.
        hy2_settings as "hy2Settings": Free, Inert("this transport is not supported"), "";
        /// Options of the socket.
        sockopt: Sockopt, Active, "{}";
        /// Who the client is, before anything else on the wire.
        proxy_protocol as "proxyProtocol": ProxyProtocol, Own, "{}";
    }

    /// TLS of v2ray's kind.
    TlsSettings {
        /// The name that the dialer asks for and verifies.
        server_name as "serverName": String, Active, "the host that is dialed";
        /// Application protocols, the best first.
        alpn: OneOrMany, Active, "h2, http/1.1; http/1.1 where a listener is a proxy, and where ws dials";
        /// The dialer takes any certificate.
        allow_insecure as "allowInsecure": bool, Active, "false";
        /// The dialer trusts only `certificates` with `usage: verify`.
        disable_system_root as "disableSystemRoot": bool, Active, "false";
        /// Connections take up where an earlier one ended.
        enable_session_resumption as "enableSessionResumption": bool, Active, "false";
        /// SHA-256 of certificate chains in base64, as `v2ctl tlsping` tells them; one of them must be shown.
        pinned as "pinnedPeerCertificateChainSha256": Texts, Active, "[]";
        /// The listener takes only clients whose certificate one with `usage: verifyclient` has signed.
        verify_client_certificate as "verifyClientCertificate": bool, Active, "false";
        /// The oldest version that is spoken: `1.2` or `1.3` (also `TLS1_2`, `TLSv1_2`).
        min_version as "minVersion": String, Active, "1.2";
        /// The newest version that is spoken.
        max_version as "maxVersion": String, Active, "1.3";
        /// What a listener shows, what is trusted, and the like.
        certificates: Vec<TlsCertificate>, Active, "[]";
        /// Ciphers that are broken.
        allow_insecure_ciphers as "allowInsecureCiphers": bool, Inert("no cipher that is broken is spoken"), "false";
        /// The old opposite of `enableSessionResumption`.
        disable_session_resumption as "disableSessionResumption": bool, Inert("there is none unless it is enabled"), "";
        /// Encrypted client hello.
        ech_config as "echConfig": String, Active, "";
        /// Whom to ask for the keys of an encrypted client hello.
        ech_doh_server as "echDohServer": String, Active, "";
    }

    /// A certificate and what it is for.
    TlsCertificate {
        /// `encipherment`: shown to the other side; `verify`: trusted by the dialer; `verifyclient`: trusted by the
        /// listener; `issue`: a CA that certificates are made from on the fly.
        usage: CertificateUsage, Active, "encipherment";
        /// A PEM file, the leaf first.
        certificate_file as "certificateFile": String, Active, "";
        /// The PEM file of its key.
        key_file as "keyFile": String, Active, "";
        /// PEM text, whole or line by line, instead of a file.
        certificate: OneOrMany, Active, "";
        /// PEM text of the key, whole or line by line, instead of a file.
        key: OneOrMany, Active, "";
    }

    /// The transport `tcp`.
    TcpSettings {
        /// What the connection pretends to be.
        header: TcpHeader, Active, "";
        /// The listener demands a PROXY header.
        accept_proxy_protocol as "acceptProxyProtocol": bool, Active, "false";
    }

    /// What a TCP connection pretends to be.
    TcpHeader {
        /// `none` or `http`: a request and a response in front of the bytes.
        r#type as "type": String, Active, "";
        /// What the dialer says, and the paths that the listener takes.
        request: HttpHeaderRequest, Active, "as a browser";
        /// What the listener says.
        response: HttpHeaderResponse, Active, "as a server";
    }

    /// The transport `ws`: WebSocket.
    WsSettings {
        /// The listener takes only this path.
        path: String, Active, "/";
        /// What the dialer sends; `Host` among them.
        headers: Map<String>, Active, "{}";
        /// The listener demands a PROXY header.
        accept_proxy_protocol as "acceptProxyProtocol": bool, Active, "false";
        /// Bytes of the first write that go with the handshake; both sides must agree whether there are any.
        max_early_data as "maxEarlyData": u32, Active, "0";
        /// The header that carries them.
        early_data_header_name as "earlyDataHeaderName": String, Active, "none: behind the path";
        /// How often a ping is sent, in seconds; 0 is never.
        heartbeat_period as "heartbeatPeriod": u32, Own, "0";
        /// Dial through a browser.
        use_browser_forwarding as "useBrowserForwarding": bool, Active, "false";
        /// Take the client's address from the request.
        parse_x_forwarded_for as "parseXForwardedFor": bool, Inert("an address that anybody can claim is not taken; `proxyProtocol` has `trusted`"), "false";
    }

    /// The transport `http`: a stream of an HTTP/2 connection.
    HttpSettings {
        /// One is drawn for each stream; the listener takes only these.
        host: OneOrMany, Active, "www.example.com";
        /// The listener takes every path that begins so.
        path: String, Active, "/";
        /// What the dialer says; the listener takes any.
        method: String, Active, "PUT";
        /// Sent by the dialer in the request, by the listener in the response.
        headers: Map<OneOrMany>, Active, "{}";
        /// Take the client's address from the request.
        parse_x_forwarded_for as "parseXForwardedFor": bool, Inert("an address that anybody can claim is not taken; `proxyProtocol` has `trusted`"), "false";
    }

    /// The transport `quic`.
    QuicSettings {
        /// What each datagram is sealed with: `none`, `aes-128-gcm` or `chacha20-poly1305`.
        security: QuicSecurity, Active, "none";
        /// The key of `security`; both sides need the same.
        key: String, Active, "";
        /// What datagrams look like.
        header: PacketHeader, Active, "";
    }

    /// What datagrams look like.
    PacketHeader {
        /// `none`, `srtp`, `utp`, `wechat-video`, `dtls` or `wireguard`.
        r#type as "type": String, Active, "";
    }

    /// The transport `domainsocket`: a unix socket. The address of the listener or host does not count.
    DsSettings {
        /// The file, or the abstract name without the NUL (or `@`) before it.
        path: String, Active, "";
        /// Whether `path` is a name of Linux's abstract namespace.
        is_abstract as "abstract": bool, Active, "false";
        /// The abstract name is filled with NULs to all of its 108 bytes; both sides must agree.
        padding: bool, Active, "false";
        /// Permissions of the file that the listener makes, such as `0660`.
        mode: String, Own, "by the umask";
    }

    /// The transport `mkcp`: reliable streams over UDP.
    KcpSettings {
        /// Bytes of a datagram: 576 to 1460.
        mtu: u32, Active, "1350";
        /// Milliseconds between two looks at what to send: 10 to 100.
        tti: u32, Active, "50";
        /// MB/s that are sent at most.
        uplink_capacity as "uplinkCapacity": u32, Active, "5";
        /// MB/s that are received at most.
        downlink_capacity as "downlinkCapacity": u32, Active, "20";
        /// Send less where much is lost.
        congestion: bool, Active, "false";
        /// MiB for each connection; 0 is 512 KiB.
        read_buffer_size as "readBufferSize": u32, Active, "2";
        /// MiB for each connection; 0 is 512 KiB.
        write_buffer_size as "writeBufferSize": u32, Active, "2";
        /// What datagrams look like.
        header: PacketHeader, Active, "";
        /// Seals datagrams with a key that is made from this text; both sides need the same.
        seed: String, Active, "";
    }

    /// Options of the socket.
    Sockopt {
        /// SO_MARK; 0 is none.
        mark: u32, Active, "0";
        /// TCP Fast Open.
        tcp_fast_open as "tcpFastOpen": bool, Active, "as the system has it";
        /// How many connections may be in their first packet.
        tcp_fast_open_queue_length as "tcpFastOpenQueueLength": u32, Active, "4096";
        /// `off`; `redirect`, `tproxy`: the listener learns the address that was meant. It sets `use_original_dst`.
        tproxy: TproxyMode, Active, "off";
        /// The listener demands a PROXY header.
        accept_proxy_protocol as "acceptProxyProtocol": bool, Active, "false";
        /// Seconds between keepalive probes.
        tcp_keep_alive_interval as "tcpKeepAliveInterval": u32, Active, "15";
        /// Seconds until the first keepalive probe.
        tcp_keep_alive_idle as "tcpKeepAliveIdle": u32, Active, "15";
        /// SO_BINDTODEVICE.
        bind_to_device as "bindToDevice": String, Active, "";
        /// SO_RCVBUF in bytes; 0 leaves it.
        rx_buf_size as "rxBufSize": u32, Active, "0";
        /// SO_SNDBUF in bytes; 0 leaves it.
        tx_buf_size as "txBufSize": u32, Active, "0";
        /// The two sizes may exceed the system's limit; needs CAP_NET_ADMIN.
        force_buf_size as "forceBufSize": bool, Active, "false";
        /// Multipath TCP.
        mptcp: bool, Active, "false";
        /// The IP address to dial from.
        bind_address as "bindAddress": String, Own, "";
    }

    /// The PROXY protocol: who the client is, before anything else on the wire.
    ProxyProtocol {
        /// The listener demands a header, version 1 or 2. `acceptProxyProtocol` says the same.
        accept: bool, Own, "false";
        /// Only from these ranges; connections from elsewhere are taken as they are.
        trusted: Texts, Own, "everybody";
        /// The dialer sends a header: `v1` or `v2`.
        send: ProxyVersion, Own, "";
        /// What goes with version 2: texts by their type, such as `"0xE0"`.
        tlvs: Map<String>, Own, "{}";
    }
}

choices! {
    /// The transport.
    StreamNetwork: "tcp", "ws", "websocket", "http", "h2", "quic", "domainsocket", "ds", "mkcp", "kcp";
    /// What is above the transport.
    StreamSecurity: "none", "tls";
    /// What a certificate is for.
    CertificateUsage: "encipherment", "verify", "verifyclient", "issue";
    /// What QUIC datagrams are sealed with.
    QuicSecurity: "none", "aes-128-gcm", "chacha20-poly1305";
    /// How the original address is found.
    TproxyMode: "off", "redirect", "tproxy";
    /// The version of a PROXY header.
    ProxyVersion: "v1", "v2";
}

/// `stream_settings` as listeners and clusters have it.
pub(crate) type ExactStream = Exact<StreamSettings>;
