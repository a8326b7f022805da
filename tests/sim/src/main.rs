//! A server behind a concurrency limiter, simulated with injected time.
//!
//! `table [name]`: each algorithm in each situation, or those with this in their name. `waits`: where calls wait for
//! their permit. `check [seeds]`: the bounds that the default must hold, an error if it does not. `draw FILE [name]`:
//! limit, calls in flight and latency as a picture, of the default or of the first with this in its name.

mod bounds;
mod foreign;
mod picture;
mod scenarios;
mod server;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("table"), part) => table::print(part.as_deref().unwrap_or("")),
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
            let name = args.next().unwrap_or_else(|| "**gradient**".to_owned());
            let Some((_, guard)) = table::named(&name).next() else {
                eprintln!("no row of the table has {name:?} in its name");
                return ExitCode::from(2);
            };
            std::fs::write(file, picture::draw(guard)).expect("a file that can be written");
        }
        _ => {
            eprintln!("usage: tidegate-sim table [name] | waits | check [seeds] | draw FILE [name]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
