//! A DNS server whose answers the test changes.

use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Answers questions for A and AAAA records on a UDP port of 127.0.0.1, until dropped.
pub struct DnsServer {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    records: Mutex<HashMap<String, Vec<IpAddr>>>,
    questions: AtomicU32,
    failing: AtomicBool,
    stop: AtomicBool,
}

impl DnsServer {
    /// A server without names.
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
        let port = socket.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&socket, &serving));
        Self { port, shared, thread: Some(thread) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the name (without a dot at its end) has these addresses.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an IP address")).collect();
        let mut records = self.shared.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.insert(name.to_ascii_lowercase(), addresses);
    }

    /// From now on every question is answered with SERVFAIL, or no longer.
    pub fn fail(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::Relaxed);
    }

    /// How many questions came.
    pub fn questions(&self) -> u32 {
        self.shared.questions.load(Ordering::Relaxed)
    }
}

impl Default for DnsServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut question = [0; 1500];
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut question) else { continue };
        shared.questions.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = answer(&question[..len], shared) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to one question (RFC 1035 section 4).
fn answer(message: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let (name, end) = name(message, 12)?;
    let question = message.get(12..end + 4)?;
    let kind = u16::from_be_bytes([message[end], message[end + 1]]);
    let records = shared.records.lock().unwrap_or_else(PoisonError::into_inner);
    let known = records.get(&name);
    let rdata = |address: &IpAddr| match (address, kind) {
        (IpAddr::V4(address), 1) => Some(address.octets().to_vec()),
        (IpAddr::V6(address), 28) => Some(address.octets().to_vec()),
        _ => None,
    };
    let found: Vec<Vec<u8>> = known.into_iter().flatten().filter_map(rdata).collect();
    let failing = shared.failing.load(Ordering::Relaxed);
    let code = if failing {
        2
    } else if known.is_none() {
        3
    } else {
        0
    };
    let count = if failing { 0 } else { u16::try_from(found.len()).ok()? };
    let mut answer = message[..2].to_vec();
    answer.extend([0x84 | (message[2] & 1), 0x80 | code]); // an authoritative response
    answer.extend([0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(question);
    for rdata in found.iter().take(count.into()) {
        answer.extend([0xc0, 12]); // the name of the question
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 1]); // class IN, a TTL of one second
        answer.extend(u16::try_from(rdata.len()).ok()?.to_be_bytes());
        answer.extend(rdata);
    }
    Some(answer)
}

/// The name at `at`, in lower case, and where it ends.
fn name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let len = usize::from(*message.get(at)?);
        at += 1;
        if len == 0 {
            return Some((labels.join("."), at));
        }
        let label = message.get(at..at + len)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += len;
    }
}
