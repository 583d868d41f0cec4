//! The grammar of chunk extensions, one byte at a time: RFC 9112 section 7.1.1.

use crate::bytes::{is_control, is_token};

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS value ] )` the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// White space came after the size or a value: a semicolon has to follow.
    BeforeSemicolon,
    /// After the semicolon.
    BeforeName,
    Name,
    /// White space came after the name: an equals sign or a semicolon has to follow.
    AfterName,
    /// After the equals sign.
    BeforeValue,
    Value,
    Quoted,
    QuotedPair,
    /// After the closing quote.
    AfterQuote,
}

impl Extension {
    /// The place after `byte`, if it is allowed here.
    pub(super) fn next(self, byte: u8) -> Option<Self> {
        let is_space = matches!(byte, b' ' | b'\t');
        match self {
            Self::BeforeSemicolon | Self::AfterQuote if byte == b';' => Some(Self::BeforeName),
            Self::BeforeSemicolon | Self::AfterQuote if is_space => Some(Self::BeforeSemicolon),
            Self::BeforeName if is_space => Some(self),
            Self::BeforeName | Self::Name if is_token(byte) => Some(Self::Name),
            Self::Name | Self::AfterName if byte == b'=' => Some(Self::BeforeValue),
            Self::Name | Self::AfterName if byte == b';' => Some(Self::BeforeName),
            Self::Name | Self::AfterName if is_space => Some(Self::AfterName),
            Self::BeforeValue if is_space => Some(self),
            Self::BeforeValue if byte == b'"' => Some(Self::Quoted),
            Self::BeforeValue | Self::Value if is_token(byte) => Some(Self::Value),
            Self::Value if byte == b';' => Some(Self::BeforeName),
            Self::Value if is_space => Some(Self::BeforeSemicolon),
            Self::Quoted if byte == b'"' => Some(Self::AfterQuote),
            Self::Quoted if byte == b'\\' => Some(Self::QuotedPair),
            Self::Quoted | Self::QuotedPair if !is_control(byte) => Some(Self::Quoted),
            _ => None,
        }
    }

    /// Whether the line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::AfterQuote)
    }
}
