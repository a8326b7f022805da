//! What may be said on the command line.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tidegate::arena::HostConfig;

/// Look into the arenas that processes of this machine share, and put a hand in where one must.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where arenas lie, and the form of the answer.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The directory of the arenas [default: $TIDEGATE_DIR, else /dev/shm/tidegate-UID].
    #[arg(long, global = true, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The group that shares them, by name or number, if they were opened with one.
    #[arg(long, global = true)]
    group: Option<String>,
    /// Answer in JSON, for programs. Times are seconds; null stands for never.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Place {
    /// How to open the arena of that name.
    pub(crate) fn options(&self, arena: &str) -> HostConfig {
        HostConfig { path: self.path.clone(), group: self.group.clone(), ..HostConfig::new(arena) }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the arenas.
    Ls,
    /// Show what is in an arena, and who has it open.
    ///
    /// Limits with their quota in force, breakers with their state and window, permits with their owners. Takes no lock
    /// and changes nothing; counting the live keys of a limiter reads its whole table.
    Show {
        /// The arena's name.
        arena: String,
        /// One object in it; without: all.
        object: Option<String>,
    },
    /// Show an arena again and again, with rates since the last picture.
    ///
    /// On a terminal the picture is redrawn, any key redraws it at once and q or Ctrl-C ends; elsewhere one block of
    /// text (with
    /// --json: one line) follows the other.
    Top {
        /// The arena's name.
        arena: String,
        /// Seconds from one picture to the next, 0.1 to 3600.
        #[arg(long, short, default_value = "1", value_name = "SECONDS", value_parser = interval)]
        interval: Duration,
        /// End after so many pictures [default: never].
        #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// Lease tokens from Redis or Valkey for the cluster limits of this machine.
    ///
    /// Starts the program tidegate-agent, of the crate tidegate-cluster, which has the client of Redis. Its words:
    /// tidegate agent --help.
    #[command(disable_help_flag = true)]
    Agent {
        /// What it is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Look at the store of cluster limits: ls, show and init, of the program tidegate-agent.
    ///
    /// Its words: tidegate cluster --help.
    #[command(disable_help_flag = true)]
    Cluster {
        /// What it is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Open a circuit breaker by hand: every call is refused until it is closed or reset.
    ///
    /// Its window is emptied, and outcomes of calls under way are dropped. It holds for all processes, at once.
    Open {
        /// The arena's name.
        arena: String,
        /// The breaker's name.
        breaker: String,
    },
    /// Close a circuit breaker that is open or half-open, whether by itself or by hand.
    ///
    /// It begins with an empty window and the first cooldown; calls pass at once. A closed one is left as it is, with
    /// its window. One that is disabled, or only measures, is refused: reset ends that.
    Close {
        /// The arena's name.
        arena: String,
        /// The breaker's name.
        breaker: String,
    },
    /// Make an object as new: a breaker closed, a bucket full, the keys of a limiter unknown.
    ///
    /// A breaker is closed with an empty window whatever its state, also when it was disabled or only measured. A
    /// bucket's debt and penalty end, and its tickets are void. Keys of a limiter are no longer denied; how often a key
    /// was blocked before is kept. Quotas set at run time and counters stay.
    Reset {
        /// The arena's name.
        arena: String,
        /// The name of the breaker, bucket or limiter.
        object: String,
        /// Of a limiter: this key only.
        #[arg(long)]
        key: Option<String>,
    },
    /// Remove an arena, or a name in one.
    ///
    /// Refused while living processes have the arena open, unless forced. Who has it open goes on with what was
    /// removed, by itself: its limits are no longer shared with those who open the arena (or the name) afterwards and
    /// begin a new one. The bytes of a removed name are not given out again; those of a removed arena are freed when
    /// the last process that has it open ends.
    Rm {
        /// The arena's name.
        arena: String,
        /// One object in it; without: the whole arena.
        object: Option<String>,
        /// Also while living processes have it open.
        #[arg(long, short)]
        force: bool,
    },
    /// Check and show policy files.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
}

/// What is done with a policy file.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what is wrong with a policy file: all of it, a line each, with line and column.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print a policy with all its defaults filled in.
    Show {
        /// The file.
        file: PathBuf,
    },
    /// Say what a reload would do that finds another file.
    ///
    /// The exit code is 1 where something needs a new object: of such a file a reload applies nothing.
    Diff {
        /// The file in force.
        old: PathBuf,
        /// The other.
        new: PathBuf,
    },
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=3_600.0).contains(&seconds) {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err("allowed are 0.1 to 3600 seconds".to_owned())
}
