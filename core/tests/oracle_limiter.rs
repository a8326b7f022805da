//! Limits per key against their model, under random operations.

#[path = "adapters/late.rs"]
mod late;
#[path = "adapters/limiter.rs"]
mod limiter;
#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/settings.rs"]
mod settings;

use late::{Late, Readings, late};
use limiter::CoreLimiter;
use pair::Pair;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;
use tidegate::decision::NEVER;
use tidegate::limit::{RateLimiter, Tier};
use tidegate::{Decision, ManualClock};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::keyed::{self, Limiter, Settings};
use tidegate_model::script::key::Key;
use tidegate_model::script::limiter::{
    AlgorithmName, Answer, BlockConfig, Config, ModeName, ModelLimiter, Op, QuotaConfig, WarmUpConfig,
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const DAY: u64 = 86_400 * S;
const YEAR: u64 = 365 * DAY;
const START: u64 = 5_000 * S;

const KEYS: [&str; 5] = ["", "ann", "ben", "cay\0", "dän"];

/// Any rate there is, as the core takes it.
fn rate() -> impl Strategy<Value = (u64, u64)> {
    let common = prop::sample::select(vec![
        (100, 60 * S),
        (5, 900 * S),
        (1, S),
        (7, 60 * S),
        (1_000, S),
        (10_000, 3_600 * S),
        (1, DAY),
        (1, YEAR),
        (1_000_000, S),
        (100_000_000, S),
        (69_999_999, S),
    ]);
    prop_oneof![4 => common, 2 => (1..100_000_u64, 1..100_000_u64).prop_map(|(count, ms)| (count, ms * MS))]
}

fn quota() -> impl Strategy<Value = QuotaConfig> {
    let burst = prop_oneof![3 => 1..6_u32, 2 => 6..40_u32, 1 => 1..100_000_u32];
    (rate(), burst).prop_filter_map("a quota that the core takes", |((count, period), burst)| {
        let config = QuotaConfig { count, period_ns: Ns(period), burst };
        settings::quota(config).ok().map(|_| config)
    })
}

fn algorithm() -> impl Strategy<Value = AlgorithmName> {
    use AlgorithmName::{FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket};
    prop::sample::select(vec![TokenBucket, FixedWindow, SlidingWindow, SlidingLog, LeakyBucket])
}

fn is_window(algorithm: AlgorithmName) -> bool {
    !matches!(algorithm, AlgorithmName::TokenBucket | AlgorithmName::LeakyBucket)
}

/// A limiter's settings and the quotas that some calls use.
fn tables() -> impl Strategy<Value = (Config, Vec<QuotaConfig>)> {
    let block = (1..4_u32, 1..10_000_u64, 1..10_000_u64, 1..5_u64, 1..8_u32).prop_map(
        |(after, within, duration, growth, times)| BlockConfig {
            after,
            within_ns: Ns(within * MS),
            duration_ns: Ns(duration * MS),
            growth: growth as f64 / 2.0 + 0.5,
            max_ns: Ns(duration * MS * u64::from(times)),
        },
    );
    let ramp = (1..100_000_u64, 1..=100_u32)
        .prop_map(|(ms, percent)| WarmUpConfig { period_ns: Ns(ms * MS), from: f64::from(percent) / 100.0 });
    let extras = (prop::option::weighted(0.3, block), prop::option::weighted(0.2, ramp), prop::bool::weighted(0.2));
    let tiers = prop::collection::vec((1..50_u64, 1..6_u32, 1..40_u32), 0..3);
    (algorithm(), quota(), tiers, prop::option::weighted(0.5, 1..20_u64), extras).prop_map(
        |(algorithm, quota, tiers, faster, (block, warm_up, dry_run))| {
            // A log's decision looks at every stamp of it.
            let burst = if algorithm == AlgorithmName::SlidingLog { quota.burst.min(60) } else { quota.burst };
            let config = Config {
                algorithm,
                count: quota.count,
                period_ns: quota.period_ns,
                burst,
                max_keys: 500,
                fastest: faster.map(|times| QuotaConfig {
                    count: quota.count.saturating_mul(times),
                    burst: burst.saturating_mul(times as u32),
                    ..quota
                }),
                block,
                warm_up,
                mode: if dry_run { ModeName::DryRun } else { ModeName::Enforce },
            };
            let tiers = tiers.into_iter().map(|(times, over, burst)| QuotaConfig {
                count: quota.count * times,
                period_ns: Ns(if is_window(algorithm) {
                    quota.period_ns.0
                } else {
                    quota.period_ns.0 * u64::from(over)
                }),
                burst,
            });
            (config, tiers.collect())
        },
    )
}

/// What happens to the clock before an operation, in terms of what the limit takes to come back.
#[derive(Clone, Copy, Debug)]
enum Tick {
    Stay,
    /// Thousandths of the time that one token or the whole window takes.
    Forward(u64),
    /// To where the last answer said that the wait or the reset is over, and a nanosecond less, none or one more.
    Told(bool, i64),
    /// Far beyond everything.
    Long(u64),
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        10 => Just(Tick::Stay),
        8 => (0..2_500_u64).prop_map(Tick::Forward),
        4 => (any::<bool>(), -1..=1_i64).prop_map(|(reset, off)| Tick::Told(reset, off)),
        1 => (1..400_u64).prop_map(Tick::Long),
    ]
}

#[derive(Clone, Debug)]
enum Plan {
    Take(u32),
    Check(u32),
    Peek,
    Refund(u32),
    /// Thousandths of the time to come back.
    Penalize(u64),
    Reset,
    ResetAll,
    SetQuota(usize),
    Stats,
}

fn plan() -> impl Strategy<Value = Plan> {
    let n = || prop_oneof![6 => 0..4_u32, 2 => 0..42_u32, 1 => any::<u32>()];
    prop_oneof![
        20 => n().prop_map(Plan::Take),
        20 => n().prop_map(Plan::Check),
        8 => Just(Plan::Peek),
        6 => n().prop_map(Plan::Refund),
        2 => (0..3_000_u64).prop_map(Plan::Penalize),
        1 => Just(Plan::Reset),
        1 => Just(Plan::ResetAll),
        2 => any::<usize>().prop_map(Plan::SetQuota),
        1 => Just(Plan::Stats),
    ]
}

fn told(answer: &Answer) -> Option<(u64, u64)> {
    match answer {
        Answer::Decision(decision) => Some((decision.retry_after_ns.0, decision.reset_after_ns.0)),
        _ => None,
    }
}

/// The settings where model and core agree that there is no such limiter; both must.
fn both_make(config: &Config) -> Result<Option<RateLimiter>, TestCaseError> {
    let fastest = config.fastest.map(settings::quota).transpose().is_ok();
    let model = fastest && Limiter::new(Settings::from(config), START).is_some();
    let core = settings::limiter(config, &ManualClock::new(START));
    prop_assert_eq!(model, core.is_ok(), "{:?}: {:?}", config, core.as_ref().err());
    Ok(core.ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer is the model's, to the nanosecond.
    #[test]
    fn answers_as_the_model(
        (config, tiers) in tables(),
        steps in prop::collection::vec((tick(), plan(), 0..KEYS.len(), any::<usize>()), 1..150),
    ) {
        let Some(core) = both_make(&config)? else { return Ok(()) };
        let model = ModelLimiter::make(&config, START);
        let mut fitting = vec![None];
        for &tier in &tiers {
            let Ok(quota) = settings::quota(tier) else { continue };
            prop_assert_eq!(model.fits(tier), core.tier(quota).is_ok(), "{:?} in {:?}", tier, config);
            if model.fits(tier) {
                fitting.push(Some(tier));
            }
        }
        let mut pair = Pair::<ModelLimiter, CoreLimiter>::new(&config, START);
        let window = is_window(config.algorithm);
        let unit = if window { config.period_ns.0 } else { (config.period_ns.0 / config.count).max(1) };
        let part = |thousandths: u64| (u128::from(unit) * u128::from(thousandths) / 1_000) as u64;
        let (mut now, mut last) = (START, (0, 0));
        for (tick, plan, key, tier) in steps {
            now = match tick {
                Tick::Stay => now,
                Tick::Forward(thousandths) => now + part(thousandths),
                Tick::Told(reset, off) => {
                    let wait = if reset { last.1 } else { last.0 };
                    let then = if wait == u64::MAX { now } else { now.saturating_add(wait) };
                    then.saturating_add_signed(off).max(now)
                }
                Tick::Long(units) => now.saturating_add(units.saturating_mul(unit)),
            };
            // The far end of time is not what this is about: after 16 years untouched a penalty's bits have come round.
            if now > 15 * YEAR {
                break;
            }
            let key = Key::from(KEYS[key]);
            let tier = fitting[tier % fitting.len()];
            let op = match plan {
                Plan::Take(n) => Op::TryAcquire { key, n, tier },
                Plan::Check(n) => Op::Check { key, n, tier },
                Plan::Peek => Op::Peek { key, tier },
                Plan::Refund(n) => Op::Refund { key, n, tier },
                Plan::Penalize(thousandths) => Op::Penalize { key, wait_ns: Ns(part(thousandths)) },
                Plan::Reset => Op::Reset { key },
                Plan::ResetAll => Op::ResetAll {},
                Plan::SetQuota(which) => match fitting[which % fitting.len()] {
                    Some(QuotaConfig { count, period_ns, burst }) => Op::SetQuota { count, period_ns, burst },
                    None => continue,
                },
                Plan::Stats => Op::Stats {},
            };
            last = told(&pair.step(now, op)?).unwrap_or(last);
        }
    }
}

fn model_quota(config: QuotaConfig) -> keyed::Quota {
    keyed::Quota { count: config.count, period_ns: config.period_ns.0, burst: config.burst }
}

/// The core, and a model that is charged with what the core admits.
struct Followed {
    core: RateLimiter,
    model: Limiter,
    quotas: Vec<Option<QuotaConfig>>,
    /// Keys that have a cell in the core.
    charged: BTreeSet<&'static str>,
}

impl Followed {
    /// Asks the core, which never admits what the model denies.
    fn take(
        &mut self,
        now: u64,
        name: &'static str,
        n: u32,
        tier: usize,
        at_once: bool,
    ) -> Result<Decision, TestCaseError> {
        let (key, quota) = (name.as_bytes(), self.quotas[tier % self.quotas.len()]);
        let tier = self.tier(tier);
        let quota = quota.map(model_quota);
        let wanted = self.model.look(now, key, n, quota);
        let seen = match (&tier, at_once) {
            (None, true) => taken(self.core.try_acquire(key, n)),
            (Some(tier), true) => taken(self.core.try_acquire_tier(key, n, tier)),
            (None, false) => self.core.check(key, n),
            (Some(tier), false) => self.core.check_tier(key, n, tier),
        };
        if seen.allowed && n > 0 {
            self.charged.insert(name);
        }
        if seen.allowed || !wanted.allowed {
            // None at all, after a penalty that is over and forgotten, is nothing.
            let fair = wanted.allowed && !(at_once && wanted.delay_ns > 0);
            prop_assert!(
                fair || !seen.allowed || n == 0,
                "{} of {:?} at {}: the model says {:?}",
                n,
                name,
                now,
                wanted
            );
            // A denial by both: it may leave a level in the measure of another quota.
            let _ = self.model.check(now, key, n, quota);
        } else if n > 0 {
            // A denial by the core alone is one by that quota too.
            let _ = self.model.refuse(now, key, n, quota, wanted);
        }
        Ok(seen)
    }

    fn tier(&self, tier: usize) -> Option<Tier> {
        let quota = self.quotas[tier % self.quotas.len()]?;
        Some(self.core.tier(settings::quota(quota).expect("sound")).expect("it fits"))
    }
}

fn taken(allowed: bool) -> Decision {
    Decision { allowed, limit: 0, remaining: 0, retry_after_ns: NEVER, reset_after_ns: 0, delay_ns: 0 }
}

type Step = (Late, Plan, usize, usize);

fn no_mint(config: &Config, tiers: &[QuotaConfig], steps: &[Step]) -> Result<(), TestCaseError> {
    let config = Config { block: None, mode: ModeName::Enforce, ..*config };
    let Some(_) = both_make(&config)? else { return Ok(()) };
    let clock = ManualClock::new(START);
    let core = settings::limiter(&config, &clock).expect("it was made before");
    let fits = |tier: &QuotaConfig| settings::quota(*tier).is_ok_and(|quota| core.tier(quota).is_ok());
    let quotas = std::iter::once(None).chain(tiers.iter().copied().filter(fits).map(Some)).collect();
    let model = Limiter::new(Settings::from(&config), START).expect("it was made before");
    let mut both = Followed { core, model, quotas, charged: BTreeSet::new() };
    let whole = u128::from(config.period_ns.0) * u128::from(config.burst) / u128::from(config.count);
    let unit = if is_window(config.algorithm) { config.period_ns.0 } else { whole.clamp(1, YEAR.into()) as u64 };
    let mut readings = Readings::from(START);
    for &(late, ref plan, key, tier) in steps {
        let now = readings.next(unit, late);
        if now > 15 * YEAR {
            break;
        }
        clock.set(now);
        let name = KEYS[key];
        let key = name.as_bytes();
        match *plan {
            Plan::Take(n) => drop(both.take(now, name, n, tier, true)?),
            Plan::Check(n) => {
                let seen = both.take(now, name, n, tier, false)?;
                let known = both.charged.contains(name);
                let then = now.saturating_add(seen.retry_after_ns);
                let heals = readings.latest.saturating_sub(then) > 60 * S;
                // What a ramp opens meanwhile is no matter of waiting. A key that has no cell is told of its line's
                // epoch.
                if n > 0 && !seen.allowed && then < u64::MAX && config.warm_up.is_none() && known && !heals {
                    clock.set(then);
                    readings.latest = readings.latest.max(then);
                    let again = both.take(then, name, n, tier, false)?;
                    prop_assert!(again.allowed, "{:?}, after waiting from {} to {} {:?}", seen, now, then, again);
                }
            }
            Plan::Peek => {
                let seen = both.core.peek(key, None);
                let wanted = both.model.peek(now, key, None);
                prop_assert!(seen.remaining <= wanted.remaining, "{:?}, the model {:?}", seen, wanted);
                prop_assert!(!seen.allowed || wanted.allowed, "{:?}, the model {:?}", seen, wanted);
            }
            // What was under a penalty long ago is told no more from what was charged.
            Plan::Refund(_) if !both.model.look(now, key, 0, None).allowed => {}
            Plan::Refund(n) => {
                both.core.refund(key, n, None);
                both.model.refund(now, key, n, None);
            }
            Plan::Penalize(thousandths) => {
                let wait = (u128::from(unit) * u128::from(thousandths) / 1_000) as u64;
                prop_assert!(both.core.penalize(key, std::time::Duration::from_nanos(wait)), "there is room");
                both.model.penalize(now, key, wait);
                both.charged.insert(name);
            }
            Plan::Reset => {
                both.core.reset(key);
                both.model.reset(key);
            }
            Plan::ResetAll => {
                both.core.reset_all();
                both.model.reset_all();
            }
            Plan::SetQuota(which) => {
                let Some(quota) = both.quotas[which % both.quotas.len()] else { continue };
                both.core.set_quota(settings::quota(quota).expect("sound")).expect("it fits");
                both.model.set_quota(model_quota(quota));
            }
            Plan::Stats => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order of readings, nothing is admitted that a model with times in full width denies; and who waits
    /// for as long as told is admitted.
    #[test]
    fn late_threads_mint_nothing(
        (config, tiers) in tables(),
        steps in prop::collection::vec((late(), plan(), 0..KEYS.len(), any::<usize>()), 1..150),
    ) {
        // A log is a table of its own.
        prop_assume!(config.algorithm != AlgorithmName::SlidingLog);
        no_mint(&config, &tiers, &steps)?;
    }
}

fn bucket(count: u64, period_ns: u64, burst: u32) -> QuotaConfig {
    QuotaConfig { count, period_ns: Ns(period_ns), burst }
}

/// Found by `late_threads_mint_nothing`.
#[test]
fn a_change_of_quota_as_of_an_older_reading_mints_nothing() {
    use {Late::*, Plan::*};
    let (count, period_ns) = (197, Ns(MS));
    let config = Config {
        algorithm: AlgorithmName::LeakyBucket,
        count,
        period_ns,
        burst: 1,
        max_keys: 500,
        fastest: Some(bucket(985, MS, 5)),
        block: None,
        warm_up: None,
        mode: ModeName::Enforce,
    };
    let steps = [
        (FarForward(4), Plan::Take(0), 0, 0),
        (Back(812), Check(2), 4, 9835769635488284185),
        (Forward(1433), Plan::Take(0), 0, 0),
        (Back(1352), Plan::Take(1), 4, 6529149914691686366),
        (Latest, Plan::Take(0), 0, 0),
        (Stay, Plan::Take(0), 0, 0),
        (Back(608), Plan::Take(0), 0, 4598420308680382),
        (Back(1619), Plan::Take(0), 2, 9745744729105553787),
        (Forward(1242), SetQuota(6161489784772735810), 3, 9739723419300418447),
        (Back(2020), Refund(2), 4, 12057601047399588657),
        (Stay, Check(3), 4, 6323288804216123163),
    ];
    no_mint(&config, &[bucket(1_379, MS, 13), bucket(197, MS, 1)], &steps).unwrap();
}

/// Found by `late_threads_mint_nothing`: what a late thread would store of its change of quota lies before what its
/// line can hold.
#[test]
fn a_late_thread_that_changes_the_quota_is_told_what_is_stored() {
    use {Late::*, Plan::*};
    let config = Config {
        algorithm: AlgorithmName::TokenBucket,
        count: 14_540,
        period_ns: Ns(3 * MS),
        burst: 63,
        max_keys: 500,
        fastest: Some(bucket(189_020, 3 * MS, 819)),
        block: None,
        warm_up: None,
        mode: ModeName::Enforce,
    };
    let steps = [
        (Stay, Plan::Take(1), 0, 0),
        (Forward(730), Plan::Take(0), 0, 0),
        (FarForward(927), Plan::Take(3), 0, 1),
        (FarBack(888), SetQuota(0), 0, 0),
        (Stay, Check(1), 0, 1),
    ];
    no_mint(&config, &[bucket(14_540, 3 * MS, 2)], &steps).unwrap();
}

/// Found by `late_threads_mint_nothing`: a penalty that a reading of the same epoch put is in force, however many
/// windows of that epoch lie between.
#[test]
fn a_penalty_is_in_force_for_a_thread_that_is_late_by_most_of_an_epoch() {
    use {Late::*, Plan::*};
    for period in [YEAR, YEAR / 2, DAY] {
        let config = Config {
            algorithm: AlgorithmName::SlidingWindow,
            count: 1,
            period_ns: Ns(period),
            burst: 1,
            max_keys: 500,
            fastest: None,
            block: None,
            warm_up: None,
            mode: ModeName::Enforce,
        };
        let year = 1_000 * (YEAR / period);
        for penalty in [1_000, year] {
            for asked in [Plan::Take(1), Plan::Check(1), Plan::Peek] {
                let steps = [(Forward(3_999), Penalize(penalty), 4, 0), (FarBack(4), asked, 4, 0)];
                no_mint(&config, &[], &steps).unwrap();
            }
        }
    }
}

/// Found by `answers_as_the_model`: a queue's time that a quota put stays of that quota when one that fills sooner
/// gives something back, of which it is more than all.
#[test]
fn a_refund_by_a_quota_that_fills_sooner_leaves_a_queues_time_to_whose_it_is() {
    let config = Config {
        algorithm: AlgorithmName::LeakyBucket,
        count: 100,
        period_ns: Ns(60 * S),
        burst: 53_775,
        max_keys: 500,
        fastest: Some(bucket(200, 60 * S, 107_550)),
        block: None,
        warm_up: None,
        mode: ModeName::Enforce,
    };
    let tier = Some(bucket(100, 60 * S, 3));
    let key = || Key::from("dän");
    let mut pair = Pair::<ModelLimiter, CoreLimiter>::new(&config, START);
    let mut at = |now: u64, op: Op| pair.step(now, op).unwrap();
    at(START, Op::Check { key: key(), n: 3, tier });
    let now = START + MS;
    let remaining = |answer: Answer| match answer {
        Answer::Decision(decision) => decision.remaining,
        other => panic!("{other:?}"),
    };
    let used = remaining(at(now, Op::Check { key: key(), n: 1, tier: None }));
    let refund = |tier| Op::Refund { key: key(), n: 1, tier };
    at(now, refund(tier));
    // No more is used than before; each gives back a token.
    assert_eq!(remaining(at(now, Op::Check { key: key(), n: 0, tier: None })), used + 1);
    at(now, refund(None));
    assert_eq!(remaining(at(now, Op::Check { key: key(), n: 0, tier: None })), used + 2);
    at(now, Op::Check { key: key(), n: 2, tier: None });
    at(now, Op::Check { key: key(), n: 1, tier });
    at(now, Op::Check { key: key(), n: 60_000, tier: None });
}

/// A call, and what the clock does before it.
#[derive(Clone, Debug)]
enum Ahead {
    /// The clock goes on by thousandths of what the limit takes to come back, and a key asks.
    On(u64, usize, u32),
    /// By so many milliseconds: what heals does so after a minute.
    Later(u64, usize, u32),
    /// Somebody asks with the reading of a clock that is ahead, by thousandths of the same.
    Stranger(u64, u8),
}

fn ahead() -> impl Strategy<Value = Ahead> {
    let leap = || prop_oneof![3 => 0..3_000_u64, 2 => 3_000..40_000_u64, 1 => 40_000..1_000_000_u64];
    prop_oneof![
        6 => (0..60_u64, 0..KEYS.len(), 0..30_u32).prop_map(|(on, key, n)| Ahead::On(on, key, n)),
        3 => (0..70_000_u64, 0..KEYS.len(), 0..30_u32).prop_map(|(on, key, n)| Ahead::Later(on, key, n)),
        6 => (leap(), 0..20_u8).prop_map(|(leap, who)| Ahead::Stranger(leap, who)),
    ]
}

/// Nobody is admitted more by the right clock than a model that forgets nothing admits.
fn readings_ahead(config: &Config, hours: Option<u64>, steps: &[Ahead]) -> Result<(), TestCaseError> {
    let burst = config.burst.min(60);
    let mut config = Config { max_keys: 1, block: None, warm_up: None, fastest: None, burst, ..*config };
    config.mode = ModeName::Enforce;
    if let Some(hours) = hours {
        // What takes longer to come back than to heal.
        (config.count, config.period_ns, config.burst) = (10, Ns(hours * 3_600 * S), 10);
    }
    let Some(_) = both_make(&config)? else { return Ok(()) };
    let clock = ManualClock::new(START);
    let core = settings::limiter(&config, &clock).expect("it was made before");
    let model = Limiter::new(Settings::from(&config), START).expect("it was made before");
    let mut both = Followed { core, model, quotas: vec![None], charged: BTreeSet::new() };
    let whole = u128::from(config.period_ns.0) * u128::from(config.burst) / u128::from(config.count);
    let unit = if is_window(config.algorithm) { config.period_ns.0 } else { whole.clamp(1, YEAR.into()) as u64 };
    let part = |thousandths: u64| (u128::from(unit) * u128::from(thousandths) / 1_000) as u64;
    let mut now = START;
    for step in steps {
        let (on, key, n) = match *step {
            Ahead::On(thousandths, key, n) => (part(thousandths), key, n),
            Ahead::Later(ms, key, n) => (ms * MS, key, n),
            Ahead::Stranger(leap, who) => {
                clock.set(now.saturating_add(part(leap)).min(15 * YEAR));
                // Of few, one of those that are counted; but what it begins is a fixed window, which may end sooner
                // than one that the model begins.
                let fixed = config.algorithm == AlgorithmName::FixedWindow;
                let known = KEYS.get(usize::from(who)).filter(|_| !fixed);
                let name = known.map_or(vec![b's', who], |name| name.as_bytes().to_vec());
                let _ = both.core.check(&name, 1);
                clock.set(now);
                continue;
            }
        };
        now += on;
        if now > 10 * YEAR {
            break;
        }
        clock.set(now);
        let _ = both.take(now, KEYS[key], n.min(config.burst), 0, n % 2 == 0)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// In one line, where cells go from key to key: whatever strangers with readings ahead take away, and however it
    /// heals, nobody is admitted more by the right clock than a model that forgets nothing admits.
    #[test]
    fn readings_ahead_mint_nothing(
        (config, _) in tables(),
        hours in prop::option::of(1..100_u64),
        steps in prop::collection::vec(ahead(), 1..150),
    ) {
        readings_ahead(&config, hours, &steps)?;
    }
}
