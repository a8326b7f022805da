//! `LoadShedder` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::shed::{Priority, ShedderConfig, Signal, SignalKind};
use tidegate::{Arena, Clock, LoadShedder, ManualClock, OnConflict};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::shed::{Answer, Config, Op, PriorityName};

/// A shedder of the process, and one in an arena that two handles use in turns: they must never differ. One of
/// them tells all: what another has told, it does not take back.
#[derive(Debug)]
pub(crate) struct CoreShedder {
    own: LoadShedder,
    shared: [LoadShedder; 2],
    turn: usize,
    clock: ManualClock,
}

impl Subject for CoreShedder {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let config = settings(config);
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open = || LoadShedder::in_arena(&arena, "it", config.clone(), OnConflict::Error).expect("sound settings");
        let own = LoadShedder::with_clock(config.clone(), Clock::from(&clock)).expect("sound settings");
        Self { own, shared: [open(), open()], turn: 0, clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        self.turn = 1 - self.turn;
        let shared = &self.shared[if matches!(op, Op::Tell { .. }) { 0 } else { self.turn }];
        let (own, shared) = (answer(&self.own, now, op), answer(shared, now, op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

/// As the vectors say them.
pub(crate) fn settings(config: &Config) -> ShedderConfig {
    let told = |it: &tidegate_model::script::shed::Signal| {
        Signal::new(SignalKind::Gauge).named(&it.name).range(it.start, it.full)
    };
    ShedderConfig {
        rise: config.rise,
        fall: config.fall,
        min_admit: config.min_admit,
        critical_at: config.critical_at,
        critical_after: Duration::from_nanos(config.critical_after_ns.0),
        cool_off: Duration::from_nanos(config.cool_off_ns.0),
        interval: Duration::from_nanos(config.interval_ns.0),
        mode: Mode::of(Some(config.enabled), config.dry_run),
        ..ShedderConfig::new(config.signals.iter().map(told).collect())
    }
}

fn of(priority: PriorityName) -> Priority {
    Priority::ALL[priority as usize]
}

fn answer(shedder: &LoadShedder, now: u64, op: &Op) -> Answer {
    match op {
        Op::Admit { priority, level, draw } => Answer::Ok { ok: shedder.admit_at(now, of(*priority), *level, *draw) },
        Op::Check { priority, level, draw } => {
            let shed = shedder.check_at(now, of(*priority), *level, *draw);
            Answer::Check {
                allowed: shed.allowed,
                signal: shed.signal.map(str::to_owned),
                pressure: shed.pressure,
                retry_after_ns: Ns(shed.retry_after_ns),
            }
        }
        Op::Tell { signal, value } => {
            shedder.tell(signal, *value).expect("a signal that is told");
            Answer::Nothing {}
        }
        Op::Sample {} => {
            shedder.sample();
            Answer::Nothing {}
        }
        Op::Pressure {} => Answer::Pressure { pressure: shedder.pressure() },
        Op::Stats {} => {
            let stats = shedder.stats();
            Answer::Stats { admitted: stats.admitted, shed: stats.shed, would_shed: stats.would_shed }
        }
    }
}
