//! When answers in a row change what is thought of an endpoint.

use rosn_config::checked::HealthCheck;

/// The latest answers of one endpoint that say other than what is thought of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    in_a_row: u32,
}

impl Tally {
    /// Counts an answer. Returns whether the endpoint, which was `failing` up to now, is so no longer, or is from now
    /// on.
    pub(super) fn turns(&mut self, good: bool, failing: bool, config: &HealthCheck) -> bool {
        if good != failing {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row += 1;
        let threshold = if good { config.healthy_threshold } else { config.unhealthy_threshold };
        let turns = self.in_a_row >= threshold.get();
        if turns {
            self.in_a_row = 0;
        }
        turns
    }
}
