//! The table: three seeds a cell.

use crate::scenarios::{cold, drop_and_back, lasting, load, step, tail, waits};
use crate::server::Guard;
use std::time::Duration;
use tidegate::concurrency::{AdaptiveAlgorithm, AdaptiveConfig};

fn mean(seeds: &[u64], cell: impl Fn(u64) -> f64) -> f64 {
    seeds.iter().map(|&seed| cell(seed)).sum::<f64>() / seeds.len() as f64
}

/// A row for each guard; a fixed one is twice the workers of each situation.
pub(crate) fn print() {
    println!("| | 0.5 × | 1 × | 2 × | 5 × | 4 → 1 | back | tail | +40 ms | cold | 2 h |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    row("no limit", |_| Guard::Open);
    row("fixed, 2 × workers", |workers| Guard::Fixed(2 * workers));
    let of = |algorithm| move |_| Guard::Adaptive(AdaptiveConfig::new(algorithm));
    row("AIMD (Netflix), 1 s windows", of(AdaptiveAlgorithm::Aimd));
    row("Vegas (Netflix), 1 s windows", of(AdaptiveAlgorithm::Vegas));
    row("Gradient2 (Netflix), 1 s windows", of(AdaptiveAlgorithm::Gradient2));
    row("**gradient**", of(AdaptiveAlgorithm::Gradient));
    let blind = AdaptiveConfig { probe: false, ..AdaptiveConfig::default() };
    row("its probe off", |_| Guard::Adaptive(blind));
}

/// Goodput in % / p99 in ms / limit at the end, where calls wait for their permit.
pub(crate) fn print_waits() {
    println!("| | waits at most | 1 × | 1.5 × | 2 × | 5 × |");
    println!("|---|---|---|---|---|---|");
    let fixed = AdaptiveConfig { base: Some(Duration::from_millis(20)), ..AdaptiveConfig::default() };
    for (name, guard) in [
        ("fixed, 16", Guard::Fixed(16)),
        ("**gradient**", Guard::Adaptive(AdaptiveConfig::default())),
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

fn row(name: &str, guard: impl Fn(u32) -> Guard) {
    let seeds = &[11, 12, 13];
    let loads = [0.5, 1.0, 2.0, 5.0].map(|times| {
        let goodput = mean(seeds, |seed| load(guard(8), times, seed).goodput);
        let p99 = mean(seeds, |seed| load(guard(8), times, seed).p99);
        format!("{goodput:.0} / {p99:.0}")
    });
    let gone = mean(seeds, |seed| drop_and_back(guard(4), seed).0);
    let back = mean(seeds, |seed| drop_and_back(guard(4), seed).1);
    let others = [
        gone,
        back,
        mean(seeds, |seed| tail(guard(8), seed)),
        mean(seeds, |seed| step(guard(8), seed)),
        mean(&seeds[..2], |seed| cold(guard(100), seed)),
    ]
    .map(|cell| format!("{cell:.0}"));
    let (limit, goodput) = lasting(guard(4), 7_200, 8);
    println!("| {name} | {} | {} | {limit}, {goodput:.0} % |", loads.join(" | "), others.join(" | "));
}
