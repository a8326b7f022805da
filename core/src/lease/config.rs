//! What a limit of many machines is declared with.

use crate::mode::Mode;
use crate::setting::{Field, Kind, Preset, Table, time};
use crate::{ConfigError, ConfigErrorKind, Quota};
use std::time::Duration;

/// A limit of many machines, as each of its hosts declares it. All but the quota and the mode must be the same on all
/// of them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// What all hosts together may admit.
    pub quota: Quota,
    /// From one question to the store to the next, 10 ms to 10 s; `None`: burst / rate / 4, within 10 to 100 ms.
    pub sync: Option<Duration>,
    /// How long a host may spend what it leased without hearing from the store, 2 × `sync` to 10 min; `None`: 5 ×
    /// `sync`.
    pub lease: Option<Duration>,
    /// How long to wait for the store, 1 ms to 10 s. Default 100 ms.
    pub timeout: Duration,
    /// The most tokens that hosts may hold at once, less than the burst; `None`: half of it.
    pub max_outstanding: Option<u32>,
    /// What a host does when its lease has ended and the store does not answer.
    pub on_unreachable: OnUnreachable,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
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
        /// For how long, up to a day.
        fallback_for: Duration,
    },
}

impl OnUnreachable {
    /// From its name in every language, and what goes with it; `hosts`: only for `"local"`, which needs it.
    ///
    /// Errors: `on_unreachable`, when it is none; `hosts`, where it is missing or too much.
    pub fn of(name: &str, hosts: Option<u32>, fallback_for: Duration) -> Result<Self, ConfigError> {
        match (name, hosts) {
            ("deny", None) => Ok(Self::Deny),
            ("local", Some(hosts)) => Ok(Self::Local { hosts, fallback_for }),
            ("local", None) => Err(HOSTS.error(
                ConfigErrorKind::Conflict,
                "must be given with \"local\": an upper bound of how many hosts there are",
            )),
            ("deny", Some(hosts)) => {
                let message = format!("{hosts} are for on_unreachable \"local\" alone");
                Err(HOSTS.error(ConfigErrorKind::Conflict, message))
            }
            _ => Err(ON_UNREACHABLE.none_of(format!("{name:?}"))),
        }
    }

    /// Its name in every language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Local { .. } => "local",
        }
    }
}

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

const SYNC: Field = Field::new(
    "sync",
    Kind::Span { min_ns: 10 * MS, max_ns: 10 * S },
    Preset::Unset,
    "from one question to the store to the next; left out, burst / rate / 4, within 10 to 100 ms",
);
const LEASE: Field = Field::new(
    "lease",
    Kind::Span { min_ns: 20 * MS, max_ns: 600 * S },
    Preset::Unset,
    "how long a host may spend what it leased without hearing from the store; left out, 5 times sync",
);
const TIMEOUT: Field = Field::new(
    "timeout",
    Kind::Span { min_ns: MS, max_ns: 10 * S },
    Preset::Span(100 * MS),
    "how long to wait for the store",
);
const MAX_OUTSTANDING: Field = Field::new(
    "max_outstanding",
    Kind::Count { min: 1, max: super::MOST as u64 },
    Preset::Unset,
    "the most tokens that all hosts hold at once, less than the burst; left out, half of it",
);
const ON_UNREACHABLE: Field = Field::new(
    "on_unreachable",
    Kind::Choice(&["deny", "local"]),
    Preset::Choice("deny"),
    "what a host does when its lease has ended and the store does not answer: deny, or admit its share",
);
const HOSTS: Field = Field::new(
    "hosts",
    Kind::Count { min: 1, max: u32::MAX as u64 },
    Preset::Unset,
    "an upper bound of how many hosts there are; for on_unreachable \"local\" alone, which needs it",
);
/// How long a host goes on with its share where nothing is said.
pub const FALLBACK_FOR: Duration = FALLBACK.span();
/// What is wrong with a scope that is private, for the bindings.
pub const NO_ARENA: &str =
    "a ClusterLimit lives in an arena of the machine, where its agent finds it: say \"cluster:NAME\"";

const FALLBACK: Field = Field::new(
    "fallback_for",
    Kind::Span { min_ns: MS, max_ns: 86_400 * S },
    Preset::Span(60 * S),
    "how long a host goes on with its share",
);

/// The settings of a limit of many machines, beside its quota.
pub static SETTINGS: Table = Table {
    object: "cluster_limit",
    fields: &[SYNC, LEASE, TIMEOUT, MAX_OUTSTANDING, ON_UNREACHABLE, HOSTS, FALLBACK],
};

fn us(span: Duration) -> u64 {
    span.as_micros().min(u64::MAX.into()) as u64
}

impl ClusterConfig {
    /// With the defaults.
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            sync: None,
            lease: None,
            timeout: TIMEOUT.span(),
            max_outstanding: None,
            on_unreachable: OnUnreachable::Deny,
            mode: Mode::default(),
        }
    }

    /// In the store's units.
    ///
    /// Errors: what is out of its range, by its name.
    pub fn check(&self) -> Result<LeaseTerms, ConfigError> {
        let rate = |message: String| Err(crate::quota::RATE.error(ConfigErrorKind::OutOfRange, message));
        let (count, burst) = (self.quota.count(), self.quota.burst());
        let period_ns = self.quota.period().as_nanos() as u64;
        let period_us = period_ns.div_ceil(1_000);
        if !period_ns.is_multiple_of(1_000) {
            return rate(format!("a period of {period_ns} ns is no whole number of microseconds, the store's unit"));
        }
        let whole = u128::from(burst) * u128::from(period_us);
        let by_default = (whole / 4 / u128::from(count)).clamp(10_000, 100_000) as u64;
        self.sync.map_or(Ok(()), |sync| SYNC.check_span(sync, ""))?;
        let sync_us = self.sync.map_or(by_default, us);
        self.lease.map_or(Ok(()), |lease| LEASE.check_span(lease, ""))?;
        let lease_us = self.lease.map_or(5 * sync_us, us);
        if lease_us < 2 * sync_us {
            let (lease, sync) = (time(lease_us * 1_000), time(sync_us * 1_000));
            let message = format!("{lease} is less than two syncs of {sync}: a lost answer would end every lease");
            return Err(LEASE.error(ConfigErrorKind::Conflict, message));
        }
        TIMEOUT.check_span(self.timeout, "")?;
        if burst < 2 {
            let message = format!("{burst} leaves nothing to lease: must be at least 2");
            return Err(crate::quota::BURST.error(ConfigErrorKind::OutOfRange, message));
        }
        let most = self.max_outstanding.unwrap_or((burst / 2).min(super::MOST));
        let top = (burst - 1).min(super::MOST);
        MAX_OUTSTANDING.check_count(most.into(), "")?;
        if most > top {
            return Err(MAX_OUTSTANDING.outside_of(most.into(), top.into(), ", which is less than the burst"));
        }
        let (hosts, fallback_us) = match self.on_unreachable {
            OnUnreachable::Deny => (1, 0),
            OnUnreachable::Local { hosts, fallback_for } => {
                FALLBACK.check_span(fallback_for, "")?;
                (hosts, us(fallback_for))
            }
        };
        // Beside what hosts hold, each of them must find a token of its share.
        HOSTS.check_count(hosts.into(), "")?;
        if hosts > burst - most {
            return Err(HOSTS.outside_of(hosts.into(), (burst - most).into(), ", which is burst - max_outstanding"));
        }
        // The script counts in doubles, exact up to 2^53.
        if whole * u128::from(hosts) >= 1 << 52 || count >= 1 << 32 {
            return rate(format!(
                "{} is too slow for its burst: burst times period times hosts must be below 2^52 µs",
                self.quota
            ));
        }
        let (timeout_us, share) = (us(self.timeout), (burst - most) / hosts);
        Ok(LeaseTerms { count, period_us, burst, sync_us, lease_us, timeout_us, most, hosts, fallback_us, share })
    }
}

/// A checked config, in the store's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTerms {
    /// Tokens each `period_us`.
    pub count: u64,
    /// Microseconds.
    pub period_us: u64,
    /// The most that is there at once.
    pub burst: u32,
    /// Microseconds from one question to the next.
    pub sync_us: u64,
    /// Microseconds of a lease.
    pub lease_us: u64,
    /// Microseconds to wait for an answer.
    pub timeout_us: u64,
    /// The most that all hosts hold.
    pub most: u32,
    /// How many there may be; 1 where nobody goes on with a share.
    pub hosts: u32,
    /// Microseconds of going on with a share; 0: nobody does.
    pub fallback_us: u64,
    /// Burst of a share.
    pub share: u32,
}

impl LeaseTerms {
    /// The share of the rate that is used where there is demand for all of it, from 0 to 1: less than 1 where the burst
    /// is below 4 × rate × sync, because what hosts hold until the next sync is not there for others. Measured: 27 %
    /// at 1 × rate × sync, 82 % at 3 ×, all at 4 ×.
    pub fn utilisation(&self) -> f64 {
        let per_sync = self.count as f64 * self.sync_us as f64 / self.period_us as f64;
        let times = f64::from(self.burst) / per_sync;
        if times >= 4.0 { 1.0 } else { 0.273 * times }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn config() -> ClusterConfig {
        ClusterConfig::new("2000/s".parse::<Quota>().and_then(|quota| quota.with_burst(1_000)).expect("a quota"))
    }

    #[test]
    fn defaults_follow_from_burst_and_rate() {
        let terms = config().check().expect("good");
        assert_eq!((terms.sync_us, terms.lease_us, terms.most), (100_000, 500_000, 500));
        assert_eq!((terms.hosts, terms.fallback_us, terms.utilisation()), (1, 0, 1.0));
        let mut small = config();
        small.quota = small.quota.with_burst(100).expect("a quota");
        let terms = small.check().expect("good");
        assert_eq!((terms.sync_us, terms.utilisation()), (12_500, 1.0));
        small.sync = Some(100 * MILLI);
        let terms = small.check().expect("good");
        assert!((0.13..0.14).contains(&terms.utilisation()), "{}", terms.utilisation());
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Wrong = (&'static str, fn(&mut ClusterConfig));
        let wrong: [Wrong; 12] = [
            ("sync", |config| config.sync = Some(9 * MILLI)),
            ("sync", |config| config.sync = Some(Duration::MAX)),
            ("lease", |config| config.lease = Some(199 * MILLI)),
            ("lease", |config| config.lease = Some(Duration::from_secs(601))),
            ("timeout", |config| config.timeout = Duration::ZERO),
            ("timeout", |config| config.timeout = 10_001 * MILLI),
            ("max_outstanding", |config| config.max_outstanding = Some(0)),
            ("max_outstanding", |config| config.max_outstanding = Some(1_000)),
            ("hosts", |config| config.on_unreachable = OnUnreachable::Local { hosts: 0, fallback_for: MILLI }),
            ("hosts", |config| config.on_unreachable = OnUnreachable::Local { hosts: 501, fallback_for: MILLI }),
            ("fallback_for", |config| {
                config.on_unreachable = OnUnreachable::Local { hosts: 3, fallback_for: Duration::ZERO };
            }),
            ("burst", |config| config.quota = config.quota.with_burst(1).expect("a quota")),
        ];
        for (at, (field, change)) in wrong.into_iter().enumerate() {
            let mut config = config();
            change(&mut config);
            let error = config.check().expect_err(field);
            assert_eq!(error.field(), field, "{at}: {error}");
        }
    }

    #[test]
    fn what_the_scripts_numbers_cannot_hold_is_refused() {
        let quota = Quota::new(30, Duration::from_secs(86_400 * 365)).and_then(|quota| quota.with_burst(1_000));
        let error = ClusterConfig::new(quota.expect("a quota")).check().expect_err("too slow");
        assert!(error.to_string().contains("2^52"), "{error}");
    }

    #[test]
    fn words_for_what_a_host_does_alone() {
        let of = |name, hosts| OnUnreachable::of(name, hosts, MILLI);
        assert_eq!(of("deny", None), Ok(OnUnreachable::Deny));
        assert_eq!(of("local", Some(3)), Ok(OnUnreachable::Local { hosts: 3, fallback_for: MILLI }));
        for (name, hosts, field) in
            [("local", None, "hosts"), ("deny", Some(3), "hosts"), ("close", None, "on_unreachable")]
        {
            assert_eq!(of(name, hosts).expect_err("wrong").field(), field, "{name}");
        }
    }
}
