//! The token bucket against its model, under random operations and clocks.

#[path = "adapters/bucket.rs"]
mod bucket;
#[path = "adapters/pair.rs"]
mod pair;

use bucket::CoreBucket;
use pair::Pair;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use std::time::Duration;
use tidegate::limit::Reservation;
use tidegate::{ManualClock, Quota, TokenBucket};
use tidegate_model::bucket::Bucket;
use tidegate_model::format::Ns;
use tidegate_model::script::bucket::{Answer, Config, ModelBucket, Op};

const S: u64 = 1_000_000_000;
const YEAR: u64 = 365 * 86_400 * S;
const START: u64 = 3_600 * S;

/// Rates whose arithmetic is exact: at most 8 tokens in lowest terms.
const EXACT: [(u64, u64); 14] = [
    (1, YEAR),
    (1, 86_400 * S),
    (7, 60 * S),
    (5, 900 * S),
    (1, S),
    (3, S),
    (8, 3 * S),
    (100, S),
    (400, S),
    (7, 1_000),
    (1_000_000, S),
    (70_000_000, S),
    (100_000_000, S),
    (3, 31),
];

fn exact_quota() -> impl Strategy<Value = Config> {
    let rate = prop::sample::select(&EXACT[..]);
    (rate, prop_oneof![1..=4_u32, 5..=1_000_u32]).prop_map(|((count, period), burst)| Config {
        count,
        period_ns: Ns(period),
        // Burst × interval has a limit of 36 years.
        burst: burst.min(u32::try_from((30 * YEAR / period).saturating_mul(count).min(1_000)).expect("at most 1,000")),
    })
}

/// What happens to the clock before an operation, in terms of the interval of one token.
#[derive(Clone, Copy, Debug)]
enum Tick {
    Stay,
    /// Thousandths of an interval.
    Forward(u64),
    /// Whole intervals, and a nanosecond less, none or one more.
    Edge(u64, i64),
    Back(u64),
    /// Seconds: beyond 60 s a word may be a bad reading, and heals when the clock has gone on for 60 s from there.
    FarBack(u64),
    FarForward(u64),
    /// To the latest reading there was: what late threads did must have minted nothing there.
    Latest,
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        8 => Just(Tick::Stay),
        6 => (0..3_000_u64).prop_map(Tick::Forward),
        6 => (0..6_u64, -1..=1_i64).prop_map(|(whole, off)| Tick::Edge(whole, off)),
        3 => (0..4_000_u64).prop_map(Tick::Back),
        1 => (0..200_u64).prop_map(Tick::FarBack),
        1 => (0..70_u64).prop_map(Tick::FarForward),
        1 => Just(Tick::Latest),
    ]
}

fn moved(now: u64, latest: u64, interval: u64, tick: Tick) -> u64 {
    let part = |thousandths: u64| (u128::from(interval) * u128::from(thousandths) / 1_000) as u64;
    let next = match tick {
        Tick::Stay => now,
        Tick::Forward(thousandths) => now + part(thousandths),
        Tick::Edge(whole, off) => (now + whole * interval).saturating_add_signed(off),
        Tick::Back(thousandths) => now.saturating_sub(part(thousandths)),
        Tick::FarBack(seconds) => now.saturating_sub(seconds * S),
        Tick::FarForward(seconds) => now + seconds * S,
        Tick::Latest => now.max(latest),
    };
    next.max(START)
}

/// An operation before names and amounts are fitted to the case.
#[derive(Clone, Debug)]
enum Plan {
    Take(u32),
    Check(u32),
    Peek,
    Reserve(u32, Option<u64>),
    Cancel(usize),
    Refund(u32),
    /// Thousandths of an interval.
    Penalize(u64),
    Reset,
    SetQuota(Config),
}

fn plan() -> impl Strategy<Value = Plan> {
    let n = || prop_oneof![4 => 0..4_u32, 1 => 0..1_002_u32];
    prop_oneof![
        20 => n().prop_map(Plan::Take),
        20 => n().prop_map(Plan::Check),
        8 => Just(Plan::Peek),
        10 => (n(), prop::option::of(0..4_000_u64)).prop_map(|(n, wait)| Plan::Reserve(n, wait)),
        10 => any::<usize>().prop_map(Plan::Cancel),
        6 => n().prop_map(Plan::Refund),
        2 => (0..3_000_u64).prop_map(Plan::Penalize),
        1 => Just(Plan::Reset),
        3 => exact_quota().prop_map(Plan::SetQuota),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer is the model's, to the nanosecond.
    #[test]
    fn answers_as_the_model(config in exact_quota(), steps in prop::collection::vec((tick(), plan()), 1..120)) {
        let mut pair = Pair::<ModelBucket, CoreBucket>::new(&config, START);
        let (mut now, mut latest, mut interval) = (START, START, (config.period_ns.0 / config.count).max(1));
        let mut tickets: Vec<String> = Vec::new();
        for (number, (tick, plan)) in steps.into_iter().enumerate() {
            now = moved(now, latest, interval, tick);
            latest = latest.max(now);
            // The far end of time is not what this is about: years of the slowest rates are left out.
            if now > 4 * YEAR {
                break;
            }
            let part = |thousandths| Ns((u128::from(interval) * u128::from(thousandths) / 1_000) as u64);
            let op = match plan {
                Plan::Take(n) => Op::TryAcquire { n },
                Plan::Check(n) => Op::Check { n },
                Plan::Peek => Op::Peek {},
                Plan::Reserve(n, wait) => {
                    // Without a bound a few bookings of the slowest rates would last for centuries.
                    let max_wait_ns = wait.map(part).or((interval > S).then_some(Ns(interval)));
                    Op::Reserve { n, max_wait_ns, name: format!("t{number}") }
                }
                Plan::Cancel(_) if tickets.is_empty() => continue,
                Plan::Cancel(which) => Op::Cancel { ticket: tickets[which % tickets.len()].clone() },
                Plan::Refund(n) => Op::Refund { n },
                Plan::Penalize(thousandths) => Op::Penalize { wait_ns: part(thousandths) },
                Plan::Reset => Op::Reset {},
                Plan::SetQuota(Config { count, period_ns, burst }) => {
                    let next = (period_ns.0 / count).max(1);
                    // A debt of many tokens of a fast rate can be one of centuries at a slow one: beyond a bucket's
                    // time.
                    let Answer::Decision { reset_after_ns, .. } = pair.step(now, Op::Peek {})? else { unreachable!() };
                    if u128::from(reset_after_ns.0 / interval + 1_000) * u128::from(next) > 5 * u128::from(YEAR) {
                        continue;
                    }
                    interval = next;
                    Op::SetQuota { count, period_ns, burst }
                }
            };
            if let Answer::Booked { .. } = pair.step(now, op)? {
                tickets.push(format!("t{number}"));
            }
            // Sees what the operation left, without changing it.
            pair.step(now, Op::Peek {})?;
        }
    }
}

/// A booking of nothing does not hide that what stands before it was charged at once: what was due by then stays due
/// when the clock steps back.
#[test]
fn a_booking_of_nothing_leaves_what_was_due() {
    let quota = |burst| Config { count: 1, period_ns: Ns(S), burst };
    let reserve = |n, name: &str| Op::Reserve { n, max_wait_ns: None, name: name.into() };
    let cancel = |name: &str| Op::Cancel { ticket: name.into() };
    let behind_a_charge = vec![
        (3_000, reserve(1, "at once")),
        (3_000, reserve(3, "waits")),
        (5_000, Op::TryAcquire { n: 1 }),
        (0, reserve(0, "nothing")),
        (0, cancel("waits")),
    ];
    let before_a_refund = vec![
        (1_000, reserve(2, "at once")),
        (558, reserve(0, "nothing")),
        (558, Op::Refund { n: 1 }),
        (558, reserve(1, "waits")),
        (558, cancel("waits")),
    ];
    for (burst, steps) in [(3, behind_a_charge), (2, before_a_refund)] {
        let mut pair = Pair::<ModelBucket, CoreBucket>::new(&quota(burst), START);
        let answers: Vec<_> =
            steps.into_iter().map(|(ms, op)| pair.step(START + ms * 1_000_000, op).expect("the model's")).collect();
        assert_eq!(answers.last(), Some(&Answer::Returned { returned: false }));
    }
}

/// A word that heals while the quota changes leaves nothing behind in the old quota's units: by those of a slow rate
/// all bookings at a fast one would have been due for a day.
#[test]
fn a_quota_that_changes_a_word_that_heals_leaves_cancels_as_they_were() {
    const DAY: u64 = 86_400 * S;
    let mut pair = Pair::<ModelBucket, CoreBucket>::new(&Config { count: 1, period_ns: Ns(DAY), burst: 1 }, START);
    let steps = [
        (DAY + 86 * S, Op::TryAcquire { n: 1 }),
        (0, Op::TryAcquire { n: 0 }),
        (86 * S, Op::SetQuota { count: 1, period_ns: Ns(S), burst: 3 }),
        (86 * S, Op::Reserve { n: 1, max_wait_ns: None, name: "waits".into() }),
        (86 * S, Op::Cancel { ticket: "waits".into() }),
    ];
    let answers = steps.map(|(since, op)| pair.step(START + since, op).expect("the model's"));
    assert_eq!(answers.last(), Some(&Answer::Returned { returned: true }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is cancelled, in whatever order: of those who did not give their booking back, none of whom was told
    /// another time since, no span of time holds more than burst + rate x time. Counted, not as the model has it.
    #[test]
    fn cancels_mint_nothing(
        burst in 1..12_u32,
        steps in prop::collection::vec((0..1_500_u64, 0..10_u32, 1..12_u32, any::<usize>()), 1..80),
    ) {
        const INTERVAL: u64 = 1_000;
        let core = core_bucket(1, INTERVAL, burst);
        let (mut now, mut uses, mut open) = (START, Vec::new(), Vec::new());
        for (pause, choice, n, which) in steps {
            now += if choice % 2 == 0 { 0 } else { pause };
            let n = n.min(burst);
            match choice {
                0..=4 => if let Reservation::Booked { wait_ns, ticket } = core.reserve_at(now, n, None) {
                    open.push(((now + wait_ns, n), ticket));
                },
                5..=7 if !open.is_empty() => {
                    // Half of them from the last one back.
                    let at = if which % 2 == 0 { open.len() - 1 } else { which / 2 % open.len() };
                    let (used, ticket) = open.remove(at);
                    if !core.cancel_at(now, ticket) {
                        uses.push(used);
                    }
                }
                _ => if core.try_acquire_at(now, n) {
                    uses.push((now, n));
                },
            }
        }
        uses.extend(open.into_iter().map(|(used, _)| used));
        keeps_to_burst_and_rate(&mut uses, (1, INTERVAL, burst))?;
    }
}

/// No span of time holds more than burst + rate x time, in whatever order the readings came. Counted, not as the model
/// has it.
fn keeps_to_burst_and_rate(uses: &mut [(u64, u32)], (count, period, burst): (u64, u64, u32)) -> TestCaseResult {
    uses.sort_unstable();
    for (first, &(from, _)) in uses.iter().enumerate() {
        let mut sum = 0;
        for &(to, n) in &uses[first..] {
            sum += u128::from(n);
            let beyond = sum.saturating_sub(burst.into()) * u128::from(period);
            prop_assert!(beyond <= u128::from(to - from) * u128::from(count), "{sum} in {} ns of {uses:?}", to - from);
        }
    }
    Ok(())
}

/// Rates whose arithmetic is rounded: more than 8 tokens in lowest terms (or the bucket is exact, which is fine too).
fn rounded_quota() -> impl Strategy<Value = (u64, u64, u32)> {
    let count = prop_oneof![9..1_000_u64, 1_000..1_000_000_u64, 1_000_000..=100_000_000_u64];
    let period = prop::sample::select(&[S, 7 * S, 60 * S, 3_600 * S][..]);
    (count, period, prop_oneof![1..=4_u32, 5..=100_000_u32])
}

fn core_bucket(count: u64, period: u64, burst: u32) -> TokenBucket {
    let quota = Quota::new(count, Duration::from_nanos(period)).and_then(|quota| quota.with_burst(burst.into()));
    TokenBucket::with_clock(quota.expect("a sound quota"), ManualClock::new(START).into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rounding_never_admits_more_and_hardly_less(
        quota in rounded_quota(),
        steps in prop::collection::vec((tick(), prop_oneof![4 => 1..4_u32, 1 => 1..100_000_u32]), 1..200),
    ) {
        rounding(quota, &steps)?;
    }

    /// Waiting as long as told is enough, and a nanosecond or two less is not, at every rate.
    #[test]
    fn retry_after_is_the_wait((count, period, burst) in rounded_quota(), at in 0..S, n in 1..10_u32) {
        let core = core_bucket(count, period, burst);
        let at = START + at;
        let n = n.min(burst);
        prop_assert!(core.try_acquire_at(at, burst));
        let wait = core.check_at(at, n).retry_after_ns;
        let ideal = (u128::from(n) * u128::from(period)).div_ceil(u128::from(count));
        prop_assert!(u128::from(wait) >= ideal, "{wait} < {ideal}");
        prop_assert!(u128::from(wait) <= ideal + ideal / 10_000 + 2, "{wait} > {ideal}");
        prop_assert!(core.try_acquire_at(at + wait, n));
    }
}

/// In no span of time more than burst + rate x time is admitted, whatever the order of the readings. And an exact
/// bucket charged with the same admissions admits each of them too, by the latest reading. Whatever is denied by that,
/// a bucket slower by 1e-4 denies too 2 ns earlier.
///
/// By a reading that stepped back behind a charge a bucket with dearer tokens may admit what an exact one denies,
/// though the tokens are there: how far ahead the charge lies is time, of which its longer burst covers more.
fn rounding((count, period, burst): (u64, u64, u32), steps: &[(Tick, u32)]) -> TestCaseResult {
    let core = core_bucket(count, period, burst);
    let mut exact = Bucket::new(count, period, burst, START);
    let mut slow = Bucket::new(count * 9_999, period * 10_000, burst, START);
    let (mut now, mut latest, mut uses) = (START, START, Vec::new());
    for &(tick, n) in steps {
        // Further back it may take its word for a bad reading and forget it on purpose, in the end: the other test's
        // part.
        now = moved(now, latest, (period / count).max(1), tick).max(latest.saturating_sub(50 * S));
        latest = latest.max(now);
        if core.try_acquire_at(now, n) {
            // An exact bucket by the latest reading admits too what is admitted by an earlier one.
            prop_assert!(exact.clone().try_acquire(latest, n), "{n} at {now} is more than burst + rate x time");
            exact.reserve(now, n, None).expect("n is at most the burst");
            slow.reserve(now, n, None).expect("n is at most the burst");
            uses.push((now, n));
        } else if now >= latest {
            let earlier = now.saturating_sub(2);
            prop_assert!(!slow.clone().try_acquire(earlier, n), "{n} at {now} is denied without need");
        }
    }
    keeps_to_burst_and_rate(&mut uses, (count, period, burst))
}

/// Behind a charge dearer tokens reach a part of a nanosecond further than exact ones: no more than the burst is
/// admitted for that.
#[test]
fn readings_that_step_back_behind_a_charge_admit_the_burst_at_most() {
    rounding((66_400, 60 * S, 4), &[(Tick::Edge(2, 1), 1), (Tick::Back(2_001), 1), (Tick::Stay, 1)])
        .expect("66400/min");
    rounding((196, 60 * S, 4), &[(Tick::Edge(1, 1), 1), (Tick::Back(1_001), 2)]).expect("196/min");
}

/// 0.01 % from one a year to 100 M a second, never fast.
#[test]
fn the_long_run_rate_is_exact() {
    let rates = [
        (1, YEAR),
        (1, 30 * 86_400 * S),
        (17, 3_600 * S),
        (7, 60 * S),
        (11, S),
        (999, S),
        (7_919, S),
        (12_345, S),
        (1_000_003, 3_600 * S),
        (1_234_567, S),
        (69_999_999, S),
        (70_000_000, S),
        (99_999_989, S),
        (100_000_000, S),
    ];
    for (count, period) in rates {
        let core = core_bucket(count, period, 2);
        assert!(core.try_acquire_at(START, 2));
        // The slowest rates get fewer tokens: a bucket's time is good for 36 years.
        let tokens = if period / count > 86_400 * S { 5 } else { 20_000_u64 };
        let mut now = START;
        for _ in 0..tokens {
            let answer = core.peek_at(now);
            now += answer.retry_after_ns;
            assert!(core.try_acquire_at(now, 1), "{count} per {period} ns");
        }
        let (took, ideal) = (u128::from(now - START), u128::from(tokens) * u128::from(period));
        assert!(took * u128::from(count) >= ideal, "{count} per {period} ns is fast");
        let slack = ideal / 10_000 + 2 * u128::from(count);
        assert!(took * u128::from(count) <= ideal + slack, "{count} per {period} ns is slow by more than 0.01 %");
    }
}
