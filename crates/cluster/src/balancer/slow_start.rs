//! `slow_start`: an endpoint that just became healthy gets its share little by little.

use rosn_config::checked::SlowStart;

const SECOND: f64 = 1e9;

/// What the weight is multiplied by, `age` nanoseconds after the endpoint became healthy:
/// `(max(1 s, age) / window) ^ (1 / aggression)`, from `min_weight_percent` to 1.
pub(super) fn factor(config: &SlowStart, age: u64) -> f64 {
    let window = config.window.as_nanos() as f64;
    let age = age as f64;
    if age >= window {
        return 1.0;
    }
    let part = age.max(SECOND) / window;
    part.powf(config.aggression.recip()).max(config.min_weight).min(1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_factor_grows_over_the_window() {
        let config = |aggression| SlowStart {
            window: Duration::from_secs(100),
            aggression,
            min_weight: 0.1,
        };
        for (aggression, seconds, expected) in [
            (1.0, 0.0, 0.1), // 0.01, but the floor
            (1.0, 25.0, 0.25),
            (1.0, 99.0, 0.99),
            (1.0, 100.0, 1.0),
            (1.0, 1e6, 1.0),
            (2.0, 25.0, 0.5),
            (2.0, 0.5, 0.1), // sqrt(1 s / 100 s)
            (2.0, 4.0, 0.2),
            (0.5, 50.0, 0.25),
        ] {
            let got = factor(&config(aggression), (seconds * SECOND) as u64);
            assert!((got - expected).abs() < 1e-9, "{aggression} {seconds}: {got}");
        }
    }

    #[test]
    fn odd_values_stay_between_zero_and_one() {
        for aggression in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for window in [0, 1, 1_000_000, 5_000_000_000] {
                let window = Duration::from_nanos(window);
                let factor = factor(&SlowStart { window, aggression, min_weight: 0.1 }, 0);
                assert!((0.1..=1.0).contains(&factor), "{aggression} {window:?}: {factor}");
            }
        }
    }
}
