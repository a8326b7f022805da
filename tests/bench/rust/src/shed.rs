//! Load shedder beside the least that a decision can do: read one word.

use crate::floor;
use crate::harness::{Contender, Plan, Row};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tidegate::limit::Mode;
use tidegate::shed::{Priority, Signal};
use tidegate::{LoadShedder, ShedderConfig};

pub fn rows(plan: &Plan) {
    // How seldom calls look at the clock is known after an interval: one object for all rounds.
    let plan = Plan { keep: usize::MAX, ..plan.clone() };
    for (work, threads) in [("shed decision, 1 thread", 1), ("shed decision, 2 threads", 2)] {
        plan.measure(Row {
            work,
            threads,
            floor: Some("atomic load"),
            targets: &[("atomic load", 2.0)],
            contenders: vec![asked("tidegate", 0.0), floor::load(), floor::load_and_count()],
        });
    }
    plan.measure(Row {
        work: "shed decision while most are refused, 1 thread",
        threads: 1,
        floor: Some("clock"),
        targets: &[],
        contenders: vec![asked("tidegate", 1.0), floor::clock()],
    });
}

fn asked(name: &'static str, pressure: f64) -> Contender {
    Contender::new(name, move || {
        let signal = Signal::gauge("bench", 0.5, 1.0, move || pressure);
        let config = ShedderConfig { mode: Mode::Enforce, ..ShedderConfig::new(vec![signal]) };
        let shedder = LoadShedder::new(config).expect("valid settings");
        let began = Instant::now();
        // At full pressure three in four are shed after 30 intervals.
        let warm = Duration::from_millis(if pressure > 0.0 { 8_000 } else { 1_000 });
        while began.elapsed() < warm {
            for _ in 0..1_000 {
                black_box(shedder.admit(Priority::Normal, 64));
            }
        }
        move || black_box(&shedder).admit(black_box(Priority::Normal), black_box(64))
    })
}
