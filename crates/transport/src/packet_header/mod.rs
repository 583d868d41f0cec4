//! Bytes before each datagram that make it look like something else: SRTP, µTP, a WeChat video call, DTLS, WireGuard.
//!
//! They protect nothing. A receiver skips as many bytes as the configured header has, and looks at none of them; the
//! contents follow v2ray's `transport/internet/headers`.

#[cfg(test)]
mod tests;

use rosn_config::checked::PacketHeader;

/// Writes the headers of one socket's datagrams. Counters go on from datagram to datagram.
#[derive(Debug, Clone)]
pub(crate) struct Header(Kind);

#[derive(Debug, Clone)]
enum Kind {
    None,
    /// A payload type and the sequence number of the last datagram.
    Srtp(u16),
    /// A connection id.
    Utp(u16),
    /// The sequence number of the last datagram.
    WechatVideo(u32),
    Dtls(Dtls),
    Wireguard,
}

#[derive(Debug, Clone)]
struct Dtls {
    epoch: u16,
    sequence: u32,
    /// It has nothing to do with the payload: v2ray counts it up by 17, and down by 50 above 100.
    length: u16,
}

impl Header {
    /// A header whose counters begin at random, as v2ray's do.
    pub(crate) fn new(kind: PacketHeader) -> Self {
        let random = || fastrand::u16(..);
        Self(match kind {
            PacketHeader::None => Kind::None,
            PacketHeader::Srtp => Kind::Srtp(random()),
            PacketHeader::Utp => Kind::Utp(random()),
            PacketHeader::WechatVideo => Kind::WechatVideo(random().into()),
            PacketHeader::Dtls => Kind::Dtls(Dtls { epoch: random(), sequence: 0, length: 17 }),
            PacketHeader::Wireguard => Kind::Wireguard,
        })
    }

    /// Bytes of the header; 0, 4 or 13.
    pub(crate) fn len(&self) -> usize {
        match self.0 {
            Kind::None => 0,
            Kind::Srtp(_) | Kind::Utp(_) | Kind::Wireguard => 4,
            Kind::WechatVideo(_) | Kind::Dtls(_) => 13,
        }
    }

    /// Writes the header of the next datagram into the first [`Header::len`] bytes of `out`.
    ///
    /// # Panics
    /// If `out` is shorter than that.
    pub(crate) fn put(&mut self, out: &mut [u8]) {
        match &mut self.0 {
            Kind::None => {}
            Kind::Srtp(number) => {
                *number = number.wrapping_add(1);
                let [high, low] = number.to_be_bytes();
                out[..4].copy_from_slice(&[0xB5, 0xE8, high, low]);
            }
            Kind::Utp(connection) => {
                let [high, low] = connection.to_be_bytes();
                out[..4].copy_from_slice(&[high, low, 1, 0]);
            }
            Kind::WechatVideo(number) => {
                *number = number.wrapping_add(1);
                out[..2].copy_from_slice(&[0xA1, 0x08]);
                out[2..6].copy_from_slice(&number.to_be_bytes());
                out[6..13].copy_from_slice(&[0x00, 0x10, 0x11, 0x18, 0x30, 0x22, 0x30]);
            }
            Kind::Dtls(dtls) => {
                out[..3].copy_from_slice(&[0x17, 0xFE, 0xFD]);
                out[3..5].copy_from_slice(&dtls.epoch.to_be_bytes());
                out[5..7].copy_from_slice(&[0, 0]);
                out[7..11].copy_from_slice(&dtls.sequence.to_be_bytes());
                out[11..13].copy_from_slice(&dtls.length.to_be_bytes());
                dtls.sequence = dtls.sequence.wrapping_add(1);
                dtls.length += 17;
                if dtls.length > 100 {
                    dtls.length -= 50;
                }
            }
            Kind::Wireguard => out[..4].copy_from_slice(&[4, 0, 0, 0]),
        }
    }
}
