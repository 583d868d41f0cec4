//! Distinguished names as text: RFC 2253, in OpenSSL's dialect, which nginx and Envoy write as well.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// OpenSSL's short names.
const NAMES: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// `CN=a.example,O=Example`: the last part first. Bytes other than visible ASCII and the space are written `\C3\A9`, so
/// that the text can stand in a header.
pub(crate) fn display(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        for (index, attribute) in part.iter().enumerate() {
            if !text.is_empty() {
                text.push(if index == 0 { ',' } else { '+' });
            }
            push(&mut text, attribute);
        }
    }
    text
}

fn push(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let kind = attribute.attr_type().to_id_string();
    let name = NAMES.iter().find(|(oid, _)| *oid == kind).map(|(_, name)| *name);
    text.push_str(name.unwrap_or(&kind));
    text.push('=');
    match name.and_then(|_| characters(attribute.attr_value())) {
        Some(value) => push_escaped(text, &value),
        None => push_hex(text, attribute.attr_value()),
    }
}

/// `None` for what is no string.
fn characters(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.data).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            value.data.is_ascii().then(|| String::from_utf8_lossy(value.data).into_owned())
        }
        // In practice Latin-1.
        Tag::T61String => Some(value.data.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units =
                value.data.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (index, byte) in value.bytes().enumerate() {
        let special = match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => true,
            b'#' => index == 0,
            b' ' => index == 0 || index == last,
            _ => false,
        };
        if special {
            text.push('\\');
        }
        if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:02X}");
        }
    }
}

/// `#` and the value's DER (RFC 2253 2.4). Values of names are short: their length has one byte or two.
fn push_hex(text: &mut String, value: &Any<'_>) {
    text.push('#');
    let length = value.data.len();
    let class = (value.class() as u8) << 6 | u8::from(value.header.is_constructed()) << 5;
    let tag = u8::try_from(value.tag().0 & 31).unwrap_or(0);
    let _ = write!(text, "{:02X}", class | tag);
    let _ = match length {
        0..128 => write!(text, "{length:02X}"),
        128..256 => write!(text, "81{length:02X}"),
        _ => write!(text, "82{:04X}", length & 0xFFFF),
    };
    value.data.iter().for_each(|byte| {
        let _ = write!(text, "{byte:02X}");
    });
}
