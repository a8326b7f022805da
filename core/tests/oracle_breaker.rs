//! The circuit breaker against its model, under random calls that overlap.

#[path = "adapters/breaker.rs"]
mod breaker;
#[path = "adapters/pair.rs"]
mod pair;

use breaker::CoreBreaker;
use pair::Pair;
use proptest::prelude::*;
use tidegate_model::format::Ns;
use tidegate_model::script::breaker::{Answer, Config, Draw, ModelBreaker, Op, Outcome};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 77 * S + 123_456;

fn config() -> impl Strategy<Value = Config> {
    let window = prop_oneof![
        3 => prop_oneof![1..=8_u32, 9..=45_u32].prop_map(|calls| (Some(calls), None)),
        2 => prop::sample::select(&[10 * MS, 123 * MS, S, 10 * S][..]).prop_map(|whole| (None, Some(Ns(whole)))),
    ];
    let rate = || prop::sample::select(&[0.1, 0.25, 1.0 / 3.0, 0.5, 0.6, 0.99, 1.0][..]);
    let limits = (rate(), prop::option::of(prop::sample::select(&[MS, 20 * MS, 200 * MS][..])), rate());
    let counts = (prop::option::of(1..=6_u32), 1..=12_u32, 1..=5_u32, prop::option::of(1..=5_u32));
    let back = (
        prop::option::of(rate()),
        prop::option::of(prop_oneof![1..=20_u64, 1..=2_000_u64]),
        prop::option::of(prop_oneof![1..=20_u64, 1..=2_000_u64]),
        prop::option::of(prop::sample::select(&[0.01, 0.1, 0.5, 1.0][..])),
    );
    let cooldown = prop::sample::select(&[1, 30, 500][..]);
    let rest = (
        cooldown,
        prop::sample::select(&[1.0, 1.5, 2.0][..]),
        prop::option::of(1..=20_u64),
        prop_oneof![1..=20_u64, 1..=800_u64],
    );
    (window, limits, counts, rest, back).prop_map(
        |(window, limits, counts, (cooldown, backoff, most, timeout), back)| Config {
            window_calls: window.0,
            window_duration_ns: window.1,
            failure_rate_threshold: limits.0,
            slow_call_duration_ns: limits.1.map(Ns),
            slow_call_rate_threshold: limits.2,
            consecutive_failures: counts.0,
            min_calls: counts.1.min(window.0.unwrap_or(u32::MAX)),
            cooldown_ns: Ns(cooldown * MS),
            cooldown_backoff: backoff,
            max_cooldown_ns: most.map(|times| Ns(times * cooldown * MS)),
            probes: counts.2,
            probe_timeout_ns: Ns(timeout * MS),
            probe_failure_rate_threshold: back.0,
            probes_at_once: counts.3.map(|n| n.min(counts.2)),
            healthy_after_ns: back.1.map(|ms| Ns(ms * MS)),
            ramp_ns: back.2.map(|ms| Ns(ms * MS)),
            ramp_from: back.3,
        },
    )
}

/// Settings that `made`, as it was made, can be changed to: its window's kind, and a time of half to five times.
fn changed(made: &Config, other: Config) -> Config {
    let window_calls = made.window_calls.map(|calls| other.window_calls.unwrap_or(calls.max(20)));
    let window_duration_ns = made.window_duration_ns.map(|Ns(whole)| {
        let (slice, tenths) = (whole.div_ceil(10), u64::from(other.min_calls) * 4 + u64::from(other.probes));
        Ns(slice * tenths.clamp(5, 50))
    });
    let min_calls = other.min_calls.min(window_calls.unwrap_or(u32::MAX));
    Config { window_calls, window_duration_ns, min_calls, ..other }
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    For(u64),
    /// And on to the next whole millisecond since the start.
    UntilWhole(u64),
    /// Seconds: what an earlier reading put too far ahead heals in a minute of them.
    Long(u64),
}

/// How far a reading is beside the clock.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Sound,
    /// A late thread's, by hundredths of the span that this case is about: window, cooldown or lease.
    Late(u64),
    /// A late thread's, by seconds: beyond a minute it finds what is right impossibly far ahead.
    VeryLate(u64),
    /// A bad one, by seconds. What it puts is what later readings must live with.
    Ahead(u64),
    /// A bad one, by hundredths of the span.
    AheadBy(u64),
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        40 => Just(Reading::Sound),
        8 => (0..=250_u64).prop_map(Reading::Late),
        4 => (0..=200_u64).prop_map(Reading::VeryLate),
        2 => prop_oneof![0..=130_u64, 0..=7_200_u64].prop_map(Reading::Ahead),
        2 => (0..=250_u64).prop_map(Reading::AheadBy),
    ]
}

/// What a reading can be late for.
fn spans(config: &Config) -> [u64; 4] {
    let window = config.window_duration_ns.unwrap_or(config.cooldown_ns);
    let back = config.ramp_ns.or(config.healthy_after_ns).unwrap_or(config.cooldown_ns);
    [window.0, config.cooldown_ns.0, config.probe_timeout_ns.0, back.0]
}

fn read(now: u64, span: u64, reading: Reading) -> u64 {
    let part = |hundredths: u64| span / 100 * hundredths;
    match reading {
        Reading::Sound => now,
        Reading::Late(hundredths) => now.saturating_sub(part(hundredths)).max(START),
        Reading::VeryLate(seconds) => now.saturating_sub(seconds * S).max(START),
        Reading::Ahead(seconds) => now + seconds * S,
        Reading::AheadBy(hundredths) => now + part(hundredths),
    }
}

#[derive(Clone, Debug)]
enum Plan {
    /// By a draw.
    Acquire(f64),
    /// Which of the permits that are out, what became of it, how long it took, for how long to be left alone.
    Report(usize, Outcome, Option<u64>, Option<u64>),
    RetryAfter(usize, u64),
    Release(usize),
    /// A probe that reports again, or a permit of long ago.
    Again(usize, Outcome),
    Switch(Op),
    /// What the settings become, but for the window's kind.
    SetConfig(Box<Config>),
}

/// Calls of one stretch of time, in which a certain share fails.
fn stretch() -> impl Strategy<Value = Vec<(Pause, Reading, Plan)>> {
    (1..=19_u32, 1..60_usize, any::<bool>(), any::<bool>()).prop_flat_map(|(bad, len, whole_ms, steps)| {
        let pause = prop_oneof![6 => 0..3 * MS, 3 => 0..60 * MS, 1 => 0..900 * MS];
        // Deadlines are whole milliseconds since the start, so that only whole ones can hit them exactly.
        let pause = pause.prop_map(move |ns| if whole_ms { Pause::UntilWhole(ns) } else { Pause::For(ns) });
        let pause = prop_oneof![40 => pause, 1 => (0..=70_u64).prop_map(Pause::Long)];
        // Half of the stretches see a sound clock only.
        let reading = reading().prop_map(move |reading| if steps { reading } else { Reading::Sound });
        let outcome = move || {
            prop_oneof![
                20 - bad => Just(Outcome::Success),
                bad => Just(Outcome::Failure),
                1 => Just(Outcome::Ignore),
                1 => Just(Outcome::Unreached),
                1 => Just(Outcome::Slow),
            ]
        };
        let took = prop::option::of((0..=400_u64).prop_map(|ms| ms * MS));
        let told = prop::option::weighted(0.1, (0..2_000_u64).prop_map(|ms| ms * MS));
        let switch = prop::sample::select(vec![Op::ForceOpen {}, Op::Disable {}, Op::MetricsOnly {}, Op::Reset {}]);
        let plan = prop_oneof![
            100 => (0..100_u32).prop_map(|draw| Plan::Acquire(f64::from(draw) / 100.0)),
            80 => (any::<usize>(), outcome(), took, told)
                .prop_map(|(which, outcome, took, told)| Plan::Report(which, outcome, took, told)),
            6 => (any::<usize>(), 0..2_000_u64).prop_map(|(which, ms)| Plan::RetryAfter(which, ms * MS)),
            6 => any::<usize>().prop_map(Plan::Release),
            6 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Plan::Again(which, outcome)),
            1 => switch.prop_map(Plan::Switch),
            4 => config().prop_map(|config| Plan::SetConfig(Box::new(config))),
        ];
        prop::collection::vec((pause, reading, plan), len)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer, and after each operation the state, the window and the wait are the model's.
    #[test]
    fn answers_as_the_model(config in config(), stretches in prop::collection::vec(stretch(), 1..6)) {
        let mut pair = Pair::<ModelBreaker, CoreBreaker>::new(&config, START);
        let made = config.clone();
        let mut config = config;
        let mut clock = START;
        let mut told = 0;
        // Permits that are out, and probes and permits of earlier states that have reported.
        let (mut out, mut reported): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (number, (pause, reading, plan)) in stretches.into_iter().flatten().enumerate() {
            clock = match pause {
                Pause::For(ns) => clock + ns,
                Pause::UntilWhole(ns) => START + (clock + ns - START).next_multiple_of(MS),
                Pause::Long(seconds) => clock + seconds * S,
            };
            let now = read(clock, spans(&config)[number % 4], reading);
            let idle = out.is_empty();
            let mut take = |which: usize| {
                let permit = out.swap_remove(which % out.len());
                reported.push(permit.clone());
                permit
            };
            let op = match plan {
                Plan::Acquire(draw) => Op::AcquireWith { name: format!("p{number}"), draw: Draw(draw) },
                Plan::Switch(op) => op,
                Plan::SetConfig(other) => {
                    config = changed(&made, *other);
                    Op::SetConfig(Box::new(config.clone()))
                }
                Plan::Again(which, outcome) => {
                    // While it is closed a permit has no identity: reported twice it counts twice, by design.
                    let closed = matches!(
                        pair.step(now, Op::State {})?,
                        Answer::State { state: "closed" | "metrics_only" }
                    );
                    if closed || reported.is_empty() {
                        continue;
                    }
                    let permit = reported[which % reported.len()].clone();
                    Op::Report { permit, outcome, duration_ns: None, retry_after_ns: None }
                }
                _ if idle => continue,
                Plan::Report(which, outcome, took, told) => Op::Report {
                    permit: take(which),
                    outcome,
                    duration_ns: took.map(Ns),
                    retry_after_ns: told.map(Ns),
                },
                Plan::RetryAfter(which, ns) => Op::ReportRetryAfter { permit: take(which), retry_after_ns: Ns(ns) },
                Plan::Release(which) => Op::Release { permit: take(which) },
            };
            if let Answer::Permit { .. } = pair.step(now, op)? {
                out.push(format!("p{number}"));
            }
            pair.step(now, Op::State {})?;
            pair.step(now, Op::Stats {})?;
            pair.step(now, Op::RetryAfter {})?;
            if let Answer::Events { events } = pair.step(now, Op::Events { since: told })? {
                told += events.len() as u32;
            }
        }
    }
}
