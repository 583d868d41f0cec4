//! The origin's side of a connection: a request without a body has a response of 1 KiB, one with a body that of a gRPC
//! call.

use std::collections::VecDeque;

use super::frame::{
    END_HEADERS, END_STREAM, FIRST_WINDOW, Frame, Kind, MAX_CONCURRENT_STREAMS, PREFACE, put,
    put_field, put_settings, put_value, put_window_update, take,
};
use super::{MESSAGE, message};

/// As nginx has it; a proxy with more requests than that opens another connection.
const STREAMS: u32 = 128;

/// The body of a response that is none of gRPC.
const BODY: usize = 1024;

/// Static table (RFC 7541, appendix A): `:status: 200`, content-length, content-type.
const OK: u8 = 0x88;
const CONTENT_LENGTH: u8 = 28;
const CONTENT_TYPE: u8 = 31;

pub struct Origin {
    /// Bytes of the preface that have not come yet.
    preface_left: usize,
    /// A frame that has not come whole.
    partial: Vec<u8>,
    /// Bytes of DATA that may still be sent.
    window: i64,
    /// Bytes of DATA that came and were not given back.
    taken: usize,
    /// Streams that wait for the window, and whether they are gRPC's.
    waiting: VecDeque<(u32, bool)>,
    out: Vec<u8>,
}

impl Default for Origin {
    fn default() -> Self {
        let mut out = Vec::new();
        put_settings(&mut out, &[(MAX_CONCURRENT_STREAMS, STREAMS)]);
        Self {
            preface_left: PREFACE.len(),
            partial: Vec::new(),
            window: FIRST_WINDOW,
            taken: 0,
            waiting: VecDeque::new(),
            out,
        }
    }
}

impl Origin {
    /// Takes what was read. `false`: the other side gave the connection up.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(&bytes[skipped..]);
        let mut rest = &joined[..];
        while let Some(frame) = take(&mut rest) {
            if !self.take_frame(&frame) {
                return false;
            }
        }
        let done = joined.len() - rest.len();
        joined.drain(..done);
        self.partial = joined;
        self.answer_waiting();
        if self.taken > FIRST_WINDOW as usize / 2 {
            put_window_update(&mut self.out, self.taken as u32);
            self.taken = 0;
        }
        true
    }

    /// Bytes that are to be sent.
    pub fn ready(&self) -> &[u8] {
        &self.out
    }

    /// So many of them have been sent.
    pub fn sent(&mut self, count: usize) {
        self.out.drain(..count);
    }

    fn take_frame(&mut self, frame: &Frame<'_>) -> bool {
        match frame.kind {
            Some(Kind::Headers) if frame.ends_stream() => {
                self.waiting.push_back((frame.stream, false));
            }
            Some(Kind::Data) => {
                self.taken += frame.payload.len();
                if frame.ends_stream() {
                    self.waiting.push_back((frame.stream, true));
                }
            }
            Some(Kind::Settings) if !frame.is_ack() => {
                put(&mut self.out, Kind::Settings, super::frame::ACK, 0, &[]);
            }
            Some(Kind::Ping) if !frame.is_ack() => {
                put(&mut self.out, Kind::Ping, super::frame::ACK, 0, frame.payload);
            }
            Some(Kind::WindowUpdate) if frame.stream == 0 => self.window += frame.increment(),
            Some(Kind::GoAway) => return false,
            _ => {}
        }
        true
    }

    fn answer_waiting(&mut self) {
        while let Some((stream, call)) = self.waiting.front().copied() {
            let size = if call { MESSAGE } else { BODY } as i64;
            if self.window < size {
                return;
            }
            self.window -= size;
            self.waiting.pop_front();
            if call { self.answer_call(stream) } else { self.answer(stream) }
        }
    }

    fn answer(&mut self, stream: u32) {
        let mut block = vec![OK];
        put_value(&mut block, false, CONTENT_TYPE, "text/plain");
        put_value(&mut block, false, CONTENT_LENGTH, "1024");
        put(&mut self.out, Kind::Headers, END_HEADERS, stream, &block);
        put(&mut self.out, Kind::Data, END_STREAM, stream, &[b'x'; BODY]);
    }

    fn answer_call(&mut self, stream: u32) {
        let mut block = vec![OK];
        put_value(&mut block, false, CONTENT_TYPE, "application/grpc");
        put(&mut self.out, Kind::Headers, END_HEADERS, stream, &block);
        put(&mut self.out, Kind::Data, 0, stream, &message());
        let mut trailers = Vec::new();
        put_field(&mut trailers, false, "grpc-status", "0");
        put(&mut self.out, Kind::Headers, END_HEADERS | END_STREAM, stream, &trailers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(out: &mut Vec<u8>, stream: u32) {
        put(out, Kind::Headers, END_HEADERS | END_STREAM, stream, &[0x82]);
    }

    fn kinds(mut bytes: &[u8]) -> Vec<u8> {
        std::iter::from_fn(|| take(&mut bytes)).map(|frame| frame.kind.unwrap() as u8).collect()
    }

    #[test]
    fn any_cut_gives_the_same_answer() {
        let mut bytes = PREFACE.to_vec();
        put_settings(&mut bytes, &[]);
        request(&mut bytes, 1);
        put(&mut bytes, Kind::Headers, END_HEADERS, 3, &[0x83]);
        put(&mut bytes, Kind::Data, END_STREAM, 3, &message());
        for cut in 0..bytes.len() {
            let mut origin = Origin::default();
            assert!(origin.feed(&bytes[..cut]) && origin.feed(&bytes[cut..]));
            assert_eq!(kinds(origin.ready()), [4, 4, 1, 0, 1, 0, 1]);
        }
    }

    #[test]
    fn the_window_holds_responses_back() {
        let mut origin = Origin::default();
        let mut bytes = PREFACE.to_vec();
        (0..100).for_each(|number| request(&mut bytes, 2 * number + 1));
        origin.feed(&bytes);
        assert_eq!(origin.waiting.len(), 100 - FIRST_WINDOW as usize / BODY);
        bytes.clear();
        put_window_update(&mut bytes, 1 << 20);
        origin.feed(&bytes);
        assert!(origin.waiting.is_empty());
    }
}
