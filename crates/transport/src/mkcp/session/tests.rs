//! Two peers, a clock that only the test moves, and a path between them that loses, delays, repeats and reorders.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::segment::Segments;
use super::*;
use rosn_config::checked::MkcpSettings;

struct Path {
    random: fastrand::Rng,
    /// Of 100.
    loss: u32,
    repeat: u32,
    delay: Duration,
    jitter: Duration,
}

struct World {
    now: Instant,
    sessions: [Session; 2],
    path: Path,
    /// By arrival; the number keeps order among equals.
    on_the_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
    datagrams: usize,
}

impl World {
    fn new(settings: &MkcpSettings, path: Path) -> Self {
        let parameters = Arc::new(Parameters::new(settings));
        let now = Instant::now();
        let sessions =
            [Role::Dialer, Role::Listener].map(|role| Session::new(&parameters, 7, role, now));
        Self { now, sessions, path, on_the_way: BTreeMap::new(), count: 0, datagrams: 0 }
    }

    fn plain() -> Self {
        Self::new(&MkcpSettings::default(), quiet())
    }

    fn flush(&mut self) {
        for from in 0..2 {
            let mut out = Vec::new();
            while self.sessions[from].transmit(self.now, &mut out) {
                assert!(out.len() <= 1350, "{}", out.len());
                self.post(1 - from, std::mem::take(&mut out));
            }
        }
    }

    fn post(&mut self, to: usize, datagram: Vec<u8>) {
        self.datagrams += 1;
        let copies = 1 + usize::from(self.path.random.u32(..100) < self.path.repeat);
        for _ in 0..copies {
            if self.path.random.u32(..100) < self.path.loss {
                continue;
            }
            let jitter = self.path.jitter.mul_f64(self.path.random.f64());
            self.count += 1;
            let at = self.now + self.path.delay + jitter;
            self.on_the_way.insert((at, self.count), (to, datagram.clone()));
        }
    }

    /// Lets time pass until something happens; false where nothing ever will.
    fn step(&mut self) -> bool {
        self.flush();
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let timeouts = self.sessions.iter_mut().filter_map(Session::next_timeout);
        let Some(next) = timeouts.chain(arrival).min() else { return false };
        self.now = self.now.max(next);
        while let Some(entry) = self.on_the_way.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, datagram) = entry.remove();
            for segment in Segments(&datagram) {
                self.sessions[to].input(&segment, self.now);
            }
        }
        true
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && self.step() {}
        self.flush();
    }

    fn read(&mut self, who: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Read::Bytes(count)) = self.sessions[who].read(&mut buffer, self.now) {
            all.extend_from_slice(&buffer[..count]);
        }
        all
    }

    fn end(&mut self, who: usize) -> Result<Read, io::ErrorKind> {
        self.sessions[who].read(&mut [0; 16], self.now)
    }

    fn ended(&mut self, who: usize) -> bool {
        matches!(self.end(who), Ok(Read::End))
    }

    /// Both send `bytes`; returns how long it took.
    fn exchange(&mut self, bytes: usize) -> Duration {
        let begin = self.now;
        let sent: [Vec<u8>; 2] =
            std::array::from_fn(|_| (0..bytes).map(|_| self.path.random.u8(..)).collect());
        let mut written = [0; 2];
        let mut got = [Vec::new(), Vec::new()];
        while got.iter().any(|it| it.len() < bytes) {
            for who in 0..2 {
                written[who] += self.sessions[who].write(&sent[who][written[who]..]).unwrap();
                let read = self.read(who);
                got[who].extend(read);
            }
            assert!(self.step());
            assert!(
                self.now - begin < Duration::from_secs(600),
                "stuck at {got:?}",
                got = got.map(|it| it.len())
            );
        }
        assert!(got[0] == sent[1] && got[1] == sent[0]);
        self.now - begin
    }
}

fn quiet() -> Path {
    Path {
        random: fastrand::Rng::with_seed(1),
        loss: 0,
        repeat: 0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
    }
}

fn bad(seed: u64) -> Path {
    Path {
        random: fastrand::Rng::with_seed(seed),
        loss: 15,
        repeat: 10,
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(40),
    }
}

#[test]
fn bytes_arrive_in_order_over_a_bad_path() {
    for seed in 0..20 {
        World::new(&MkcpSettings::default(), bad(seed)).exchange(300_000);
        let settings = MkcpSettings { congestion: true, mtu: 576, ..MkcpSettings::default() };
        World::new(&settings, bad(seed)).exchange(200_000);
    }
}

#[test]
fn little_is_sent_twice() {
    let mut world = World::plain();
    world.exchange(4 << 20);
    let least = 2 * (4 << 20) / 1326;
    assert!(world.datagrams < least * 11 / 10, "{} of {least}", world.datagrams);

    let path = Path { loss: 5, delay: Duration::from_millis(50), ..quiet() };
    let mut world = World::new(&MkcpSettings::default(), path);
    let time = world.exchange(8 << 20);
    assert!(world.datagrams < 2 * (8 << 20) / 1326 * 13 / 10, "{}", world.datagrams);
    assert!(time < Duration::from_secs(3), "{time:?}");
}

#[test]
fn a_slow_reader_holds_the_sender() {
    let mut world = World::plain();
    let data = vec![7; 16 << 20];
    let mut written = 0;
    for _ in 0..20 {
        written += world.sessions[0].write(&data[written..]).unwrap();
        world.run(Duration::from_secs(1));
    }
    assert!(written <= 6 << 20, "{written}");
    let mut got = 0;
    while got < data.len() {
        got += world.read(1).len();
        written += world.sessions[0].write(&data[written..]).unwrap();
        assert!(world.step());
    }
}

#[test]
fn the_listener_speaks_first() {
    let mut world = World::plain();
    world.run(Duration::from_millis(20));
    assert!(world.sessions[1].is_heard() && world.sessions[0].is_heard());
    world.sessions[1].write(b"banner").unwrap();
    world.run(Duration::from_millis(20));
    assert_eq!(world.read(0), b"banner");
}

/// One datagram with somebody else's address as its sender.
#[test]
fn who_never_asked_is_not_flooded() {
    let mut world = World::plain();
    let mut forged = Vec::new();
    assert!(world.sessions[0].transmit(world.now, &mut forged));
    let listener = &mut world.sessions[1];
    Segments(&forged).for_each(|segment| listener.input(&segment, world.now));
    assert!(listener.write(&[1; 1 << 20]).unwrap() > 100_000);
    let (begin, mut sent) = (world.now, 0);
    while let Some(next) = listener.next_timeout() {
        let mut out = Vec::new();
        while listener.transmit(world.now, &mut out) {
            sent += out.len();
            out.clear();
        }
        world.now = world.now.max(next);
        assert!(world.now - begin < Duration::from_secs(60));
    }
    assert!((10_000..15_000).contains(&sent), "{sent}");
}

#[test]
fn an_end_is_told_at_once_and_the_answer_still_comes() {
    let mut world = World::plain();
    world.sessions[0].write(b"question").unwrap();
    world.sessions[0].close(world.now);
    assert_eq!(world.sessions[0].write(b"more").unwrap_err(), io::ErrorKind::BrokenPipe);
    world.run(Duration::from_millis(50));
    assert_eq!(world.read(1), b"question");
    assert!(world.ended(1) && !world.ended(0));
    // The answer may take its time.
    world.run(Duration::from_secs(100));
    let answer = vec![1; 1 << 20];
    assert_eq!(world.sessions[1].write(&answer).unwrap(), answer.len());
    world.sessions[1].close(world.now);
    let mut got = Vec::new();
    let begin = world.now;
    while got.len() < answer.len() {
        assert!(world.step());
        got.extend(world.read(0));
    }
    world.run(Duration::from_millis(50));
    assert!(world.ended(0));
    assert!(world.now - begin < Duration::from_secs(1));
    world.run(Duration::from_secs(2));
    assert!(world.sessions.iter().all(Session::is_over));
}

#[test]
fn both_ends_close_over_a_bad_path() {
    for seed in 0..50 {
        let mut world = World::new(&MkcpSettings::default(), bad(seed));
        world.sessions[0].write(&[1; 5000]).unwrap();
        world.sessions[0].close(world.now);
        world.run(Duration::from_secs(3));
        assert_eq!(world.read(1).len(), 5000);
        assert!(world.ended(1));
        world.sessions[1].write(&[2; 5000]).unwrap();
        world.sessions[1].detach(world.now);
        world.run(Duration::from_secs(3));
        assert_eq!(world.read(0).len(), 5000);
        assert!(world.ended(0));
        world.sessions[0].detach(world.now);
        world.run(Duration::from_secs(20));
        assert!(world.sessions.iter().all(Session::is_over));
        assert!(!world.step(), "nothing is left to be done");
    }
}

#[test]
fn what_was_cut_off_is_no_end() {
    let mut world = World::plain();
    world.exchange(1000);
    world.sessions[0].abort(world.now);
    world.run(Duration::from_millis(50));
    assert_eq!(world.end(1).unwrap_err(), io::ErrorKind::ConnectionReset);
}

#[test]
fn silence_is_an_error() {
    let mut world = World::plain();
    world.exchange(1000);
    world.path.loss = 100;
    world.run(Duration::from_secs(29));
    assert!(matches!(world.end(0), Ok(Read::Wait)));
    world.run(Duration::from_secs(2));
    for who in 0..2 {
        assert_eq!(world.end(who).unwrap_err(), io::ErrorKind::TimedOut);
        assert!(world.sessions[who].is_over());
    }
    let mut unanswered = World::new(&MkcpSettings::default(), Path { loss: 100, ..quiet() });
    unanswered.run(Duration::from_secs(17));
    assert_eq!(unanswered.end(0).unwrap_err(), io::ErrorKind::TimedOut);
}

#[test]
fn an_idle_conversation_lives() {
    let mut world = World::plain();
    world.exchange(1 << 20);
    let before = world.datagrams;
    world.run(Duration::from_secs(600));
    assert!(!world.sessions.iter().any(Session::is_over));
    assert!(world.datagrams - before <= 2 * 125, "{}", world.datagrams - before);
    world.exchange(1 << 20);
}

#[test]
fn a_peer_that_has_gone_is_noticed_when_it_does_not_listen() {
    let mut world = World::plain();
    world.exchange(1000);
    world.sessions[0].detach(world.now);
    world.run(Duration::from_secs(1));
    assert!(world.ended(1));
    assert_eq!(world.sessions[1].write(b"x").unwrap_err(), io::ErrorKind::BrokenPipe);
    world.run(Duration::from_secs(1));
    assert!(world.sessions.iter().all(Session::is_over));

    // One that has closed and acknowledges nothing.
    let mut world = World::plain();
    let progress = Progress { sending_next: 0, receiving_next: 0, timeout: 100 };
    let close = Segment { conversation: 7, close: true, body: Body::Ping(progress) };
    world.sessions[0].write(b"lost").unwrap();
    world.path.loss = 100;
    world.run(Duration::from_millis(10));
    world.sessions[0].input(&close, world.now);
    world.run(Duration::from_secs(5));
    assert_eq!(world.end(0).unwrap_err(), io::ErrorKind::ConnectionReset);
}

/// v2ray keeps the socket of a conversation that it has terminated for 8 s, unless the same comes back. Meanwhile its
/// system may give the port to a new conversation, whose datagrams then go to the old socket.
#[test]
fn an_end_of_v2ray_is_answered_whatever_is_on_the_way() {
    for closing in [false, true] {
        let mut world = World::plain();
        world.exchange(5000);
        // v2ray acknowledges no more.
        world.path.loss = 100;
        world.sessions[0].write(&[1; 5000]).unwrap();
        if closing {
            world.sessions[0].close(world.now);
        }
        world.flush();
        let (now, session) = (world.now, &mut world.sessions[0]);
        let progress = Progress {
            sending_next: session.receive.next(),
            receiving_next: session.send.first(),
            timeout: 100,
        };
        let body = Body::Terminate { progress, reads: false };
        session.input(&Segment { conversation: 7, close: false, body }, now);
        let mut out = Vec::new();
        assert!(session.transmit(now, &mut out));
        let answer = Segments(&out).last().unwrap();
        assert!(matches!(answer.body, Body::Terminate { .. }), "{answer:?}");
        assert!(matches!(session.end(), Ok(Read::End)));
        assert!(session.is_flushed() && session.is_writable());
        assert_eq!(session.write(b"x").unwrap_err(), io::ErrorKind::BrokenPipe);
        // Its socket is gone now, and the system says so.
        session.fail(io::ErrorKind::ConnectionRefused);
        assert!(session.is_over());
        assert!(matches!(session.end(), Ok(Read::End)));
    }
}

/// v2ray's states (`connection.go`), as far as they can be seen from outside.
#[test]
fn states_follow_what_the_peer_says() {
    let progress = Progress { sending_next: 0, receiving_next: 0, timeout: 100 };
    let close = Segment { conversation: 7, close: true, body: Body::Ping(progress) };
    let body = Body::Terminate { progress, reads: false };
    let terminate = Segment { conversation: 7, close: false, body };
    let mut out = Vec::new();

    let mut world = World::plain();
    let (now, session) = (world.now, &mut world.sessions[0]);
    session.input(&close, now);
    assert_eq!((session.local, session.peer), (Local::Active, Peer::Closed));
    assert!(matches!(session.end(), Ok(Read::Wait)), "its data may still be on the way");
    session.input(&terminate, now);
    assert!(matches!(session.local, Local::Terminating { told: 0, .. }), "it reads nothing");
    assert_eq!(session.peer, Peer::Terminated);
    assert!(matches!(session.end(), Ok(Read::End)));
    session.detach(now);
    session.transmit(now, &mut out);
    assert!(matches!(session.local, Local::Terminating { told: 1, .. }));
    for _ in 0..8 {
        let now = session.next_timeout().unwrap_or(now);
        session.transmit(now, &mut out);
    }
    assert_eq!(session.local, Local::Terminated);

    let mut world = World::plain();
    let (now, session) = (world.now, &mut world.sessions[0]);
    session.write(b"never acknowledged").unwrap();
    session.detach(now);
    assert!(matches!(session.local, Local::Closing { .. }));
    session.input(&terminate, now);
    let begin = now;
    let mut now = now;
    while let Some(next) = session.next_timeout() {
        now = next;
        session.transmit(now, &mut out);
    }
    assert_eq!(session.local, Local::Terminated);
    assert!(now - begin <= Duration::from_secs(20));
}

#[test]
fn strays_open_nothing() {
    let at = |sending_next, receiving_next| Progress { sending_next, receiving_next, timeout: 9 };
    let segment = |close, body| Segment { conversation: 1, close, body };
    let data =
        |number, sending_next| Body::Data { timestamp: 5, number, sending_next, payload: b"x" };
    assert!(Session::opens(&segment(false, Body::Ping(at(0, 0)))));
    assert!(Session::opens(&segment(false, data(0, 0))));
    assert!(Session::opens(&segment(true, data(3, 0))), "a short one has closed already");
    assert!(!Session::opens(&segment(true, Body::Ping(at(0, 0)))));
    assert!(!Session::opens(&segment(false, Body::Ping(at(1, 0)))));
    assert!(!Session::opens(&segment(false, Body::Ping(at(0, 1)))));
    let terminate = Body::Terminate { progress: at(0, 0), reads: false };
    assert!(!Session::opens(&segment(false, terminate)));
    assert!(!Session::opens(&segment(false, data(40, 39))));
}

#[test]
fn random_segments_do_no_harm() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..300 {
        let mut world = World::plain();
        world.sessions[0].write(&[1; 20_000]).unwrap();
        world.run(Duration::from_millis(1));
        for _ in 0..100 {
            let mut datagram: Vec<u8> = (0..random.usize(..120)).map(|_| random.u8(..)).collect();
            if let [_, _, command, rest @ ..] = &mut datagram[..] {
                *command = random.u8(..5);
                // Numbers that are nearly right do more harm than wild ones.
                for byte in rest.iter_mut().step_by(1) {
                    if random.u32(..4) > 0 {
                        *byte = random.u8(..3) * u8::from(random.bool());
                    }
                }
            }
            let to = random.usize(..2);
            for segment in Segments(&datagram) {
                world.sessions[to].input(&segment, world.now);
            }
            world.step();
        }
        world.run(Duration::from_secs(1));
    }
}
