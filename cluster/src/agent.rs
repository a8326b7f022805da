//! The one process of a machine that leases for all of them.

use crate::refill::Refill;
use crate::store::{Store, StoreError};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate::arena::ArenaError;
use tidegate::{Arena, Clock};

/// Where leases come from.
#[derive(Clone)]
#[non_exhaustive]
pub struct AgentConfig {
    /// `redis://[user:password@]host[:port][/db]`. Never shown.
    pub store: String,
    /// Of all limits that share a hash slot of the store; `None`: the arena's name.
    pub namespace: Option<String>,
}

impl AgentConfig {
    /// With the defaults.
    pub fn new(store: impl Into<String>) -> Self {
        Self { store: store.into(), namespace: None }
    }
}

/// Without the store's URL, which may hold a password.
impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Why an agent could not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum AgentError {
    /// The URL or the namespace is none.
    Store(StoreError),
    /// The arena may not be written.
    Arena(ArenaError),
    /// No thread is to be had.
    Thread(std::io::Error),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Arena(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread for the agent: {error}"),
        }
    }
}

impl std::error::Error for AgentError {}

/// A thread that leases tokens for the [`ClusterLimit`](tidegate::ClusterLimit)s of an arena, those that are made later
/// too, as long as no other agent of the machine does: then it waits for that one's end, and goes on in its place.
///
/// Dropped, it ends, for at most two timeouts: what is held goes back to the store where no other process has the arena
/// open; else it stays for those to spend, and for another agent to go on with. In a child of fork there is no thread,
/// and the parent's goes on.
#[derive(Debug)]
pub struct Agent {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    leases: Arc<AtomicBool>,
    /// The one that has the thread.
    process: u32,
}

/// How long one that waits for its turn waits before it looks again.
const WAIT: Duration = Duration::from_millis(20);

impl Agent {
    /// Starts the thread, and returns at once.
    ///
    /// Errors: a store's URL or namespace that is none, an arena that may only be read, no thread to be had.
    pub fn start(arena: &Arc<Arena>, config: &AgentConfig) -> Result<Self, AgentError> {
        arena.check_writable().map_err(AgentError::Arena)?;
        let store = open(arena, config)?;
        let (arena, (stop, stopped)) = (arena.clone(), channel());
        let leases = Arc::new(AtomicBool::new(false));
        let told = leases.clone();
        let thread = std::thread::Builder::new().name("tidegate-cluster".into());
        let thread = thread.spawn(move || run(&arena, store, &told, &stopped)).map_err(AgentError::Thread)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), leases, process: std::process::id() })
    }

    /// Whether it is the one that leases; else it waits for another's end.
    pub fn leases(&self) -> bool {
        // Relaxed: a look.
        self.leases.load(Ordering::Relaxed)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop = None;
        // In a child of fork there is no thread to wait for.
        if let Some(thread) = self.thread.take().filter(|_| std::process::id() == self.process) {
            let _ = thread.join();
        }
    }
}

fn open(arena: &Arc<Arena>, config: &AgentConfig) -> Result<Store, AgentError> {
    Store::new(&config.store, config.namespace.as_deref().unwrap_or(arena.name())).map_err(AgentError::Store)
}

/// Leases until it is told to end.
fn run(arena: &Arc<Arena>, store: Store, leases: &AtomicBool, stopped: &Receiver<()>) {
    let clock = Clock::boottime();
    let held = loop {
        // What the kernel refuses now it may grant later.
        if let Ok(Some(held)) = arena.try_refill() {
            break held;
        }
        match stopped.recv_timeout(WAIT) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    };
    // Relaxed: a look.
    leases.store(true, Ordering::Relaxed);
    let mut refill = Refill::new(arena.clone(), store);
    loop {
        let pause = refill.turn(|| clock.now());
        match stopped.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => break,
        }
    }
    refill.end(|| clock.now(), arena.is_shared());
    drop(held);
}
