//! The settings of a budget as whole units of its word.

use super::config::RetryBudgetConfig;

/// Units of a nanosecond, whatever the settings: processes that share a budget may differ in them. 2^62 of them are 18
/// years.
pub(super) const PER_NS: u64 = 8;
const PER_SECOND: f64 = 1e9 * PER_NS as f64;
/// A retry where time pays nothing in: the word has no unit of time then. Tenths of it are whole.
const TIMELESS: u64 = 1_000_000_000_000;
/// A retry takes no longer to pay in than 11 days; less is no rate but none.
const SLOWEST: f64 = 1e-6;

/// What a withdrawal costs and a deposit brings. Every rounding is towards fewer retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    /// A whole retry.
    pub(super) retry: u64,
    /// What a call pays in.
    pub(super) call: u64,
    /// The most that is saved up, at least a retry.
    pub(super) most: u64,
    /// What a new budget has.
    pub(super) first: u64,
    /// Whether time pays in.
    pub(super) by_time: bool,
}

impl Rates {
    pub(super) fn of(config: &RetryBudgetConfig) -> Self {
        let by_time = config.min_per_second >= SLOWEST;
        let retry = if by_time { whole(PER_SECOND / config.min_per_second, f64::ceil) } else { TIMELESS };
        let saved = if by_time { config.min_per_second * config.ttl.as_secs_f64() } else { 0.0 };
        // What the span holds, and not a unit less than the whole retries in it, whose cost was rounded up.
        let retries = whole(saved, f64::floor).saturating_mul(retry);
        let span = if by_time { (config.ttl.as_nanos() as u64).saturating_mul(PER_NS) } else { 0 };
        let first = span.max(retries);
        Self { retry, call: whole(config.ratio * retry as f64, f64::floor), most: first.max(retry), first, by_time }
    }
}

/// `number` rounded, but to the next whole number where only the arithmetic of fractions keeps it from being one.
fn whole(number: f64, round: fn(f64) -> f64) -> u64 {
    let nearest = number.round();
    let is_it = (number - nearest).abs() <= nearest * 1e-12;
    (if is_it { nearest } else { round(number) }) as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rates(ratio: f64, min_per_second: f64, ttl: Duration) -> Rates {
        Rates::of(&RetryBudgetConfig { ratio, min_per_second, ttl, ..RetryBudgetConfig::default() })
    }

    #[test]
    fn usual_numbers_are_whole() {
        let usual = rates(0.2, 10.0, Duration::from_secs(10));
        assert_eq!((usual.retry, usual.call), (800_000_000, 160_000_000));
        assert_eq!((usual.most / usual.retry, usual.most % usual.retry), (100, 0));
        assert_eq!(rates(0.29, 1.0, Duration::from_secs(1)).call, 2_320_000_000);
    }

    #[test]
    fn thirds_have_all_their_whole_retries() {
        let third = rates(1.0 / 3.0, 3.0, Duration::from_secs(10));
        assert_eq!(third.most / third.retry, 30);
        assert!(third.call * 3 <= third.retry && third.call * 3 + 3 > third.retry);
    }

    #[test]
    fn at_least_one_can_be_saved_up() {
        let slow = rates(0.2, 0.05, Duration::from_secs(10));
        assert_eq!((slow.most, slow.first), (slow.retry, slow.retry / 2));
        for never in [0.0, 1e-7, f64::MIN_POSITIVE] {
            let timeless = rates(0.2, never, Duration::from_secs(10));
            assert_eq!((timeless.most, timeless.first, timeless.by_time), (timeless.retry, 0, false));
        }
    }

    #[test]
    fn the_extremes_fit() {
        for min in [SLOWEST, 10_000.0] {
            let rates = rates(1.0, min, Duration::from_secs(86_400));
            assert!(rates.most < 1 << 56 && rates.retry >= 800_000, "{rates:?}");
        }
    }
}
