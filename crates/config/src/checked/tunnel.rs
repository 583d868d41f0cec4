//! Connections that stop being HTTP: what Upgrade and CONNECT may do.

use std::time::Duration;

/// `tunnel` of a route or of `proxy`, as far as it is written: what is absent is for the other to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunnelRules {
    /// `upgrade`.
    pub upgrade: Option<Upgrades>,
    /// `connect`.
    pub connect: Option<ConnectRules>,
    /// `idle_timeout`; zero = never.
    pub idle_timeout: Option<Duration>,
    /// `max_lifetime`; zero = no limit.
    pub max_lifetime: Option<Duration>,
}

/// Which protocols may be switched to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Upgrades {
    /// Any.
    #[default]
    All,
    /// These, without regard to case; none where it is empty.
    Only(Vec<String>),
}

/// `connect`: what CONNECT may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRules {
    /// Ranges of ports, both ends included.
    pub ports: Vec<(u16, u16)>,
    /// Who answers.
    pub upstream: ConnectUpstream,
}

/// Who answers CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectUpstream {
    /// The proxy, once it is connected to the upstream.
    Tcp,
    /// The upstream, which is a proxy too.
    Http,
}

impl TunnelRules {
    /// How long a tunnel may be without bytes where nothing is written.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

    /// Whether `upgrade` allows this protocol; `default` is what holds where this does not say.
    pub fn allows_upgrade(&self, default: &Self, protocol: &[u8]) -> bool {
        match self.upgrade.as_ref().or(default.upgrade.as_ref()) {
            None | Some(Upgrades::All) => true,
            Some(Upgrades::Only(all)) => {
                all.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(protocol))
            }
        }
    }

    /// What CONNECT may reach; `None` = nothing.
    pub fn connect<'a>(&'a self, default: &'a Self) -> Option<&'a ConnectRules> {
        self.connect.as_ref().or(default.connect.as_ref())
    }

    /// How long a tunnel may be without bytes; `None` = for ever.
    pub fn idle_timeout(&self, default: &Self) -> Option<Duration> {
        let written = self.idle_timeout.or(default.idle_timeout);
        Some(written.unwrap_or(Self::IDLE_TIMEOUT)).filter(|timeout| !timeout.is_zero())
    }

    /// How long a tunnel may last; `None` = for ever.
    pub fn max_lifetime(&self, default: &Self) -> Option<Duration> {
        self.max_lifetime.or(default.max_lifetime).filter(|lifetime| !lifetime.is_zero())
    }
}

impl ConnectRules {
    /// Whether CONNECT may name this port.
    pub fn allows(&self, port: u16) -> bool {
        self.ports.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }
}
