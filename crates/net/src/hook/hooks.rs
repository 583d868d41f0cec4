//! Lists of hooks: those of a caller, and those of the process.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::SocketHook;

type List = Vec<Arc<dyn SocketHook>>;

/// Hooks as a value, in the order in which they are asked. Cheap to clone; empty by default.
#[derive(Clone, Default)]
pub struct Hooks(Option<Arc<List>>);

impl Hooks {
    /// No hooks.
    pub const fn none() -> Self {
        Self(None)
    }

    /// These hooks; the first is asked first.
    pub fn new(hooks: impl IntoIterator<Item = Arc<dyn SocketHook>>) -> Self {
        let list: List = hooks.into_iter().collect();
        Self((!list.is_empty()).then(|| Arc::new(list)))
    }

    /// These, then `later`.
    #[must_use]
    pub fn then(&self, later: &Self) -> Self {
        match (self.is_empty(), later.is_empty()) {
            (_, true) => self.clone(),
            (true, false) => later.clone(),
            (false, false) => Self::new(self.iter().chain(later.iter()).cloned()),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The hooks, the first to be asked first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn SocketHook>> {
        self.0.iter().flat_map(|list| list.iter())
    }
}

impl<H: SocketHook> From<Arc<H>> for Hooks {
    /// One hook, which the caller keeps a handle of.
    fn from(hook: Arc<H>) -> Self {
        Self::new([hook as Arc<dyn SocketHook>])
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({})", self.iter().count())
    }
}

/// Whether any hook is installed. All that a socket call costs more where none is.
static ANY: AtomicBool = AtomicBool::new(false);
/// The hooks of the process, the newest first.
static NOW: ArcSwapOption<List> = ArcSwapOption::const_empty();
/// The same with the numbers of their guards, for those who change it.
static INSTALLED: Mutex<Vec<(u64, Arc<dyn SocketHook>)>> = Mutex::new(Vec::new());

/// Has a hook asked about all sockets of the process that are made, and all connections that are accepted, from now on
/// until the guard is dropped.
///
/// Several may be installed, in any order and from any thread. For programs and tests; a library takes [`Hooks`] as a
/// value.
pub fn install(hook: Arc<dyn SocketHook>) -> HookGuard {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    change(|list| {
        list.insert(0, (number, hook));
        None
    });
    HookGuard { number }
}

/// The hooks of the process as they are now: what an implementation of [`Net`](crate::Net) outside of this crate asks
/// after those of the options.
pub fn installed() -> Hooks {
    // Relaxed is enough: whoever installs a hook before making a socket, on this thread or by handing work to another,
    // is seen by that order.
    if ANY.load(Ordering::Relaxed) { Hooks(NOW.load_full()) } else { Hooks(None) }
}

/// Changes the list. The hook that `edit` takes out is dropped after the lock: its end may install or uninstall others.
fn change(edit: impl FnOnce(&mut Vec<(u64, Arc<dyn SocketHook>)>) -> Option<Arc<dyn SocketHook>>) {
    let mut list = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let removed = edit(&mut list);
    let now = Hooks::new(list.iter().map(|(_, hook)| Arc::clone(hook)));
    let any = !now.is_empty();
    let before = NOW.swap(now.0);
    ANY.store(any, Ordering::Relaxed);
    drop(list);
    drop((before, removed));
}

/// Uninstalls the hook of [`install`] when it is dropped. Sockets that the hook saw made still tell it of their calls.
#[derive(Debug)]
#[must_use = "dropping it uninstalls the hook"]
pub struct HookGuard {
    number: u64,
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        change(|list| {
            let at = list.iter().position(|(number, _)| *number == self.number)?;
            Some(list.remove(at).1)
        });
    }
}

/// The hooks that one socket is seen by.
#[derive(Debug)]
pub(super) struct Chain {
    /// Those of the options.
    pub(super) own: Hooks,
    /// Those of the process when the socket was made.
    wide: Hooks,
}

impl Chain {
    /// These hooks, and those of the process now.
    pub(super) fn with(own: &Hooks) -> Self {
        Self { own: own.clone(), wide: installed() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.wide.is_empty()
    }

    /// In the order in which they are asked.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<dyn SocketHook>> {
        self.own.iter().chain(self.wide.iter())
    }
}
