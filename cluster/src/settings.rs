//! What a host tells the store of its limit, checked.

use std::time::Duration;
use tidegate::{ConfigError, Quota};

/// A limit of many machines, as each of its hosts declares it. All but the quota must be the same on all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LimitConfig {
    /// What all hosts together may admit.
    pub quota: Quota,
    /// From one sync to the next; `None`: burst / rate / 4, within 10 to 100 ms.
    pub sync: Option<Duration>,
    /// How long a host may spend what it leased without hearing from the store; `None`: 5 × `sync`.
    pub lease: Option<Duration>,
    /// How long to wait for the store.
    pub timeout: Duration,
    /// The most tokens that hosts may hold at once; `None`: half of the burst.
    pub max_outstanding: Option<u32>,
    /// What a host does when its lease has ended and the store does not answer.
    pub on_unreachable: OnUnreachable,
}

/// What a host does when its lease has ended and the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnreachable {
    /// It denies.
    #[default]
    Deny,
    /// It admits its share, rate ÷ `hosts`, for `fallback_for`; the others leave it that share meanwhile.
    Local {
        /// An upper bound of how many hosts there are.
        hosts: u32,
        /// For how long.
        fallback_for: Duration,
    },
}

impl LimitConfig {
    /// With the defaults.
    pub fn new(quota: Quota) -> Self {
        let timeout = Duration::from_millis(100);
        Self { quota, sync: None, lease: None, timeout, max_outstanding: None, on_unreachable: OnUnreachable::Deny }
    }

    /// Errors: what is out of its range, by its name.
    pub(crate) fn check(&self) -> Result<Settings, ConfigError> {
        let out = |field, text: String| Err(ConfigError::out_of_range(field, text));
        let (count, burst) = (self.quota.count(), self.quota.burst());
        let period_ns = self.quota.period().as_nanos() as u64;
        let period_us = period_ns.div_ceil(1_000);
        if !period_ns.is_multiple_of(1_000) {
            return out("quota", format!("a period of {period_ns} ns is no whole number of microseconds, the store's"));
        }
        let whole = u128::from(burst) * u128::from(period_us);
        let by_default = (whole / 4 / u128::from(count)).clamp(10_000, 100_000) as u64;
        let sync_us = self.sync.map_or(by_default, |sync| sync.as_micros().min(u64::MAX.into()) as u64);
        if !(10_000..=10_000_000).contains(&sync_us) {
            return out("sync", format!("must be from 10 ms to 10 s, not {:?}", self.sync.unwrap_or_default()));
        }
        let lease_us = self.lease.map_or(5 * sync_us, |lease| lease.as_micros().min(u64::MAX.into()) as u64);
        if !(2 * sync_us..=600_000_000).contains(&lease_us) {
            let sync = Duration::from_micros(sync_us);
            return out("lease", format!("must be from 2 × sync ({sync:?}) to 10 min, not {:?}", self.lease));
        }
        let timeout_us = self.timeout.as_micros().min(u64::MAX.into()) as u64;
        if !(1_000..=10_000_000).contains(&timeout_us) {
            return out("timeout", format!("must be from 1 ms to 10 s, not {:?}", self.timeout));
        }
        if burst < 2 {
            return out("quota", format!("a burst of {burst} leaves nothing to lease: it must be at least 2"));
        }
        let most = self.max_outstanding.unwrap_or(burst / 2);
        if !(1..burst).contains(&most) || most > tidegate::lease::MOST {
            let top = (burst - 1).min(tidegate::lease::MOST);
            return out("max_outstanding", format!("must be from 1 to {top} (less than the burst), not {most}"));
        }
        let (hosts, fallback_us) = match self.on_unreachable {
            OnUnreachable::Deny => (1, 0),
            OnUnreachable::Local { hosts, fallback_for } => {
                (hosts, fallback_for.as_micros().min(u64::MAX.into()) as u64)
            }
        };
        // Beside what hosts hold, each of them must find a token of its share.
        if !(1..=burst - most).contains(&hosts) {
            return out("hosts", format!("must be from 1 to {} (burst − max_outstanding), not {hosts}", burst - most));
        }
        if fallback_us > 86_400_000_000 || (fallback_us == 0 && self.on_unreachable != OnUnreachable::Deny) {
            return out("fallback_for", "must be above 0 and at most a day".into());
        }
        // The script counts in doubles, exact up to 2^53.
        if whole * u128::from(hosts) >= 1 << 52 || count >= 1 << 32 {
            return out(
                "quota",
                format!("{} is too slow for its burst: burst × period × hosts must be below 2^52 µs", self.quota),
            );
        }
        let share = (burst - most) / hosts;
        Ok(Settings { count, period_us, burst, sync_us, lease_us, timeout_us, most, hosts, fallback_us, share })
    }
}

/// A checked config, in the store's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) count: u64,
    pub(crate) period_us: u64,
    pub(crate) burst: u32,
    pub(crate) sync_us: u64,
    pub(crate) lease_us: u64,
    pub(crate) timeout_us: u64,
    /// The most that all hosts hold.
    pub(crate) most: u32,
    pub(crate) hosts: u32,
    /// 0: none.
    pub(crate) fallback_us: u64,
    /// Burst of a local share.
    pub(crate) share: u32,
}

impl Settings {
    /// The share of the rate that is used where there is demand for all of it, from 0 to 1: less than 1 where the burst
    /// is below 4 × rate × sync, because what hosts hold until the next sync is not there for others. Measured: 27 %
    /// at 1 × rate × sync, 82 % at 3 ×, all at 4 ×.
    pub fn utilisation(&self) -> f64 {
        let per_sync = self.count as f64 * self.sync_us as f64 / self.period_us as f64;
        let times = f64::from(self.burst) / per_sync;
        if times >= 4.0 { 1.0 } else { 0.273 * times }
    }
}

impl TryFrom<&LimitConfig> for Settings {
    type Error = ConfigError;

    /// Errors: what is out of its range, by its name.
    fn try_from(config: &LimitConfig) -> Result<Self, ConfigError> {
        config.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn config() -> LimitConfig {
        LimitConfig::new("2000/s".parse::<Quota>().and_then(|quota| quota.with_burst(1_000)).expect("a quota"))
    }

    #[test]
    fn defaults_follow_from_burst_and_rate() {
        let settings = Settings::try_from(&config()).expect("good");
        assert_eq!((settings.sync_us, settings.lease_us, settings.most), (100_000, 500_000, 500));
        assert_eq!((settings.hosts, settings.fallback_us, settings.utilisation()), (1, 0, 1.0));
        let mut small = config();
        small.quota = small.quota.with_burst(100).expect("a quota");
        let settings = Settings::try_from(&small).expect("good");
        assert_eq!((settings.sync_us, settings.utilisation()), (12_500, 1.0));
        small.sync = Some(100 * MS);
        let settings = Settings::try_from(&small).expect("good");
        assert!((0.13..0.14).contains(&settings.utilisation()), "{}", settings.utilisation());
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Wrong = (&'static str, fn(&mut LimitConfig));
        let wrong: [Wrong; 12] = [
            ("sync", |config| config.sync = Some(9 * MS)),
            ("sync", |config| config.sync = Some(Duration::MAX)),
            ("lease", |config| config.lease = Some(199 * MS)),
            ("lease", |config| config.lease = Some(Duration::from_secs(601))),
            ("timeout", |config| config.timeout = Duration::ZERO),
            ("timeout", |config| config.timeout = 10_001 * MS),
            ("max_outstanding", |config| config.max_outstanding = Some(0)),
            ("max_outstanding", |config| config.max_outstanding = Some(1_000)),
            ("hosts", |config| config.on_unreachable = OnUnreachable::Local { hosts: 0, fallback_for: MS }),
            ("hosts", |config| config.on_unreachable = OnUnreachable::Local { hosts: 501, fallback_for: MS }),
            ("fallback_for", |config| {
                config.on_unreachable = OnUnreachable::Local { hosts: 3, fallback_for: Duration::ZERO };
            }),
            ("quota", |config| config.quota = config.quota.with_burst(1).expect("a quota")),
        ];
        for (at, (field, change)) in wrong.into_iter().enumerate() {
            let mut config = config();
            change(&mut config);
            let error = Settings::try_from(&config).expect_err(field);
            assert_eq!(error.field(), field, "{at}: {error}");
        }
    }

    #[test]
    fn what_the_scripts_numbers_cannot_hold_is_refused() {
        let quota = Quota::new(30, Duration::from_secs(86_400 * 365)).and_then(|quota| quota.with_burst(1_000));
        let error = Settings::try_from(&LimitConfig::new(quota.expect("a quota"))).expect_err("too slow");
        assert!(error.to_string().contains("2^52"), "{error}");
    }
}
