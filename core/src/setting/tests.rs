use super::*;
use crate::config::TABLES;

#[test]
fn an_error_is_said_as_its_caller_writes() {
    let config = crate::BreakerConfig { cooldown: Duration::ZERO, ..Default::default() };
    let error = crate::CircuitBreaker::new("it", config).expect_err("no cooldown");
    assert_eq!(error.to_string(), "cooldown: 0ns is not within 1ms to 31536000s");
    assert_eq!(error.said(&PYTHON), "cooldown: 0 s is not within 0.001 s to 31536000 s");
    assert_eq!(error.said(&NODE), "cooldownMs: 0 ms is not within 1 ms to 31536000000 ms");
    assert_eq!(error.said(&C), "cooldown_ns: 0 ns is not within 1000000 ns to 31536000000000000 ns");
}

#[test]
fn names_are_those_of_each_language() {
    for (name, is_span, names) in [
        ("window_calls", false, ["window", "window_calls", "window_calls", "windowCalls"]),
        ("period", true, ["period", "period_ns", "per", "perMs"]),
        ("block_within", true, ["block_within", "block_within_ns", "within", "block.withinMs"]),
        ("block_growth", false, ["block_growth", "block_growth", "growth", "block.growth"]),
        ("warm_up", true, ["warm_up", "warm_up_ns", "warm_up", "warmUp.periodMs"]),
        ("warm_up_from", false, ["warm_up_from", "warm_up_from", "warm_up_from", "warmUp.from"]),
        ("on_conflict", false, ["on_conflict", "on_conflict", "on_conflict", "onConflict"]),
    ] {
        assert_eq!([RUST, C, PYTHON, NODE].map(|dialect| dialect.name(name, is_span)), names);
    }
    let keep = setting("on_conflict", "keep");
    assert_eq!(
        [RUST, C, PYTHON, NODE].map(|dialect| dialect.say(&keep)),
        ["OnConflict::Keep", "on_conflict = TG_ON_CONFLICT_KEEP", "on_conflict=\"keep\"", "onConflict: 'keep'"]
    );
}

#[test]
fn any_message_can_be_said() {
    for odd in ["", "\u{fdd0}", "\u{fdd1}x\u{fdd2}", "\u{fdd2}a\u{fdd0}b\u{fdd2}", "\u{fdd0}\u{fdd3}\u{fdd2}"] {
        assert!(!PYTHON.say(odd).contains('\u{fdd1}'));
    }
}

#[test]
fn defaults_lie_in_their_ranges() {
    for field in TABLES.iter().flat_map(|table| table.fields) {
        let fits = match field.default {
            Preset::Count(count) => field.check_count(count, "").is_ok(),
            Preset::Real(real) => field.check_real(real, "").is_ok(),
            Preset::Span(ns) => field.check_span(Duration::from_nanos(ns), "").is_ok(),
            Preset::Flag(_) => field.kind == Kind::Flag,
            Preset::Choice(text) => matches!(field.kind, Kind::Choice(texts) if texts.contains(&text)),
            Preset::Required | Preset::Unset => true,
        };
        assert!(fits, "{field:?}");
    }
}

#[test]
fn names_stand_by_number() {
    use crate::breaker::{EventKind, State};
    assert!(State::ALL.iter().enumerate().all(|(number, state)| *state as usize == number));
    assert!(EventKind::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
    assert!(crate::gate::Kind::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
    assert!(crate::shed::Priority::ALL.iter().enumerate().all(|(number, priority)| *priority as usize == number));
    assert!(crate::queue::DropReason::ALL.iter().enumerate().all(|(number, reason)| *reason as usize == number));
    for (list, texts) in crate::config::names() {
        let different: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "{list}");
    }
}
