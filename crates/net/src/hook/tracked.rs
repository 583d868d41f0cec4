//! What a socket remembers of the hooks that saw it made.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use rosn_base::Addr;

use super::asked::Asked;
use super::hooks::Chain;
use super::{Call, Hooks, Op, Role, SocketKey, SocketKind};

/// Whom a socket is for, and what hooks see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) hooks: &'a Hooks,
    pub(crate) location: &'static Location<'static>,
}

/// A socket as hooks see it.
#[derive(Debug)]
pub(super) struct Entry {
    key: SocketKey,
    listener: Option<SocketKey>,
    kind: SocketKind,
    role: Role,
    owner: Arc<str>,
    location: &'static Location<'static>,
    pub(super) chain: Chain,
}

impl Entry {
    pub(super) fn op<'a>(&'a self, call: Call, addr: Option<&'a Addr>) -> Op<'a> {
        Op {
            call,
            socket: self.key,
            listener: self.listener,
            kind: self.kind,
            role: self.role,
            addr,
            owner: &self.owner,
            location: self.location,
        }
    }
}

/// Tells hooks of a socket's calls, and that it closes. Costs nothing where no hook saw the socket made.
///
/// It is dropped after the socket.
#[derive(Default)]
pub(crate) struct Tracked(Option<Box<Live>>);

struct Live {
    entry: Arc<Entry>,
    /// The hooks were asked about the Close, and not told yet.
    closing: Mutex<Option<Asked>>,
}

impl Tracked {
    /// Makes a socket, if the hooks do not forbid it. Without hooks there is nothing to track, unless `always`.
    ///
    /// # Errors
    /// That of `make`, or of a hook.
    pub(crate) fn make<S>(
        owner: &Owner<'_>,
        kind: SocketKind,
        role: Role,
        always: bool,
        make: impl FnOnce() -> io::Result<S>,
    ) -> io::Result<(S, Self)> {
        let chain = Chain::with(owner.hooks);
        if chain.is_empty() && !always {
            return make().map(|socket| (socket, Self(None)));
        }
        let entry = Arc::new(Entry {
            key: SocketKey::next(),
            listener: None,
            kind,
            role,
            owner: Arc::clone(owner.name),
            location: owner.location,
            chain,
        });
        let socket = Asked::ask(&entry, Call::Socket, None)?.finish(make())?;
        Ok((socket, Self::live(entry)))
    }

    /// Takes over a socket that was made elsewhere.
    ///
    /// # Errors
    /// That of a hook.
    pub(super) fn adopt(
        owner: &Owner<'_>,
        kind: SocketKind,
        role: Role,
        local: Option<Addr>,
    ) -> io::Result<Self> {
        let entry = Arc::new(Entry {
            key: SocketKey::next(),
            listener: None,
            kind,
            role,
            owner: Arc::clone(owner.name),
            location: owner.location,
            chain: Chain::with(owner.hooks),
        });
        Asked::ask(&entry, Call::Adopt, local)?.finish(Ok(()))?;
        Ok(Self::live(entry))
    }

    fn live(entry: Arc<Entry>) -> Self {
        Self(Some(Box::new(Live { entry, closing: Mutex::new(None) })))
    }

    /// Makes a call, if the hooks do not forbid it.
    ///
    /// # Errors
    /// That of `make`, or of a hook.
    pub(crate) fn call<T>(
        &self,
        call: Call,
        addr: Option<&Addr>,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.ask(call, addr)? {
            Some(asked) => asked.finish(make()),
            None => make(),
        }
    }

    /// Asks the hooks about a call; `None` without hooks.
    ///
    /// # Errors
    /// That of the hook that forbids it.
    pub(crate) fn ask(&self, call: Call, addr: Option<&Addr>) -> io::Result<Option<Asked>> {
        match &self.0 {
            Some(live) if !live.entry.chain.is_empty() => {
                Asked::ask(&live.entry, call, addr.cloned()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Runs the control functions of the hooks and then `last`; nothing where the socket is not tracked.
    ///
    /// # Errors
    /// That of a function, or of a hook that forbids it.
    pub(crate) fn control(
        &self,
        addr: &Addr,
        socket: &socket2::Socket,
        last: impl FnOnce(&Op<'_>, socket2::SockRef<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(live) = &self.0 else { return Ok(()) };
        self.call(Call::Control, Some(addr), || {
            let op = live.entry.op(Call::Control, Some(addr));
            for hook in live.entry.chain.iter() {
                hook.control(&op, socket.into())?;
            }
            last(&op, socket.into())
        })
    }

    /// Asks about a connection that this listener has accepted; `None` where nobody has to be asked.
    ///
    /// # Errors
    /// That of the hook that forbids it.
    pub(super) fn ask_accept(
        &self,
        kind: SocketKind,
        peer: Option<Addr>,
    ) -> io::Result<Option<Accepting>> {
        let none = Hooks::none();
        let listener = self.0.as_ref().map(|live| &live.entry);
        let chain = Chain::with(listener.map_or(&none, |listener| &listener.chain.own));
        if chain.is_empty() {
            return Ok(None);
        }
        let entry = Arc::new(Entry {
            key: SocketKey::next(),
            listener: listener.map(|listener| listener.key),
            kind: listener.map_or(kind, |listener| listener.kind),
            role: Role::Accepted,
            owner: listener.map(|listener| Arc::clone(&listener.owner)).unwrap_or_default(),
            location: listener.map_or(Location::caller(), |listener| listener.location),
            chain,
        });
        let asked = Asked::ask(&entry, Call::Accept, peer)?;
        Ok(Some(Accepting { entry, asked }))
    }

    /// Whether there are hooks to be told.
    pub(crate) fn is_seen(&self) -> bool {
        self.0.is_some()
    }

    /// The socket is about to be closed.
    pub(crate) fn closing(&mut self) {
        if let Some(live) = &mut self.0 {
            let asked = Asked::ask(&live.entry, Call::Close, None).ok();
            *live.closing.get_mut().unwrap_or_else(PoisonError::into_inner) = asked;
        }
    }

    /// The socket is closed.
    pub(crate) fn closed(&mut self) {
        let Some(live) = self.0.take() else { return };
        let asked = live.closing.into_inner().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.or_else(|| Asked::ask(&live.entry, Call::Close, None).ok());
        if let Some(asked) = asked {
            // It is closed, whatever a hook would like.
            let _ = asked.finish(Ok(()));
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.closed();
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(live) => write!(f, "Tracked({})", live.entry.key),
            None => f.write_str("Tracked(-)"),
        }
    }
}

/// An accepted connection that no hook has forbidden.
pub(super) struct Accepting {
    entry: Arc<Entry>,
    asked: Asked,
}

impl Accepting {
    pub(super) fn delay(&self) -> std::time::Duration {
        self.asked.delay()
    }

    /// Admits it, with what tells of its end.
    ///
    /// # Errors
    /// That of a hook that overrides it; the connection is then closed.
    pub(super) fn finish<S>(self, socket: S) -> io::Result<(S, Tracked)> {
        let socket = self.asked.finish(Ok(socket))?;
        Ok((socket, Tracked::live(self.entry)))
    }
}
