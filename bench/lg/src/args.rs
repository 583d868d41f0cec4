//! The command line: a mode, then `--name value` pairs and bare `--flags`.

use std::net::SocketAddrV4;
use std::str::FromStr;

/// What a mode answers: nothing, or a reason for the person at the terminal.
pub type Outcome<T = ()> = Result<T, String>;

pub struct Args(Vec<String>);

impl Args {
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The first word, empty where there is none.
    pub fn mode(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name} {text}: not a number")),
        }
    }

    /// `--addr`, which must be a loopback address: this tool loads nobody else's machine.
    pub fn target(&self) -> Outcome<SocketAddrV4> {
        let text = self.text("--addr").ok_or("--addr is missing")?;
        let address: SocketAddrV4 =
            text.parse().map_err(|_| format!("--addr {text}: not ip:port"))?;
        if address.ip().is_loopback() { Ok(address) } else { Err("loopback addresses only".into()) }
    }
}
