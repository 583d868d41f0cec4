//! OCSP responses (RFC 6960) from files, as far as it takes to know what they speak of. Who signed them is for the clients
//! to verify, who know the authority; a wrong response harms nobody but its owner.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::facts::time;

/// What a responder said.
pub(crate) struct OcspResponse {
    pub(crate) der: Vec<u8>,
    answers: Vec<Answer>,
}

struct Answer {
    issuer_hash: Vec<u8>,
    serial: Vec<u8>,
    status: u8,
    /// Until when it is good to use; as long as one likes where it does not say.
    until: Option<SystemTime>,
}

/// What a response says of a certificate.
pub(crate) enum Said {
    /// It has not been revoked, and this holds until then.
    Good(Option<SystemTime>),
    Revoked,
    Unknown,
    /// It speaks of others only.
    Nothing,
}

impl OcspResponse {
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn read(der: Vec<u8>) -> Result<Self, String> {
        let answers = answers(&der)?;
        Ok(Self { der, answers })
    }

    pub(crate) fn of(&self, certificate: &[u8]) -> Said {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return Said::Nothing;
        };
        let issuer = certificate.issuer().as_raw();
        let is_issuer = |hash: &[u8]| {
            [&SHA1_FOR_LEGACY_USE_ONLY, &SHA256]
                .iter()
                .any(|kind| digest(kind, issuer).as_ref() == hash)
        };
        let about = self.answers.iter().find(|answer| {
            answer.serial == certificate.raw_serial() && is_issuer(&answer.issuer_hash)
        });
        match about {
            None => Said::Nothing,
            Some(Answer { status: GOOD, until, .. }) => Said::Good(*until),
            Some(Answer { status: REVOKED, .. }) => Said::Revoked,
            Some(_) => Said::Unknown,
        }
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0A;
const TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xA0;
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xA1;
/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 48, 1, 1];

fn answers(der: &[u8]) -> Result<Vec<Answer>, String> {
    let mut outer = Der(Der(der).take(SEQUENCE)?);
    let status = outer.take(ENUMERATED)?;
    if status != [0] {
        let names = [
            "",
            "malformedRequest",
            "internalError",
            "tryLater",
            "",
            "sigRequired",
            "unauthorized",
        ];
        let name = status.first().and_then(|status| names.get(usize::from(*status)));
        return Err(format!("the responder answered with an error: {}", name.unwrap_or(&"")));
    }
    let mut bytes = Der(Der(outer.take(CONTEXT_0)?).take(SEQUENCE)?);
    if bytes.take(OID)? != BASIC {
        return Err("it is of an unknown kind".to_owned());
    }
    let mut basic = Der(Der(bytes.take(OCTETS)?).take(SEQUENCE)?);
    let mut data = Der(basic.take(SEQUENCE)?);
    data.take_if(CONTEXT_0)?; // version
    data.any()?; // responder
    data.take(TIME)?; // produced at
    let mut list = Der(data.take(SEQUENCE)?);
    let mut answers = Vec::new();
    while !list.0.is_empty() {
        answers.push(answer(Der(list.take(SEQUENCE)?))?);
    }
    Ok(answers)
}

fn answer(mut answer: Der<'_>) -> Result<Answer, String> {
    let mut about = Der(answer.take(SEQUENCE)?);
    about.take(SEQUENCE)?; // the algorithm of the hashes; their length tells them apart
    let issuer_hash = about.take(OCTETS)?.to_vec();
    about.take(OCTETS)?; // of its key
    let serial = about.take(INTEGER)?.to_vec();
    let (status, _) = answer.any()?;
    answer.take(TIME)?; // this update
    let until = match answer.take_if(CONTEXT_0)? {
        Some(time) => Some(moment(time)?),
        None => None,
    };
    Ok(Answer { issuer_hash, serial, status, until })
}

fn moment(der: &[u8]) -> Result<SystemTime, String> {
    let (_, moment) = ASN1Time::from_der(der).map_err(|_| CUT.to_owned())?;
    Ok(time(moment))
}

const CUT: &str = "it is not an OCSP response";

/// A reader of DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content.
    fn any(&mut self) -> Result<(u8, &'a [u8]), String> {
        self.split().ok_or_else(|| CUT.to_owned())
    }

    fn split(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], mut rest) = self.0.split_first_chunk()?;
        let length = match short {
            0..=0x7F => usize::from(short),
            0x81..=0x83 => {
                let (long, after) = rest.split_at_checked(usize::from(short & 0x7F))?;
                rest = after;
                long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Result<&'a [u8], String> {
        self.take_if(tag)?.ok_or_else(|| CUT.to_owned())
    }

    fn take_if(&mut self, tag: u8) -> Result<Option<&'a [u8]>, String> {
        if self.0.first() != Some(&tag) {
            return Ok(None);
        }
        self.any().map(|(_, content)| Some(content))
    }
}

#[cfg(test)]
mod tests;
