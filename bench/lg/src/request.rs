//! The bytes of the requests.

use std::fmt::Write;

/// Gives one request after another.
pub struct Requests {
    text: String,
    table: Option<Table>,
}

/// Requests spread over a table of `hosts` virtual hosts with ten routes each, as `bench/routes.py` makes it.
struct Table {
    hosts: u64,
    path: String,
    fields: String,
    random: u64,
}

impl Requests {
    /// The same request for ever: GET `path`, asking to close the connection after it if `close`.
    pub fn same(path: &str, close: bool) -> Self {
        Self {
            text: format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}", fields(close)),
            table: None,
        }
    }

    /// Each request names a host and a route at random; the route's prefix stands before `path`.
    pub fn spread(hosts: u64, path: &str, close: bool) -> Self {
        let table = Table {
            hosts,
            path: path.into(),
            fields: fields(close),
            random: 0x9e37_79b9_7f4a_7c15,
        };
        Self { text: String::new(), table: Some(table) }
    }

    pub fn next(&mut self) -> &[u8] {
        if let Some(table) = &mut self.table {
            let (route, host) = table.pick();
            let Table { path, fields, .. } = table;
            self.text.clear();
            write!(
                self.text,
                "GET /route-{route}{path} HTTP/1.1\r\nHost: host-{host}.example\r\n{fields}"
            )
            .expect("a String takes all");
        }
        self.text.as_bytes()
    }
}

impl Table {
    fn pick(&mut self) -> (u64, u64) {
        // xorshift64: enough to defeat caches, cheap enough not to be measured
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % 10, (self.random >> 8) % self.hosts)
    }
}

fn fields(close: bool) -> String {
    format!(
        "User-Agent: lg\r\nAccept: */*\r\n{}\r\n",
        if close { "Connection: close\r\n" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request() {
        let mut requests = Requests::same("/1k", true);
        let text = "GET /1k HTTP/1.1\r\nHost: localhost\r\nUser-Agent: lg\r\nAccept: */*\r\nConnection: close\r\n\r\n";
        assert_eq!(requests.next(), text.as_bytes());
        assert_eq!(requests.next(), text.as_bytes());
    }

    #[test]
    fn spread_requests_stay_inside_the_table() {
        let mut requests = Requests::spread(3, "/1k", false);
        for _ in 0..1000 {
            let text = String::from_utf8(requests.next().to_vec()).unwrap();
            let (line, rest) = text.split_once("\r\n").unwrap();
            let route: u64 = line
                .strip_prefix("GET /route-")
                .unwrap()
                .strip_suffix("/1k HTTP/1.1")
                .unwrap()
                .parse()
                .unwrap();
            let host: u64 = rest
                .strip_prefix("Host: host-")
                .unwrap()
                .split_once(".example\r\n")
                .unwrap()
                .0
                .parse()
                .unwrap();
            assert!(route < 10 && host < 3);
            assert!(text.ends_with("\r\n\r\n"));
        }
    }
}
