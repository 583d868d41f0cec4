//! What a URL says, as the `stream_settings` of a configuration.

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::url::Url;

/// Which end of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Listens.
    From,
    /// Is dialed.
    To,
}

/// An end as a configuration has it.
#[derive(Debug)]
pub(super) struct End {
    /// `address`; `None` for a unix socket, which has its place in the settings.
    pub(super) address: Option<String>,
    /// `stream_settings`.
    pub(super) stream: Value,
}

/// The schemes: their network, and whether TLS goes with it always, never or where a key asks for it.
const SCHEMES: [(&str, &str, Tls); 11] = [
    ("tcp", "tcp", Tls::Never),
    ("tls", "tcp", Tls::Always),
    ("ws", "ws", Tls::Never),
    ("wss", "ws", Tls::Always),
    ("h2", "http", Tls::Always),
    ("h2c", "http", Tls::Never),
    ("quic", "quic", Tls::OnRequest),
    ("mkcp", "mkcp", Tls::OnRequest),
    ("kcp", "mkcp", Tls::OnRequest),
    ("unix", "domainsocket", Tls::OnRequest),
    ("ds", "domainsocket", Tls::OnRequest),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Always,
    Never,
    OnRequest,
}

impl End {
    /// # Errors
    ///
    /// Where the scheme, a key or a value is not known.
    pub(super) fn of(url: &Url, side: Side) -> anyhow::Result<Self> {
        let Some((_, network, tls)) = SCHEMES.iter().find(|(name, ..)| *name == url.scheme) else {
            let names: Vec<_> = SCHEMES.iter().map(|(name, ..)| *name).collect();
            bail!("no scheme is named `{}`; there are {}", url.scheme, names.join(", "));
        };
        let mut keys = Keys { left: url.query.clone(), asked: Vec::new() };
        let mut stream = Map::new();
        stream.insert("network".to_owned(), (*network).into());
        let settings = match *network {
            "tcp" => Some(("tcpSettings", tcp(url, &mut keys)?)),
            "ws" => Some(("wsSettings", web_socket(url, &mut keys)?)),
            "http" => Some(("httpSettings", http(url, &mut keys))),
            "quic" => Some(("quicSettings", quic(&mut keys))),
            "mkcp" => Some(("kcpSettings", mkcp(&mut keys)?)),
            _ => Some(("dsSettings", domain_socket(url, &mut keys)?)),
        };
        stream.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        let certain = *tls == Tls::Always;
        if *tls != Tls::Never
            && let Some(settings) = tls_settings(certain, side, &mut keys)?
        {
            stream.insert("security".to_owned(), "tls".into());
            stream.insert("tlsSettings".to_owned(), settings);
        }
        let unix = *network == "domainsocket";
        if !unix {
            socket(side, &mut keys, &mut stream)?;
        }
        proxy_protocol(side, &mut keys, &mut stream)?;
        keys.finish()?;
        let takes_path =
            matches!(*network, "ws" | "http" | "domainsocket") || stream_has_header(&stream);
        ensure!(
            takes_path || matches!(url.path.as_str(), "" | "/"),
            "`{}` has no path",
            url.scheme
        );
        Ok(Self { address: (!unix).then(|| url.address.clone()), stream: Value::Object(stream) })
    }
}

fn stream_has_header(stream: &Map<String, Value>) -> bool {
    stream.get("tcpSettings").is_some_and(|settings| settings.get("header").is_some())
}

/// The keys of a URL that nothing has asked for yet.
struct Keys {
    left: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Keys {
    fn take(&mut self, key: &'static str) -> Option<String> {
        self.asked.push(key);
        let place = self.left.iter().position(|(name, _)| name == key)?;
        Some(self.left.remove(place).1)
    }

    /// A key that needs no value.
    fn flag(&mut self, key: &'static str) -> anyhow::Result<bool> {
        match self.take(key).as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("" | "1" | "true") => Ok(true),
            Some(other) => bail!("`{key}` is given or not; it is never `{other}`"),
        }
    }

    fn number(&mut self, key: &'static str) -> anyhow::Result<Option<u32>> {
        let Some(text) = self.take(key) else { return Ok(None) };
        text.parse().map(Some).with_context(|| format!("`{key}` is a number"))
    }

    fn finish(self) -> anyhow::Result<()> {
        let Some((key, _)) = self.left.first() else { return Ok(()) };
        bail!("the key `{key}` means nothing here; there are {}", self.asked.join(", "))
    }
}

fn tcp(url: &Url, keys: &mut Keys) -> anyhow::Result<Value> {
    match keys.take("header").as_deref() {
        None | Some("none") => Ok(json!({})),
        Some("http") => {
            let path = if url.path.is_empty() { "/" } else { &url.path };
            Ok(json!({ "header": { "type": "http", "request": { "path": [path] } } }))
        }
        Some(other) => bail!("no header of TCP is named `{other}`; there is `http`"),
    }
}

fn web_socket(url: &Url, keys: &mut Keys) -> anyhow::Result<Value> {
    let mut settings = json!({ "path": url.path });
    if let Some(host) = keys.take("host") {
        settings["headers"] = json!({ "Host": host });
    }
    if let Some(seconds) = keys.number("heartbeat")? {
        settings["heartbeatPeriod"] = seconds.into();
    }
    Ok(settings)
}

fn http(url: &Url, keys: &mut Keys) -> Value {
    let mut settings = json!({ "path": url.path });
    if let Some(host) = keys.take("host") {
        settings["host"] = host.into();
    }
    settings
}

fn quic(keys: &mut Keys) -> Value {
    let mut settings = json!({});
    for (key, name) in [("security", "security"), ("secret", "key")] {
        if let Some(value) = keys.take(key) {
            settings[name] = value.into();
        }
    }
    header(keys, &mut settings);
    settings
}

fn mkcp(keys: &mut Keys) -> anyhow::Result<Value> {
    let mut settings = json!({});
    if let Some(seed) = keys.take("seed") {
        settings["seed"] = seed.into();
    }
    header(keys, &mut settings);
    for (key, name) in [
        ("mtu", "mtu"),
        ("tti", "tti"),
        ("uplink", "uplinkCapacity"),
        ("downlink", "downlinkCapacity"),
    ] {
        if let Some(number) = keys.number(key)? {
            settings[name] = number.into();
        }
    }
    if keys.flag("congestion")? {
        settings["congestion"] = true.into();
    }
    Ok(settings)
}

fn header(keys: &mut Keys, settings: &mut Value) {
    if let Some(kind) = keys.take("header") {
        settings["header"] = json!({ "type": kind });
    }
}

/// `unix:/path`, or with `abstract` `unix:name`; `unix:@name` is abstract too.
fn domain_socket(url: &Url, keys: &mut Keys) -> anyhow::Result<Value> {
    let name = url.path.strip_prefix('@');
    let is_abstract = keys.flag("abstract")? || name.is_some();
    let mut settings = json!({ "path": name.unwrap_or(&url.path), "abstract": is_abstract });
    if keys.flag("padding")? {
        settings["padding"] = true.into();
    }
    if let Some(mode) = keys.take("mode") {
        settings["mode"] = mode.into();
    }
    Ok(settings)
}

/// The TLS settings, if there is TLS: always, or because a key is about it.
fn tls_settings(certain: bool, side: Side, keys: &mut Keys) -> anyhow::Result<Option<Value>> {
    let (ca, cert, key) = (keys.take("ca"), keys.take("cert"), keys.take("key"));
    let (sni, alpn) = (keys.take("sni"), keys.take("alpn"));
    let (insecure, flag) = (keys.flag("insecure")?, keys.flag("tls")?);
    let given = [&ca, &cert, &key, &sni, &alpn].into_iter().any(Option::is_some);
    if !certain && !given && !insecure && !flag {
        return Ok(None);
    }
    if side == Side::From {
        ensure!(
            cert.is_some() && key.is_some(),
            "to listen with TLS takes `cert=FILE` and `key=FILE`"
        );
        ensure!(sni.is_none() && !insecure, "`sni` and `insecure` are for dialing");
    }
    let mut settings = json!({});
    let mut certificates = Vec::new();
    match (cert, key) {
        (Some(cert), Some(key)) => {
            certificates.push(json!({ "certificateFile": cert, "keyFile": key }));
        }
        (None, None) => {}
        _ => bail!("`cert` and `key` go together"),
    }
    match (ca, side) {
        (Some(ca), Side::From) => {
            certificates.push(json!({ "usage": "verifyclient", "certificateFile": ca }));
            settings["verifyClientCertificate"] = true.into();
        }
        (Some(ca), Side::To) => {
            certificates.push(json!({ "usage": "verify", "certificateFile": ca }));
            settings["disableSystemRoot"] = true.into();
        }
        (None, _) => {}
    }
    if !certificates.is_empty() {
        settings["certificates"] = certificates.into();
    }
    if let Some(sni) = sni {
        settings["serverName"] = sni.into();
    }
    if let Some(alpn) = alpn {
        settings["alpn"] = alpn.split(',').collect();
    }
    if insecure {
        settings["allowInsecure"] = true.into();
    }
    Ok(Some(settings))
}

fn socket(side: Side, keys: &mut Keys, stream: &mut Map<String, Value>) -> anyhow::Result<()> {
    let mut options = Map::new();
    if let Some(mark) = keys.number("mark")? {
        options.insert("mark".to_owned(), mark.into());
    }
    if let Some(device) = keys.take("device") {
        options.insert("bindToDevice".to_owned(), device.into());
    }
    if side == Side::To
        && let Some(address) = keys.take("bind")
    {
        options.insert("bindAddress".to_owned(), address.into());
    }
    if !options.is_empty() {
        stream.insert("sockopt".to_owned(), Value::Object(options));
    }
    Ok(())
}

fn proxy_protocol(
    side: Side,
    keys: &mut Keys,
    stream: &mut Map<String, Value>,
) -> anyhow::Result<()> {
    let settings = match (keys.take("proxy").as_deref(), side) {
        (None, _) => return Ok(()),
        (Some(version @ ("v1" | "v2")), Side::To) => json!({ "send": version }),
        (Some("accept"), Side::From) => match keys.take("trusted") {
            None => json!({ "accept": true }),
            Some(ranges) => {
                let ranges: Vec<&str> = ranges.split(',').collect();
                json!({ "accept": true, "trusted": ranges })
            }
        },
        (Some(_), Side::To) => bail!("`proxy` is `v1` or `v2`: the version that is sent"),
        (Some(_), Side::From) => bail!("`proxy` is `accept` where connections come in"),
    };
    stream.insert("proxyProtocol".to_owned(), settings);
    Ok(())
}
