//! The table: the mean over ten seeds in each cell, one run of 2 h.

use crate::foreign::{Aimd, Bbr, Envoy, Failsafe, GoZero, Gradient2, Vegas};
use crate::scenarios::{cold, drop_and_back, lasting, load, step, tail, waits};
use crate::server::Guard;
use std::ops::RangeInclusive;
use std::time::Duration;
use tidegate::concurrency::{AdaptiveAlgorithm, AdaptiveConfig};

/// Some limits fall for good in one run and not in the next: a few seeds would say nothing of them.
const SEEDS: RangeInclusive<u64> = 11..=20;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What stands before a server with so many workers, by its name in the table.
pub(crate) type Contender = (&'static str, fn(u32) -> Guard);

pub(crate) const CONTENDERS: [Contender; 14] = [
    ("no limit", |_| Guard::Open),
    ("fixed, 2 × workers", |workers| Guard::Fixed(2 * workers)),
    ("AIMD (Netflix), per sample", |_| Guard::Foreign(|| Box::<Aimd>::default())),
    ("AIMD (Netflix), 1 s windows", |_| netflix(AdaptiveAlgorithm::Aimd)),
    ("Vegas (Netflix), per sample", |_| Guard::Foreign(|| Box::<Vegas>::default())),
    ("Vegas (Netflix), 1 s windows", |_| netflix(AdaptiveAlgorithm::Vegas)),
    ("Gradient2 (Netflix), per sample", |_| Guard::Foreign(|| Box::<Gradient2>::default())),
    ("Gradient2 (Netflix), 1 s windows", |_| netflix(AdaptiveAlgorithm::Gradient2)),
    ("BBR (kratos), CPU-bound server", |_| Guard::Foreign(|| Box::<Bbr>::default())),
    ("go-zero, CPU-bound server", |_| Guard::Foreign(|| Box::<GoZero>::default())),
    ("failsafe-go", |_| Guard::Foreign(|| Box::<Failsafe>::default())),
    ("Envoy gradient", |_| Guard::Foreign(|| Box::<Envoy>::default())),
    ("**gradient**", |_| Guard::Adaptive(AdaptiveConfig::default())),
    ("its probe off", |_| Guard::Adaptive(AdaptiveConfig { probe: false, ..AdaptiveConfig::default() })),
];

fn netflix(algorithm: AdaptiveAlgorithm) -> Guard {
    Guard::Adaptive(AdaptiveConfig::new(algorithm))
}

/// Those whose name contains the text.
pub(crate) fn named(part: &str) -> impl Iterator<Item = Contender> {
    CONTENDERS.into_iter().filter(move |contender| contender.0.contains(part))
}

/// A row for each contender whose name contains the text.
pub(crate) fn print(part: &str) {
    println!("| | 0.5 × | 1 × | 2 × | 5 × | 4 → 1 | back | tail | +40 ms | cold | 2 h |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    named(part).for_each(row);
}

/// Goodput in % / p99 in ms / limit at the end, where calls wait for their permit.
pub(crate) fn print_waits() {
    println!("| | waits at most | 1 × | 1.5 × | 2 × | 5 × |");
    println!("|---|---|---|---|---|---|");
    let fixed = AdaptiveConfig { base: Some(Duration::from_millis(20)), ..AdaptiveConfig::default() };
    for (name, guard) in [
        ("fixed, 16", Guard::Fixed(16)),
        ("**gradient**", Guard::Adaptive(AdaptiveConfig::default())),
        ("its latency from the grant", Guard::FromGrant(AdaptiveConfig::default())),
        ("`base` of 20 ms", Guard::Adaptive(fixed)),
    ] {
        for max_wait in [0.0, 0.05, 0.1, 0.2] {
            let cells = [1.0, 1.5, 2.0, 5.0].map(|times| {
                let seeds = [11, 12, 13].map(|seed| waits(guard, times, max_wait, seed));
                let goodput = seeds.iter().map(|seed| seed.0).sum::<f64>() / 3.0;
                let p99 = seeds.iter().map(|seed| seed.1).sum::<f64>() / 3.0;
                let limit = seeds.iter().map(|seed| f64::from(seed.2)).sum::<f64>() / 3.0;
                format!("{goodput:.0} / {p99:.0} / {limit:.0}")
            });
            println!("| {name} | {:.0} ms | {} |", max_wait * 1e3, cells.join(" | "));
        }
    }
}

fn row((name, guard): Contender) {
    let loads = [0.5, 1.0, 2.0, 5.0].map(|times| {
        let loads: Vec<_> = SEEDS.map(|seed| load(guard(8), times, seed)).collect();
        let (goodputs, p99s): (Vec<_>, Vec<_>) = loads.iter().map(|load| (load.goodput, load.p99)).unzip();
        format!("{:.0} / {:.0}", mean(&goodputs), mean(&p99s))
    });
    let (gone, back): (Vec<_>, Vec<_>) = SEEDS.map(|seed| drop_and_back(guard(4), seed)).unzip();
    let all = |cell: &dyn Fn(u64) -> f64| SEEDS.map(cell).collect::<Vec<_>>();
    let others = [
        gone,
        back,
        all(&|seed| tail(guard(8), seed)),
        all(&|seed| step(guard(8), seed)),
        all(&|seed| cold(guard(100), seed)),
    ]
    .map(|cell| format!("{:.0}", mean(&cell)));
    let (limit, goodput) = lasting(guard(4), 7_200, 8);
    // Some limits are a word for none.
    let limit = if (1..=10_000).contains(&limit) { limit.to_string() } else { "–".to_owned() };
    println!("| {name} | {} | {} | {limit}, {goodput:.0} % |", loads.join(" | "), others.join(" | "));
}
