//! The Rust rows: each contender of a row measured in turn, in one process; one JSON row a line on standard output.

mod breaker;
mod bucket;
mod floor;
mod harness;
mod queue;

use harness::Plan;

fn main() {
    let mut plan = Plan::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => plan.rounds = 61,
            only if !only.starts_with('-') => plan.only.push(only.to_owned()),
            other => {
                eprintln!("unknown option {other}; usage: tidegate-bench [--quick] [part of a row's name ...]");
                std::process::exit(2);
            }
        }
    }
    bucket::rows(&plan);
    breaker::rows(&plan);
    queue::rows(&plan);
}
