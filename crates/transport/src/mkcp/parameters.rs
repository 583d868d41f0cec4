//! What the settings come to.

use std::time::Duration;

use rosn_config::checked::MkcpSettings;

use super::seal::Seal;
use super::segment::DATA_HEAD;
use crate::packet_header::Header;

/// The v2ray magic: its windows are this many times what the capacities say.
const MAGIC: u64 = 20;
/// Windows of fewer segments are not worth having; v2ray takes 32 for granted.
const WINDOW_MIN: u32 = 64;
const WINDOW_MAX: u32 = 1 << 16;
const MEBIBYTE: u64 = 1 << 20;

/// Numbers that all sessions of a listener or dialer share.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    /// Bytes of segments in a datagram.
    pub(super) room: usize,
    /// Bytes of payload in a data segment.
    pub(super) segment_size: usize,
    /// Microseconds between two looks of v2ray; here only how late acknowledgements of peers may be.
    pub(super) interval: u64,
    /// Bytes that were written and are not acknowledged.
    pub(super) write_buffer: usize,
    /// The same in segments.
    pub(super) send_window: u32,
    /// Segments that arrived and are not read.
    pub(super) receive_window: u32,
    /// Bytes that may be sent in a second.
    pub(super) pace: u64,
    /// Segments in flight that `congestion` begins with; `None` = it is off.
    pub(super) congestion: Option<usize>,
}

impl Parameters {
    pub(super) fn new(settings: &MkcpSettings) -> Self {
        let seal = Seal::new(settings.seed.as_ref().map(|seed| seed.0.as_str()));
        // v2ray's overhead of a sealed datagram, and so ours: 6, or 16 without the nonce.
        let overhead = if settings.seed.is_some() { seal.after() } else { seal.before() };
        let header = Header::new(settings.header).len();
        let mtu = (settings.mtu as usize).clamp(576, 1460);
        let room = mtu - header - overhead;
        let interval = settings.tti.clamp(Duration::from_millis(10), Duration::from_millis(100));
        let rounds = 1000 / (interval.as_millis() as u64);
        let in_flight = |capacity: u32| {
            let segments = u64::from(capacity) * MEBIBYTE / mtu as u64 / rounds;
            u32::try_from(segments).unwrap_or(u32::MAX).clamp(8, WINDOW_MAX)
        };
        let segments = |bytes: usize| {
            u32::try_from(bytes / mtu).unwrap_or(u32::MAX).clamp(WINDOW_MIN, WINDOW_MAX)
        };
        Self {
            room,
            segment_size: room - DATA_HEAD,
            interval: interval.as_micros() as u64,
            write_buffer: settings.write_buffer.max(WINDOW_MIN as usize * mtu),
            send_window: segments(settings.write_buffer),
            receive_window: segments(settings.read_buffer).max(in_flight(settings.downlink)),
            pace: u64::from(settings.uplink).max(1) * MEBIBYTE * MAGIC,
            congestion: settings.congestion.then(|| in_flight(settings.uplink) as usize),
        }
    }
}
