//! The endpoints of a cluster at one time.

use std::collections::HashMap;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::BalancerKind;

use crate::endpoint::{Common, Endpoint};
use crate::maglev::Maglev;

/// The endpoints of a cluster at one time: immutable, except for what is counted in them.
#[derive(Debug)]
pub struct EndpointSet {
    version: u64,
    endpoints: Vec<Arc<Endpoint>>,
    equal_weights: bool,
    /// Made with the set, on the thread that updates it, so that no worker has to wait for it.
    maglev: Option<Maglev>,
    common: Arc<Common>,
}

impl EndpointSet {
    /// `version` must be greater than zero.
    pub(crate) fn new(
        version: u64,
        endpoints: Vec<Arc<Endpoint>>,
        balancer: BalancerKind,
        common: Arc<Common>,
    ) -> Self {
        let equal_weights = endpoints.windows(2).all(|two| two[0].weight() == two[1].weight());
        let maglev = (balancer == BalancerKind::Maglev)
            .then(|| Maglev::new(endpoints.iter().map(|endpoint| endpoint.label())));
        Self { version, endpoints, equal_weights, maglev, common }
    }

    /// Goes up with each set of the same cluster.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// In the order of the configuration; those of one name in the order of their addresses. No
    /// address comes twice.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    pub(crate) fn equal_weights(&self) -> bool {
        self.equal_weights
    }

    pub(crate) fn maglev(&self) -> Option<&Maglev> {
        self.maglev.as_ref()
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn by_addr(&self) -> HashMap<&Addr, &Arc<Endpoint>> {
        self.endpoints.iter().map(|endpoint| (endpoint.addr(), endpoint)).collect()
    }
}
