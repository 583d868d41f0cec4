//! What a connection remembers of the hooks that saw it made.

/// Tells hooks when a socket closes. Costs nothing where no hook was installed when it was made.
#[derive(Debug, Default)]
pub(crate) struct Tracked;

impl Tracked {
    /// Whether a hook saw the socket made.
    pub(crate) fn is_seen(&self) -> bool {
        false
    }

    /// The socket is about to be closed.
    pub(crate) fn closing(&self) {}

    /// The socket is closed.
    pub(crate) fn closed(&self) {}
}
