//! A limit of many machines, as the processes of one spend it.

use super::health::{Health, LeaseHealth};
use super::{ADMITTED, Change, ClusterConfig, DENIED, Lease, LeaseTerms, WOULD_DENY};
use crate::decision::NEVER;
use crate::memory::One;
use crate::mode::Mode;
use crate::{Arena, Clock, Decision, Quota};
use std::sync::Arc;

/// A rate limit that the machines of a cluster share. This machine's processes spend, from one word of an arena, what
/// its refiller has leased from a store; a decision asks nobody.
///
/// Some process of the machine keeps the lease: `tidegate agent --store redis://…`, or an `Agent` of the crate
/// `tidegate-cluster`. Without one everything is denied, and [`stats`](Self::stats) say so. What all machines admit
/// over any span of time is at most burst + rate × time, whatever happens to machines, store and network; the page on
/// the cluster scope has the table.
///
/// One level for all: there is no reservation, no refund and no penalty.
///
/// Thread safety: all methods may be called from any thread at any time; decisions take no lock and make no system
/// call where the kernel offers its clock through the vDSO. Source: leases of Gray and Cheriton (1989).
///
/// ```
/// use tidegate::{Arena, OnConflict, ClusterLimit};
/// use tidegate::lease::ClusterConfig;
///
/// let arena = Arena::process("orders")?;
/// let config = ClusterConfig::new("2000/s".parse()?);
/// let door = ClusterLimit::in_arena(&arena, "door", config, OnConflict::Error)?;
/// assert!(!door.try_acquire(1), "nobody leases");
/// assert!(door.stats().health.fault.unwrap().contains("tidegate agent"));
/// # Ok::<(), tidegate::arena::ArenaError>(())
/// ```
#[derive(Debug)]
pub struct ClusterLimit {
    pub(super) lease: Lease,
    pub(super) health: One<Health>,
    pub(super) config: ClusterConfig,
    pub(super) terms: LeaseTerms,
    pub(super) arena: Arc<Arena>,
    pub(super) id: [u64; 2],
}

/// What was decided, and how it goes with the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStats {
    /// Calls admitted, by all processes of this machine.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that a dry run let through and that would have been denied.
    pub would_deny: u64,
    /// Tokens that this machine may spend now.
    pub tokens: u32,
    /// Nanoseconds until they are lost unless the store answers again; 0: they are, or there are none.
    pub expires_in_ns: u64,
    /// Whether an agent keeps the lease.
    pub refilled: bool,
    /// Of who keeps it.
    pub health: LeaseHealth,
}

impl ClusterLimit {
    /// Takes `n` tokens of what is leased, or nothing. `n` = 0 takes nothing and is denied without a lease.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> bool {
        if self.config.mode != Mode::Enforce {
            return self.check(n).allowed;
        }
        self.lease.try_acquire(n)
    }

    /// [`try_acquire`](Self::try_acquire), with the answer.
    pub fn check(&self, n: u32) -> Decision {
        if self.config.mode == Mode::Disabled {
            return Decision::untouched(self.terms.burst);
        }
        let taken = self.lease.take(self.lease.clock().now(), n);
        let lane = match (taken, self.config.mode) {
            (Ok(_), _) => ADMITTED,
            (Err(_), Mode::DryRun) => WOULD_DENY,
            (Err(_), _) => DENIED,
        };
        self.lease.count(lane, n);
        let decision = match taken {
            Ok(left) => self.decision(true, left, 0),
            Err(there) => self.decision(false, there, self.retry_after_ns(n, there)),
        };
        self.config.mode.answer(decision)
    }

    /// What [`check`](Self::check) would say of one token; takes nothing and counts nothing.
    pub fn peek(&self) -> Decision {
        if self.config.mode == Mode::Disabled {
            return Decision::untouched(self.terms.burst);
        }
        let there = self.lease.tokens();
        let wait = if there == 0 { self.retry_after_ns(1, 0) } else { 0 };
        self.config.mode.answer(self.decision(there > 0, there, wait))
    }

    fn decision(&self, allowed: bool, remaining: u32, retry_after_ns: u64) -> Decision {
        let reset_after_ns = self.filling_ns(self.terms.burst.saturating_sub(remaining));
        Decision { allowed, limit: self.terms.burst, remaining, retry_after_ns, reset_after_ns, delay_ns: 0 }
    }

    /// In which time so many tokens come back to the whole cluster.
    fn filling_ns(&self, tokens: u32) -> u64 {
        let us = u128::from(tokens) * u128::from(self.terms.period_us) / u128::from(self.terms.count);
        u64::try_from(us * 1_000).unwrap_or(NEVER - 1)
    }

    /// The earliest that the next answer of the store could bring them; others may be first.
    fn retry_after_ns(&self, n: u32, there: u32) -> u64 {
        if n > self.terms.most {
            return NEVER;
        }
        (self.terms.sync_us * 1_000).max(self.filling_ns(n.saturating_sub(there)))
    }

    /// What was decided, by all processes of the machine, and how it goes with the store. Some system calls.
    pub fn stats(&self) -> ClusterStats {
        let (lease, mut health) = (self.lease.stats(), self.health.read());
        let (now, refilled) = (self.lease.clock().now(), self.arena.is_refilled());
        if !refilled {
            let name = self.arena.name();
            health.fault = Some(format!(
                "nobody leases for the arena {name:?}: start `tidegate agent --arena {name} --store redis://…` on this \
                 machine"
            ));
        } else if health.syncs == 0 {
            health.fault = Some("the store has not been asked yet".to_owned());
        }
        ClusterStats {
            admitted: lease.admitted,
            denied: lease.denied,
            would_deny: lease.would_deny,
            tokens: self.lease.tokens_at(now),
            expires_in_ns: lease.deadline_ns.saturating_sub(now),
            refilled,
            health,
        }
    }

    /// What all machines together may admit.
    pub fn quota(&self) -> Quota {
        self.config.quota
    }

    /// With what it was declared.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// The same in the store's units.
    pub fn terms(&self) -> &LeaseTerms {
        &self.terms
    }

    /// Whether it is off, or only watching.
    pub fn mode(&self) -> Mode {
        self.config.mode
    }

    /// The clock of leases.
    pub fn clock(&self) -> &Clock {
        self.lease.clock()
    }

    /// The lease, for who keeps it and tests.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What the store knows this machine as, for this limit: of this life of the arena alone.
    pub fn member_id(&self) -> String {
        format!("{:016x}{:016x}", self.id[0], self.id[1])
    }

    /// What who keeps the lease says of itself.
    pub fn health(&self) -> LeaseHealth {
        self.health.read()
    }

    /// For who keeps the lease.
    pub fn set_health(&self, health: &LeaseHealth) {
        self.health.write(health);
    }

    /// Ends what is leased, for who leaves.
    pub fn close(&self) -> Change {
        self.lease.close()
    }
}
