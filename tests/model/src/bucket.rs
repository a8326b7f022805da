//! Token bucket as the theoretical arrival time of GCRA (ITU-T I.371), in exact integers.

use std::collections::HashSet;

/// Nanoseconds that mean "never".
pub const NEVER: u64 = u64::MAX;

/// Slack beyond burst and what was told before a word may be the reading of a broken clock: one minute.
const SLACK_NS: i128 = 60_000_000_000;
/// How many bookings that had to wait can be cancelled.
const KEPT: u64 = 256;
/// How long readings must go on behind such a word before it is one.
const HEAL_AFTER_NS: u64 = 60_000_000_000;

/// A rate in lowest terms: `tokens` every `period_ns`, at most `burst` at once.
///
/// Time is counted in units of which one nanosecond holds `tokens`, so that one token is `period_ns` units and every
/// instant is whole.
#[derive(Clone, Copy, Debug)]
struct Rate {
    tokens: i128,
    period_ns: i128,
    burst: i128,
}

impl Rate {
    fn new(count: u64, period_ns: u64, burst: u32) -> Self {
        let divisor = gcd(count, period_ns);
        Self { tokens: (count / divisor).into(), period_ns: (period_ns / divisor).into(), burst: burst.into() }
    }

    fn units(&self, ns: u64) -> i128 {
        i128::from(ns) * self.tokens
    }

    fn burst_units(&self) -> i128 {
        self.burst * self.period_ns
    }

    /// Nanoseconds, rounded up, that `units` take; 0 for what is past.
    fn ns(&self, units: i128) -> u64 {
        u64::try_from(ceil_div(units.max(0), self.tokens)).unwrap_or(NEVER)
    }
}

/// How far waits that were told reach, since the last reset.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    /// The longest.
    longest_ns: u64,
    /// When the last is over.
    until: u64,
}

impl Reach {
    fn note(&mut self, now: u64, wait_ns: u64) {
        if wait_ns > 0 {
            self.longest_ns = self.longest_ns.max(wait_ns);
            self.until = self.until.max(now.saturating_add(wait_ns));
        }
    }

    /// What a bad reading put is no longer than the longest.
    fn at(&self, now: u64) -> u64 {
        self.until.min(now.saturating_add(self.longest_ns))
    }
}

/// The answer of [`Bucket::check`] and [`Bucket::peek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the cost was taken.
    pub allowed: bool,
    /// The burst.
    pub limit: u32,
    /// Whole tokens there after the decision.
    pub remaining: u32,
    /// Nanoseconds until the same cost could pass.
    pub retry_after_ns: u64,
    /// Nanoseconds until the bucket is full.
    pub reset_after_ns: u64,
}

/// A booking.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    cost_units: i128,
    tat: i128,
    era: u64,
    /// Among the bookings that had to wait; what needed no wait is due at once and gives nothing back.
    number: Option<u64>,
}

/// The answer of [`Bucket::reserve`]: the wait and a ticket, or the wait that would have been needed.
pub type Reservation = Result<(u64, Ticket), u64>;

/// A token bucket that one thread uses.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// The instant, in units, at which the bucket is full if nobody takes anything.
    tat: i128,
    penalty: bool,
    /// The furthest instant from which `tat` was lowered below bookings of this era that are still out.
    overhang: i128,
    /// The furthest instant to which a charge that waited for nothing (or a penalty) moved `tat`: at that charge all
    /// that was booked up to there was due, and stays so when the clock steps back.
    was_due: i128,
    /// Of bookings that had to wait, and of penalties.
    told: Reach,
    penalised: Reach,
    /// Tickets of an earlier era are void.
    era: u64,
    /// Bookings that had to wait.
    booked: u64,
    /// The numbers that were cancelled.
    cancelled: HashSet<u64>,
    /// The earliest reading since which each has found the word impossibly far ahead.
    behind: Option<u64>,
}

impl Bucket {
    /// A full bucket of `count` tokens every `period_ns`, made at `now`.
    pub fn new(count: u64, period_ns: u64, burst: u32, now: u64) -> Self {
        let rate = Rate::new(count, period_ns, burst);
        Self {
            rate,
            tat: rate.units(now),
            penalty: false,
            overhang: 0,
            was_due: 0,
            told: Reach::default(),
            penalised: Reach::default(),
            era: 0,
            booked: 0,
            cancelled: HashSet::new(),
            behind: None,
        }
    }

    /// Takes `n` tokens or nothing.
    pub fn try_acquire(&mut self, now: u64, n: u32) -> bool {
        self.check(now, n).allowed
    }

    /// Takes `n` tokens or nothing, and tells what is left.
    pub fn check(&mut self, now: u64, n: u32) -> Decision {
        self.heal(now);
        let retry_after_ns = self.wait(now, n);
        let allowed = retry_after_ns == 0;
        if allowed && n > 0 {
            self.store(now, self.base(now) + self.cost(n));
            self.was_due = self.was_due.max(self.tat);
        }
        self.decision(now, allowed, retry_after_ns)
    }

    /// What `check(1)` would answer; takes nothing and changes nothing.
    pub fn peek(&self, now: u64) -> Decision {
        self.look(now, 1)
    }

    /// What `check(n)` would answer, but for what is left; takes nothing and changes nothing.
    pub fn look(&self, now: u64, n: u32) -> Decision {
        let mut seen = self.clone();
        // A look is no evidence: it does not begin to wait for others.
        if seen.behind.is_some() {
            seen.heal(now);
        }
        let retry_after_ns = seen.wait(now, n);
        seen.decision(now, retry_after_ns == 0, retry_after_ns)
    }

    /// How long it takes to fill.
    pub(crate) fn fill_ns(&self) -> u64 {
        self.rate.ns(self.rate.burst_units())
    }

    /// Books `n` tokens if they are there within `max_wait_ns`.
    pub fn reserve(&mut self, now: u64, n: u32, max_wait_ns: Option<u64>) -> Reservation {
        self.heal(now);
        let wait = self.wait(now, n);
        if wait == NEVER || max_wait_ns.is_some_and(|most| wait > most) {
            return Err(wait);
        }
        if n > 0 {
            self.store(now, self.base(now) + self.cost(n));
        }
        self.told.note(now, wait);
        let mut number = None;
        if wait > 0 && n > 0 {
            self.booked += 1;
            number = Some(self.booked);
        } else if n > 0 {
            self.was_due = self.was_due.max(self.tat);
        }
        Ok((wait, Ticket { cost_units: self.cost(n), tat: self.tat, era: self.era, number }))
    }

    /// Gives a booking back, less what was booked behind it and is still out (the rule of Go's x/time/rate).
    pub fn cancel(&mut self, now: u64, ticket: Ticket) -> bool {
        self.heal(now);
        // Its time has come when what it booked is covered.
        let due = ticket.tat - self.rate.burst_units() <= self.rate.units(now) || ticket.tat <= self.was_due;
        let Some(number) = ticket.number else { return false };
        let cancelled = self.cancelled.contains(&number) || number + KEPT <= self.booked;
        // A level better than the booking left it was given back before: by a refund, or by another ticket.
        let void = due || cancelled || ticket.era != self.era || self.tat < ticket.tat;
        // An earlier cancel may have moved the level back before bookings that are still out: they count as booked
        // after.
        let restore = ticket.cost_units - (self.tat.max(self.overhang) - ticket.tat);
        if void || self.penalty_in_force(now) || restore <= 0 {
            return false;
        }
        self.cancelled.insert(number);
        // The last booking leaves as if it had never been made.
        if self.tat != ticket.tat || restore != ticket.cost_units {
            self.overhang = self.overhang.max(self.tat);
        }
        self.store(now, self.tat - restore);
        true
    }

    /// Gives `n` tokens back, never above full.
    pub fn refund(&mut self, now: u64, n: u32) {
        self.heal(now);
        let full = self.tat <= self.rate.units(now);
        if n > 0 && !full && !self.penalty_in_force(now) {
            self.overhang = self.overhang.max(self.tat);
            self.store(now, (self.tat - self.cost(n)).max(self.rate.units(now)));
        }
    }

    /// Nothing before `now + wait_ns`, then refill from empty.
    pub fn penalize(&mut self, now: u64, wait_ns: u64) {
        // From here on nothing that such a wait could have put is impossible.
        self.penalised.note(now, wait_ns);
        self.heal(now);
        let end = self.rate.units(now) + self.rate.units(wait_ns);
        let from = end + self.rate.burst_units();
        if from > self.tat {
            self.tat = from;
            self.was_due = self.was_due.max(from);
        }
        self.penalty = true;
    }

    /// Full, no penalty, all tickets void, nothing that was told has to be kept.
    pub fn reset(&mut self, now: u64) {
        (self.told, self.penalised, self.behind) = (Reach::default(), Reach::default(), None);
        self.tat = self.rate.units(now);
        self.penalty = false;
        self.void_tickets();
    }

    /// Another rate; the level in tokens stays, rounded towards fewer and clipped to the new burst. A penalty keeps its
    /// end.
    pub fn set_quota(&mut self, now: u64, count: u64, period_ns: u64, burst: u32) {
        self.heal(now);
        let (old, new) = (self.rate, Rate::new(count, period_ns, burst));
        let in_force = self.penalty_in_force(now);
        self.tat = if in_force {
            let end_ns = ceil_div(self.tat - old.burst_units(), old.tokens);
            end_ns * new.tokens + new.burst_units()
        } else {
            // What neither an empty bucket nor what was told accounts for is a clock that stepped back: it stays time.
            let missing = self.base(now) - old.units(now);
            let owed = missing.min(old.burst_units() + old.units(self.reach(now) - now));
            let skew_ns = ceil_div(missing - owed, old.tokens);
            // The rest is tokens: level_units / old.period_ns of them, negative in debt.
            let level_units = old.burst_units() - owed;
            let level_in_new_units = floor_div(level_units * new.period_ns, old.period_ns);
            let deficit = (new.burst_units() - level_in_new_units).max(0);
            // A debt can take longer to pay at the new rate: no reason to take it for the reading of a broken clock.
            self.told.note(now, new.ns(deficit - new.burst_units()));
            new.units(now) + skew_ns * new.tokens + deficit
        };
        self.rate = new;
        self.penalty = in_force;
        self.void_tickets();
    }

    fn void_tickets(&mut self) {
        self.overhang = 0;
        self.was_due = 0;
        self.era += 1;
    }

    fn cost(&self, n: u32) -> i128 {
        i128::from(n) * self.rate.period_ns
    }

    fn base(&self, now: u64) -> i128 {
        self.tat.max(self.rate.units(now))
    }

    /// Nanoseconds until `n` tokens are there.
    fn wait(&self, now: u64, n: u32) -> u64 {
        if i128::from(n) > self.rate.burst {
            return NEVER;
        }
        self.rate.ns(self.base(now) + self.cost(n) - (self.rate.units(now) + self.rate.burst_units()))
    }

    fn decision(&self, now: u64, allowed: bool, retry_after_ns: u64) -> Decision {
        let missing = self.base(now) - self.rate.units(now);
        let there = floor_div(self.rate.burst_units() - missing, self.rate.period_ns);
        Decision {
            allowed,
            limit: u32::try_from(self.rate.burst).expect("burst is a u32"),
            remaining: u32::try_from(there.max(0)).expect("at most the burst"),
            retry_after_ns,
            reset_after_ns: self.rate.ns(missing),
        }
    }

    fn penalty_in_force(&self, now: u64) -> bool {
        self.penalty && self.tat - self.rate.burst_units() > self.rate.units(now)
    }

    /// Writes `tat`; a penalty that is over is forgotten with it.
    fn store(&mut self, now: u64, tat: i128) {
        self.penalty = self.penalty_in_force(now);
        self.tat = tat;
    }

    /// Until when anything lasts that was told, and `now` at least.
    fn reach(&self, now: u64) -> u64 {
        self.told.at(now).max(self.penalised.at(now)).max(now)
    }

    /// A word that neither the burst nor anything that was told accounts for reads as a bucket that is empty when all
    /// of that is over, once readings have gone on for so long and none of them found it plausible: until then a late
    /// thread may have the old reading, and the word be right.
    fn heal(&mut self, now: u64) {
        let empty = self.rate.units(self.reach(now)) + self.rate.burst_units();
        if self.tat <= empty + SLACK_NS * self.rate.tokens {
            self.behind = None;
            return;
        }
        match self.behind {
            Some(first) if now >= first + HEAL_AFTER_NS => {
                self.tat = empty;
                self.behind = None;
                // What is said of bookings rests on the bad reading too.
                self.void_tickets();
                self.was_due = self.tat;
                for reach in [&mut self.told, &mut self.penalised] {
                    reach.until = reach.at(now);
                }
            }
            Some(first) if now >= first => {}
            _ => self.behind = Some(now),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn floor_div(a: i128, b: i128) -> i128 {
    a.div_euclid(b)
}

fn ceil_div(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}
