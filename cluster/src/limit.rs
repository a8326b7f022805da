//! One limit of many machines, as a process uses it: it spends from memory, and a thread keeps the lease.

use crate::member::{Member, Outcome};
use crate::settings::{LimitConfig, Settings};
use crate::store::{Store, StoreError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate::lease::{Lease, LeaseStats};

/// A rate limit that all who say the same store, namespace and name share. Decisions are made from what this process
/// has leased, and ask nobody.
///
/// One member of the cluster is a process: of several on a machine each has its own lease and its own thread. A child
/// of fork is denied everything until it connects for itself.
///
/// Thread safety: all methods may be called from any thread at any time; `try_acquire` takes no lock.
#[derive(Debug)]
pub struct ClusterLimit {
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    refiller: Option<JoinHandle<()>>,
    /// The one that has the thread.
    process: u32,
}

#[derive(Debug)]
struct Shared {
    lease: Lease,
    settings: Settings,
    syncs: AtomicU64,
    errors: AtomicU64,
    late: AtomicU64,
    fault: Mutex<Option<String>>,
}

/// What the refiller did since it began.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClusterStats {
    /// Questions to the store.
    pub syncs: u64,
    /// Questions without an answer.
    pub errors: u64,
    /// Questions that ran too late, or when the store's clock had leapt.
    pub late: u64,
    /// What went wrong last, if it still does.
    pub fault: Option<String>,
    /// What was decided.
    pub lease: LeaseStats,
}

impl ClusterLimit {
    /// Starts a thread that keeps the lease, and returns at once: until the store has answered everything is denied.
    ///
    /// `url`: `redis://[user:password@]host[:port][/db]`; `namespace`: of all limits that share a hash slot.
    ///
    /// Errors: a setting that is out of its range, a URL that is none, no thread to be had.
    pub fn connect(
        url: &str,
        namespace: &str,
        name: &str,
        config: &LimitConfig,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let settings = Settings::try_from(config)?;
        for (what, text) in [("namespace", namespace), ("name", name)] {
            if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                let message = format!("{text:?}: letters, digits, '-', '_' and '.', at least one");
                return Err(tidegate::ConfigError::out_of_range(what, message).into());
            }
        }
        let store = Store::new(url, namespace, name, config.timeout)?;
        let shared = Arc::new(Shared {
            lease: Lease::new(),
            settings,
            syncs: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            late: AtomicU64::new(0),
            fault: Mutex::new(Some(StoreError::new("has not answered yet").to_string())),
        });
        // Of this life alone, and by the system's own randomness, for containers have the same pids: nobody comes back
        // as a member that may still be counted.
        let id = format!("{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish());
        let (stop, stopped) = channel();
        let refiller = Refiller { shared: shared.clone(), store, member: Member::new(id, settings), scarce: false };
        let thread = std::thread::Builder::new().name("tidegate-cluster".into());
        let refiller = thread.spawn(move || refiller.run(&stopped))?;
        Ok(Self { shared, stop: Some(stop), refiller: Some(refiller), process: std::process::id() })
    }

    /// Takes `n` tokens of what is leased, or nothing.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> bool {
        self.shared.lease.try_acquire(n)
    }

    /// What was decided, and how it goes with the store.
    pub fn stats(&self) -> ClusterStats {
        // Relaxed: statistics.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Shared { lease, syncs, errors, late, fault, .. } = &*self.shared;
        let fault = if std::process::id() == self.process {
            fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
        } else {
            // The parent's thread may have held the lock as this child came to be.
            Some("a child of fork leases nothing: connect again".to_owned())
        };
        ClusterStats { syncs: read(syncs), errors: read(errors), late: read(late), fault, lease: lease.stats() }
    }
}

impl Drop for ClusterLimit {
    /// Gives back what is held, and says goodbye to the store, for at most two timeouts.
    fn drop(&mut self) {
        self.stop = None;
        // In a child of fork there is no thread to wait for.
        if let Some(refiller) = self.refiller.take().filter(|_| std::process::id() == self.process) {
            let _ = refiller.join();
        }
    }
}

struct Refiller {
    shared: Arc<Shared>,
    store: Store,
    member: Member,
    /// The latest sync got less than it wanted.
    scarce: bool,
}

/// Tokens a second, smoothed: quick to rise, slow to fall.
#[derive(Default)]
struct Demand {
    a_second: f64,
    asked: u64,
    at_ns: u64,
}

impl Demand {
    /// Counts what was asked since; at most each `span`, but at once where there was none before.
    fn measure(&mut self, now: u64, asked: u64, span_ns: u64) {
        let passed = now.saturating_sub(self.at_ns).max(1);
        if passed < span_ns && !(self.a_second == 0.0 && asked > self.asked) {
            return;
        }
        let seen = (asked - self.asked) as f64 * 1e9 / passed.max(span_ns / 4) as f64;
        self.a_second = if self.a_second == 0.0 {
            seen
        } else if seen > self.a_second {
            0.5 * self.a_second + 0.5 * seen
        } else {
            0.8 * self.a_second + 0.2 * seen
        };
        if self.a_second < 0.5 {
            self.a_second = 0.0;
        }
        (self.asked, self.at_ns) = (asked, now);
    }
}

impl Refiller {
    fn run(mut self, stopped: &Receiver<()>) {
        let Settings { sync_us, lease_us, most, .. } = self.shared.settings;
        let (sync_ns, clock) = (sync_us * 1_000, self.shared.lease.clock().clone());
        let mut demand = Demand { at_ns: clock.now(), ..Demand::default() };
        let mut next_ns = 0;
        let mut last_ns = 0;
        loop {
            let now = clock.now();
            demand.measure(now, self.shared.lease.stats().asked, sync_ns / 2);
            let a_second = demand.a_second;
            let held = self.shared.lease.tokens_at(now);
            // Without demand a lease is kept alive with a little in it.
            let target =
                (a_second * 2.5 * sync_us as f64 / 1e6).max(f64::from(most) / 40.0).max(1.0).min(most.into()) as u32;
            let low = f64::from(held) < a_second * sync_us as f64 / 4e6 && !self.scarce;
            if now >= next_ns || (low && now.saturating_sub(last_ns) >= sync_ns / 3) {
                last_ns = now;
                let gap_us = if a_second > 0.0 { sync_us } else { sync_us.max(lease_us * 2 / 5) };
                // A newcomer asks again at once.
                next_ns = if self.sync(target, a_second as u64, false) { now } else { now + gap_us * 1_000 };
            }
            if self.store.is_closed() {
                self.member.unreachable(clock.now(), &self.shared.lease);
            }
            match stopped.recv_timeout(Duration::from_micros(sync_us / 8)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => break,
            }
        }
        self.shared.lease.lower_at(clock.now(), 0);
        if !self.member.is_stranger() {
            self.sync(0, 0, true);
        }
    }

    /// Asks once; whether to ask again at once.
    fn sync(&mut self, target: u32, demand: u64, bye: bool) -> bool {
        let lease = &self.shared.lease;
        if self.store.is_closed() {
            self.member.lost();
        }
        let request = self.member.request(lease.clock().now(), lease, target, demand, bye);
        // Relaxed: statistics.
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        let fault = match self.store.ask(&request.args) {
            Err(error) => {
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
                self.member.lost();
                Some(error.to_string())
            }
            Ok(answer) => match self.member.answered(lease.clock().now(), lease, &request, &answer) {
                Outcome::Granted { scarce, .. } => {
                    self.scarce = scarce;
                    None
                }
                Outcome::Hello => {
                    return !bye;
                }
                Outcome::Late => {
                    self.shared.late.fetch_add(1, Ordering::Relaxed);
                    return !bye;
                }
                Outcome::Old => None,
                Outcome::OtherSettings => Some(
                    StoreError::new("other hosts say another lease, max_outstanding, hosts or fallback").to_string(),
                ),
                Outcome::Nonsense => Some(StoreError::new("answered what this version does not know").to_string()),
            },
        };
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        false
    }
}
