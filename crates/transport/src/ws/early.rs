//! Early data: the first bytes of the application travel with the handshake.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use rosn_config::checked::WebSocketSettings;

/// v2ray sends no padding; others may.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where early data go, in v2ray's two ways.
#[derive(Debug)]
pub(super) enum EarlyData {
    /// There are none.
    Off,
    /// Right behind the path.
    Path {
        /// Bytes at most, before they are encoded.
        max: usize,
    },
    /// In a header.
    Header {
        /// Its name.
        name: String,
        /// Bytes at most, before they are encoded.
        max: usize,
    },
}

impl EarlyData {
    pub(super) fn new(settings: &WebSocketSettings) -> Self {
        let max = settings.max_early_data;
        match settings.early_data_header.as_str() {
            _ if max == 0 => Self::Off,
            "" => Self::Path { max },
            name => Self::Header { name: name.to_owned(), max },
        }
    }

    /// Bytes at most, before they are encoded.
    pub(super) fn max(&self) -> usize {
        match self {
            Self::Off => 0,
            Self::Path { max } | Self::Header { max, .. } => *max,
        }
    }

    pub(super) fn encode(data: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(data)
    }

    pub(super) fn decode(text: &str) -> Option<Bytes> {
        LENIENT.decode(text).ok().map(Bytes::from)
    }
}
