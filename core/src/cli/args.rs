//! What may be said on the command line.

use crate::arena::HostOptions;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Look into the arenas that processes of this machine share, and put a hand in where one must.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub(super) struct Said {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where arenas lie, and the form of the answer.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The directory of the arenas [default: $TIDEGATE_DIR, else /dev/shm/tidegate-UID].
    #[arg(long, global = true, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The group that shares them, by name or number, if they were opened with one.
    #[arg(long, global = true)]
    group: Option<String>,
    /// Answer in JSON, for programs. Times are seconds; null stands for never.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Place {
    /// How to open the arena of that name.
    pub(super) fn options(&self, arena: &str) -> HostOptions {
        HostOptions { path: self.path.clone(), group: self.group.clone(), ..HostOptions::new(arena) }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the arenas.
    Ls,
}
