//! What ties a hijacked connection to its server: news of a shutdown one way, news of its end the other.

use std::any::Any;
use std::fmt;

use tokio::sync::watch;

/// Says that the server shuts down.
#[derive(Debug, Clone, Default)]
pub struct ShutdownSignal(Option<watch::Receiver<Stage>>);

/// How far the shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Stage {
    #[default]
    Running,
    Noticed,
    Cut,
}

impl ShutdownSignal {
    /// A signal that never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether it came.
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|stage| *stage.borrow() >= Stage::Noticed)
    }

    /// Waits until the server asks its connections to end; forever where it never does. There is time left until
    /// [`ShutdownSignal::cut`].
    ///
    /// Cancel safety: nothing is lost by dropping the future.
    pub async fn wait(&mut self) {
        self.reach(Stage::Noticed).await;
    }

    /// Waits until the time is up that the shutdown gave its connections.
    ///
    /// Cancel safety: nothing is lost by dropping the future.
    pub async fn cut(&mut self) {
        self.reach(Stage::Cut).await;
    }

    async fn reach(&mut self, wanted: Stage) {
        if let Some(stage) = &mut self.0
            && stage.wait_for(|stage| *stage >= wanted).await.is_ok()
        {
            return;
        }
        // A server that is gone without having said so says nothing any more.
        std::future::pending().await
    }
}

/// The sender of a [`ShutdownSignal`].
#[derive(Debug, Default)]
pub(crate) struct ShutdownNotice(watch::Sender<Stage>);

impl ShutdownNotice {
    pub(crate) fn signal(&self) -> ShutdownSignal {
        ShutdownSignal(Some(self.0.subscribe()))
    }

    /// Asks to end.
    pub(crate) fn notify(&self) {
        self.advance(Stage::Noticed);
    }

    /// The time is up.
    pub(crate) fn cut(&self) {
        self.advance(Stage::Cut);
    }

    fn advance(&self, to: Stage) {
        self.0.send_if_modified(|stage| {
            let is_later = to > *stage;
            *stage = to.max(*stage);
            is_later
        });
    }
}

/// Holds what a server keeps for a connection, until it is dropped.
#[derive(Default)]
pub struct ConnGuard(
    #[expect(dead_code, reason = "only its drop matters")] Option<Box<dyn Any + Send + Sync>>,
);

impl ConnGuard {
    /// Holds nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Holds `value`: a permit, an entry of a table.
    pub fn holding(value: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(value)))
    }
}

impl fmt::Debug for ConnGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnGuard")
    }
}
