use super::*;

fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([2, 9, 9]);
    body.extend([0, 4, 0x13, 1, 0x13, 2]);
    body.extend([1, 0]);
    let listed: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, data)| {
            let mut one = kind.to_be_bytes().to_vec();
            one.extend((data.len() as u16).to_be_bytes());
            one.extend_from_slice(data);
            one
        })
        .collect();
    body.extend((listed.len() as u16).to_be_bytes());
    body.extend(listed);
    let mut message = vec![CLIENT_HELLO, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    message
}

#[test]
fn protocols_are_found() {
    assert_eq!(
        names_protocols(&hello(&[(0, b"name"), (16, b"\0\x03\x02h3"), (43, b"")])),
        Some(true)
    );
    assert_eq!(names_protocols(&hello(&[(0, b"name"), (43, b"\x02\x03\x04")])), Some(false));
    assert_eq!(names_protocols(&hello(&[])), Some(false));
}

#[test]
fn an_incomplete_hello_is_waited_for() {
    let whole = hello(&[(0, b"name"), (16, b"\0\x03\x02h3")]);
    for length in 0..whole.len() {
        assert_eq!(names_protocols(&whole[..length]), None, "{length}");
    }
}

#[test]
fn a_damaged_hello_is_left_to_tls() {
    assert_eq!(names_protocols(&[2, 0, 0, 0]), Some(true));
    let whole = hello(&[(0, b"name"), (43, b"\x02\x03\x04")]);
    for at in 4..whole.len() {
        for byte in [0, 1, 0x7F, 0xFF] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            // Whatever it says, it says something.
            assert!(names_protocols(&damaged).is_some());
        }
    }
}
