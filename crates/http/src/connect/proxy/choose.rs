//! Which proxy a request goes through.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use rosn_trace::BoxError;

use super::environment::Environment;
use super::{Proxy, ProxyUrlError};
use crate::connect::Target;

/// Says which proxy a request goes through. Cloning it is cheap.
#[derive(Clone, Default)]
pub struct Proxies(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    All(Arc<Proxy>),
    Environment(Arc<Environment>),
    Chosen(Arc<Choice>),
}

type Choice = dyn Fn(&Uri) -> Result<Option<Arc<Proxy>>, BoxError> + Send + Sync;

impl Proxies {
    /// None.
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Those of the variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case, by the rules of
    /// Go's `http.ProxyFromEnvironment`. They are read once, now.
    ///
    /// * `HTTP_PROXY` is for `http`, `HTTPS_PROXY` for `https`, `ALL_PROXY` (which Go does not know) for what has none.
    ///   The values are those of [`Proxy`].
    /// * `localhost` and loopback addresses are never proxied, nor what is in `NO_PROXY`: a list with commas of `*`,
    ///   addresses, networks (`10.0.0.0/8`) and names, which stand for the names below them too; `.example.com` for
    ///   these only. `:port` behind a name or an address restricts it to that port.
    /// * Under CGI, where `REQUEST_METHOD` is set, a client could set `HTTP_PROXY`; a request for which it counts
    ///   fails. So does one for which a variable counts that is no proxy's URL (Go goes without a proxy then).
    pub fn from_environment() -> Self {
        let value_of = |name: &str| {
            let value = std::env::var_os(name)?;
            Some(value.to_string_lossy().into_owned())
        };
        Self::from_variables(value_of)
    }

    /// [`Proxies::from_environment`], with values of the variables from elsewhere.
    pub fn from_variables(value_of: impl Fn(&str) -> Option<String>) -> Self {
        let environment = Environment::read(value_of);
        match environment.is_empty() {
            true => Self::none(),
            false => Self(Kind::Environment(Arc::new(environment))),
        }
    }

    /// This one for all requests, also for those to this host.
    ///
    /// # Errors
    /// [`ProxyUrlError`].
    pub fn all(url: &str) -> Result<Self, ProxyUrlError> {
        Ok(Self(Kind::All(Arc::new(url.parse()?))))
    }

    /// What `choose` says of the request's URI; it is called for each request and must not block.
    pub fn from_fn(
        choose: impl Fn(&Uri) -> Result<Option<Arc<Proxy>>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Chosen(Arc::new(choose)))
    }

    /// # Errors
    /// The function's, or a variable is of no use.
    pub(crate) fn choose(
        &self,
        uri: &Uri,
        target: &Target,
    ) -> Result<Option<Arc<Proxy>>, BoxError> {
        match &self.0 {
            Kind::None => Ok(None),
            Kind::All(proxy) => Ok(Some(proxy.clone())),
            Kind::Environment(environment) => environment.choose(target),
            Kind::Chosen(choose) => choose(uri),
        }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("Proxies(none)"),
            Kind::All(proxy) => write!(f, "Proxies({proxy})"),
            Kind::Environment(environment) => write!(f, "Proxies({environment})"),
            Kind::Chosen(_) => f.write_str("Proxies(function)"),
        }
    }
}
