//! The parts of a datagram (v2ray's `transport/internet/kcp/segment.go`). All integers are big endian.

/// Bit 0 of `opt`: the sender has closed and writes nothing new.
const CLOSE: u8 = 1;
/// Bit 1 of the `opt` of a Terminate, and rosn's own: the sender still reads. v2ray neither sets nor sees it.
const READS: u8 = 2;
const ACK: u8 = 0;
const DATA: u8 = 1;
const TERMINATE: u8 = 2;
const PING: u8 = 3;

/// Bytes of a data segment before its payload.
pub(super) const DATA_HEAD: usize = 18;
/// Bytes of an acknowledgement before its numbers.
pub(super) const ACK_HEAD: usize = 17;
/// Bytes of a command.
pub(super) const COMMAND_SIZE: usize = 16;
/// Numbers in an acknowledgement, at most: as many as v2ray sends.
pub(super) const ACK_NUMBERS: usize = 128;

/// One part of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// Which conversation of the two addresses it belongs to.
    pub(super) conversation: u16,
    /// The sender has closed.
    pub(super) close: bool,
    pub(super) body: Body<'a>,
}

/// What a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'a> {
    Data {
        /// Milliseconds of the sender's clock.
        timestamp: u32,
        number: u32,
        /// The lowest number that the sender has no acknowledgement of.
        sending_next: u32,
        payload: &'a [u8],
    },
    Ack {
        /// The first number that there is no room for.
        window: u32,
        /// All below it have arrived.
        receiving_next: u32,
        /// Of the newest segment that this acknowledges.
        timestamp: u32,
        numbers: Numbers<'a>,
    },
    /// Keeps the conversation alive, and tells how far it is.
    Ping(Progress),
    /// The sender has nothing more to say, and all that it has said has arrived.
    Terminate {
        progress: Progress,
        /// It still takes what it is sent. v2ray never does: it drops it, and acknowledges nothing.
        reads: bool,
    },
}

/// What a command tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The lowest number that the sender has no acknowledgement of.
    pub(super) sending_next: u32,
    /// All below it have arrived.
    pub(super) receiving_next: u32,
    /// The sender's retransmission timeout in milliseconds.
    pub(super) timeout: u32,
}

/// The numbers of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (numbers, _) = self.0.as_chunks();
        numbers.iter().map(|number| u32::from_be_bytes(*number))
    }
}

/// Takes segments from the front of a datagram, as long as they can be understood.
pub(super) struct Segments<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        // What does not parse is not looked at again.
        let mut rest = std::mem::take(&mut self.0);
        let segment = segment(&mut rest)?;
        self.0 = rest;
        Some(segment)
    }
}

fn segment<'a>(rest: &mut &'a [u8]) -> Option<Segment<'a>> {
    let conversation = u16::from_be_bytes(*take(rest)?);
    let [command, option] = *take(rest)?;
    let body = match command {
        DATA => Body::Data {
            timestamp: number(rest)?,
            number: number(rest)?,
            sending_next: number(rest)?,
            payload: {
                let length = usize::from(u16::from_be_bytes(*take(rest)?));
                rest.split_off(..length)?
            },
        },
        ACK => Body::Ack {
            window: number(rest)?,
            receiving_next: number(rest)?,
            timestamp: number(rest)?,
            numbers: {
                let [count] = *take(rest)?;
                Numbers(rest.split_off(..4 * usize::from(count))?)
            },
        },
        command => {
            let progress = Progress {
                sending_next: number(rest)?,
                receiving_next: number(rest)?,
                timeout: number(rest)?,
            };
            // v2ray takes every other command for one that says nothing but this.
            if command == TERMINATE {
                Body::Terminate { progress, reads: option & READS != 0 }
            } else {
                Body::Ping(progress)
            }
        }
    };
    Some(Segment { conversation, close: option & CLOSE != 0, body })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(|bytes| u32::from_be_bytes(*bytes))
}

/// What all segments of one datagram have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    pub(super) conversation: u16,
    pub(super) close: bool,
}

impl Writer {
    /// A data segment whose payload of `length` bytes the caller appends.
    pub(super) fn data(
        self,
        out: &mut Vec<u8>,
        [timestamp, number, sending_next]: [u32; 3],
        length: u16,
    ) {
        self.prefix(out, DATA, 0);
        numbers(out, [timestamp, number, sending_next]);
        out.extend_from_slice(&length.to_be_bytes());
    }

    /// An acknowledgement of at most [`ACK_NUMBERS`] numbers.
    pub(super) fn ack(
        self,
        out: &mut Vec<u8>,
        [window, receiving_next, timestamp]: [u32; 3],
        acknowledged: impl ExactSizeIterator<Item = u32>,
    ) {
        self.prefix(out, ACK, 0);
        numbers(out, [window, receiving_next, timestamp]);
        out.push(u8::try_from(acknowledged.len()).unwrap_or(u8::MAX));
        for number in acknowledged.take(u8::MAX.into()) {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    pub(super) fn ping(self, out: &mut Vec<u8>, progress: Progress) {
        self.command(out, PING, 0, progress);
    }

    /// `reads`: what the peer sends is still taken.
    pub(super) fn terminate(self, out: &mut Vec<u8>, progress: Progress, reads: bool) {
        self.command(out, TERMINATE, if reads { READS } else { 0 }, progress);
    }

    fn command(self, out: &mut Vec<u8>, command: u8, option: u8, progress: Progress) {
        self.prefix(out, command, option);
        numbers(out, [progress.sending_next, progress.receiving_next, progress.timeout]);
    }

    fn prefix(self, out: &mut Vec<u8>, command: u8, option: u8) {
        let [high, low] = self.conversation.to_be_bytes();
        let close = if self.close { CLOSE } else { 0 };
        out.extend_from_slice(&[high, low, command, option | close]);
    }
}

fn numbers(out: &mut Vec<u8>, numbers: [u32; 3]) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Whether `a` comes before `b`, where numbers wrap.
pub(super) fn before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}
