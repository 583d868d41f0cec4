//! Proxies by the variables of the environment, as Go's `golang.org/x/net/http/httpproxy` understands them.

use std::fmt;
use std::sync::Arc;

use rosn_trace::BoxError;
use thiserror::Error;

use super::no_proxy::NoProxy;
use super::{Proxy, ProxyUrlError};
use crate::connect::{Scheme, Target};

/// What the variables said when they were read.
#[derive(Debug)]
pub(super) struct Environment {
    http: Option<Setting>,
    https: Option<Setting>,
    no_proxy: NoProxy,
    /// `REQUEST_METHOD` is set: the program runs under CGI, where a client's `Proxy` field shows as `HTTP_PROXY`.
    is_cgi: bool,
}

/// The value of a variable that is set.
#[derive(Debug)]
struct Setting {
    variable: &'static str,
    proxy: Result<Arc<Proxy>, ProxyUrlError>,
}

/// Why a variable is of no use.
#[derive(Debug, Error)]
enum Unusable {
    #[error("the variable {0}: {1}")]
    Url(&'static str, ProxyUrlError),
    #[error(
        "{0} is not heeded under CGI (REQUEST_METHOD is set), where clients can set it: unset one"
    )]
    Cgi(&'static str),
}

impl Environment {
    /// Reads the variables, each in upper case first, through `value_of`; an empty one counts as unset.
    pub(super) fn read(value_of: impl Fn(&str) -> Option<String>) -> Self {
        let any = |names: &[&'static str]| {
            let set = |name: &&'static str| value_of(name).filter(|value| !value.is_empty());
            names.iter().find_map(|name| set(name).map(|value| (*name, value)))
        };
        let setting = |names: &[&'static str]| {
            any(names)
                .map(|(variable, value)| Setting { variable, proxy: value.parse().map(Arc::new) })
        };
        let no_proxy = any(&["NO_PROXY", "no_proxy"]).map(|(_, list)| NoProxy::parse(&list));
        Self {
            http: setting(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            https: setting(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: no_proxy.unwrap_or_default(),
            is_cgi: value_of("REQUEST_METHOD").is_some_and(|method| !method.is_empty()),
        }
    }

    /// Whether no variable names a proxy.
    pub(super) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The proxy for a server.
    pub(super) fn choose(&self, target: &Target) -> Result<Option<Arc<Proxy>>, BoxError> {
        let setting = match target.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(Setting { variable, proxy }) = setting else { return Ok(None) };
        if self.is_cgi && variable.eq_ignore_ascii_case("HTTP_PROXY") {
            return Err(Unusable::Cgi(variable).into());
        }
        if self.no_proxy.has(target.host(), target.port()) {
            return Ok(None);
        }
        match proxy {
            Ok(proxy) => Ok(Some(proxy.clone())),
            Err(error) => Err(Unusable::Url(variable, *error).into()),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("environment")?;
        for setting in [&self.http, &self.https].into_iter().flatten() {
            match &setting.proxy {
                Ok(proxy) => write!(f, ", {}={proxy}", setting.variable)?,
                Err(_) => write!(f, ", {} unusable", setting.variable)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
