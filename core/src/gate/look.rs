//! The first step: who would refuse, without a write that decisions read; then the decision.

use super::config::Placed;
use super::request::Request;
use super::take::{Charge, Lost, charged, take};
use super::ticket::Ticket;
use super::{Answer, Gate, Part};
use crate::ConfigError;
use crate::concurrency::{ConcurrencyLimiter, ConcurrencyPermit, Partition};
use crate::decision::NEVER;
use crate::http::Verdict;
use crate::limit::{SetDecision, SetKeys};
use crate::mode::Mode;
use crate::shed::LoadShedder;
use std::sync::Arc;

/// Who refuses so far: the longest wait, the first of equals.
#[derive(Clone, Copy, Debug, Default)]
struct Refusing(Option<(Part, u64)>);

impl Refusing {
    fn add(&mut self, part: Part, wait_ns: u64) {
        if self.0.is_none_or(|(_, longest_ns)| wait_ns > longest_ns) {
            self.0 = Some((part, wait_ns));
        }
    }
}

impl Gate {
    /// Decides a call, and what it holds if it is let in: for who keeps that himself; else
    /// [`admit`](Self::admit).
    ///
    /// Errors: `keys` when there are more or fewer than keyed limits, `partition` when it is none of the concurrency
    /// limit's.
    pub fn decide(&self, request: &Request<'_>) -> Result<(Answer, Ticket), ConfigError> {
        self.decide_with(request, || self.clock.now(), None)
    }

    /// [`decide`](Self::decide) at `now` of the gate's clock, with a random number from 0 up to, but not including, 1
    /// for a shedder that refuses a part of such calls. Parts on another clock read that.
    pub fn decide_at(&self, now: u64, draw: f64, request: &Request<'_>) -> Result<(Answer, Ticket), ConfigError> {
        self.decide_with(request, || now, Some(draw))
    }

    #[inline]
    fn decide_with(
        &self,
        request: &Request<'_>,
        now: impl FnOnce() -> u64,
        draw: Option<f64>,
    ) -> Result<(Answer, Ticket), ConfigError> {
        if self.mode == Mode::Disabled {
            return Ok((Answer::UNTOUCHED, Ticket::new(ConcurrencyPermit::default(), None)));
        }
        // Before anything is decided: a mistake is an error whoever refuses.
        let keys = match &self.limits {
            Some(limits) => limits.keys_of(request.keys)?,
            None => SetKeys::default(),
        };
        self.check_partition(request.partition)?;
        let mut refusing = Refusing::default();
        if let Some(list) = &self.access {
            match verdict(list, request) {
                Verdict::Limit => {}
                Verdict::Allow => return Ok(self.let_in(Answer::UNTOUCHED, ConcurrencyPermit::default(), None)),
                Verdict::Deny if self.mode == Mode::DryRun => refusing.add(Part::Access, NEVER),
                Verdict::Deny => return Ok(self.refused_at_once(Part::Access, NEVER)),
            }
        }
        if let Some(left) = request.deadline {
            let delay = self.delay();
            match left.as_nanos() <= u128::from(delay) {
                false => {}
                true if self.mode == Mode::DryRun => refusing.add(Part::Deadline, delay),
                true => return Ok(self.refused_at_once(Part::Deadline, delay)),
            }
        }
        Ok(self.look(request, &keys, now(), draw, refusing))
    }

    /// How long calls wait behind the gate, nanoseconds; 0 where that is not measured.
    pub(super) fn delay(&self) -> u64 {
        let delay = self.queue.as_ref().and_then(|(queue, _)| queue.part.delay());
        delay.map_or(0, |delay| u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
    }

    /// No other part has to be asked.
    #[cold]
    fn refused_at_once(&self, part: Part, retry_after_ns: u64) -> (Answer, Ticket) {
        self.counts.denied(part.kind());
        let answer = Answer { allowed: false, denied_by: Some(part), retry_after_ns, ..Answer::UNTOUCHED };
        (answer, Ticket::default())
    }

    #[inline]
    fn look(
        &self,
        request: &Request<'_>,
        keys: &SetKeys,
        now: u64,
        draw: Option<f64>,
        mut refusing: Refusing,
    ) -> (Answer, Ticket) {
        let pressure = match &self.shedder {
            Some(shedder) => self.ask_shedder(shedder, request, now, draw, &mut refusing),
            None => 0.0,
        };
        if let Some((queue, pause)) = &self.queue
            && !queue.part.is_accepting()
        {
            let in_the_way = || (queue.part.depth() as u64, queue.part.left());
            refusing.add(Part::Queue, pause.ns(queue.at(now), in_the_way));
        }
        for place in request.dependencies.places(self.dependencies.len()) {
            let breaker = &self.dependencies[place];
            if let Some(rejected) = breaker.part.refusal_at(breaker.at(now)) {
                breaker.part.note_rejected();
                refusing.add(Part::Breaker(place), rejected.retry_after_ns);
            }
        }
        let mut charge = self.limits.as_deref().map(|limits| {
            let looked = limits.look_at(now, keys, request.cost);
            Charge { limits, now, keys, n: request.cost, looked }
        });
        if refusing.0.is_some() || charge.as_ref().is_some_and(|charge| charge.looked.refuses()) {
            return self.refused_by_look(refusing, charge, request.partition, now, pressure);
        }
        let concurrency = self.concurrency.as_ref().map(|(it, _)| (&*it.part, request.partition));
        match take(concurrency, charge.as_mut()) {
            Ok((permit, told)) => {
                let charged = told.is_some().then_some((keys, request.cost));
                let answer = Answer { pressure, ..of_limits(told) };
                self.let_in(answer, permit, charged.filter(|_| !self.refund_on.is_empty()))
            }
            Err(lost) => self.lost(lost, charge, request.partition, now, pressure),
        }
    }

    /// A shedder that refuses counts it by itself. Its pressure.
    #[inline]
    fn ask_shedder(
        &self,
        shedder: &Placed<Arc<LoadShedder>>,
        request: &Request<'_>,
        now: u64,
        draw: Option<f64>,
        refusing: &mut Refusing,
    ) -> f64 {
        let (it, now) = (&shedder.part, shedder.at(now));
        let passes = match draw {
            None => it.admit(request.priority, request.level),
            Some(draw) => it.admit_at(now, request.priority, request.level, draw),
        };
        if !passes {
            refusing.add(Part::Shedder, it.retry_after_ns_at(now, request.priority, request.level));
        }
        it.pressure_at(now)
    }

    /// Somebody refuses: who else would, and for how long. A dry run goes on and takes what there is.
    #[cold]
    fn refused_by_look(
        &self,
        mut refusing: Refusing,
        charge: Option<Charge<'_>>,
        partition: Partition,
        now: u64,
        pressure: f64,
    ) -> (Answer, Ticket) {
        if let Some((concurrency, pause)) = &self.concurrency
            && concurrency.part.is_full(partition)
        {
            if self.mode == Mode::Enforce {
                let _ = concurrency.part.refuse(partition);
            }
            refusing.add(Part::Concurrency, pause.ns(concurrency.at(now), || in_the_way(&concurrency.part)));
        }
        let limits_refuse = charge.as_ref().is_some_and(|charge| charge.looked.refuses());
        if self.mode == Mode::DryRun {
            return self.taken_in_part(refusing, charge, partition, pressure);
        }
        let told = charge.map(|charge| if limits_refuse { charge.refuse() } else { charge.told() });
        self.refuse(refusing, told, pressure)
    }

    #[cold]
    fn lost(
        &self,
        lost: Lost,
        mut charge: Option<Charge<'_>>,
        partition: Partition,
        now: u64,
        pressure: f64,
    ) -> (Answer, Ticket) {
        let mut refusing = Refusing::default();
        let told = match lost {
            Lost::Limits(told) => Some(told),
            Lost::Concurrency => {
                let Some((concurrency, pause)) = &self.concurrency else { unreachable!("it refused") };
                if let Some(nobodys) = concurrency.part.refuse(partition) {
                    // Its dry run: the limits decide.
                    return match charged(charge.as_mut()) {
                        Ok(told) => {
                            let charged = charge.as_ref().map(|charge| (charge.keys, charge.n));
                            let answer = Answer { pressure, ..of_limits(told) };
                            self.let_in(answer, nobodys, charged.filter(|_| !self.refund_on.is_empty()))
                        }
                        Err(lost) => self.lost(lost, charge, partition, now, pressure),
                    };
                }
                refusing.add(Part::Concurrency, pause.ns(concurrency.at(now), || in_the_way(&concurrency.part)));
                if self.mode == Mode::DryRun {
                    return self.charged_in_part(refusing, charge, ConcurrencyPermit::default(), pressure);
                }
                charge.map(|charge| charge.told())
            }
        };
        if self.mode == Mode::DryRun {
            add_limits(&mut refusing, told);
            return self.would_deny(refusing, told, ConcurrencyPermit::default(), None, pressure);
        }
        self.refuse(refusing, told, pressure)
    }

    fn refuse(&self, mut refusing: Refusing, told: Option<SetDecision>, pressure: f64) -> (Answer, Ticket) {
        add_limits(&mut refusing, told);
        let (part, retry_after_ns) = refusing.0.unwrap_or((Part::Deadline, 0));
        self.counts.denied(part.kind());
        let answer = Answer { allowed: false, denied_by: Some(part), retry_after_ns, pressure, ..of_limits(told) };
        (Answer { delay_ns: 0, ..answer }, Ticket::default())
    }

    /// A dry run: each part that has something to take is charged, and counts; each that has not, counts it.
    #[cold]
    fn taken_in_part(
        &self,
        refusing: Refusing,
        charge: Option<Charge<'_>>,
        partition: Partition,
        pressure: f64,
    ) -> (Answer, Ticket) {
        let permit = self.concurrency.as_ref().and_then(|(it, _)| {
            let pending = it.part.try_take(partition);
            pending.map(|pending| it.part.keep(pending)).or_else(|| it.part.refuse(partition))
        });
        self.charged_in_part(refusing, charge, permit.unwrap_or_default(), pressure)
    }

    /// The limits of a dry run.
    fn charged_in_part(
        &self,
        mut refusing: Refusing,
        charge: Option<Charge<'_>>,
        permit: ConcurrencyPermit,
        pressure: f64,
    ) -> (Answer, Ticket) {
        let mut charged = None;
        let told = charge.map(|mut charge| {
            let told = if charge.looked.refuses() { charge.refuse() } else { charge.make() };
            charged = told.denied_by.is_none().then_some((charge.keys, charge.n));
            told
        });
        add_limits(&mut refusing, told);
        self.would_deny(refusing, told, permit, charged, pressure)
    }

    fn would_deny(
        &self,
        refusing: Refusing,
        told: Option<SetDecision>,
        permit: ConcurrencyPermit,
        charged: Option<(&SetKeys, u32)>,
        pressure: f64,
    ) -> (Answer, Ticket) {
        self.counts.would_deny();
        let answer = Answer {
            allowed: true,
            denied_by: refusing.0.map(|(part, _)| part),
            retry_after_ns: 0,
            delay_ns: 0,
            pressure,
            ..of_limits(told)
        };
        (answer, Ticket::new(permit, charged.filter(|_| !self.refund_on.is_empty())))
    }

    #[inline]
    fn let_in(&self, answer: Answer, permit: ConcurrencyPermit, charged: Option<(&SetKeys, u32)>) -> (Answer, Ticket) {
        self.counts.admitted();
        (answer, Ticket::new(permit, charged))
    }
}

fn add_limits(refusing: &mut Refusing, told: Option<SetDecision>) {
    if let Some(SetDecision { decision, denied_by: Some(place) }) = told {
        refusing.add(Part::Limit(place), decision.retry_after_ns);
    }
}

/// What the limits have said, of a call that they let in.
#[inline]
fn of_limits(told: Option<SetDecision>) -> Answer {
    told.map_or(Answer::UNTOUCHED, |SetDecision { decision, .. }| Answer {
        limit: decision.limit,
        remaining: decision.remaining,
        reset_after_ns: decision.reset_after_ns,
        delay_ns: decision.delay_ns,
        ..Answer::UNTOUCHED
    })
}

fn in_the_way(concurrency: &ConcurrencyLimiter) -> (u64, u64) {
    (concurrency.in_use().into(), concurrency.left())
}

/// A key that is listed decides, deny before allow; else the address.
pub(super) fn verdict(list: &crate::http::AccessList, request: &Request<'_>) -> Verdict {
    let mut by_key = Verdict::Limit;
    for key in request.keys {
        match list.verdict(None, key) {
            Verdict::Deny => return Verdict::Deny,
            Verdict::Allow => by_key = Verdict::Allow,
            Verdict::Limit => {}
        }
    }
    if by_key == Verdict::Limit { list.verdict(request.address, b"") } else { by_key }
}
