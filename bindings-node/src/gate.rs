//! The operations of `Gate` in `lib/gate.cjs`.
//!
//! What admitted calls hold stays here, by numbers: a worker that ends, and a gate that is collected, gives it back.

use crate::breaker;
use crate::concurrency;
use crate::convert::{duration, ms};
use crate::failure::Failure;
use crate::io::Io;
use crate::quota::mode;
use crate::raw::{Call, Kind as Operations, Reply};
use crate::refusal::refused;
use crate::stats;
use crate::table::Table;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::concurrency::Partition;
use tidegate::gate::{Answer, Dependencies, Kind, Outcome, Outcomes, Part, PartVerdict, Request, Ticket};
use tidegate::http::{AccessList, parse_address};
use tidegate::shed::Priority;
use tidegate::{BoundedQueue, Gate, GateConfig, LimitSet, LoadShedder};

/// Whether the call's first argument is an address; the rest of the word: its level, and above that its partition.
const HAS_ADDRESS: u32 = 1 << 31;
const LEVEL: u32 = 8;
/// Between the fields of a line, and between lines.
const FIELD: &str = "\u{1f}";
const LINE: &str = "\u{1e}";
/// Where the places of the parts stand among the numbers, NaN for none; `lib/gate.cjs` has the same.
const ACCESS: usize = 0;
const SHEDDER: usize = 1;
const QUEUE: usize = 2;
const CONCURRENCY: usize = 3;
const LIMITS: usize = 4;
const REFUND_ON: usize = 5;
const MODE: usize = 6;
/// How many dependencies, whose places stand among the members of a set.
const DEPENDENCIES: usize = 8;
/// Names of a gate, a shedder, a queue and a concurrency limit stand before those of dependencies.
const NAMES: usize = 4;

/// A gate as one JavaScript instance has it.
pub(crate) struct Handle {
    gate: Gate,
    held: RefCell<Held>,
}

impl Handle {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// What admitted calls hold, by number.
#[derive(Default)]
struct Held {
    tickets: Vec<Ticket>,
    free: Vec<u32>,
}

impl Held {
    fn keep(&mut self, ticket: Ticket) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.tickets[number as usize] = ticket;
                number
            }
            None => {
                self.tickets.push(ticket);
                (self.tickets.len() - 1) as u32
            }
        }
    }

    fn take(&mut self, number: u32) -> Ticket {
        let ticket = self.tickets.get_mut(number as usize).map(std::mem::take).unwrap_or_default();
        if !ticket.is_blank() {
            self.free.push(number);
        }
        ticket
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        for mut ticket in std::mem::take(&mut self.held.get_mut().tickets) {
            self.gate.finish(&mut ticket, Outcome::Cancelled);
        }
    }
}

/// The tables of the parts.
pub(crate) struct Parts {
    pub(crate) lists: Rc<Table<AccessList>>,
    pub(crate) shedders: Rc<Table<Arc<LoadShedder>>>,
    pub(crate) queues: Rc<Table<Arc<BoundedQueue<u32>>>>,
    pub(crate) limits_at_once: Rc<Table<concurrency::Handle>>,
    pub(crate) sets: Rc<Table<Arc<LimitSet>>>,
    pub(crate) breakers: Rc<Table<breaker::Handle>>,
}

impl Parts {
    fn config(&self, io: Io, names: Vec<String>) -> Result<GateConfig, Failure> {
        let place = |at: usize| io.option(at).map(|place| place as u32);
        let name = |at: usize| names.get(at).cloned().unwrap_or_default();
        let bits = io.get(REFUND_ON) as u32;
        let dependency = |index: usize| {
            let place = io.member(index / 6)[index % 6] as u32;
            Ok((name(NAMES + index), self.breakers.at(place, breaker::Handle::core)?))
        };
        let shedder = place(SHEDDER).map(|at| self.shedders.at(at, Arc::clone)).transpose()?;
        let concurrency = place(CONCURRENCY).map(|at| self.limits_at_once.at(at, concurrency::Handle::core));
        let concurrency = concurrency.transpose()?;
        let queue = place(QUEUE).map(|at| self.queues.at(at, Arc::clone)).transpose()?;
        Ok(GateConfig {
            access: place(ACCESS).map(|at| self.lists.at(at, AccessList::clone)).transpose()?,
            shedder: shedder.map(|it| (name(1), it)),
            queue: queue.map(|it| (name(2), it as _)),
            concurrency: concurrency.map(|it| (name(3), it)),
            limits: place(LIMITS).map(|at| self.sets.at(at, Arc::clone)).transpose()?,
            dependencies: (0..io.get(DEPENDENCIES) as usize).map(dependency).collect::<Result<_, Failure>>()?,
            refund_on: Outcome::ALL.into_iter().filter(|it| bits >> *it as u32 & 1 != 0).collect::<Outcomes>(),
            mode: mode(io, MODE),
            ..GateConfig::new(name(0))
        })
    }
}

/// Runs `ask` on the call's request: word 1 its cost, word 2 its priority, word 3 its level; number 0 the ms that are
/// left, NaN for no end; the first opaque word its dependencies; the address, if there is one, and the keys are the
/// arguments. `ask` gets the number of its partition beside it.
#[inline]
fn with_request<R>(
    io: Io,
    call: Call,
    ask: impl FnOnce(&Request<'_>, u32) -> Result<R, Failure>,
) -> Result<R, Failure> {
    call.with_keys(|given| {
        let flags = io.word(3);
        let (address, keys) = match given {
            [address, keys @ ..] if flags & HAS_ADDRESS != 0 => (parse_address(address), keys),
            keys => (None, keys),
        };
        let request = Request {
            keys,
            address,
            priority: Priority::ALL.get(io.word(2) as usize).copied().unwrap_or_default(),
            level: (flags & ((1 << LEVEL) - 1)) as u8,
            cost: io.word(1),
            deadline: io.option(0).map(duration),
            dependencies: Dependencies::of_bits(io.bits()[0]),
            partition: Partition::default(),
        };
        ask(&request, (flags & !HAS_ADDRESS) >> LEVEL)
    })
}

/// Word 3: the place and the kind of who refused, 0 for nobody.
fn named(part: Option<Part>) -> u32 {
    part.map_or(0, |part| (part.place() as u32) << LEVEL | (part.kind() as u32 + 1))
}

fn part_of(word: u32) -> Option<Part> {
    let kind = Kind::ALL.get((word & ((1 << LEVEL) - 1)).checked_sub(1)? as usize)?;
    let place = (word >> LEVEL) as usize;
    Some(match kind {
        Kind::Access => Part::Access,
        Kind::Deadline => Part::Deadline,
        Kind::Shedder => Part::Shedder,
        Kind::Queue => Part::Queue,
        Kind::Breaker => Part::Breaker(place),
        Kind::Concurrency => Part::Concurrency,
        Kind::Limit => Part::Limit(place),
    })
}

/// The answer: word 1 whether the call is let in, word 2 its number, word 3 who refused.
#[inline]
fn told(io: Io, handle: &Handle, (answer, ticket): (Answer, Ticket)) {
    io.answer(answer.allowed);
    if answer.allowed {
        io.set_word(2, handle.held.borrow_mut().keep(ticket));
    }
    io.set_word(3, named(answer.denied_by));
    io.set([
        ms(answer.retry_after_ns),
        f64::from(answer.limit),
        f64::from(answer.remaining),
        ms(answer.reset_after_ns),
        ms(answer.delay_ns),
        answer.pressure,
    ]);
}

/// A line of `explain`.
fn line(said: &PartVerdict) -> String {
    let name = said.name.replace([FIELD, LINE].map(|it| it.chars().next().unwrap_or_default()), "\u{fffd}");
    let allowed = if said.allowed { "1" } else { "0" };
    let retry_after = ms(said.retry_after_ns).to_string();
    [said.part.kind().name(), &name, allowed, &retry_after, &said.detail].join(FIELD)
}

/// Exports the operations.
pub(crate) fn export(kind: &Operations<Handle>, parts: Parts) -> napi::Result<()> {
    kind.operation("create", move |gates, io, call| {
        let ([names], _) = call.lists_and_text()?;
        let gate = Gate::new(parts.config(io, names)?)?;
        call.adopt(gates, io, Handle { gate, held: RefCell::default() }, 0)
    })?
    .operation("admit", |gates, io, call| {
        with_request(io, call, |request, partition| {
            gates.with(io, |handle| {
                let partition = handle.gate.partition_numbered(partition)?;
                told(io, handle, handle.gate.decide(&Request { partition, ..*request })?);
                Ok(())
            })?
        })?;
        Ok(Reply::Nothing)
    })?
    // Word 2: the call's number, word 3: what became of it.
    .operation("finish", |gates, io, _| {
        let outcome = Outcome::ALL.get(io.word(3) as usize).copied().unwrap_or(Outcome::Cancelled);
        gates.with(io, |handle| {
            let mut ticket = handle.held.borrow_mut().take(io.word(2));
            io.answer(handle.gate.finish(&mut ticket, outcome));
        })?;
        Ok(Reply::Nothing)
    })?
    .operation("explain", |gates, io, call| {
        let said = with_request(io, call, |request, partition| {
            gates.with(io, |handle| {
                let partition = handle.gate.partition_numbered(partition)?;
                Ok(handle.gate.explain(&Request { partition, ..*request })?)
            })?
        })?;
        call.string(&said.iter().map(line).collect::<Vec<_>>().join(LINE))
    })?
    // Who refused what: word 1 the cost, word 3 who it was; number 0 the wait, number 1 NaN, number 2 the pressure.
    .operation("refused", |gates, io, call| {
        gates.with(io, |handle| {
            let wait_ns = if io.get(0) == f64::INFINITY { u64::MAX } else { (io.get(0) * 1e6).round() as u64 };
            let answer = Answer {
                allowed: false,
                denied_by: part_of(io.word(3)),
                retry_after_ns: wait_ns,
                limit: 0,
                remaining: 0,
                reset_after_ns: 0,
                delay_ns: 0,
                pressure: io.get(2),
            };
            handle.gate.with_refusal(&answer, io.word(1), |refusal| refused(call, io, refusal))
        })?
    })?
    .operation("stats", |gates, io, _| {
        io.set(stats::gate(&gates.with(io, |handle| handle.gate.stats())?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
