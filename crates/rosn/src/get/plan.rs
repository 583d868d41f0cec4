//! What the command line asks for, ready to be sent.

use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri};
use rosn_base::Addr;
use rosn_http::client::{Client, take_credentials};
use rosn_http::connect::{self, ConnectOptions, Proxies, Versions};
use rosn_http::{Body, Transport};
use rosn_tls::Pem;

use super::codes;
use crate::cli::GetArgs;

/// A request that can be sent again and again.
pub(super) struct Plan {
    pub(super) client: Client,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Why there is no request.
pub(super) struct Fault {
    pub(super) cause: anyhow::Error,
    pub(super) code: u8,
}

impl Fault {
    /// The error and what is below it, nothing twice.
    pub(super) fn in_words(&self) -> String {
        self.cause.chain().fold(String::new(), |words, cause| match cause.to_string() {
            cause if words.is_empty() => cause,
            cause if words.ends_with(&cause) => words,
            cause => format!("{words}: {cause}"),
        })
    }
}

impl From<anyhow::Error> for Fault {
    fn from(cause: anyhow::Error) -> Self {
        const USAGE: u8 = 2;
        Self { cause, code: USAGE }
    }
}

impl Plan {
    pub(super) fn of(args: &GetArgs) -> Result<Self, Fault> {
        let (uri, user) = uri(&args.url).map_err(|cause| Fault { cause, code: codes::URL })?;
        let body = body(args)?;
        let method = match &args.method {
            Some(method) => method.parse().with_context(|| format!("the method `{method}`"))?,
            None if args.data.is_some() => Method::POST,
            None => Method::GET,
        };
        let client = Client::new(transport(args)?);
        let client = if args.follow { client } else { client.with_max_redirects(0) };
        Ok(Self { client, method, uri, headers: headers(args, user)?, body })
    }

    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::new(match self.body.is_empty() {
            true => Body::empty(),
            false => Body::from(self.body.clone()),
        });
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// The URL, http:// where it has no scheme, and its user and password as Authorization.
fn uri(text: &str) -> Result<(Uri, HeaderMap)> {
    let mut uri = match text.contains("://") {
        true => connect::uri(text),
        false => connect::uri(&format!("http://{text}")),
    }?;
    let mut headers = HeaderMap::new();
    take_credentials(&mut uri, &mut headers);
    Ok((uri, headers))
}

/// Adds what the command line says to those of the URL.
fn headers(args: &GetArgs, mut headers: HeaderMap) -> Result<HeaderMap> {
    let own = concat!("rosn/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(own));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let mut given: Vec<HeaderName> = Vec::new();
    for field in &args.headers {
        let wrong = || anyhow!("`{field}` is no header field: write `Name: value`");
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        // The first of a name takes the place of rosn's own, or of nothing.
        if given.contains(&name) && name != HOST {
            headers.append(name, value);
        } else {
            headers.insert(&name, value);
            given.push(name);
        }
    }
    Ok(headers)
}

fn body(args: &GetArgs) -> Result<Vec<u8>> {
    match args.data.as_deref() {
        None => Ok(Vec::new()),
        Some("@-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
            Ok(bytes)
        }
        Some(data) => match data.strip_prefix('@') {
            Some(file) => fs::read(file).with_context(|| format!("cannot read {file}")),
            None => Ok(data.as_bytes().to_vec()),
        },
    }
}

fn transport(args: &GetArgs) -> Result<Transport, Fault> {
    for (name, seconds) in [("timeout", args.timeout), ("connect-timeout", args.connect_timeout)] {
        if !(seconds > 0.0 && seconds < 1e9) {
            return Err(anyhow!("--{name} is a number of seconds above 0").into());
        }
    }
    let mut options = ConnectOptions {
        dial_timeout: Some(Duration::from_secs_f64(args.connect_timeout)),
        proxies: match args.proxy.as_deref() {
            None => Proxies::from_environment(),
            Some("") => Proxies::none(),
            Some(url) => Proxies::all(url).context("--proxy")?,
        },
        dial_to: args.unix_socket.clone().map(Addr::Unix),
        ..ConnectOptions::default()
    };
    options.tls.allow_insecure = args.insecure;
    if let Some(file) = &args.cacert {
        options.tls.system_roots = false;
        options.tls.roots = vec![Pem::File(file.clone())];
    }
    for text in &args.resolve {
        let (host, port, addrs) = resolve(text)?;
        let name = format!("{}:{port}", host.to_ascii_lowercase());
        options.resolve.insert(name.into(), addrs);
    }
    let versions = match (args.http1, args.http2) {
        (true, _) => Versions::Http1,
        (_, true) => Versions::Http2,
        _ => Versions::Negotiated,
    };
    let builder = Transport::builder().connect(options).versions(versions);
    builder.build().map_err(|error| {
        let cause = anyhow::Error::new(error);
        let code = if args.cacert.is_some() { codes::AUTHORITIES } else { codes::TLS };
        Fault { cause, code }
    })
}

/// `HOST:PORT:ADDRESS[,ADDRESS]`, as curl has it; the address may be in brackets.
fn resolve(text: &str) -> Result<(&str, u16, Vec<IpAddr>)> {
    let wrong =
        || anyhow!("--resolve `{text}`: write HOST:PORT:ADDRESS, such as a.example:443:192.0.2.1");
    let (host, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (port, addrs) = rest.split_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let addrs = addrs.split(',').map(|addr| addr.trim_matches(['[', ']']).parse());
    let addrs: Vec<_> = addrs.collect::<Result<_, _>>().map_err(|_| wrong())?;
    Ok((host, port, addrs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_addresses_are_read_as_curl_reads_them() {
        let shown = |text| uri(text).unwrap().0.to_string();
        assert_eq!(shown("example.com"), "http://example.com/");
        assert_eq!(shown("http://bücher.example/a b#c"), "http://xn--bcher-kva.example/a%20b");
        let (uri_of_user, user) = uri("http://a%40b:c@example.com/").unwrap();
        assert_eq!(
            (uri_of_user.host(), user["authorization"].as_bytes()),
            (Some("example.com"), &b"Basic YUBiOmM="[..])
        );
        assert!(uri("ftp://example.com/").is_err());
        assert!(uri("http://").is_err());
        let (host, port, addrs) = resolve("a.example:443:192.0.2.1,[::1]").unwrap();
        assert_eq!((host, port, addrs.len()), ("a.example", 443, 2));
        for wrong in ["", "a", "a:1", "a:x:1.2.3.4", "a:1:b"] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
    }
}
