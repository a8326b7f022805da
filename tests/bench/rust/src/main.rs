//! The Rust rows: each contender of a row measured in turn, in one process; one JSON row a line on standard output.

mod breaker;
mod bucket;
mod flood;
mod floor;
mod harness;
mod keyed;
mod keys;
mod memory;
mod permit;
mod queue;
mod retry;
mod scope;
mod set;
mod shed;

use harness::Plan;

fn main() {
    // A contender that breaks ends the run; else the other thread would wait for it for ever.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let mut plan = Plan::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (plan.rounds, plan.row) = (61, std::time::Duration::from_secs(4)),
            "--resident" => return memory::child(arguments.next().as_deref()),
            only if !only.starts_with('-') => plan.only.push(only.to_owned()),
            other => {
                eprintln!("unknown option {other}; usage: tidegate-bench [--quick] [part of a row's name ...]");
                std::process::exit(2);
            }
        }
    }
    bucket::rows(&plan);
    keyed::rows(&plan);
    memory::rows(&plan);
    flood::rows(&plan);
    set::rows(&plan);
    breaker::rows(&plan);
    queue::rows(&plan);
    scope::rows(&plan);
    permit::rows(&plan);
    retry::rows(&plan);
    shed::rows(&plan);
}
