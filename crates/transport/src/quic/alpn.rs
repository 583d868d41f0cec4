//! Handshakes with the certificates of the moment; and clients that name no protocol (ALPN), which v2ray 4 takes. TLS
//! refuses them for QUIC as soon as the listener names any (RFC 9001 8.1), so what the client says is looked at first.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn::{ConnectionId, Side};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;
use rosn_tls::Acceptor;

/// The largest ClientHello that is looked at, in bytes; what is larger is left to TLS, which refuses it.
const LARGEST_HELLO: usize = 0xFFFF;

/// The places of an acceptor's contexts: for clients that name protocols, and for those that name none.
const NAMED: usize = 0;
const UNNAMED: usize = 1;

/// Answers handshakes.
pub(super) struct Answers {
    acceptor: Acceptor,
    /// Whether the acceptor has a context for clients that name none; else they are refused.
    takes_unnamed: bool,
    /// For what certificates have no part in.
    first: Arc<QuicServerConfig>,
}

impl Answers {
    /// # Errors
    /// The acceptor has not the cipher suite that every handshake begins with (RFC 9001 5.2).
    pub(super) fn new(
        acceptor: Acceptor,
        takes_unnamed: bool,
    ) -> Result<Self, NoInitialCipherSuite> {
        let first = Arc::new(QuicServerConfig::try_from(acceptor.quic_config(NAMED))?);
        Ok(Self { acceptor, takes_unnamed, first })
    }

    /// What a handshake goes on with that begins now.
    fn start(
        &self,
        context: usize,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn Session> {
        let config = QuicServerConfig::try_from(self.acceptor.quic_config(context));
        let config = config.expect("a reload changes certificates, and no cipher suites");
        Arc::new(config).start_session(version, parameters)
    }
}

impl ServerConfig for Answers {
    fn initial_keys(&self, version: u32, to: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.first.initial_keys(version, to)
    }

    fn retry_tag(&self, version: u32, to: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.first.retry_tag(version, to, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn Session> {
        if !self.takes_unnamed {
            return self.start(NAMED, version, parameters);
        }
        Box::new(Undecided {
            answers: self,
            version,
            parameters: *parameters,
            hello: Vec::new(),
            decided: None,
        })
    }
}

/// A handshake whose ClientHello may not be complete yet.
struct Undecided {
    answers: Arc<Answers>,
    version: u32,
    parameters: TransportParameters,
    hello: Vec<u8>,
    decided: Option<Box<dyn Session>>,
}

impl Session for Undecided {
    fn initial_keys(&self, to: &ConnectionId, _: Side) -> Keys {
        let keys = self.answers.initial_keys(self.version, to);
        keys.expect("a handshake begins only for a version that has keys")
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        if let Some(decided) = &mut self.decided {
            return decided.read_handshake(bytes);
        }
        self.hello.extend_from_slice(bytes);
        let context = match names_protocols(&self.hello) {
            None if self.hello.len() < LARGEST_HELLO => return Ok(false),
            Some(false) => UNNAMED,
            Some(true) | None => NAMED,
        };
        let session = self.answers.start(context, self.version, &self.parameters);
        let decided = self.decided.insert(session);
        decided.read_handshake(&std::mem::take(&mut self.hello))
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        self.decided.as_mut()?.write_handshake(buffer)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.decided.as_ref().map_or(Ok(None), |decided| decided.transport_parameters())
    }

    fn is_handshaking(&self) -> bool {
        self.decided.as_ref().is_none_or(|decided| decided.is_handshaking())
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.decided.as_ref()?.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.decided.as_ref()?.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.decided.as_ref()?.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.decided.as_ref()?.early_data_accepted()
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.decided.as_mut()?.next_1rtt_keys()
    }

    /// Only clients are told to try again.
    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let decided = self.decided.as_ref().ok_or(ExportKeyingMaterialError)?;
        decided.export_keying_material(output, label, context)
    }
}

/// Whether a ClientHello (RFC 8446 4.1.2) names protocols; `None` as long as it is not complete. One that is damaged
/// is for TLS to refuse, by whichever configuration.
fn names_protocols(message: &[u8]) -> Option<bool> {
    let [kind, high, middle, low, rest @ ..] = message else { return None };
    let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    if *kind != CLIENT_HELLO {
        return Some(true);
    }
    let hello = rest.get(..length)?;
    Some(has_extension(hello, ALPN).unwrap_or(true))
}

const CLIENT_HELLO: u8 = 1;
/// `application_layer_protocol_negotiation` (RFC 7301 3.1).
const ALPN: u16 = 16;

/// `None` if it is damaged.
fn has_extension(hello: &[u8], wanted: u16) -> Option<bool> {
    let mut rest = hello.get(2 + 32..)?; // version, random
    take(&mut rest, 1)?; // session
    take(&mut rest, 2)?; // cipher suites
    take(&mut rest, 1)?; // compression methods
    if rest.is_empty() {
        return Some(false);
    }
    let mut extensions = take(&mut rest, 2)?;
    while !extensions.is_empty() {
        let (kind, after) = extensions.split_first_chunk::<2>()?;
        extensions = after;
        take(&mut extensions, 2)?;
        if u16::from_be_bytes(*kind) == wanted {
            return Some(true);
        }
    }
    Some(false)
}

/// Takes a vector with a length of so many bytes before it.
fn take<'a>(from: &mut &'a [u8], prefix: usize) -> Option<&'a [u8]> {
    let (length, rest) = from.split_at_checked(prefix)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (taken, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}
