//! A server behind a concurrency limiter, simulated with injected time.
//!
//! `table`: each algorithm in each situation. `waits`: where calls wait for their permit. `check [seeds]`: the bounds
//! that the default must hold, an error if it does not. `draw FILE`: limit, calls in flight and latency as a picture.

mod bounds;
mod picture;
mod scenarios;
mod server;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("table"), None) => table::print(),
        (Some("waits"), None) => table::print_waits(),
        (Some("check"), seeds) => {
            let seeds = seeds.map_or(Ok(20), |seeds| seeds.parse());
            match seeds {
                Ok(seeds) if seeds > 0 => return bounds::check(seeds),
                _ => eprintln!("how many seeds is a number, 1 or more"),
            }
            return ExitCode::from(2);
        }
        (Some("draw"), Some(file)) => {
            std::fs::write(file, picture::draw()).expect("a file that can be written");
        }
        _ => {
            eprintln!("usage: tidegate-sim table | waits | check [seeds] | draw FILE");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
