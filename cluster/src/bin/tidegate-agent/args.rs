//! What may be said on the command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use tidegate::arena::HostConfig;
use tidegate_cluster::AgentConfig;

/// Lease tokens from Redis or Valkey for the cluster limits of this machine's processes.
///
/// One agent of a machine leases for an arena; another waits, and goes on in its place when it ends or is killed. An
/// arena that is not there yet is waited for. SIGTERM and SIGINT end it: what is held stays for the processes that have
/// the arena open, else it goes back to the store.
#[derive(Debug, Parser)]
#[command(name = "tidegate-agent", version, max_term_width = 100)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The store: redis://[user:password@]host[:port][/db] [default: $TIDEGATE_STORE].
    ///
    /// Who lists processes sees what stands here: with a password say it in the environment, or in a file.
    #[arg(long, value_name = "URL", global = true)]
    store: Option<String>,
    /// A file whose first line is the store.
    #[arg(long, value_name = "FILE", conflicts_with = "store", global = true)]
    store_file: Option<PathBuf>,
    /// An arena to lease for; may be said several times.
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) arena: Vec<String>,
    /// The namespace of all of them in the store [default: the arena's name].
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The directory of the arenas [default: $TIDEGATE_DIR, else /dev/shm/tidegate-UID].
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The group that shares them, by name or number, if they were opened with one.
    #[arg(long)]
    group: Option<String>,
}

/// A look at the store, or a hand on it.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the limits of a namespace: what is left, what hosts hold, how many they are.
    Ls {
        /// The namespace: the arena's name, unless its agent says another.
        namespace: String,
        /// Answer in JSON, for programs. Times are seconds.
        #[arg(long)]
        json: bool,
    },
    /// Show the members of a limit and their leases.
    Show {
        /// The namespace.
        namespace: String,
        /// The limit's name.
        limit: String,
        /// Answer in JSON, for programs. Times are seconds.
        #[arg(long)]
        json: bool,
    },
    /// Say that the store is new and that the limits of a namespace begin full: those that no host has asked for since.
    ///
    /// For a store that has just been set up, before its first host comes: without it limits begin empty and fill at
    /// their rate. On one in use it can admit a burst more.
    Init {
        /// The namespace.
        namespace: String,
    },
}

impl Args {
    /// Errors: none is said, or the file cannot be read.
    pub(crate) fn store(&self) -> Result<String, String> {
        if let Some(file) = &self.store_file {
            let text = std::fs::read_to_string(file).map_err(|error| format!("--store-file: {error}"))?;
            return Ok(text.lines().next().unwrap_or_default().trim().to_owned());
        }
        let said = self.store.clone().or_else(|| std::env::var("TIDEGATE_STORE").ok());
        said.filter(|said| !said.is_empty()).ok_or_else(|| {
            "which store? say --store redis://HOST, --store-file FILE, or TIDEGATE_STORE in the environment".to_owned()
        })
    }

    pub(crate) fn options(&self, arena: &str) -> HostConfig {
        let mut options = HostConfig::new(arena);
        (options.path, options.group) = (self.path.clone(), self.group.clone());
        options
    }

    pub(crate) fn agent(&self, store: &str) -> AgentConfig {
        let mut config = AgentConfig::new(store);
        config.namespace.clone_from(&self.namespace);
        config
    }
}
