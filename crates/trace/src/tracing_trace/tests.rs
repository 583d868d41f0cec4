use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rosn_base::Addr;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::*;
use crate::{Cancelled, ConnId, GotConnInfo, Interest, TlsInfo, TraceHandle};

/// Writes down what becomes of spans.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    names: Arc<Mutex<HashMap<u64, String>>>,
}

impl Log {
    fn say(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn name(&self, id: &Id) -> String {
        self.names.lock().unwrap().get(&id.into_u64()).cloned().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Layer<Registry> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, Registry>) {
        let name = attributes.metadata().name();
        self.names.lock().unwrap().insert(id.into_u64(), name.to_owned());
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = attributes.parent().map_or_else(String::new, |id| self.name(id) + "/");
        self.say(format!("{parent}{name}{}", fields.0));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, Registry>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.say(format!("{}:{}", self.name(id), fields.0));
    }

    fn on_close(&self, id: Id, _: Context<'_, Registry>) {
        self.say(format!("{} closed", self.name(&id)));
    }
}

/// Runs with a log, below the span `request`.
fn traced(run: impl FnOnce(&TraceHandle, &Log)) -> Vec<String> {
    let log = Log::default();
    tracing::subscriber::with_default(Registry::default().with(log.clone()), || {
        let request = info_span!("request");
        let trace = request.in_scope(|| TraceHandle::new(TracingTrace::new()));
        drop(request);
        // The trace holds it, and what is current now is of no matter.
        let _other = info_span!("other").entered();
        assert_eq!(log.lines(), ["request", "other"]);
        run(&trace, &log);
        drop(trace);
    });
    log.lines()
}

fn emit(trace: &TraceHandle, event: Event<'_>) {
    trace.emit(event.kind(), || event);
}

fn got(trace: &TraceHandle) {
    let info = GotConnInfo {
        conn: ConnId::next(),
        dial: None,
        local: None,
        peer: None,
        reused: false,
        was_idle: false,
        idle: Duration::ZERO,
        requests_before: 0,
    };
    emit(trace, Event::GotConn(&info));
}

fn addr() -> Addr {
    Addr::Ip("127.0.0.1:80".parse().unwrap())
}

#[test]
fn a_span_for_each_phase() {
    let lines = traced(|trace, _| {
        let (dial, addr) = (DialId::next(), addr());
        emit(trace, Event::DnsStart { dial, host: "a" });
        let error: ErrorRef<'_> = &Cancelled;
        let (addrs, coalesced) = (&[][..], false);
        emit(trace, Event::DnsDone { dial, host: "a", addrs, coalesced, error: Some(error) });
        let connect =
            trace.begin(Interest::CONNECT, || Event::ConnectStart { dial, try_no: 1, addr: &addr });
        drop(connect);
        emit(trace, Event::TlsStart { dial, server_name: "a" });
        let info = TlsInfo { version: "", cipher: "", alpn: None, resumed: false };
        emit(trace, Event::TlsDone { dial, server_name: "a", result: Ok(&info) });
        got(trace);
        emit(trace, Event::WroteRequest { bytes: 0, body_sent: true, result: Ok(()) });
        emit(trace, Event::FirstResponseByte);
        emit(trace, Event::ResponseHead { status: StatusCode::OK });
        emit(trace, Event::ResponseBodyDone { bytes: 0, result: Ok(()) });
    });
    let expected = [
        "request/dns host=\"a\"",
        "dns: error=cancelled",
        "dns closed",
        "request/connect addr=127.0.0.1:80",
        "connect: error=cancelled",
        "connect closed",
        "request/tls server_name=\"a\"",
        "tls closed",
        "request/send",
        "send closed",
        "request/wait",
        "wait closed",
        "request/recv status=200",
        "recv closed",
        "request closed",
        "other closed",
    ];
    let mut lines = lines;
    lines.sort_by_key(|line| line == "other closed");
    assert_eq!(lines, expected);
}

/// T10, T24: ends without a beginning, an answer before the request's end, and what is open when the trace goes.
#[test]
fn late_events_are_harmless() {
    let lines = traced(|trace, log| {
        let (dial, addr) = (DialId::next(), addr());
        got(trace);
        emit(trace, Event::ResponseHead { status: StatusCode::PAYLOAD_TOO_LARGE });
        emit(trace, Event::WroteRequest { bytes: 0, body_sent: true, result: Err(&Cancelled) });
        emit(trace, Event::ResponseBodyDone { bytes: 0, result: Ok(()) });
        let expected = [
            "request/send",
            "request/recv status=413",
            "send: error=cancelled",
            "send closed",
            "recv closed",
        ];
        assert_eq!(log.lines(), expected);
        emit(trace, Event::WroteRequest { bytes: 0, body_sent: true, result: Ok(()) });
        let lost = (Ok(()), true);
        let done =
            Event::ConnectDone { dial, try_no: 1, addr: &addr, result: lost.0, lost_race: lost.1 };
        emit(trace, done);
        emit(trace, Event::Failed { error: &Cancelled });
        assert!(log.lines().is_empty());
        emit(trace, Event::ProxyHandshakeStart { dial, proxy: &addr });
    });
    assert_eq!(lines[..1], ["request/proxy addr=127.0.0.1:80"]);
    assert!(lines.contains(&"proxy closed".to_owned()) && lines.contains(&"request closed".into()));
}

#[test]
fn not_too_many_are_open() {
    let lines = traced(|trace, _| {
        for try_no in 0..100 {
            emit(trace, Event::ConnectStart { dial: DialId::next(), try_no, addr: &addr() });
        }
    });
    assert_eq!(lines.iter().filter(|line| line.starts_with("request/connect")).count(), OPEN);
}

/// Without a subscriber, and so without a parent.
#[test]
fn nobody_listens() {
    let trace = TracingTrace::default();
    let dial = DialId::next();
    trace.event(Instant::now(), &Event::TlsStart { dial, server_name: "a" });
    trace
        .event(Instant::now(), &Event::TlsDone { dial, server_name: "a", result: Err(&Cancelled) });
    assert!(!trace.is_open(Key::Tls(dial)));
}
