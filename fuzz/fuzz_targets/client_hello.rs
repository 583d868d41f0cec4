//! Any bytes as what a TLS client says first, whole and byte by byte, and beside rustls.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rosn_tls::ClientHello;
use rustls::server::Acceptor;

fuzz_target!(|bytes: &[u8]| {
    let whole = ClientHello::parse(bytes);
    // What is certain stays so.
    let first = (0..=bytes.len()).map(|end| ClientHello::parse(&bytes[..end]));
    let first = first.into_iter().find(|outcome| !matches!(outcome, Ok(None)));
    assert_eq!(first.unwrap_or(Ok(None)), whole);

    let Ok(Some(ours)) = whole else { return };
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while acceptor.read_tls(&mut rest).is_ok_and(|read| read > 0) {
        let Ok(accepted) = acceptor.accept() else { return };
        let Some(accepted) = accepted else { continue };
        let theirs = accepted.client_hello();
        // It takes no notice of names that are addresses.
        if let Some(name) = theirs.server_name() {
            assert_eq!(ours.server_name.as_deref(), Some(name.strip_suffix('.').unwrap_or(name)));
        }
        let protocols: Vec<_> = theirs.alpn().into_iter().flatten().collect();
        assert_eq!(ours.alpn, protocols);
        return;
    }
});
