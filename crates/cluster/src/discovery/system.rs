//! Names of static clusters: resolved by the system, one address each.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::Follower;

/// How long MOSN keeps an answer.
const INTERVAL: Duration = Duration::from_secs(15);

/// Follows a name, for ever. Cancel safe.
pub(super) async fn follow(mut follower: Follower, port: u16) {
    loop {
        match lookup(&follower.name, port).await {
            Ok(found) => match choose(&follower.answer(), &found) {
                Some(address) => follower.resolved(vec![address]),
                None => follower.failed(&"the answer is empty"),
            },
            Err(error) => follower.failed(&error),
        }
        follower.pause(INTERVAL).await;
    }
}

async fn lookup(name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, port)).await?.map(|addr| addr.ip()).collect())
}

/// The address in use while it is among those found, so that connections can stay; else the first in
/// their order, IPv4 before IPv6 as in MOSN.
fn choose(present: &[IpAddr], found: &[IpAddr]) -> Option<IpAddr> {
    let kept = present.iter().find(|address| found.contains(address));
    kept.or_else(|| found.iter().min()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_while_it_can() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (a, b, six) = (ip("10.0.0.1"), ip("10.0.0.2"), ip("::1"));
        assert_eq!(choose(&[], &[six, b, a]), Some(a));
        assert_eq!(choose(&[b], &[a, b]), Some(b));
        assert_eq!(choose(&[b], &[six, a]), Some(a));
        assert_eq!(choose(&[a], &[six]), Some(six));
        assert_eq!(choose(&[a], &[]), None);
    }
}
