//! What the default must hold, over many seeds.

use crate::scenarios::{cold, drop_and_back, lasting, load, quiet, step, tail};
use crate::server::Guard;
use std::process::ExitCode;
use tidegate::concurrency::AdaptiveConfig;

struct Bounds {
    failed: bool,
    /// With fewer seeds only the worst counts: a mean of a few says little.
    means: bool,
}

impl Bounds {
    fn hold(&mut self, what: &str, values: &[f64], mean: f64, worst: f64) {
        let own_mean = values.iter().sum::<f64>() / values.len() as f64;
        let own_worst = values.iter().copied().fold(f64::INFINITY, f64::min);
        let holds = own_worst >= worst && (own_mean >= mean || !self.means);
        self.failed |= !holds;
        let verdict = if holds { "" } else { "  FAILS" };
        println!("{what:<28} mean {own_mean:6.1} (≥ {mean})  worst {own_worst:6.1} (≥ {worst}){verdict}");
    }

    fn at_most(&mut self, what: &str, value: f64, most: f64) {
        self.failed |= value > most;
        let verdict = if value > most { "  FAILS" } else { "" };
        println!("{what:<28} {value:.1} (≤ {most:.1}){verdict}");
    }
}

/// Over the seeds from 21 on.
pub(crate) fn check(seeds: u64) -> ExitCode {
    let guard = Guard::Adaptive(AdaptiveConfig::default());
    let all = |value: &dyn Fn(u64) -> f64| (21..21 + seeds).map(value).collect::<Vec<_>>();
    let mut bounds = Bounds { failed: false, means: seeds >= 8 };
    for times in [2.0, 5.0] {
        let loads: Vec<_> = (21..21 + seeds).map(|seed| load(guard, times, seed)).collect();
        let goodputs: Vec<_> = loads.iter().map(|load| load.goodput).collect();
        bounds.hold(&format!("{times} ×"), &goodputs, 98.0, 97.0);
        let p99 = loads.iter().map(|load| load.p99).sum::<f64>() / seeds as f64;
        let fixed = all(&|seed| load(Guard::Fixed(16), times, seed).p99).iter().sum::<f64>() / seeds as f64;
        bounds.at_most(&format!("{times} ×, p99 in ms"), p99, 1.4 * fixed);
    }
    let drops: Vec<_> = (21..21 + seeds).map(|seed| drop_and_back(guard, seed)).collect();
    bounds.hold("4 → 1 workers", &drops.iter().map(|both| both.0).collect::<Vec<_>>(), 97.0, 95.0);
    bounds.hold("the 20 s after", &drops.iter().map(|both| both.1).collect::<Vec<_>>(), 94.0, 90.0);
    bounds.hold("heavy tail", &all(&|seed| tail(guard, seed)), 93.0, 88.0);
    bounds.hold("+40 ms", &all(&|seed| step(guard, seed)), 94.0, 82.0);
    bounds.hold("cold start", &all(&|seed| cold(guard, seed)), 92.0, 90.0);
    for seconds in [1, 5, 120] {
        bounds.hold(&format!("after {seconds} quiet s"), &all(&|seed| quiet(guard, seconds, seed)), 93.0, 82.0);
    }
    let refused = all(&|seed| load(guard, 0.5, seed).refused.into());
    bounds.at_most("0.5 ×, refused after 10 s", refused.iter().sum(), 0.0);
    // A whole evening where there is time for it.
    let long = if bounds.means { 7_200 } else { 1_200 };
    let lasting: Vec<_> = (8..8 + seeds.min(3)).map(|seed| lasting(guard, long, seed)).collect();
    bounds.hold(&format!("2 × for {long} s"), &lasting.iter().map(|both| both.1).collect::<Vec<_>>(), 98.0, 98.0);
    let limits: Vec<_> = lasting.iter().map(|both| f64::from(both.0)).collect();
    bounds.hold("its limit, of 4 workers", &limits, 4.0, 4.0);
    bounds.at_most("its limit at most", limits.iter().copied().fold(0.0, f64::max), 16.0);
    if bounds.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
