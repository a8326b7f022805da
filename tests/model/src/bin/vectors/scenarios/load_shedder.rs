//! Load shedder.

use crate::random::Random;
use crate::script::{self, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::shed::{Config, ModelShedder, Op, PriorityName, Signal};

type Shedder = Script<ModelShedder>;
type Cases = Vec<Case<Config, Op>>;

const SAMPLE: Op = Op::Sample {};
const PRESSURE: Op = Op::Pressure {};
const STATS: Op = Op::Stats {};
const EACH: u64 = 250 * MS;
const ALL: [PriorityName; 4] =
    [PriorityName::Critical, PriorityName::High, PriorityName::Normal, PriorityName::Sheddable];
use PriorityName::{Critical, High, Normal, Sheddable};

pub(crate) fn file() -> File<Config, Op> {
    let cases = [pressures(), thresholds(), critical(), clocks(), switches(), random()];
    script::file("load_shedder", cases.into_iter().flatten().collect())
}

fn signal(name: &str, start: f64, full: f64) -> Signal {
    Signal { name: name.to_owned(), start, full }
}

fn config() -> Config {
    Config {
        signals: vec![signal("depth", 0.5, 0.8)],
        rise: 0.05,
        fall: 0.02,
        min_admit: 0.01,
        critical_at: 1.0,
        critical_after_ns: Ns(S),
        cool_off_ns: Ns(S),
        interval_ns: Ns(EACH),
        enabled: true,
        dry_run: false,
    }
}

fn shedder(name: &str, why: &str, config: Config) -> Shedder {
    Script::new(name, why, config)
}

fn tell(signal: &str, value: f64) -> Op {
    Op::Tell { signal: signal.to_owned(), value }
}

fn admit(priority: PriorityName, level: u8, draw: f64) -> Op {
    Op::Admit { priority, level, draw }
}

fn check(priority: PriorityName, level: u8, draw: f64) -> Op {
    Op::Check { priority, level, draw }
}

/// An interval in which each class asks five times, at different levels, while the signal has `value`.
fn busy(script: Shedder, value: f64) -> Shedder {
    let script = script.then(tell("depth", value));
    let script = script.each(0..20, |script, n| {
        script.then(admit(ALL[(n % 4) as usize], (n * 37 % 128) as u8, (n % 10) as f64 / 10.0))
    });
    script.after(EACH)
}

fn pressures() -> Cases {
    let value = |value: f64| move |script: Shedder| script.then(tell("depth", value)).then(SAMPLE).then(PRESSURE);
    let mut clamped = shedder("pressure_is_clamped", "(value - start) / (full - start), from 0 to 1", config());
    for one in [0.0, 0.5, 0.575, 0.65, 0.8, 0.9, -3.0, 1e300] {
        clamped = value(one)(clamped).after(2 * EACH);
    }
    let two = Config { signals: vec![signal("depth", 0.5, 0.8), signal("lag", 0.02, 0.2)], ..config() };
    vec![
        clamped.end(),
        shedder("the_largest_counts", "of all signals, and it is named", two)
            .then(tell("depth", 0.65))
            .then(tell("lag", 0.03))
            .then(SAMPLE)
            .then(check(Normal, 0, 0.5))
            .after(2 * EACH)
            .then(tell("depth", 0.51))
            .then(tell("lag", 0.11))
            .then(SAMPLE)
            .then(check(Normal, 0, 0.5))
            .end(),
        shedder("the_largest_of_an_interval_counts", "several may tell it, and one may come late", config())
            .then(SAMPLE)
            .after(10 * MS)
            .then(tell("depth", 0.6))
            .then(tell("depth", 0.75))
            .then(tell("depth", 0.55))
            .after(EACH)
            .then(SAMPLE)
            .then(PRESSURE)
            .after(EACH)
            .then(SAMPLE)
            .then(PRESSURE)
            .end(),
        shedder("a_signal_that_is_told_nothing_has_no_pressure", "and refuses nobody", config())
            .each(0..5, |script, _| script.then(check(Sheddable, 127, 0.99)).then(PRESSURE).after(EACH))
            .end(),
    ]
}

fn thresholds() -> Cases {
    vec![
        shedder("rises_by_a_twentieth", "of those that pass, the less important first", config())
            .each(0..12, |script, _| busy(script, 1.0))
            .then(check(Sheddable, 127, 0.5))
            .then(check(Sheddable, 127, 0.001))
            .then(check(High, 0, 0.999))
            .then(STATS)
            .end(),
        shedder("held_between", "no pressure at 0 nor at 1 moves nothing", config())
            .each(0..6, |script, _| busy(script, 1.0))
            .each(0..6, |script, _| busy(script, 0.65))
            .then(check(Sheddable, 64, 0.9))
            .then(STATS)
            .end(),
        shedder("falls_by_a_fiftieth_after_the_cool_off", "of all that ask", config())
            .each(0..8, |script, _| busy(script, 1.0))
            .each(0..20, |script, _| busy(script, 0.1).then(check(Sheddable, 100, 0.9)))
            .then(STATS)
            .end(),
        shedder("one_level_is_shed_by_parts", "where nobody says a level, chance decides", config())
            .each(0..40, |script, _| {
                let script = script.then(tell("depth", 1.0));
                let script = script.each(0..8, |script, n| script.then(admit(Normal, 0, n as f64 / 8.0)));
                script.after(EACH)
            })
            .then(check(Normal, 0, 0.2))
            .then(check(Normal, 0, 0.0099))
            .then(STATS)
            .end(),
        shedder("nobody_is_shed_who_did_not_ask", "the threshold stands where calls were seen", config())
            .each(0..30, |script, _| script.then(tell("depth", 1.0)).times(4, &admit(Sheddable, 5, 0.5)).after(EACH))
            .then(check(Normal, 127, 0.9))
            .then(check(Sheddable, 4, 0.9))
            .then(check(Sheddable, 5, 0.9))
            .end(),
    ]
}

fn critical() -> Cases {
    let only =
        |script: Shedder, value: f64| script.then(tell("depth", value)).times(10, &admit(Critical, 0, 0.5)).after(EACH);
    vec![
        shedder("critical_after_a_second_of_full_pressure", "and no sooner", config())
            .each(0..3, |script, _| only(script, 1.0))
            .then(check(Critical, 127, 0.5))
            .each(0..10, |script, _| only(script, 1.0))
            .then(check(Critical, 127, 0.5))
            .then(check(Critical, 0, 0.99))
            .then(STATS)
            .end(),
        shedder(
            "critical_not_of_full_pressure_that_nobody_saw",
            "one look, a gap, another: nothing was held",
            config(),
        )
        .each(0..2, |script, _| only(script, 1.0))
        .after(4 * EACH)
        .each(0..2, |script, _| only(script, 1.0))
        .then(check(Critical, 127, 0.5))
        .each(0..5, |script, _| only(script, 1.0))
        .then(check(Critical, 127, 0.5))
        .end(),
        shedder("critical_begins_anew_after_a_long_gap", "as the threshold does", config())
            .each(0..2, |script, _| only(script, 1.0))
            .after(100 * S)
            .each(0..4, |script, _| only(script, 1.0))
            .then(check(Critical, 127, 0.5))
            .each(0..10, |script, _| only(script, 1.0))
            .then(check(Critical, 127, 0.5))
            .end(),
        shedder("critical_no_longer_than_full_pressure", "below it they pass at once", config())
            .each(0..12, |script, _| only(script, 1.0))
            .then(check(Critical, 0, 0.99))
            .each(0..2, |script, _| only(script, 0.79))
            .then(SAMPLE)
            .then(check(Critical, 0, 0.99))
            .then(check(High, 0, 0.99))
            .end(),
    ]
}

fn clocks() -> Cases {
    vec![
        shedder("a_threshold_that_nobody_looks_after_expires", "after eight intervals", config())
            .each(0..8, |script, _| busy(script, 1.0))
            .after(7 * EACH - MS)
            .then(PRESSURE)
            .then(check(Sheddable, 127, 0.5))
            .after(8 * EACH)
            .then(PRESSURE)
            .then(check(Sheddable, 127, 0.5))
            .then(STATS)
            .end(),
        shedder("the_clock_steps_back", "by little it is waited for, by much it heals at once", config())
            .at(20 * S)
            .each(0..4, |script, _| busy(script, 1.0))
            .back(EACH)
            .then(check(Sheddable, 127, 0.5))
            .back(10 * S)
            .then(check(Sheddable, 127, 0.5))
            .each(0..4, |script, _| busy(script, 1.0))
            .then(check(Sheddable, 127, 0.5))
            .then(STATS)
            .end(),
        shedder("turns_come_an_interval_apart", "however often is asked", config())
            .then(tell("depth", 0.65))
            .each(0..10, |script, n| {
                script.then(tell("depth", 0.65 + n as f64 / 1000.0)).then(SAMPLE).then(PRESSURE).after(60 * MS)
            })
            .end(),
    ]
}

fn switches() -> Cases {
    let play = |script: Shedder| {
        script
            .each(0..8, |script, _| busy(script, 1.0))
            .then(check(Sheddable, 127, 0.5))
            .then(PRESSURE)
            .then(STATS)
            .end()
    };
    vec![
        play(shedder(
            "dry_run",
            "it refuses nothing, and counts what it would have",
            Config { dry_run: true, ..config() },
        )),
        play(shedder("disabled", "all pass and nothing counts", Config { enabled: false, ..config() })),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let config = Config {
            signals: vec![signal("depth", 0.5, 0.8), signal("lag", 20.0, 200.0)],
            rise: random.pick(&[0.05, 0.3, 1.0]),
            fall: random.pick(&[0.02, 0.2, 1.0]),
            min_admit: random.pick(&[0.0, 0.01, 0.1]),
            critical_at: random.pick(&[0.9, 1.0]),
            critical_after_ns: Ns(random.pick(&[0, 500, 1_000]) * MS),
            cool_off_ns: Ns(random.pick(&[0, 300, 1_000]) * MS),
            interval_ns: Ns(random.pick(&[100, 250, 1_000]) * MS),
            ..config()
        };
        shedder(&format!("random_{seed}"), "calls, signals and a clock that now and then steps back", config)
            .each(0..150, |script, _| {
                let script = match random.below(40) {
                    0 => script.back(random.below(9_000) * MS / 3),
                    1 => script.after(random.below(9_000) * MS),
                    n if n < 20 => script.after(random.below(300) * MS / 2),
                    _ => script,
                };
                let (priority, level) = (random.pick(&ALL), random.below(128) as u8);
                let draw = random.below(1_000) as f64 / 1_000.0;
                match random.below(20) {
                    0 => script.then(PRESSURE),
                    1 => script.then(STATS),
                    2 => script.then(SAMPLE),
                    n if n < 6 => script.then(tell("depth", random.below(100) as f64 / 100.0)),
                    n if n < 8 => script.then(tell("lag", random.below(300) as f64)),
                    n if n < 10 => script.then(check(priority, level, draw)),
                    _ => script.then(admit(priority, level, draw)),
                }
            })
            .then(STATS)
            .end()
    };
    (1..=10).map(case).collect()
}
