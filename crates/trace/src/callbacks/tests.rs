use std::sync::{Arc, Mutex};

use super::*;
use crate::{Cancelled, TraceHandle};

/// What the closures have said.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn emit(trace: &TraceHandle, event: Event<'_>) {
    trace.emit(event.kind(), || event);
}

/// Rows 1 and 2, T1: closures of the newer trace, then those of the older one, each with the arguments of its event; a
/// kind that only one of them has comes to that one.
#[test]
fn composed_closures_get_their_arguments() {
    let log = Log::default();
    let (old, new) = (log.clone(), log.clone());
    let connects = log.clone();
    let older = Callbacks::new()
        .on_dns_start(move |_, host| old.say(format!("old {host}")))
        .on_connect_start(move |_, try_no, addr| connects.say(format!("connect {try_no} {addr}")));
    let newer = Callbacks::new().on_dns_start(move |_, host| new.say(format!("new {host}")));
    let trace = TraceHandle::over(newer, &TraceHandle::new(older));
    let dial = DialId::next();
    emit(&trace, Event::DnsStart { dial, host: "a" });
    let addr = Addr::Ip("127.0.0.1:80".parse().unwrap());
    emit(&trace, Event::ConnectStart { dial, try_no: 3, addr: &addr });
    assert_eq!(log.lines(), ["new a", "old a", "connect 3 127.0.0.1:80"]);
}

/// Row 4, T3: nothing is asked for, and what comes all the same is nobody's.
#[test]
fn no_closures_no_calls() {
    let none = Callbacks::new();
    assert_eq!(none.interest(), Interest::NONE);
    none.event(Instant::now(), &Event::WroteHeaders);
    assert!(none.informational(StatusCode::CONTINUE, &HeaderMap::new()).is_ok());
    let trace = TraceHandle::new(none);
    trace.emit(Interest::ALL, || unreachable!());
    // One kind has several events.
    let trace = TraceHandle::new(Callbacks::new().on_wait_100(|| unreachable!()));
    trace.emit(Interest::READ, || unreachable!());
    emit(&trace, Event::WroteHeaders);
}

/// T2: all are asked, in one trace and across traces, and the first error in the order of calling wins.
#[test]
fn the_first_veto_wins() {
    let log = Log::default();
    let veto = |name: &'static str, refuses: bool| {
        let log = log.clone();
        move |status: StatusCode, headers: &HeaderMap| {
            log.say(format!("{name} {} {}", status.as_u16(), headers.len()));
            if refuses { Err(name.into()) } else { Ok(()) }
        }
    };
    let old = TraceHandle::new(Callbacks::new().on_informational(veto("old", true)));
    let newer = Callbacks::new()
        .on_informational(veto("agrees", false))
        .on_informational(veto("first", true))
        .on_informational(veto("second", true));
    let trace = TraceHandle::over(newer, &old);
    let mut headers = HeaderMap::new();
    headers.insert("link", HeaderValue::from_static("</a.css>"));
    let error = trace.informational(StatusCode::EARLY_HINTS, &headers).unwrap_err();
    assert_eq!(error.to_string(), "first");
    assert_eq!(log.lines(), ["agrees 103 1", "first 103 1", "second 103 1", "old 103 1"]);
    // A trace without a say does not hide the older one's.
    let trace = TraceHandle::over(Callbacks::new().on_wrote_headers(|| ()), &old);
    assert!(trace.informational(StatusCode::PROCESSING, &HeaderMap::new()).is_err());
}

/// T4: also a closure sees the end of what was given up.
#[test]
fn what_is_given_up_ends() {
    let log = Log::default();
    let (started, done) = (log.clone(), log.clone());
    let trace = TraceHandle::new(
        Callbacks::new().on_tls_start(move |_, name| started.say(name)).on_tls_done(
            move |_, name, result| {
                let error = result.unwrap_err();
                assert!(error.is::<Cancelled>());
                done.say(format!("{name} {error}"));
            },
        ),
    );
    let dial = DialId::next();
    drop(trace.begin(Interest::TLS, || Event::TlsStart { dial, server_name: "a" }));
    assert_eq!(log.lines(), ["a", "a cancelled"]);
}

/// Each closure is called by its event and by no other of its kind.
#[test]
fn each_closure_has_one_event() {
    let log = Log::default();
    let say = |name: &'static str| {
        let log = log.clone();
        move || log.say(name)
    };
    let (got, put, wrote, head, body, upgraded, retry, redirect, failed) = (
        say("got"),
        say("put"),
        say("wrote"),
        say("head"),
        say("body"),
        say("upgraded"),
        say("retry"),
        say("redirect"),
        say("failed"),
    );
    let trace = TraceHandle::new(
        Callbacks::new()
            .on_got_conn(move |info| {
                assert!(info.reused);
                got();
            })
            .on_put_idle(move |_, result| {
                assert_eq!(result, Err(NotReused::TooOld));
                put();
            })
            .on_wrote_headers(say("headers"))
            .on_got_100(say("100"))
            .on_wrote_request(move |bytes, body_sent, result| {
                assert!(bytes == 7 && body_sent && result.is_ok());
                wrote();
            })
            .on_first_response_byte(say("byte"))
            .on_response_head(move |_| head())
            .on_response_body_done(move |_, _| body())
            .on_upgraded(move |_| upgraded())
            .on_retry(move |_, _| retry())
            .on_redirect(move |status, uri, redirects| {
                assert!(status == 302 && uri.host() == Some("a.test") && redirects == 1);
                redirect();
            })
            .on_failed(move |_| failed()),
    );
    let conn = ConnId::next();
    let info = GotConnInfo {
        conn,
        dial: None,
        local: None,
        peer: None,
        reused: true,
        was_idle: true,
        idle: std::time::Duration::ZERO,
        requests_before: 1,
    };
    emit(&trace, Event::GotConn(&info));
    emit(&trace, Event::WroteHeaders);
    emit(&trace, Event::Wait100);
    emit(&trace, Event::Got100);
    emit(&trace, Event::WroteRequest { bytes: 7, body_sent: true, result: Ok(()) });
    emit(&trace, Event::FirstResponseByte);
    emit(&trace, Event::ResponseHead { status: StatusCode::OK });
    emit(&trace, Event::ResponseBodyDone { bytes: 0, result: Ok(()) });
    emit(&trace, Event::PutIdle { conn, result: Err(NotReused::TooOld) });
    emit(&trace, Event::Upgraded { conn });
    emit(&trace, Event::Retry { attempt: 1, cause: &Cancelled });
    let uri = Uri::from_static("http://a.test/");
    emit(&trace, Event::Redirect { status: StatusCode::FOUND, uri: &uri, redirects: 1 });
    emit(&trace, Event::Failed { error: &Cancelled });
    let expected = [
        "got", "headers", "100", "wrote", "byte", "head", "body", "put", "upgraded", "retry",
        "redirect", "failed",
    ];
    assert_eq!(log.lines(), expected);
}
