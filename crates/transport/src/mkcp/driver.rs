//! The task that owns a socket, and sends and receives for all its conversations.

mod closed;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use rosn_net::{Datagrams, Received};
use tokio::time::Sleep;

use self::closed::Closed;
use super::listener::Queue;
use super::outbox::Outbox;
use super::parameters::Parameters;
use super::seal::Seal;
use super::segment::{Body, Progress, Segment, Segments, Writer};
use super::session::{Role, Session};
use super::stream::{Bell, Key, Shared, stream};
use crate::packet_header::Header;

/// A buffer that holds what the system gives at a time where it puts datagrams together (GRO).
const BUFFER: usize = 1 << 16;
/// Where it does not, one that holds any datagram of this protocol.
const SMALL_BUFFER: usize = 2048;
/// Receive calls in one poll; then other tasks get their turn.
const AT_A_TIME: usize = 16;
/// Added to a number: a peer of a conversation that is not known here has lost something, whatever it has sent.
const CUT_OFF: u32 = 1 << 30;

/// What a driver is made of.
pub(super) struct Setup {
    pub(super) socket: Arc<dyn Datagrams>,
    pub(super) parameters: Arc<Parameters>,
    pub(super) seal: Arc<Seal>,
    pub(super) header: Header,
    pub(super) bell: Arc<Bell>,
}

/// Sends and receives. It ends when nothing is left to be done: at the dialer's side with its conversation, at the
/// listener's when the listener and all conversations are gone.
pub(super) struct Driver {
    socket: Arc<dyn Datagrams>,
    parameters: Arc<Parameters>,
    seal: Arc<Seal>,
    bell: Arc<Bell>,
    local: SocketAddr,
    /// Where new conversations go; `None` = a dialer.
    queue: Option<Arc<Queue>>,
    limit: usize,
    conversations: HashMap<Key, Entry>,
    closed: Closed,
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    /// Conversations to look at.
    touched: Vec<Key>,
    outbox: Outbox,
    sleep: Option<Pin<Box<Sleep>>>,
    /// One of these is enough for all that is received at a time.
    buffers: Vec<u8>,
}

struct Entry {
    shared: Arc<Shared>,
    /// When it is looked at next, whatever happens.
    scheduled: Option<Instant>,
    touched: bool,
}

impl Driver {
    pub(super) fn listener(setup: Setup, queue: Arc<Queue>, limit: usize) -> io::Result<Self> {
        Self::new(setup, Some(queue), limit)
    }

    /// For one conversation.
    pub(super) fn dialer(setup: Setup, shared: Arc<Shared>) -> io::Result<Self> {
        let mut driver = Self::new(setup, None, 1)?;
        let key = shared.key;
        driver.touched.push(key);
        driver.conversations.insert(key, Entry { shared, scheduled: None, touched: true });
        Ok(driver)
    }

    fn new(setup: Setup, queue: Option<Arc<Queue>>, limit: usize) -> io::Result<Self> {
        let Setup { socket, parameters, seal, header, bell } = setup;
        let local = socket.local_addr()?;
        Ok(Self {
            outbox: Outbox::new(header, &*socket, local),
            socket,
            parameters,
            seal,
            bell,
            local,
            queue,
            limit,
            conversations: HashMap::new(),
            closed: Closed::new(limit),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            sleep: None,
            buffers: Vec::new(),
        })
    }

    /// Runs until nothing is left to be done.
    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut rung = Vec::new();
            self.bell.listen(cx.waker(), &mut rung);
            let more = match self.receive(cx) {
                Ok(more) => more,
                Err(error) => {
                    self.fail(error.kind());
                    // The error is gone, and what comes after it is not announced again.
                    true
                }
            };
            rung.into_iter().for_each(|key| self.touch(key));
            let now = Instant::now();
            self.expire(now);
            if !self.flush(cx, now) {
                // There is no room to send; timers wait until there is.
                return Poll::Pending;
            }
            let gone = self.queue.as_ref().is_none_or(|queue| queue.is_closed());
            if gone && self.conversations.is_empty() {
                return Poll::Ready(());
            }
            if more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.wait(cx, now));
        }
    }

    /// Returns whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let (size, count) = match (self.socket.max_received(), &self.queue) {
            (0 | 1, _) => (SMALL_BUFFER, 16),
            (_, Some(_)) => (BUFFER, 4),
            (_, None) => (BUFFER, 1),
        };
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.resize(size * count, 0);
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut received = [Received { from: nobody, len: 0, stride: 0 }; 16];
        for _ in 0..AT_A_TIME {
            let mut slices: Vec<_> = buffers.chunks_mut(size).map(IoSliceMut::new).collect();
            let Poll::Ready(used) =
                self.socket.poll_receive(cx, &mut slices, &mut received[..count])?
            else {
                // An idle socket holds no buffer.
                return Ok(false);
            };
            let now = Instant::now();
            for (bytes, received) in buffers.chunks_mut(size).zip(&received[..used]) {
                let bytes = &mut bytes[..received.len.min(size)];
                self.datagrams(bytes, received, now);
            }
        }
        self.buffers = buffers;
        Ok(true)
    }

    fn datagrams(&mut self, bytes: &mut [u8], received: &Received, now: Instant) {
        let seal = Arc::clone(&self.seal);
        let stride = if received.stride == 0 { bytes.len() } else { received.stride };
        let mut found: Option<Arc<Shared>> = None;
        seal.open(bytes, stride, self.outbox.header_len(), |segments| {
            self.datagram(received.from, segments, &mut found, now);
        });
    }

    /// `found`: the conversation of the datagram before, which often is the same.
    fn datagram(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        found: &mut Option<Arc<Shared>>,
        now: Instant,
    ) {
        let mut segments = Segments(bytes);
        let Some(first) = segments.next() else { return };
        let key = (self.peer(from), first.conversation);
        if found.as_ref().is_none_or(|shared| shared.key != key) {
            *found = match self.conversations.get(&key) {
                Some(entry) => Some(Arc::clone(&entry.shared)),
                None => self.open(key, &first, now),
            };
            self.touch(key);
        }
        let Some(shared) = found else { return };
        let mut state = shared.lock();
        state.session.input(&first, now);
        // Segments of another conversation have no business here (v2ray's rule).
        for segment in segments.take_while(|segment| segment.conversation == key.1) {
            state.session.input(&segment, now);
        }
    }

    /// A dialer knows whom it talks with, by whatever address the system calls it.
    fn peer(&self, from: SocketAddr) -> SocketAddr {
        match (&self.queue, self.conversations.keys().next()) {
            (None, Some((peer, _))) => *peer,
            _ => from,
        }
    }

    /// A conversation that is not known: it may begin here.
    fn open(&mut self, key: Key, first: &Segment<'_>, now: Instant) -> Option<Arc<Shared>> {
        let queue = Arc::clone(self.queue.as_ref()?);
        let known = self.closed.contains(&key, now);
        if known || queue.is_closed() || !Session::opens(first) {
            self.refuse(key, first, now);
            return None;
        }
        if self.conversations.len() >= self.limit || !queue.has_room() {
            // It comes again.
            return None;
        }
        let session = Session::new(&self.parameters, key.1, Role::Listener, now);
        let shared = Shared::new(key, self.local, session, &self.bell);
        let entry = Entry { shared: Arc::clone(&shared), scheduled: None, touched: false };
        self.conversations.insert(key, entry);
        queue.push(stream(Arc::clone(&shared)), key.0);
        Some(shared)
    }

    /// Tells a peer that its conversation is over, or never was. Never answers an answer: those have the close bit.
    fn refuse(&mut self, key: Key, first: &Segment<'_>, now: Instant) {
        let answered = match first.body {
            Body::Terminate { .. } => !first.close && self.closed.contains(&key, now),
            Body::Data { .. } | Body::Ping(_) => true,
            Body::Ack { .. } => false,
        };
        if !answered || !self.outbox.is_empty() {
            return;
        }
        let lost = !self.closed.contains(&key, now);
        let progress = Progress {
            sending_next: if lost { CUT_OFF } else { 0 },
            receiving_next: 0,
            timeout: 100,
        };
        let writer = Writer { conversation: key.1, close: true };
        let mut once = true;
        self.outbox.address(key.0);
        self.outbox.push(&self.seal, |out| {
            if once {
                writer.terminate(out, progress, false);
            }
            std::mem::take(&mut once)
        });
        // Where there is no room it is not sent; the peer asks again.
        let _ = self.outbox.send(&*self.socket, &self.seal);
        self.outbox.clear();
    }

    fn touch(&mut self, key: Key) {
        if let Some(entry) = self.conversations.get_mut(&key)
            && !std::mem::replace(&mut entry.touched, true)
        {
            self.touched.push(key);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, key))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if let Some(entry) = self.conversations.get_mut(&key)
                && entry.scheduled == Some(at)
            {
                entry.scheduled = None;
                self.touch(key);
            }
        }
    }

    /// Lets conversations that were touched send. Returns false where there is no room; then this is called again.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        loop {
            match self.outbox.send(&*self.socket, &self.seal) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.socket.poll_writable(cx).is_pending() {
                        return false;
                    }
                    continue;
                }
                // At the listener's side it concerns one peer of many, and as good as a loss.
                Err(error) if self.queue.is_none() => self.fail(error.kind()),
                Ok(()) | Err(_) => {}
            }
            let Some(key) = self.touched.last().copied() else { return true };
            let Some(entry) = self.conversations.get(&key) else {
                self.touched.pop();
                continue;
            };
            let shared = Arc::clone(&entry.shared);
            let mut state = shared.lock();
            state.answer();
            if !self.outbox.fill(&mut state.session, key.0, &self.seal, now) {
                state.wake();
                let (over, next) = (state.session.is_over(), state.session.next_timeout());
                drop(state);
                self.touched.pop();
                self.settle(key, over, next, now);
            }
        }
    }

    fn settle(&mut self, key: Key, over: bool, next: Option<Instant>, now: Instant) {
        if over {
            self.conversations.remove(&key);
            self.closed.insert(key, now);
        } else if let Some(entry) = self.conversations.get_mut(&key) {
            entry.touched = false;
            // A timer that comes too early finds the right time; most never come, as the time moves on.
            if let Some(next) = next
                && entry.scheduled.is_none_or(|at| next < at)
            {
                entry.scheduled = Some(next);
                self.timers.push(Reverse((next, key)));
            }
        }
    }

    /// The socket has an error. At the dialer's side nobody listens; or else it may pass, unless nothing ever went well.
    fn fail(&mut self, kind: io::ErrorKind) {
        if self.queue.is_some() {
            return;
        }
        for (key, entry) in &mut self.conversations {
            let session = &mut entry.shared.lock().session;
            if kind == io::ErrorKind::ConnectionRefused || !session.is_heard() {
                session.fail(kind);
            }
            if !std::mem::replace(&mut entry.touched, true) {
                self.touched.push(*key);
            }
        }
    }

    /// Waits for the next timer.
    fn wait(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        self.outbox.shrink();
        let Some(Reverse((at, _))) = self.timers.peek() else { return Poll::Pending };
        if *at <= now {
            return Poll::Ready(());
        }
        let at = tokio::time::Instant::from_std(*at);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}
