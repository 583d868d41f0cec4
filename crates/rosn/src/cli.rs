//! The command line: rosn's, and all that MOSN's users type.

mod gates;
mod go_style;
mod levels;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::Error;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use gates::FeatureGates;
pub(crate) use levels::LogLevelFlag;

const EXAMPLES: &str = "\
Examples:
  rosn                                   run the built-in default configuration
  rosn start -c /etc/rosn/config.json    run a configuration of MOSN's or rosn's, JSON or YAML
  rosn check -c config.json              find every fault of it without running it
  rosn reload -c config.json             have the running process read it again
  rosn stop -c config.json               stop the running process
  rosn forward tcp://127.0.0.1:1080 wss://example.com:443/tunnel
  rosn get https://example.com/          where the time of a request goes

Exit codes: 0 done, 1 the command line or what it names is wrong, 2 start failed, 4 stop failed;
those of `get` are curl's";

const GET_HELP: &str = "\
Examples:
  rosn get https://example.com/                     the phases of one request
  rosn get http://127.0.0.1:2046/ --repeat 3        see the connection being used again
  rosn get https://example.com/ --json              a line of JSON for each request
  rosn get https://example.com/ --body > page.html  the body too, on standard output
  rosn get https://example.com/ --resolve example.com:443:192.0.2.1
  rosn get https://example.com/ --proxy socks5://127.0.0.1:1080
  rosn get http://docker/_ping --unix-socket /var/run/docker.sock
  rosn get https://127.0.0.1:8443/ --cacert ca.crt -H 'Host: example.com'

Proxies are taken from http_proxy, https_proxy, all_proxy and no_proxy unless --proxy is given;
--proxy '' uses none. A bar of the picture is a phase; its place is when it happened.

Exit codes, as curl's: 0 a response came, 3 the URL is wrong, 5 and 6 the proxy's or the host's
name does not resolve, 7 no connection, 8 the reply is not HTTP, 18 the body broke off, 22 a
status of 400 or more with --fail, 23 the body cannot be written, 28 too slow, 35 the TLS
handshake failed, 47 too many redirects, 52 an empty reply, 55 and 56 sending or receiving
failed, or an HTTP proxy refused, 60 the certificate is not trusted, 97 a SOCKS proxy refused.
With --repeat the first that is not 0.";

const CERT_HELP: &str = "\
Examples:
  rosn cert localhost 127.0.0.1 ::1            one certificate for three names, in localhost.pem
  rosn cert '*.a.example' --dir certs          in certs/_wildcard.a.example.pem
  rosn cert alice                              a client's: each is for servers and for clients
  rosn cert spiffe://cluster.local/ns/a/sa/b   with a URI, as meshes have them
  rosn cert localhost --rsa --force            another one in its place

The first run makes the authority: ca.pem, which the other side has to trust, and ca.key. Later
runs use it. Files of keys can be read by their owner only. They are for trying things out: do
not have browsers trust the authority, or keep ca.key where nobody else can read it.";

const FORWARD_HELP: &str = "\
Examples, one for each transport:
  rosn forward tcp://127.0.0.1:1080 tcp://192.0.2.1:80?proxy=v2
  rosn forward tcp://127.0.0.1:1080 tls://example.com:443?alpn=http/1.1
  rosn forward tcp://127.0.0.1:1080 ws://192.0.2.1:80/tunnel?host=example.com&heartbeat=20
  rosn forward tcp://127.0.0.1:1080 wss://example.com:443/tunnel
  rosn forward tcp://127.0.0.1:1080 h2://192.0.2.1:443/tunnel?sni=example.com&ca=ca.crt
  rosn forward tcp://127.0.0.1:1080 h2c://192.0.2.1:80/tunnel
  rosn forward tcp://127.0.0.1:1080 quic://192.0.2.1:443?header=srtp
  rosn forward tcp://127.0.0.1:1080 mkcp://192.0.2.1:4000?seed=xyz&header=utp
  rosn forward unix:/run/tunnel.sock?mode=0660 tcp://192.0.2.1:80
and the other end of a tunnel:
  rosn forward wss://0.0.0.0:443/tunnel?cert=leaf.crt&key=leaf.key tcp://127.0.0.1:80

Put URLs with `&` in quotes. Keys, behind `?`:
  tls, wss, h2                 cert, key, ca, sni, alpn, insecure; quic, mkcp, unix too, or just `tls`
  ws, wss, h2, h2c             host (ws, wss: heartbeat, in seconds)
  tcp, tls                     header=http, with a path
  quic                         security, secret, header
  mkcp                         seed, header, mtu, tti, uplink, downlink, congestion
  unix (ds)                    mode, abstract, padding
  where connections come in    mark, device, proxy=accept, trusted
  where they go                mark, device, bind, proxy=v1, proxy=v2";

/// A modular network proxy that takes MOSN configurations unchanged
///
/// Without a sub-command it starts.
#[derive(Debug, Parser)]
#[command(
    name = "rosn",
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_version_flag = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::SetTrue)]
    pub(crate) version: bool,
    #[command(flatten)]
    pub(crate) start: StartArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    ///
    /// What clap has to say: a fault, or the help that was asked for.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Error> {
        let command = Self::command();
        let args = go_style::normalise(&command, args);
        Self::from_arg_matches(&command.try_get_matches_from(args)?)
    }
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum Command {
    /// Start the proxy and stay in the foreground
    #[command(after_help = "\
Examples:
  rosn start -c config.json
  rosn start -c config.yaml --watch --log-level debug
  MOSN_CONFIG=config.json rosn start --workers 4

Signals: TERM drains and stops, INT and QUIT stop at once, HUP reloads, USR1 opens log files anew.")]
    Start(StartArgs),
    /// Stop the process that was started with a configuration
    #[command(after_help = "\
Examples:
  rosn stop -c config.json
  rosn stop                      the one that runs the built-in default configuration

It is found by the pid file of the configuration and given 10 s after SIGINT.")]
    Stop(ControlArgs),
    /// Have the running process read its configuration again
    #[command(after_help = "\
Examples:
  rosn reload -c config.json
  rosn reload -c config.json --format json

Only the difference is put into force: connections and listeners that did not change are not
touched. A configuration with a fault changes nothing, and the faults are shown.")]
    Reload(ControlArgs),
    /// Find every fault of a configuration without running it
    #[command(after_help = "\
Examples:
  rosn check -c config.json
  rosn check -c config.json --strict          unknown keys are errors
  rosn check -c config.json --format json     for editors and CI

Exit code 0 without errors, 1 with.")]
    Check(CheckArgs),
    /// Forward connections from one address to another, by any transport
    #[command(after_help = FORWARD_HELP)]
    Forward(ForwardArgs),
    /// Send an HTTP request and show where its time goes
    #[command(after_help = GET_HELP)]
    Get(GetArgs),
    /// Make an authority and certificates of it, for trying things out
    #[command(after_help = CERT_HELP)]
    Cert(CertArgs),
    /// Make a configuration of another program's
    #[command(after_help = "\
Examples:
  rosn convert --from v2ray config.json -o rosn.json && rosn start -c rosn.json
  rosn convert --from v2ray config.json            to standard output

Each dokodemo-door inbound becomes a listener, the freedom outbound the cluster behind it, with the
streamSettings of both. What cannot be converted is named by its place, and nothing is written.
The file may hold secrets: only its owner can read it.")]
    Convert(ConvertArgs),
    /// Print the JSON Schema of the configuration, or its reference
    #[command(after_help = "\
Examples:
  rosn schema > rosn.schema.json
  rosn schema --format markdown > reference.md")]
    Schema(SchemaArgs),
    /// Print the version
    #[command(after_help = "\
Examples:
  rosn version
  rosn version --format json")]
    Version(VersionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArg {
    /// The configuration, JSON or YAML; default configs/mosn_config.json where that is a file, else
    /// the built-in one
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "MOSN_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Follow the configuration: reload when its content changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// Take unknown keys as errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Worker threads; wins over `processor`, 0 = one for each core
    #[arg(long, visible_alias = "concurrency", value_name = "N")]
    workers: Option<usize>,
    /// Least severe lines of the log: trace, debug, info, warning, error, critical or off
    #[arg(short = 'l', long, value_name = "LEVEL", env = "LOG_LEVEL", hide_env_values = true)]
    pub(crate) log_level: Option<String>,
    /// Time that active requests are given to finish, in seconds; wins over `graceful_timeout`
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_time_s: Option<u64>,
    /// Feature gates, as A=true,B=false
    #[arg(
        short = 'f',
        long,
        value_name = "GATES",
        env = "FEATURE_GATES",
        hide_env_values = true,
        default_value = ""
    )]
    #[arg(hide_default_value = true)]
    pub(crate) feature_gates: FeatureGates,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    ignored: IgnoredArgs,
}

impl StartArgs {
    /// How many workers are asked for; `None` leaves it to the configuration.
    pub(crate) fn workers(&self) -> Option<Workers> {
        self.workers.map(|count| NonZeroUsize::new(count).map_or(Workers::PerCore, Workers::Count))
    }

    /// The flags that were given and have no effect.
    pub(crate) fn ignored(&self) -> Vec<&'static str> {
        self.ignored.given()
    }
}

/// How many workers to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// One for each core that the process may use.
    PerCore,
    /// This many.
    Count(NonZeroUsize),
}

impl Workers {
    /// The number, where one is asked for.
    pub(crate) fn count(self) -> Option<NonZeroUsize> {
        match self {
            Self::PerCore => None,
            Self::Count(count) => Some(count),
        }
    }
}

/// Who this process is in a service mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Identity in a service mesh")]
pub(crate) struct NodeArgs {
    /// Service cluster
    #[arg(short = 's', long, value_name = "NAME", env = "SERVICE_CLUSTER", hide_env_values = true)]
    pub(crate) service_cluster: Option<String>,
    /// Service node; made of type, pod and domain where it is not given
    #[arg(short = 'n', long, value_name = "NAME", env = "SERVICE_NODE", hide_env_values = true)]
    pub(crate) service_node: Option<String>,
    /// Service type: sidecar or router
    #[arg(short = 'p', long, value_name = "TYPE", env = "SERVICE_TYPE", hide_env_values = true)]
    pub(crate) service_type: Option<String>,
    /// Metadata, as key=value; may be repeated
    #[arg(
        long,
        visible_alias = "sm",
        value_name = "PAIR",
        env = "SERVICE_META",
        hide_env_values = true
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) service_meta: Vec<String>,
    /// Labels, as key=value; may be repeated
    #[arg(long, visible_alias = "sl", alias = "service-labels", value_name = "PAIR")]
    #[arg(env = "SERVICE_LAB", hide_env_values = true, value_delimiter = ',')]
    pub(crate) service_lables: Vec<String>,
    /// Domain of the cluster
    #[arg(
        long,
        visible_alias = "domain",
        value_name = "DOMAIN",
        env = "CLUSTER_DOMAIN",
        hide_env_values = true
    )]
    pub(crate) cluster_domain: Option<String>,
    /// Namespace of the pod
    #[arg(
        long,
        visible_alias = "pns",
        value_name = "NAME",
        env = "POD_NAMESPACE",
        hide_env_values = true
    )]
    pub(crate) pod_namespace: Option<String>,
    /// Name of the pod
    #[arg(
        long,
        visible_alias = "pn",
        value_name = "NAME",
        env = "POD_NAME",
        hide_env_values = true
    )]
    pub(crate) pod_name: Option<String>,
    /// Address of the pod
    #[arg(
        long,
        visible_alias = "pi",
        value_name = "ADDRESS",
        env = "POD_IP",
        hide_env_values = true
    )]
    pub(crate) pod_ip: Option<String>,
}

/// Flags that a pilot-agent passes, and MOSN ignores too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accepted for compatibility, without effect")]
struct IgnoredArgs {
    #[arg(long, alias = "lf", value_name = "TEXT", hide_short_help = true)]
    log_format: Option<String>,
    #[arg(long, alias = "lc", value_name = "LEVELS", hide_short_help = true)]
    component_log_level: Vec<String>,
    #[arg(long, value_name = "VERSION", hide_short_help = true)]
    local_address_ip_version: Option<String>,
    #[arg(long, value_name = "N", hide_short_help = true)]
    restart_epoch: Option<String>,
    #[arg(long, value_name = "SECONDS", hide_short_help = true)]
    parent_shutdown_time_s: Option<String>,
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_obj_name_len: Option<String>,
    #[arg(long, value_name = "N", hide_short_help = true)]
    log_format_prefix_with_location: Option<String>,
    #[arg(long, value_name = "N", hide_short_help = true)]
    bootstrap_version: Option<String>,
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    drain_strategy: Option<String>,
    #[arg(long, value_name = "BOOL", hide_short_help = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disable_hot_restart: Option<String>,
}

impl IgnoredArgs {
    fn given(&self) -> Vec<&'static str> {
        [
            ("--log-format", self.log_format.is_some()),
            ("--component-log-level", !self.component_log_level.is_empty()),
            ("--local-address-ip-version", self.local_address_ip_version.is_some()),
            ("--restart-epoch", self.restart_epoch.is_some()),
            ("--parent-shutdown-time-s", self.parent_shutdown_time_s.is_some()),
            ("--max-obj-name-len", self.max_obj_name_len.is_some()),
            ("--log-format-prefix-with-location", self.log_format_prefix_with_location.is_some()),
            ("--bootstrap-version", self.bootstrap_version.is_some()),
            ("--drain-strategy", self.drain_strategy.is_some()),
            ("--disable-hot-restart", self.disable_hot_restart.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

/// What `stop` and `reload` take.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// How to tell what happened
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// How to show what was found
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
    /// Take unknown keys as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    /// Where connections come in, such as tcp://127.0.0.1:1080
    pub(crate) from: String,
    /// Where they go, such as wss://example.com:443/tunnel
    pub(crate) to: String,
    /// Show the configuration, secrets and all, instead of running it
    #[arg(long)]
    pub(crate) print: bool,
    /// Least severe lines of the log: trace, debug, info, warning, error, critical or off
    #[arg(short = 'l', long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    /// What the certificate is for: hosts, IP addresses, URIs, e-mail addresses; the files are called by the first
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The folder of the files; made where it is missing
    #[arg(short = 'd', long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// An RSA key of 2048 bits instead of ECDSA P-256
    #[arg(long)]
    pub(crate) rsa: bool,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,
    /// Has expired a day ago: to see who notices
    #[arg(long)]
    pub(crate) expired: bool,
    /// Replace the files of this name
    #[arg(short = 'f', long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// What to ask for; http:// where it has no scheme
    pub(crate) url: String,
    /// The method; GET, or POST with --data
    #[arg(short = 'X', long, value_name = "METHOD", alias = "request")]
    pub(crate) method: Option<String>,
    /// A header field, as `Name: value`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    pub(crate) headers: Vec<String>,
    /// The request's body; @FILE takes it from a file, @- from standard input
    #[arg(short = 'd', long, value_name = "TEXT")]
    pub(crate) data: Option<String>,
    /// How many requests to send, one after the other
    #[arg(short = 'n', long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    pub(crate) repeat: NonZeroUsize,
    /// A line of JSON for each request, times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the body to standard output, and the phases to standard error
    #[arg(short = 'b', long)]
    pub(crate) body: bool,
    /// Follow redirects, at most 10
    #[arg(short = 'L', long, alias = "location")]
    pub(crate) follow: bool,
    /// Exit code 22 where the status is 400 or more
    #[arg(short = 'f', long)]
    pub(crate) fail: bool,
    /// The proxy: http://, https:// or socks5://, with user:password@ where it wants that; '' = none
    #[arg(short = 'x', long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// The address of a host, instead of DNS's; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub(crate) resolve: Vec<String>,
    /// Connect to this unix socket, whatever the URL's host
    #[arg(long, value_name = "PATH")]
    pub(crate) unix_socket: Option<PathBuf>,
    /// Speak HTTP/1.1 alone; without, HTTP/2 with https:// servers that speak it
    #[arg(long = "http1.1", alias = "http1")]
    pub(crate) http1: bool,
    /// Speak HTTP/2 alone, with http:// too, whose server has to be known to speak it
    #[arg(long, visible_alias = "http2-prior-knowledge", conflicts_with = "http1")]
    pub(crate) http2: bool,
    /// Trust this authority, in PEM, and no other
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Take any certificate
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Seconds for the whole of a request
    #[arg(short = 'm', long, alias = "max-time", value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) timeout: f64,
    /// Seconds for making a connection
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) connect_timeout: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Whose configuration it is
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub(crate) from: ConvertFrom,
    /// The configuration
    pub(crate) file: PathBuf,
    /// The file to write, instead of standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConvertFrom {
    /// v2ray-core, v4 JSON
    V2ray,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// JSON Schema (draft 2020-12), or a page for people
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: SchemaFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SchemaFormat {
    #[default]
    Json,
    Markdown,
}

#[cfg(test)]
mod tests;
