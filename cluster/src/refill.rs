//! All limits of one arena, kept in turn, by who holds the refiller's lock.

use crate::demand::Demand;
use crate::member::{Member, Outcome};
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tidegate::lease::{LeaseHealth, LeaseTerms};
use tidegate::{Arena, ClusterLimit};

/// How often the arena's directory is read for limits that are new, gone or declared anew.
const LOOK_NS: u64 = 100_000_000;
/// The shortest time from one try to reach the store to the next.
const AGAIN_NS: u64 = 20_000_000;

/// One limit, as its keeper has it.
struct Kept {
    name: String,
    limit: ClusterLimit,
    member: Member,
    /// Of which connection the member knows the epoch.
    connection: Option<u64>,
    demand: Demand,
    /// The latest sync got less than it wanted.
    scarce: bool,
    next_ns: u64,
    last_ns: u64,
    health: LeaseHealth,
}

pub(crate) struct Refill {
    arena: Arc<Arena>,
    store: Store,
    limits: Vec<Kept>,
    look_ns: u64,
    /// Before that the store is not tried again.
    again_ns: u64,
    fault: Option<StoreError>,
}

impl Refill {
    /// By who holds the arena's refiller's lock, as long as it does.
    pub(crate) fn new(arena: Arc<Arena>, store: Store) -> Self {
        Self { arena, store, limits: Vec::new(), look_ns: 0, again_ns: 0, fault: None }
    }

    /// What is due now; how long to wait for the next turn.
    pub(crate) fn turn(&mut self, now: impl Fn() -> u64) -> Duration {
        if now() >= self.look_ns {
            self.look_ns = now() + LOOK_NS;
            self.look(&now);
        }
        let mut pause_us = LOOK_NS / 1_000;
        for at in 0..self.limits.len() {
            pause_us = pause_us.min(self.limits[at].limit.terms().sync_us / 8);
            self.keep(at, &now);
        }
        Duration::from_micros(pause_us)
    }

    /// Leaves: what is held goes back to the store. Where `stays` the leases are left to who comes next and to those
    /// who spend.
    pub(crate) fn end(mut self, now: impl Fn() -> u64, stays: bool) {
        if stays {
            return;
        }
        for mut kept in std::mem::take(&mut self.limits) {
            kept.leave(&mut self.store, &now);
        }
    }

    fn look(&mut self, now: &impl Fn() -> u64) {
        let found = self.arena.cluster_limits();
        let is_there = |kept: &Kept| found.iter().any(|(name, limit)| *name == kept.name && limit.is_same(&kept.limit));
        let (mut stay, gone): (Vec<Kept>, Vec<Kept>) = self.limits.drain(..).partition(is_there);
        for (name, limit) in found {
            match stay.iter_mut().find(|kept| kept.name == name) {
                Some(kept) if kept.limit.terms() == limit.terms() => {}
                Some(kept) => {
                    kept.member.set_terms(*limit.terms(), limit.lease());
                    kept.limit = limit;
                }
                None => stay.push(Kept::new(name, limit, now())),
            }
        }
        self.limits = stay;
        for mut kept in gone {
            kept.leave(&mut self.store, now);
        }
    }

    fn keep(&mut self, at: usize, now: &impl Fn() -> u64) {
        let kept = &mut self.limits[at];
        let LeaseTerms { sync_us, timeout_us, .. } = *kept.limit.terms();
        if let Some(wanted) = kept.due(now()) {
            if self.store.connection().is_none() && now() >= self.again_ns {
                let opened = self.store.open(Duration::from_micros(timeout_us));
                // One that is away must not be waited for by each limit in turn.
                self.again_ns = now() + (sync_us * 1_000).max(AGAIN_NS);
                kept.health.syncs += u64::from(opened.is_err());
                kept.health.errors += u64::from(opened.is_err());
                self.fault = opened.err();
            }
            if self.store.connection().is_some() {
                // A newcomer asks again at once.
                let mut tries = 0;
                while kept.sync(&mut self.store, now, &wanted) && tries < 3 {
                    tries += 1;
                }
            } else {
                // One that could be reached and failed otherwise has been told already.
                if let Some(fault) = &self.fault {
                    kept.health.fault = Some(fault.to_string());
                }
                kept.limit.set_health(&kept.health);
            }
        }
        if self.store.connection().is_none() {
            kept.member.unreachable(now(), kept.limit.lease());
        }
    }
}

/// What a question asks for.
struct Wanted {
    target: u32,
    demand: u64,
    bye: bool,
}

impl Kept {
    fn new(name: String, limit: ClusterLimit, now: u64) -> Self {
        let member = Member::new(limit.member_id(), *limit.terms(), limit.lease());
        let demand = Demand::since(now, limit.lease().stats().asked);
        let health = limit.health();
        Self { name, limit, member, connection: None, demand, scarce: false, next_ns: 0, last_ns: 0, health }
    }

    /// What to ask for, if it is time.
    fn due(&mut self, now: u64) -> Option<Wanted> {
        let LeaseTerms { sync_us, lease_us, most, .. } = *self.limit.terms();
        let sync_ns = sync_us * 1_000;
        self.demand.measure(now, self.limit.lease().stats().asked, sync_ns / 2);
        let a_second = self.demand.a_second();
        let held = self.limit.lease().tokens_at(now);
        let low = f64::from(held) < a_second * sync_us as f64 / 4e6 && !self.scarce;
        if now < self.next_ns && !(low && now.saturating_sub(self.last_ns) >= sync_ns / 3) {
            return None;
        }
        let gap_us = if a_second > 0.0 { sync_us } else { sync_us.max(lease_us * 2 / 5) };
        (self.last_ns, self.next_ns) = (now, now + gap_us * 1_000);
        // Without demand a lease is kept alive with a little in it.
        let target = (a_second * 2.5 * sync_us as f64 / 1e6).max(f64::from(most) / 40.0).max(1.0).min(most.into());
        Some(Wanted { target: target as u32, demand: a_second as u64, bye: false })
    }

    /// Asks once, on the connection that is open; whether to ask again at once.
    fn sync(&mut self, store: &mut Store, now: &impl Fn() -> u64, wanted: &Wanted) -> bool {
        if self.connection != store.connection() {
            self.connection = store.connection();
            self.member.lost();
        }
        let lease = self.limit.lease();
        let request = self.member.request(now(), lease, wanted.target, wanted.demand, wanted.bye);
        let timeout = Duration::from_micros(self.limit.terms().timeout_us);
        let said = store.ask(&self.name, &request.args, timeout);
        let moment = now();
        let health = &mut self.health;
        health.syncs += 1;
        let mut again = false;
        match said {
            Err(error) => {
                health.errors += 1;
                health.fault = Some(error.to_string());
                self.member.lost();
            }
            Ok(answer) => {
                health.round_trip = Duration::from_nanos(moment.saturating_sub(request.sent_ns));
                health.answered_ns = moment;
                let outcome = self.member.answered(moment, lease, &request, &answer);
                let fault = match outcome {
                    Outcome::Granted { tokens, scarce } => {
                        self.scarce = scarce;
                        health.granted += u64::from(tokens);
                        health.level = answer.level;
                        None
                    }
                    Outcome::Hello { epoch } => {
                        health.epochs += u64::from(epoch);
                        again = !wanted.bye;
                        health.fault.take()
                    }
                    Outcome::Late => {
                        health.late += 1;
                        again = !wanted.bye;
                        health.fault.take()
                    }
                    Outcome::Old => None,
                    Outcome::OtherSettings => {
                        Some("other hosts say another lease, max_outstanding, hosts or fallback_for".to_owned())
                    }
                    Outcome::Nonsense => Some("the store: answered what this version does not know".to_owned()),
                };
                health.fault = fault;
            }
        }
        self.limit.set_health(health);
        again
    }

    /// What is held goes back, if the store can be told; else it is lost, as spent.
    fn leave(&mut self, store: &mut Store, now: &impl Fn() -> u64) {
        let known = store.connection().is_some() && store.connection() == self.connection && !self.member.is_stranger();
        if known {
            self.sync(store, now, &Wanted { target: 0, demand: 0, bye: true });
        }
        self.limit.close();
    }
}
