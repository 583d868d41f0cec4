//! Cuts the bytes of a connection into responses. Knows only what the backend sends: a head with
//! Content-Length, then that many bytes.

use memchr::memmem;

/// Where a connection stands in its current response.
#[derive(Default)]
pub struct Response {
    head: Vec<u8>,
    body_left: Option<usize>,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The response is not complete.
    More,
    /// The response is complete.
    Done,
    /// These bytes are no response that the backend can have sent.
    Broken,
}

impl Response {
    /// Takes what was read. `on_status` hears the status of each head.
    pub fn feed(&mut self, bytes: &[u8], on_status: impl FnOnce(&[u8])) -> Progress {
        if let Some(left) = self.body_left {
            return self.body(left, bytes.len());
        }
        let mut joined = std::mem::take(&mut self.head);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            self.head = bytes.to_vec();
            return Progress::More;
        };
        let (head, body) = (&bytes[..end + 2], bytes.len() - end - 4);
        let (Some(status), Some(length)) = (head.get(9..12), content_length(head)) else {
            return Progress::Broken;
        };
        on_status(status);
        self.body(length, body)
    }

    fn body(&mut self, left: usize, came: usize) -> Progress {
        match left.checked_sub(came) {
            None => Progress::Broken,
            Some(0) => {
                self.body_left = None;
                Progress::Done
            }
            left => {
                self.body_left = left;
                Progress::More
            }
        }
    }
}

/// The value of Content-Length in a head whose lines all end in CR LF.
pub fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    for end in memmem::find_iter(head, b"\r\n") {
        let line = &head[end + 2..];
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let digits = line[NAME.len()..].trim_ascii_start();
            let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
            return Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-Length: 3\r\n\r\nabc";

    #[test]
    fn any_cut_gives_the_same_answer() {
        for first in 0..TEXT.len() {
            for second in first..TEXT.len() {
                let mut response = Response::default();
                let mut statuses = 0;
                for part in [&TEXT[..first], &TEXT[first..second]] {
                    assert_eq!(response.feed(part, |_| statuses += 1), Progress::More);
                }
                assert_eq!(response.feed(&TEXT[second..], |_| statuses += 1), Progress::Done);
                assert_eq!(statuses, 1);
            }
        }
    }

    #[test]
    fn no_length_and_excess_are_broken() {
        assert_eq!(
            Response::default().feed(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", |_| ()),
            Progress::Broken
        );
        assert_eq!(Response::default().feed(&[TEXT, b"d"].concat(), |_| ()), Progress::Broken);
    }

    #[test]
    fn an_empty_body_is_done_with_its_head() {
        let text = b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n";
        let mut response = Response::default();
        for _ in 0..2 {
            assert_eq!(response.feed(text, |status| assert_eq!(status, b"204")), Progress::Done);
        }
    }
}
