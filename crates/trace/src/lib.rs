//! What happens while an outgoing connection or request is made.

/// Who wants to know of it; nobody by default.
#[derive(Debug, Clone, Default)]
pub struct TraceHandle;
