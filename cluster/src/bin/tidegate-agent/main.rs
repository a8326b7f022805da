//! `tidegate-agent`, which `tidegate agent` starts: leases tokens for the cluster limits of arenas of this machine.
//!
//! | file | idea |
//! |---|---|
//! | `args.rs` | what may be said |
//! | `look.rs` | what the store holds |
//! | `keeper.rs` | one arena: found, leased for, found again when it was made anew |
//! | `signals.rs` | what ends it |

mod args;
mod keeper;
mod look;
#[cfg(unix)]
mod signals;

use args::Args;
use clap::Parser;
use keeper::Keeper;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often arenas are looked at.
const LOOK: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("tidegate-agent: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let store = args.store()?;
    if let Some(command) = &args.command {
        return look::run(command, &store);
    }
    let (end, ended) = channel();
    // Before any other thread: they inherit what is blocked.
    #[cfg(unix)]
    signals::watch(end)?;
    #[cfg(not(unix))]
    let _end = end;
    let mut keepers = Vec::new();
    for arena in &args.arena {
        keepers.push(Keeper::new(args.options(arena), args.agent(&store))?);
    }
    loop {
        for keeper in &mut keepers {
            keeper.look()?;
        }
        match ended.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return Ok(()),
        }
    }
}
