//! What was made of which files, for who follows the files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{
    Acceptor, ClientOptions, Connector, ServerOptions, SystemRoots, Tickets, TlsError,
    UsedCertificate, client, server,
};

/// The acceptors and connectors that were made with it, as long as somebody has them: so one can follow the files of
/// what others have made. Cloning it is cheap; clones know the same.
///
/// Its acceptors share their tickets, see [`Acceptor::with_contexts`].
#[derive(Clone, Default)]
pub struct InUse(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tickets: Tickets,
    handles: Mutex<Vec<Handle>>,
}

/// An acceptor or a connector that somebody has, or had: of one that is gone nothing is said or done.
#[derive(Clone)]
pub struct Handle {
    owner: Arc<str>,
    made: Made,
}

#[derive(Clone)]
enum Made {
    Acceptor(Weak<server::Shared>),
    Connector(Weak<client::Shared>),
}

impl InUse {
    /// Knows nothing yet. Its acceptors will share these tickets.
    pub fn new(tickets: Tickets) -> Self {
        Self(Arc::new(Shared { tickets, handles: Mutex::default() }))
    }

    /// [`Acceptor::with_contexts`], for this owner.
    ///
    /// # Errors
    /// See [`Acceptor::with_contexts`].
    pub fn acceptor(
        &self,
        owner: &Arc<str>,
        contexts: Vec<ServerOptions>,
    ) -> Result<Acceptor, TlsError> {
        let acceptor = Acceptor::with_contexts(contexts, &self.0.tickets)?;
        self.add(owner, Made::Acceptor(acceptor.downgrade()));
        Ok(acceptor)
    }

    /// [`Connector::with_roots`], for this owner.
    ///
    /// # Errors
    /// See [`Connector::with_roots`].
    pub fn connector(
        &self,
        owner: &Arc<str>,
        options: &ClientOptions,
        system: &SystemRoots,
    ) -> Result<Connector, TlsError> {
        let connector = Connector::with_roots(options, system)?;
        self.add(owner, Made::Connector(connector.downgrade()));
        Ok(connector)
    }

    /// All that somebody has now, in the order in which they were made.
    pub fn list(&self) -> Vec<Handle> {
        let mut handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(Handle::is_alive);
        handles.clone()
    }

    fn add(&self, owner: &Arc<str>, made: Made) {
        let mut handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(Handle::is_alive);
        handles.push(Handle { owner: Arc::clone(owner), made });
    }
}

impl Handle {
    /// Whom it was made for.
    pub fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// Whether it is an acceptor, and no connector.
    pub fn is_acceptor(&self) -> bool {
        matches!(self.made, Made::Acceptor(_))
    }

    /// The files that it was made of, each once.
    pub fn files(&self) -> Vec<PathBuf> {
        self.with(Acceptor::files, Connector::files).unwrap_or_default()
    }

    /// The certificates that are in use, those of the last reload.
    pub fn certificates(&self) -> Vec<UsedCertificate> {
        self.with(Acceptor::certificates, Connector::certificates).unwrap_or_default()
    }

    /// Reads the files again, see [`Acceptor::reload`] and [`Connector::reload`].
    ///
    /// # Errors
    /// Theirs.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.with(Acceptor::reload, Connector::reload).unwrap_or(Ok(()))
    }

    fn with<T>(
        &self,
        acceptor: impl FnOnce(&Acceptor) -> T,
        connector: impl FnOnce(&Connector) -> T,
    ) -> Option<T> {
        match &self.made {
            Made::Acceptor(shared) => Acceptor::upgrade(shared).as_ref().map(acceptor),
            Made::Connector(shared) => Connector::upgrade(shared).as_ref().map(connector),
        }
    }

    fn is_alive(&self) -> bool {
        match &self.made {
            Made::Acceptor(shared) => shared.strong_count() > 0,
            Made::Connector(shared) => shared.strong_count() > 0,
        }
    }
}

/// Whether it is the very same.
impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        match (&self.made, &other.made) {
            (Made::Acceptor(one), Made::Acceptor(other)) => one.ptr_eq(other),
            (Made::Connector(one), Made::Connector(other)) => one.ptr_eq(other),
            _ => false,
        }
    }
}

impl std::fmt::Debug for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InUse(..)")
    }
}

#[cfg(test)]
mod tests;
