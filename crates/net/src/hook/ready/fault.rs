//! Faults that are made on purpose.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::hook::{Call, Decision, Op, SocketHook};

/// A rule: so many of these calls come to grief.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Whose sockets: the name of a cluster or a listener. Empty = everybody's.
    pub owner: Arc<str>,
    /// Which call; `Connect` and `Accept` can be delayed, all but `Close` can fail.
    pub call: Call,
    /// How many of a hundred; more is all.
    pub percent: f64,
    /// What happens.
    pub effect: Effect,
}

/// What a [`Fault`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The call fails with an error of this kind.
    Fail(io::ErrorKind),
    /// The call waits so long.
    Delay(Duration),
}

/// Rules that make faults, and that can be changed at any time: all clones share them.
///
/// The first rule that fits a call and whose dice say so is used.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<ArcSwap<Vec<Fault>>>);

impl Faults {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules.
    pub fn list(&self) -> Vec<Fault> {
        self.0.load().to_vec()
    }

    /// Adds a rule, in the place of one of the same owner and call.
    pub fn set(&self, fault: Fault) {
        self.0.rcu(|rules| {
            let mut rules = rules.to_vec();
            let same = |rule: &Fault| rule.owner == fault.owner && rule.call == fault.call;
            match rules.iter_mut().find(|rule| same(rule)) {
                Some(rule) => *rule = fault.clone(),
                None => rules.push(fault.clone()),
            }
            rules
        });
    }

    /// Removes the rules of an owner (`""` = those of everybody's sockets); says how many.
    pub fn clear(&self, owner: &str) -> usize {
        let mut removed = 0;
        self.0.rcu(|rules| {
            let kept: Vec<Fault> =
                rules.iter().filter(|rule| &*rule.owner != owner).cloned().collect();
            removed = rules.len() - kept.len();
            kept
        });
        removed
    }

    /// Puts these rules in the place of all.
    pub fn replace(&self, rules: Vec<Fault>) {
        self.0.store(Arc::new(rules));
    }
}

impl SocketHook for Faults {
    fn before(&self, op: &Op<'_>) -> Decision {
        let rules = self.0.load();
        let hit = rules.iter().find(|rule| {
            rule.call == op.call
                && (rule.owner.is_empty() || &*rule.owner == op.owner)
                && fastrand::f64() * 100.0 < rule.percent
        });
        match hit.map(|rule| rule.effect) {
            None => Decision::Continue,
            Some(Effect::Delay(time)) => Decision::Delay(time),
            Some(Effect::Fail(kind)) => {
                Decision::Fail(io::Error::new(kind, format!("{kind} (a fault made on purpose)")))
            }
        }
    }
}
