//! Which request of a chain of redirects one is.

use http::Uri;

/// Which request of a chain of redirects one is: in the extensions of each request that a [`Client`](super::Client)
/// sends, and of its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// How many redirects led here.
    pub redirects: u32,
    /// Where to, without user and password.
    pub uri: Uri,
}
