//! The Rust rows: each contender of a row measured in turn, in one process; one JSON row a line on standard output.

mod breaker;
mod bucket;
mod floor;
mod harness;
mod queue;

use harness::Plan;

fn main() {
    // A contender that breaks ends the run; else the other thread would wait for it for ever.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let mut plan = Plan::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => (plan.rounds, plan.row) = (61, std::time::Duration::from_secs(4)),
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
