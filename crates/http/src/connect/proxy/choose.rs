//! Which proxy a request goes through.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use rosn_trace::BoxError;

use super::{Proxy, ProxyUrlError};
use crate::connect::{ConnectError, Target};

/// Says which proxy a request goes through. Cloning it is cheap.
#[derive(Clone, Default)]
pub struct Proxies(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    All(Arc<Proxy>),
    Chosen(Arc<Choice>),
}

type Choice = dyn Fn(&Uri) -> Result<Option<Arc<Proxy>>, BoxError> + Send + Sync;

impl Proxies {
    /// None.
    pub fn none() -> Self {
        Self(Kind::None)
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
    /// [`ConnectError::Proxies`].
    pub(crate) fn choose(
        &self,
        uri: &Uri,
        target: &Target,
    ) -> Result<Option<Arc<Proxy>>, ConnectError> {
        let _ = target;
        match &self.0 {
            Kind::None => Ok(None),
            Kind::All(proxy) => Ok(Some(proxy.clone())),
            Kind::Chosen(choose) => choose(uri).map_err(ConnectError::Proxies),
        }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("Proxies(none)"),
            Kind::All(proxy) => write!(f, "Proxies({proxy})"),
            Kind::Chosen(_) => f.write_str("Proxies(function)"),
        }
    }
}
