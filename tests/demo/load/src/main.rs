//! Open-loop load for the demo: request `i` leaves at `i / rate` seconds, whether or not the server has answered the
//! ones before it, as customers do. Latency counts from that planned moment (so a late send is not hidden), and a
//! request that has no answer after `--timeout-ms` is a timeout of that length.
//!
//! One JSON line a second goes to standard output; `--records` gets a line for every request.

mod args;
mod client;
mod report;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, MissedTickBehavior, interval};

use args::Args;
use client::{Client, Outcome};
use report::{Record, Report};

/// Open before the clock starts: as many connections as requests leave in this time. A server that stalls for longer is
/// sent new ones, as real customers would.
const WARM: Duration = Duration::from_millis(400);

fn main() -> ExitCode {
    let args = match Args::from_command_line() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("tidegate-demo-load: {error}\n{}", args::USAGE);
            return ExitCode::from(64);
        }
    };
    // One thread is enough for 5,000 requests a second, and leaves the other core to the services.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-demo-load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> io::Result<()> {
    let client = Arc::new(Client::new(args.address, args.path.clone()));
    let report = Arc::new(Mutex::new(Report::default()));
    let tell = || report.lock().unwrap_or_else(PoisonError::into_inner);
    let allowed = Duration::from_millis(args.timeout_ms);
    let total = args.rate * args.seconds;
    client.warm(args.rate * WARM.as_millis() as u64 / 1_000).await;
    let start = Instant::now();
    tell().start_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros);
    let end = start + Duration::from_secs(args.seconds);
    let mut sent = 0;
    let mut seconds = 0;
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);

    loop {
        tick.tick().await;
        let now = Instant::now();
        // What could not leave before the end is not sent late: it is missing from "offered", and the demo says so.
        if now < end {
            let elapsed = u64::try_from((now - start).as_nanos()).unwrap_or(u64::MAX);
            let due = (elapsed.saturating_mul(args.rate) / 1_000_000_000 + 1).min(total);
            tell().sent += due - sent;
            while sent < due {
                let planned = start + Duration::from_nanos(sent * 1_000_000_000 / args.rate);
                let body = format!(r#"{{"id":"{}-{sent:06}","item":"ticket","cents":4900}}"#, args.prefix);
                let (client, report, seq) = (client.clone(), report.clone(), sent);
                tokio::spawn(async move {
                    let outcome = client.post(body, allowed, planned).await;
                    let done = Instant::now();
                    report.lock().unwrap_or_else(PoisonError::into_inner).add(Record {
                        seq,
                        outcome,
                        sent_us: micros(planned - start),
                        done_us: micros(done - start),
                        latency_us: if outcome == Outcome::Timeout { micros(allowed) } else { micros(done - planned) },
                    });
                });
                sent += 1;
            }
        }
        let finished = now >= end && tell().in_flight() == 0;
        if now >= start + Duration::from_secs(seconds + 1) || finished {
            seconds += 1;
            let line = tell().line(seconds);
            let mut out = io::stdout().lock();
            writeln!(out, "{line}")?; // nobody listens any more: stop
            out.flush()?;
        }
        if finished {
            break;
        }
    }
    tell().write_records(&args.records)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
