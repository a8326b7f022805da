//! The gate, in the plainest order: ask every part, then take from all or from none.

use crate::breaker::Breaker;
use crate::concurrency::{Limiter, Mode, Permit};
use crate::partitions;
use crate::set::{Limit, Set, Verdict};
use crate::shed::Shedder;

/// What refuses a call; a breaker and a limit by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Part {
    Access,
    Deadline,
    Shedder,
    Queue,
    Breaker(usize),
    Concurrency,
    Limit(usize),
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum Outcome {
    Success,
    Failure,
    Dropped,
    Cancelled,
}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Counts {
    pub admitted: u64,
    pub denied: u64,
    pub would_deny: u64,
}

/// Who passes and who does not: texts of addresses, and keys.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Addresses and `key:…` that pass.
    pub allow: Vec<String>,
    /// Those that do not.
    pub deny: Vec<String>,
}

/// How many calls may be under way.
#[derive(Debug)]
#[expect(missing_docs, reason = "the line above says it")]
pub enum Permits {
    Plain(Limiter),
    Parted(partitions::Limiter),
}

impl Permits {
    fn is_full(&self, of: Option<usize>, now: u64) -> bool {
        match self {
            Self::Plain(limiter) => limiter.is_full(),
            Self::Parted(limiter) => !limiter.has_room_for(of, now),
        }
    }

    fn try_acquire(&mut self, of: Option<usize>, now: u64) -> Option<Permit> {
        match self {
            Self::Plain(limiter) => limiter.try_acquire(),
            Self::Parted(limiter) => limiter.try_acquire(of, now),
        }
    }

    fn release(&mut self, permit: Permit) -> bool {
        match self {
            Self::Plain(limiter) => limiter.release(permit),
            Self::Parted(limiter) => limiter.release(permit),
        }
    }

    /// Permits held.
    pub fn in_use(&self) -> usize {
        match self {
            Self::Plain(limiter) => limiter.in_use(),
            Self::Parted(limiter) => limiter.in_use(),
        }
    }

    /// Another limit.
    pub fn set_limit(&mut self, limit: usize) {
        match self {
            Self::Plain(limiter) => limiter.set_limit(limit),
            Self::Parted(limiter) => limiter.set_limit(limit as u64),
        }
    }
}

/// A gate that one thread uses.
#[derive(Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub access: Option<Access>,
    pub shedder: Option<Shedder>,
    /// How many it holds, and how many are in it.
    pub queue: Option<(usize, usize)>,
    pub breakers: Vec<Breaker>,
    pub concurrency: Option<Permits>,
    pub limits: Option<Set>,
    pub refund_on: Vec<Outcome>,
    pub mode: Mode,
    pub counts: Counts,
}

/// A call that wants to be let in.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Call {
    /// One for each member of the limits.
    pub keys: Vec<Vec<u8>>,
    pub address: Option<String>,
    pub priority: u64,
    pub cost: u32,
    pub deadline: Option<u64>,
    pub breakers: Vec<usize>,
    pub partition: Option<usize>,
}

/// What a call holds.
#[derive(Clone, Debug)]
pub struct Held {
    permit: Option<Permit>,
    keys: Vec<Vec<u8>>,
    cost: u32,
    is_charged: bool,
    is_finished: bool,
}

/// The answer to a call.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Answer {
    pub allowed: bool,
    /// Those that refuse, each with its wait, in the order in which they are asked.
    pub refusing: Vec<(Part, u64)>,
    pub limit: u32,
    pub remaining: u32,
    pub pressure: f64,
    pub held: Option<Held>,
}

impl Answer {
    /// The longest wait, the first of equals.
    pub fn denied_by(&self) -> Option<(Part, u64)> {
        self.refusing.iter().rev().max_by_key(|(_, wait)| *wait).copied()
    }
}

const S: u64 = 1_000_000_000;
/// Where a shedder refuses a part of a level, this decides.
pub const DRAW: f64 = 0.5;

impl Gate {
    /// Lets the call in or not.
    pub fn admit(&mut self, now: u64, call: &Call) -> Answer {
        if self.mode == Mode::Disabled {
            return let_in();
        }
        let mut refusing = Vec::new();
        match self.verdict(call) {
            Some(true) => {
                self.counts.admitted += 1;
                return let_in();
            }
            Some(false) => refusing.push((Part::Access, u64::MAX)),
            None => {}
        }
        if call.deadline == Some(0) {
            refusing.push((Part::Deadline, 0));
        }
        let is_dry = self.mode == Mode::DryRun;
        if let (Some(first), false) = (refusing.first(), is_dry) {
            self.counts.denied += 1;
            return Answer { allowed: false, refusing: vec![*first], held: None, ..let_in() };
        }
        let mut pressure = 0.0;
        if let Some(shedder) = &mut self.shedder {
            if !shedder.admit(now, call.priority, 0, DRAW) {
                refusing.push((Part::Shedder, shedder.retry_after(now, call.priority, 0)));
            }
            pressure = shedder.leader(now).1;
        }
        if self.queue.is_some_and(|(capacity, depth)| depth >= capacity) {
            refusing.push((Part::Queue, S));
        }
        for &place in &call.breakers {
            refusing.extend(self.breakers[place].look(now).map(|wait| (Part::Breaker(place), wait)));
        }
        let of = call.partition;
        let is_full = self.concurrency.as_ref().is_some_and(|it| it.is_full(of, now));
        if is_full {
            refusing.push((Part::Concurrency, S));
        }
        let mut told = self.limits.as_mut().map(|limits| limits.peek(now, &call.keys, call.cost));
        let do_limits_refuse = told.is_some_and(|told| told.denied_by.is_some());
        // Refused by it alone it is asked, and told what the call's partition is in need of; else it is only looked at.
        let is_full_alone = is_full && refusing.len() == 1 && !do_limits_refuse;
        let is_refused = !refusing.is_empty() || do_limits_refuse;
        let take_limits = !is_refused || do_limits_refuse || is_dry;
        if take_limits && let Some(limits) = &mut self.limits {
            // What refuses counts it; a limit that comes twice may find that out only here.
            told = Some(limits.check(now, &call.keys, call.cost));
        }
        let limit_refuses = told.and_then(|told| Some((Part::Limit(told.denied_by?), told.decision.retry_after_ns)));
        refusing.extend(limit_refuses);
        let is_refused = !refusing.is_empty();
        let mut permit = None;
        // One that lost it to itself in the set gave it back.
        let is_lost = limit_refuses.is_some() && !do_limits_refuse;
        if (!is_refused || is_full_alone || is_dry && !is_lost)
            && let Some(concurrency) = &mut self.concurrency
        {
            permit = concurrency.try_acquire(of, now);
        }
        let (limit, remaining) = told.map_or((0, 0), |Verdict { decision, .. }| (decision.limit, decision.remaining));
        let answer = Answer { allowed: true, refusing, limit, remaining, pressure, held: None };
        if is_refused && !is_dry {
            self.counts.denied += 1;
            return Answer { allowed: false, ..answer };
        }
        self.counts.admitted += 1;
        self.counts.would_deny += u64::from(is_refused);
        let is_charged = told.is_some_and(|told| told.denied_by.is_none());
        let (keys, cost) = (call.keys.clone(), call.cost);
        Answer { held: Some(Held { permit, keys, cost, is_charged, is_finished: false }), ..answer }
    }

    /// Whether something came back.
    pub fn finish(&mut self, now: u64, held: &mut Held, outcome: Outcome) -> bool {
        if std::mem::replace(&mut held.is_finished, true) {
            return false;
        }
        if let (Some(permit), Some(concurrency)) = (held.permit, &mut self.concurrency)
            && permit != 0
        {
            concurrency.release(permit);
        }
        if let Some(limits) = &mut self.limits
            && held.is_charged
            && self.refund_on.contains(&outcome)
        {
            limits.refund(now, &held.keys, held.cost);
        }
        true
    }

    fn verdict(&self, call: &Call) -> Option<bool> {
        let access = self.access.as_ref()?;
        let key = |key: &Vec<u8>| format!("key:{}", String::from_utf8_lossy(key));
        let keys: Vec<_> = call.keys.iter().map(key).collect();
        let is_any = |list: &[String], of: &[String]| of.iter().any(|one| list.contains(one));
        let address: Vec<_> = call.address.iter().cloned().collect();
        for of in [keys, address] {
            if is_any(&access.deny, &of) {
                return Some(false);
            }
            if is_any(&access.allow, &of) {
                return Some(true);
            }
        }
        None
    }

    /// What a limit has left.
    pub fn left(&mut self, now: u64, member: usize, key: &[u8]) -> u32 {
        let limit: Option<&mut Limit> = self.limits.as_mut().map(|limits| limits.limit(member));
        limit.map_or(0, |limit| limit.peek(now, key).remaining)
    }
}

fn let_in() -> Answer {
    let held = Held { permit: None, keys: Vec::new(), cost: 0, is_charged: false, is_finished: false };
    Answer { allowed: true, refusing: Vec::new(), limit: 0, remaining: 0, pressure: 0.0, held: Some(held) }
}
