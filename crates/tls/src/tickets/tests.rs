use super::*;

const HERE: [u8; 32] = [1; 32];
const ELSEWHERE: [u8; 32] = [2; 32];

fn start() -> SystemTime {
    UNIX_EPOCH + PERIOD * 80_000
}

#[test]
fn a_ticket_opens_where_it_was_made() {
    let tickets = Tickets::with(Source::Random, start());
    let ticket = tickets.seal(b"session", &HERE, start()).unwrap();
    assert_eq!(tickets.open(&ticket, &HERE, start()).unwrap(), b"session");
    let clone = tickets.clone();
    assert_eq!(clone.open(&ticket, &HERE, start()).unwrap(), b"session");
    assert_eq!(
        tickets.open(&clone.seal(b"", &HERE, start()).unwrap(), &HERE, start()).unwrap(),
        b""
    );
    assert!(tickets.open(&ticket, &ELSEWHERE, start()).is_none());
    let others = Tickets::with(Source::Random, start());
    assert!(others.open(&ticket, &HERE, start()).is_none());
    assert_ne!(ticket, tickets.seal(b"session", &HERE, start()).unwrap());
}

#[test]
fn no_changed_ticket_opens() {
    let tickets = Tickets::with(Source::Random, start());
    let ticket = tickets.seal(b"session", &HERE, start()).unwrap();
    for length in 0..ticket.len() {
        assert!(tickets.open(&ticket[..length], &HERE, start()).is_none());
        let mut changed = ticket.clone();
        changed[length] ^= 1;
        assert!(tickets.open(&changed, &HERE, start()).is_none());
    }
}

#[test]
fn a_key_seals_for_a_period_and_opens_for_two() {
    let tickets = Tickets::with(Source::Random, start());
    let ticket = tickets.seal(b"session", &HERE, start()).unwrap();
    let end = start() + PERIOD * 2 - Duration::from_secs(1);
    assert!(tickets.open(&ticket, &HERE, end).is_some());
    let second = tickets.seal(b"session", &HERE, end).unwrap();
    assert_ne!(ticket[..PERIOD_LEN], second[..PERIOD_LEN]);
    // A clock that goes back is no reason to forget anything.
    assert!(tickets.open(&second, &HERE, start()).is_some());
    assert!(tickets.open(&ticket, &HERE, start() + PERIOD * 2).is_none());
    assert!(tickets.open(&second, &HERE, start() + PERIOD * 2).is_some());
    // Nothing is kept over a gap.
    assert!(tickets.open(&second, &HERE, start() + PERIOD * 9).is_none());
    assert_eq!(tickets.0.keys.load().0.len(), 1);
}

#[test]
fn machines_with_one_secret_know_each_others_tickets() {
    let made = |secret: &[u8]| Tickets::from_secret(secret);
    let now = SystemTime::now();
    let (one, other) = (made(b"secret"), made(b"secret"));
    let ticket = one.seal(b"session", &HERE, now).unwrap();
    assert_eq!(other.open(&ticket, &HERE, now).unwrap(), b"session");
    assert!(made(b"another").open(&ticket, &HERE, now).is_none());
    // Also where one's clock is ahead.
    let ahead = one.seal(b"session", &HERE, now + PERIOD).unwrap();
    assert!(other.open(&ahead, &HERE, now).is_some());
    assert!(one.open(&ticket, &HERE, now + PERIOD).is_some());
    assert!(one.open(&ticket, &HERE, now + PERIOD * 2).is_none());
}

#[test]
fn nothing_of_the_keys_is_shown() {
    assert_eq!(format!("{:?}", Tickets::from_secret(b"secret")), "Tickets(..)");
}
