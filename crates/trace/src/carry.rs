//! How a request carries its trace and its context.

use http::{Extensions, Request, request};

use crate::{ClientTrace, RequestContext, TraceHandle};

/// The trace and the context of a request, in its extensions. Whoever clones a request clones both.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use rosn_trace::{RequestContext, RequestTraceExt, Timings};
///
/// let timings = Arc::new(Timings::start());
/// let mut request = http::Request::get("http://example.com/").body(())?;
/// request.with_trace(Arc::clone(&timings));
/// request.set_context(RequestContext::background().with_timeout(Duration::from_secs(30)));
/// assert!(request.context().deadline().is_some());
/// # Ok::<(), http::Error>(())
/// ```
pub trait RequestTraceExt: Carrier {
    /// Its trace; [`TraceHandle::none`] where it has none.
    fn trace(&self) -> TraceHandle {
        self.carried().get().cloned().unwrap_or_default()
    }

    /// Adds a trace, which is called before those that the request has already.
    fn with_trace(&mut self, trace: impl ClientTrace) {
        let trace = TraceHandle::over(trace, &self.trace());
        self.carried_mut().insert(trace);
    }

    /// Its context; [`RequestContext::background`] where it has none.
    fn context(&self) -> RequestContext {
        self.carried().get().cloned().unwrap_or_default()
    }

    /// Replaces its context.
    fn set_context(&mut self, context: RequestContext) {
        self.carried_mut().insert(context);
    }
}

impl<T: Carrier> RequestTraceExt for T {}

/// What has extensions.
pub trait Carrier {
    #[doc(hidden)]
    fn carried(&self) -> &Extensions;
    #[doc(hidden)]
    fn carried_mut(&mut self) -> &mut Extensions;
}

macro_rules! carrier {
    ($($generic:ident)?, $carrier:ty, $it:ident => $extensions:expr, $extensions_mut:expr) => {
        impl$(<$generic>)? Carrier for $carrier {
            fn carried(&self) -> &Extensions {
                let $it = self;
                $extensions
            }

            fn carried_mut(&mut self) -> &mut Extensions {
                let $it = self;
                $extensions_mut
            }
        }
    };
}

carrier!(B, Request<B>, it => it.extensions(), it.extensions_mut());
carrier!(, request::Parts, it => &it.extensions, &mut it.extensions);
carrier!(, Extensions, it => it, it);

#[cfg(test)]
mod tests;
