//! One call: the hooks are asked, and told what came of it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;

use super::tracked::Entry;
use super::{AfterFn, Call, Decision, Outcome};

/// A call that no hook has forbidden. Dropping it tells the hooks that the caller has given up.
pub(crate) struct Asked {
    entry: Arc<Entry>,
    call: Call,
    addr: Option<Addr>,
    delay: Duration,
    afters: Vec<AfterFn>,
    told: bool,
}

impl Asked {
    /// Asks the hooks of a socket.
    ///
    /// # Errors
    /// That of the hook that forbids it; all are told.
    pub(super) fn ask(entry: &Arc<Entry>, call: Call, addr: Option<Addr>) -> io::Result<Self> {
        let mut asked = Self {
            entry: Arc::clone(entry),
            call,
            addr,
            delay: Duration::ZERO,
            afters: Vec::new(),
            told: false,
        };
        if let Err(error) = asked.decide() {
            let Err(error) = asked.settle::<Infallible>(Err(error), true);
            return Err(error);
        }
        Ok(asked)
    }

    fn decide(&mut self) -> io::Result<()> {
        let op = self.entry.op(self.call, self.addr.as_ref());
        for hook in self.entry.chain.iter() {
            match hook.before(&op) {
                Decision::Continue => {}
                Decision::Fail(_) if self.call == Call::Close => {}
                Decision::Fail(error) => return Err(error),
                Decision::Delay(time) => self.delay = self.delay.saturating_add(time),
                Decision::After(after) => self.afters.push(after),
            }
        }
        Ok(())
    }

    /// How long a hook wants the call to wait.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Waits as long as a hook wants.
    pub(crate) async fn wait(&mut self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }

    /// The call was begun, and is not done yet.
    pub(crate) fn pending(&self) {
        self.tell(&Outcome::Pending);
    }

    /// The call has ended so.
    ///
    /// # Errors
    /// The outcome's, or that of a hook that overrides it.
    pub(crate) fn finish<T>(mut self, outcome: io::Result<T>) -> io::Result<T> {
        self.settle(outcome, false)
    }

    fn settle<T>(&mut self, mut outcome: io::Result<T>, mut vetoed: bool) -> io::Result<T> {
        self.told = true;
        for after in std::mem::take(&mut self.afters) {
            if let Err(error) = after(&told(&outcome, vetoed)) {
                vetoed |= outcome.is_ok();
                outcome = Err(error);
            }
        }
        self.tell(&told(&outcome, vetoed));
        outcome
    }

    fn tell(&self, outcome: &Outcome<'_>) {
        let op = self.entry.op(self.call, self.addr.as_ref());
        for hook in self.entry.chain.iter() {
            hook.after(&op, outcome);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.told {
            let text = "given up";
            let error = io::Error::new(io::ErrorKind::Interrupted, text);
            // What hooks make of it has no one to go to.
            let _ = self.settle::<Infallible>(Err(error), false);
        }
    }
}

/// The outcome as hooks are told.
fn told<T>(outcome: &io::Result<T>, vetoed: bool) -> Outcome<'_> {
    match outcome {
        Ok(_) => Outcome::Done,
        Err(error) if vetoed => Outcome::Vetoed(error),
        Err(error) => Outcome::Failed(error),
    }
}
