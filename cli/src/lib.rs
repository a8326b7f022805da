//! The `tidegate` command: which arenas there are, what is in them, and an operator's hand on breakers and limits.
//!
//! One function: the program of this crate, Python's console script and npm's bin call it.
//! It opens arenas by [`Arena::inspect`](tidegate::Arena::inspect), so it takes no process slot and makes nothing; what
//! only reads takes no lock and changes no byte.
//!
//! | file | idea |
//! |---|---|
//! | `args.rs` | what may be said |
//! | `policy.rs` | policy files, which need no arena |
//! | `ls.rs`, `show.rs`, `top.rs`, `operate.rs`, `rm.rs`, `agent.rs` | the commands |
//! | `snapshot.rs`, `rates.rs` | an arena at one moment, and what happened since another |
//! | `text.rs`, `json.rs` | a picture for people, and for programs |
//! | `table.rs`, `units.rs`, `paint.rs` | columns; bytes, times and numbers for people; colours |
//! | `terminal.rs`, `signals.rs` | keys and the size of the screen; what ends or stops a program that has one |

mod agent;
mod args;
mod json;
mod ls;
mod operate;
mod paint;
mod policy;
mod rates;
mod rm;
mod show;
#[cfg(target_os = "linux")]
mod signals;
mod snapshot;
mod table;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(not(target_os = "linux"))]
#[path = "terminal_elsewhere.rs"]
mod terminal;
mod text;
mod top;
mod units;

use args::Command;
use clap::Parser;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use tidegate::arena::ArenaError;

/// Why a command failed.
#[derive(Debug)]
enum CliError {
    /// In one sentence.
    Message(String),
    /// In lines that were written already.
    Told,
    /// Nobody reads any more, or the disk is full.
    Output(io::Error),
}

impl From<ArenaError> for CliError {
    fn from(error: ArenaError) -> Self {
        Self::Message(error.message().to_owned())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(why) => f.write_str(why),
            Self::Told => Ok(()),
            Self::Output(error) => write!(f, "the output could not be written: {error}"),
        }
    }
}

/// Where a command writes.
struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// Colours and a live picture, where `out` is a terminal.
    terminal: bool,
}

/// Runs the command as a program does: on the standard streams of this process, with colours and a live view where they
/// are a terminal. `args`: the words of the command line, the program's name first.
///
/// Result: the exit code: 0, 1 (trouble, of which a line was written) or 2 (the words were wrong).
/// Thread safety: any thread; it returns when the command is done, `top` when its user ends it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    // One that knows no escape sequences, or does not say, gets what a file gets.
    let knows = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let terminal = knows && io::IsTerminal::is_terminal(&io::stdout());
    // Whole pictures at once, so that a screen does not flicker.
    let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
    execute(args, &mut Output { out: &mut out, err: &mut err, terminal })
}

/// Runs the command with its output to `out` and its complaints to `err`, as plain text: for tests, and for programs
/// that show it elsewhere. `args` and the result are those of [`main`].
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    execute(args, &mut Output { out, err, terminal: false })
}

fn execute(args: impl IntoIterator<Item = OsString>, to: &mut Output<'_>) -> i32 {
    let cli = match args::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and the version are asked for, and no error.
            let to = if answer.use_stderr() { &mut *to.err } else { &mut *to.out };
            let _ = write!(to, "{}", answer.render()).and_then(|()| to.flush());
            return answer.exit_code();
        }
    };
    let done = command(&cli, to).and_then(|()| Ok(to.out.flush()?));
    match done {
        Ok(()) => 0,
        // `tidegate ls | head`: who has seen enough is no trouble.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(CliError::Told) => {
            let _ = to.out.flush();
            1
        }
        Err(error) => {
            let _ = to.out.flush();
            let _ = writeln!(to.err, "tidegate: {error}");
            1
        }
    }
}

fn command(cli: &args::Cli, to: &mut Output<'_>) -> Result<(), CliError> {
    let place = &cli.place;
    match &cli.command {
        Command::Ls => ls::ls(place, to),
        Command::Show { arena, object } => show::show(place, arena, object.as_deref(), to),
        Command::Top { arena, interval, count } => top::top(place, arena, *interval, *count, to),
        Command::Agent { words } | Command::Cluster { words } => agent::start(words),
        Command::Open { arena, breaker } => operate::open(place, arena, breaker, to),
        Command::Close { arena, breaker } => operate::close(place, arena, breaker, to),
        Command::Reset { arena, object, key } => operate::reset(place, arena, object, key.as_deref(), to),
        Command::Rm { arena, object, force } => rm::rm(place, arena, object.as_deref(), *force, to),
        Command::Policy { command } => policy::policy(place.json, command, to),
    }
}
