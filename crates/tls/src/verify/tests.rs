use super::*;

#[test]
fn the_hash_of_a_chain_is_v2rays() {
    let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // sha256("a"); sha256(sha256("a") + sha256("b")); and once more with "c": reckoned with Python's hashlib.
    assert_eq!(
        hex(chain_hash([b"a".as_slice()])),
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    );
    assert_eq!(
        hex(chain_hash([b"a".as_slice(), b"b"])),
        "e5a01fee14e0ed5c48714f22180f25ad8365b53f9779f79dc4a3d7e93963f94a"
    );
    assert_eq!(
        hex(chain_hash([b"a".as_slice(), b"b", b"c"])),
        "7075152d03a5cd92104887b476862778ec0c87be5c2fa1c0a90f87c49fad6eff"
    );
}
