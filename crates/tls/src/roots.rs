//! The authorities of the system.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;

/// The authorities that the system knows. They are read when they are first needed, once for all clones.
#[derive(Clone, Default)]
pub struct SystemRoots(Arc<OnceLock<Arc<RootCertStore>>>);

impl SystemRoots {
    /// None at all is not remembered: the system may come to have some.
    pub(crate) fn store(&self) -> Arc<RootCertStore> {
        if let Some(store) = self.0.get() {
            return store.clone();
        }
        let mut store = RootCertStore::empty();
        // Some of what systems keep is beyond repair; what can be read counts.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        match store.is_empty() {
            true => Arc::new(store),
            false => self.0.get_or_init(|| Arc::new(store)).clone(),
        }
    }
}

impl fmt::Debug for SystemRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRoots(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_them() {
        let roots = SystemRoots::default();
        let (one, other) = (roots.clone().store(), roots.store());
        assert!(one.is_empty() || Arc::ptr_eq(&one, &other));
    }
}
