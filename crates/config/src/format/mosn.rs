//! The whole file.

use super::table::{choices, format};
use super::{
    ClusterManager, Free, Map, Metrics, Port, Server, Sockets, Spanned, Status::*, StreamFilter,
};

format! {
    /// A whole configuration.
    Mosn {
        /// The server: exactly one.
        servers: Vec<Server>, Active, "";
        /// What is behind the proxy.
        cluster_manager: ClusterManager, Active, "{}";
        /// No hand-over of sockets between processes.
        disable_upgrade: bool, Guarded("hot upgrade, so there is nothing to turn off"), "false";
        /// The old name of `disable_upgrade`.
        close_graceful: bool, Guarded("hot upgrade, so there is nothing to turn off"), "false";
        /// Take over the configuration of the process that is replaced.
        inherit_old_mosnconfig: bool, Later("hot upgrade"), "false";
        /// What stands between the process and the system's socket calls.
        sockets: Sockets, Own, "{}";
        /// Tracing of requests.
        tracing: Tracing, Guarded("tracing"), "";
        /// What is measured and where it is shown.
        metrics: Metrics, Active, "";
        /// Envoy bootstrap (v3): where listeners, routes and clusters come from.
        dynamic_resources: Free, Later("xDS: what the control plane sends is not asked for"), "";
        /// Envoy bootstrap (v3): the clusters of the control plane.
        static_resources: Free, Later("xDS: what the control plane sends is not asked for"), "";
        /// Envoy bootstrap (v3): who this proxy is.
        node: Free, Guarded("xDS"), "";
        /// The admin server; none where it is absent.
        admin: Admin, Active, "";
        /// Go's profiling server.
        pprof: Pprof, Go("use `perf` instead"), "";
        /// The file with the number of the process.
        pid: String, Active, "<base>/logs/mosn.pid";
        /// The directory of control sockets.
        uds_dir: String, Active, "the directory of the configuration";
        /// Plugins that are processes of their own.
        plugin: Plugin, Go("no replacement yet"), "";
        /// Protocols from plugins.
        third_part_codec: ThirdPartCodec, Guarded("protocols from plugins"), "";
        /// Named extensions.
        extends: Vec<Extend>, Guarded("extensions"), "";
        /// Wasm plugins that listeners can name.
        wasm_global_plugins: Vec<WasmPlugin>, Later("wasm"), "";
        /// Stream filters of MOE, the proxy inside Envoy.
        stream_filters: Vec<StreamFilter>, Inert("these are for MOSN inside Envoy"), "";
    }

    /// The admin server.
    Admin {
        /// Where it listens.
        address: AdminAddress, Active, "";
        /// What a request must carry as `Authorization: Bearer`.
        token: String, Own, "";
    }

    /// Where the admin server listens.
    AdminAddress {
        /// IP address and port.
        socket_address: SocketAddress, Active, "";
    }

    /// An IP address and a port.
    SocketAddress {
        /// The IP address.
        address: String, Active, "0.0.0.0";
        /// The port. MOSN refuses it in quotes; here that is a warning.
        port_value: Port, Active, "";
    }

    /// Tracing of requests.
    Tracing {
        /// Whether requests are traced.
        enable: bool, Active, "false";
        /// The old name of `driver`.
        tracer: String, Inert("the key is `driver`"), "";
        /// `SOFATracer`, `SkyWalking`, `Zipkin`, `jaeger`, `otel`.
        driver: TracingDriver, Active, "";
        /// What the driver needs.
        config: Map<Free>, Active, "";
    }

    /// Go's profiling server.
    Pprof {
        /// Whether it runs.
        debug: bool, Active, "false";
        /// Its port.
        port_value: Port, Active, "9090";
        /// Its address.
        endpoint: String, Active, "0.0.0.0";
    }

    /// Plugins that are processes of their own.
    Plugin {
        /// Where they log.
        log_base: String, Active, "";
    }

    /// Protocols from plugins.
    ThirdPartCodec {
        /// The plugins.
        codecs: Vec<Codec>, Active, "";
    }

    /// A protocol from a plugin.
    Codec {
        /// Whether it is loaded.
        enable: bool, Active, "false";
        /// `go-plugin` or `wasm`.
        r#type as "type": CodecType, Active, "";
        /// The file.
        path: String, Active, "";
        /// The function that makes the codec.
        loader_func_name: String, Active, "LoadCodec";
        /// What the codec needs.
        config: Map<Free>, Active, "";
    }

    /// A named extension.
    Extend {
        /// `tunnel_agent`, `transcoder_plugin`, `holmes` or `dubbo_registry`.
        r#type as "type": ExtendType, Active, "";
        /// What it needs.
        config: Free, Active, "";
    }

    /// A wasm plugin.
    WasmPlugin {
        /// The name that `from_wasm_plugin` takes.
        plugin_name: String, Active, "";
        /// Where the code is and what runs it.
        vm_config: WasmVm, Active, "";
        /// How many instances there are.
        instance_num: i64, Active, "the number of cores";
    }

    /// Where the code of a wasm plugin is and what runs it.
    WasmVm {
        /// `wazero` or `wasmer`.
        engine: String, Active, "";
        /// The file.
        path: String, Active, "";
        /// Where it would be loaded from.
        url: String, Inert("MOSN never implemented it"), "";
        /// The checksum that tells whether it must be loaded again.
        md5: String, Active, "";
        /// A limit of cores.
        cpu: i64, Inert("MOSN never implemented it"), "";
        /// A limit of memory.
        mem: i64, Inert("MOSN never implemented it"), "";
    }
}

choices! {
    /// How requests are traced.
    TracingDriver: "SOFATracer", "SkyWalking", "Zipkin", "jaeger", "otel", "PluginDriver";
    /// How a protocol is loaded.
    CodecType: "go-plugin", "wasm";
    /// Which extension.
    ExtendType: "tunnel_agent", "transcoder_plugin", "holmes", "dubbo_registry";
}

/// Elements of lists of texts.
pub(crate) type Texts = Vec<Spanned<String>>;
