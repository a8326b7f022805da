//! What a breaker's event ring tells: kinds, numbers, moments, and what opened it.

use super::circuit_breaker::{Breaker, Cases, acquire, breaker, report, took};
use crate::script::{MS, S};
use tidegate_model::format::Ns;
use tidegate_model::script::breaker::{Config, Draw, Op, Outcome};

use Outcome::{Failure, Success, Unreached};

fn settings() -> Config {
    Config {
        consecutive_failures: Some(2),
        slow_call_duration_ns: Some(Ns(100 * MS)),
        cooldown_ns: Ns(S),
        probes: 2,
        probe_timeout_ns: Ns(2 * S),
        ramp_ns: Some(Ns(10 * S)),
        ..Config::default()
    }
}

fn events(since: u32) -> Op {
    Op::Events { since }
}

/// A call that is not refused by a ramp.
fn call(script: Breaker, name: &str, outcome: Outcome) -> Breaker {
    script.then(Op::AcquireWith { name: name.into(), draw: Draw(0.0) }).then(report(name, outcome))
}

fn trip(script: Breaker) -> Breaker {
    call(call(script, "a", Failure), "b", Failure)
}

pub(super) fn all() -> Cases {
    vec![every_kind(), of_a_moment(), kept()]
}

fn every_kind() -> tidegate_model::format::Case<Config, Op> {
    let script = breaker("events", "each kind of event, with its number, its moment and what opened it", settings());
    let script = script.then(events(0)).then(acquire("s")).then(took("s", Success, 100 * MS));
    let script = trip(script).after(S).then(events(0));
    // A probe that fails opens it, two that are lost make room for two more, and one of these never reached anybody.
    let script = call(script, "p", Failure).then(acquire("refused")).after(S).then(acquire("lost")).then(acquire("l"));
    let script = script.after(2 * S).then(acquire("again")).then(acquire("m")).then(events(2));
    let script = call(script.then(report("again", Success)).then(report("m", Unreached)), "u", Success).then(events(5));
    let script = script.after(10 * S).then(acquire("after")).then(report("after", Success)).then(events(8));
    let changed = Config { cooldown_ns: Ns(2 * S), ..settings() };
    let script = script.after(S).then(Op::SetConfig(Box::new(changed.clone())));
    let script = script.then(Op::SetConfig(Box::new(changed))).then(Op::ForceOpen {}).then(Op::ForceOpen {});
    let script = script.then(Op::Disable {}).then(Op::MetricsOnly {}).then(Op::Reset {}).then(Op::Reset {});
    script.then(events(0)).then(events(1_000)).end()
}

fn of_a_moment() -> tidegate_model::format::Case<Config, Op> {
    let why = "a moment is the whole millisecond before, and a reset tells of the ramp that it ends";
    let script = trip(breaker("events_of_a_moment", why, settings()).after(1_999_999));
    let script = call(call(script.after(S + MS), "p", Success), "q", Success);
    script.after(123_456).then(Op::Reset {}).then(events(0)).end()
}

fn kept() -> tidegate_model::format::Case<Config, Op> {
    let script = breaker("events_kept", "the latest 64 are kept, by their numbers", settings());
    let script = script.each(0..40, |script, _| script.after(S).then(Op::Disable {}).then(Op::Reset {}));
    script.then(events(0)).then(events(79)).then(events(80)).end()
}
