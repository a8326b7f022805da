//! The operations of `ConcurrencyLimiter` in `lib/concurrency.cjs`.

use crate::clock::Entry;
use crate::convert::ms;
use crate::failure::Failure;
use crate::io::Io;
use crate::quota::mode;
use crate::raw::{Call, Kind, Reply};
use crate::refusal::refused;
use crate::scope;
use crate::settings::{span, whole};
use crate::stats;
use crate::table::Table;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;
use tidegate::concurrency::{
    ADAPTIVE_SETTINGS, AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyListener, ConcurrencyPermit, Outcome, Partition,
    Partitions, SETTINGS, WaitOrder,
};
use tidegate::refusal::Refusal;
use tidegate::{ConcurrencyConfig, ConcurrencyLimiter, ConfigError};

/// Where the settings stand among the numbers; `lib/concurrency.cjs` has the same.
const MAX_WAITING: usize = 2;
const ORDER: usize = 3;
const MODE: usize = 4;

/// How many may wait, at this place.
fn max_waiting(io: Io, at: usize) -> Result<Option<u32>, ConfigError> {
    io.option(at).map(|_| whole(io, at, SETTINGS.field("max_waiting")).map(|most| most as u32)).transpose()
}

/// Who of them is served first, at this place: by its place among the texts.
fn order(io: Io, at: usize) -> WaitOrder {
    WaitOrder::ALL.get(io.get(at) as usize).copied().unwrap_or_default()
}

/// The own lists of a creation: partitions, a share and a name in each text, and the names of those that come first.
fn partitions(call: Call) -> Result<Partitions, Failure> {
    let [all, first] = call.lists(scope::OWN)?;
    let shares = all.iter().map(|text| {
        let (share, name) = text.split_once(' ').unwrap_or_default();
        (name, share.parse().unwrap_or(f64::NAN))
    });
    Ok(Partitions::new(shares)?.with_priority(first)?)
}

/// The settings of an adaptive limit: numbers in the order of the core's table, the algorithm as its place among the
/// texts, NaN for what was left out; then how many may wait,
/// their order, and the mode.
fn adaptive(io: Io) -> Result<ConcurrencyConfig, ConfigError> {
    let fields = ADAPTIVE_SETTINGS.fields;
    let count = |at: usize| io.option(at).map(|_| whole(io, at, &fields[at]).map(|n| n as u32)).transpose();
    let time = |at: usize| io.option(at).map(|_| span(io, at, &fields[at])).transpose();
    let algorithm = io.option(0).and_then(|place| AdaptiveAlgorithm::ALL.get(place as usize)).copied();
    let own = AdaptiveConfig::new(algorithm.unwrap_or_default()).within(count(1)?, count(2)?, count(3)?);
    let or = |given: Option<Duration>, own: Duration| given.unwrap_or(own);
    let config = AdaptiveConfig {
        tolerance: io.option(4).unwrap_or(own.tolerance),
        window: or(time(5)?, own.window),
        samples: count(6)?.unwrap_or(own.samples),
        max_window: or(time(7)?, own.max_window),
        min_samples: count(8)?.unwrap_or(own.min_samples),
        probe: io.option(9).map_or(own.probe, |probe| probe != 0.0),
        probe_every: or(time(10)?, own.probe_every),
        probe_floor: count(11)?,
        max_latency: time(12)?,
        base: time(13)?,
        timeout: or(time(14)?, own.timeout),
        backoff_ratio: io.option(15).unwrap_or(own.backoff_ratio),
        ..own
    };
    Ok(ConcurrencyConfig {
        max_waiting: max_waiting(io, fields.len())?,
        order: order(io, fields.len() + 1),
        mode: mode(io, fields.len() + 2),
        ..ConcurrencyConfig::adaptive(config)
    })
}

/// A limiter as one JavaScript instance has it.
pub(crate) struct Handle {
    limiter: Arc<ConcurrencyLimiter>,
    /// In an arena: the words of permits that this instance gave out, by their cell; 0 where there is none.
    held: Option<RefCell<Vec<u64>>>,
    /// Those who wait here, by number. JavaScript asks for them after every release of its own and from time to time:
    /// nobody else can wake them.
    waiting: RefCell<BTreeMap<u32, ConcurrencyListener>>,
    granted: Arc<Granted>,
}

/// The numbers of those whose permit is there.
#[derive(Default)]
struct Granted(Mutex<Vec<u32>>);

impl Granted {
    fn push(&self, number: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }

    fn pop(&self) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The waker of one who waits.
struct Bell {
    number: u32,
    granted: Arc<Granted>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.granted.push(self.number);
    }
}

impl Handle {
    pub(crate) fn limiter(&self) -> &ConcurrencyLimiter {
        &self.limiter
    }

    pub(crate) fn core(&self) -> Arc<ConcurrencyLimiter> {
        Arc::clone(&self.limiter)
    }

    fn new(limiter: ConcurrencyLimiter, is_shared: bool) -> Self {
        Self {
            limiter: Arc::new(limiter),
            held: is_shared.then(RefCell::default),
            waiting: RefCell::default(),
            granted: Arc::default(),
        }
    }

    #[inline]
    fn give_out(&self, io: Io, permit: Option<ConcurrencyPermit>) {
        io.answer(permit.is_some());
        let Some(permit) = permit else { return };
        io.set_bits([permit.word, permit.cell]);
        // A limiter that is off gives out permits of nobody.
        if let Some(held) = self.held.as_ref().filter(|_| permit.word != 0) {
            let (mut held, cell) = (held.borrow_mut(), permit.place());
            if cell >= held.len() {
                held.resize(cell + 1, 0);
            }
            held[cell] = permit.word;
        }
    }

    /// Gives a permit back; `outcome`: what became of its call.
    #[inline]
    fn take_back(&self, permit: ConcurrencyPermit, outcome: Option<(Outcome, Option<Duration>)>) -> bool {
        if let Some(held) = &self.held
            && let Some(word) = held.borrow_mut().get_mut(permit.place()).filter(|word| **word == permit.word)
        {
            *word = 0;
        }
        match outcome {
            None => self.limiter.release(permit),
            Some((outcome, None)) => self.limiter.report(permit, outcome),
            Some((outcome, Some(latency))) => self.limiter.report_latency(permit, outcome, latency),
        }
    }

    /// The partition whose number is word 2.
    fn partition(&self, io: Io) -> Partition {
        // JavaScript has it from `partition`.
        self.limiter.partition_numbered(io.word(2)).unwrap_or_default()
    }

    /// A permit at once, or a number in the line. Word 2: the partition; number 0: 1 where as many wait as may.
    fn join(&self, io: Io) {
        let partition = self.partition(io);
        let permit = self.limiter.at_once_in(partition);
        self.give_out(io, permit);
        if permit.is_none() {
            let mut waiting = self.waiting.borrow_mut();
            let number = waiting.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
            let waker = Waker::from(Arc::new(Bell { number, granted: self.granted.clone() }));
            let listener = self.limiter.listen_in(partition, &waker);
            io.set([f64::from(u8::from(listener.is_refused()))]);
            if listener.is_refused() {
                return;
            }
            waiting.insert(number, listener);
            io.set_word(2, number);
        }
    }

    /// The permit of one whose permit is there, and word 2 its number; else number 0 says when to ask again.
    fn fetch(&self, io: Io) {
        let mut waiting = self.waiting.borrow_mut();
        io.set([f64::INFINITY]);
        // The next in the line looks for all: others than that may be given what there is.
        let next = match self.limiter.config().order {
            WaitOrder::Fifo => waiting.first_key_value(),
            WaitOrder::Lifo => waiting.last_key_value(),
        };
        let next = next.map(|(&number, _)| number);
        let permit = self.take(&mut waiting, io, self.granted.pop().or(next));
        let permit = permit.or_else(|| {
            loop {
                // One who has left meanwhile is none.
                let number = self.granted.pop()?;
                if let Some(permit) = self.take(&mut waiting, io, Some(number)) {
                    return Some(permit);
                }
            }
        });
        if permit.is_none()
            && let Some(listener) = next.and_then(|next| waiting.get_mut(&next))
        {
            io.set([listener.retry_in().map_or(f64::INFINITY, |pause| ms(pause.as_nanos() as u64))]);
        }
        self.give_out(io, permit);
    }

    fn take(
        &self,
        waiting: &mut BTreeMap<u32, ConcurrencyListener>,
        io: Io,
        number: Option<u32>,
    ) -> Option<ConcurrencyPermit> {
        let number = number?;
        let permit = waiting.get_mut(&number)?.take()?;
        waiting.remove(&number);
        io.set_word(2, number);
        Some(permit)
    }

    /// The one who waits under word 2 gives up, because its time is over if number 0 is 1.
    fn leave(&self, io: Io) {
        let listener = self.waiting.borrow_mut().remove(&io.word(2));
        if io.get(0) == 1.0 {
            listener.into_iter().for_each(ConcurrencyListener::time_out);
        }
    }
}

/// A worker thread that ends, or an instance that is collected with its permits, gives back what it held: the kernel
/// speaks for a process that dies, nobody else for a thread.
impl Drop for Handle {
    fn drop(&mut self) {
        for (cell, word) in (0..).zip(self.held.take().map(RefCell::into_inner).unwrap_or_default()) {
            self.limiter.release(ConcurrencyPermit { word, cell });
        }
    }
}

/// A limiter of these settings, where the call says.
fn make(
    config: ConcurrencyConfig,
    limiters: &Rc<Table<Handle>>,
    clocks: &Table<Entry>,
    io: Io,
    call: Call,
) -> Result<Reply, Failure> {
    let (handle, lives) = scope::make(
        clocks,
        io,
        call,
        |at| Ok(Handle::new(ConcurrencyLimiter::in_arena(at.arena, at.name, config, at.on_conflict)?, true)),
        |clock| Ok(Handle::new(ConcurrencyLimiter::with_config(config, clock)?, false)),
    )?;
    call.adopt(limiters, io, handle, config.max_limit as usize * 8)?;
    lives.told(call)
}

/// Exports the operations. Numbers of a creation: the limit, the most that it may be raised to, how many may wait,
/// their order, the mode; own lists: partitions, and their priority.
pub(crate) fn export(kind: &Kind<Handle>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    let adaptive_clocks = clocks.clone();
    kind.operation("create", move |limiters, io, call| {
        let limit = whole(io, 0, SETTINGS.field("limit"))? as u32;
        let max_limit = match io.option(1) {
            Some(_) => whole(io, 1, SETTINGS.field("max_limit"))? as u32,
            None => limit,
        };
        let max_waiting = max_waiting(io, MAX_WAITING)?;
        let config = ConcurrencyConfig {
            max_limit,
            max_waiting,
            order: order(io, ORDER),
            mode: mode(io, MODE),
            partitions: partitions(call)?,
            ..ConcurrencyConfig::new(limit)
        };
        make(config, limiters, &clocks, io, call)
    })?
    .operation("createAdaptive", move |limiters, io, call| {
        let config = ConcurrencyConfig { partitions: partitions(call)?, ..adaptive(io)? };
        make(config, limiters, &adaptive_clocks, io, call)
    })?
    .operation("tryAcquire", |limiters, io, _| {
        limiters.with(io, |handle| handle.give_out(io, handle.limiter.try_acquire()))?;
        Ok(Reply::Nothing)
    })?
    // Word 2: the partition.
    .operation("tryAcquireIn", |limiters, io, _| {
        limiters.with(io, |handle| handle.give_out(io, handle.limiter.try_acquire_in(handle.partition(io))))?;
        Ok(Reply::Nothing)
    })?
    // Word 1: the number of the partition of that name.
    .operation("partition", |limiters, io, call| {
        let name = call.text()?.unwrap_or_default();
        io.set_word(1, limiters.with(io, |handle| handle.limiter.partition(&name))??.number());
        Ok(Reply::Nothing)
    })?
    // Of the partition that is word 2.
    .operation("partitionStats", |limiters, io, _| {
        let mut all = limiters.with(io, |handle| handle.limiter.partition_stats())?;
        let index = (io.word(2) as usize).checked_sub(1).filter(|&index| index < all.len());
        io.set(stats::partition(&index.map(|index| all.swap_remove(index)).unwrap_or_default()));
        Ok(Reply::Nothing)
    })?
    .operation("join", |limiters, io, _| {
        limiters.with(io, |handle| handle.join(io))?;
        Ok(Reply::Nothing)
    })?
    .operation("fetch", |limiters, io, _| {
        limiters.with(io, |handle| handle.fetch(io))?;
        Ok(Reply::Nothing)
    })?
    .operation("leave", |limiters, io, _| {
        limiters.with(io, |handle| handle.leave(io))?;
        Ok(Reply::Nothing)
    })?
    .operation("release", |limiters, io, _| {
        let [word, cell] = io.bits();
        limiters.with(io, |handle| io.answer(handle.take_back(ConcurrencyPermit { word, cell }, None)))?;
        Ok(Reply::Nothing)
    })?
    // Word 2: what became of the call, by its place among the outcomes; number 0: its latency in ms, NaN: to be
    // measured.
    .operation("report", |limiters, io, _| {
        let [word, cell] = io.bits();
        let outcome = Outcome::ALL.get(io.word(2) as usize).copied().unwrap_or(Outcome::Ignore);
        let latency = io.option(0).map(crate::convert::duration);
        let permit = ConcurrencyPermit { word, cell };
        limiters.with(io, |handle| io.answer(handle.take_back(permit, Some((outcome, latency)))))?;
        Ok(Reply::Nothing)
    })?
    .operation("explain", |limiters, io, call| {
        let lines = limiters.with(io, |handle| handle.limiter.explain())?;
        call.string(&lines.join("\n"))
    })?
    // What ConcurrencyLimitError says; number 1 is the timeout, the name a text.
    .operation("refused", |limiters, io, call| {
        let [name] = call.texts(1)?;
        let limit = limiters.with(io, |handle| handle.limiter.limit())?;
        refused(call, io, Refusal::of_concurrency(limit).named(name.as_deref()))
    })?
    // Its partitions with their new shares.
    .operation("setShares", |limiters, io, call| {
        let [shares] = call.lists(1)?;
        let shares = shares.iter().map(|text| {
            let (share, name) = text.split_once(' ').unwrap_or_default();
            (name, share.parse().unwrap_or(f64::NAN))
        });
        limiters.with(io, |handle| handle.limiter.set_shares(shares))??;
        Ok(Reply::Nothing)
    })?
    .operation("shares", |limiters, io, call| {
        let shares = limiters.with(io, |handle| handle.limiter.shares())?;
        call.string(&shares.iter().map(|(name, share)| format!("{share} {name}")).collect::<Vec<_>>().join("\n"))
    })?
    .operation("setLimit", |limiters, io, _| {
        let limit = whole(io, 0, SETTINGS.field("limit"))? as u32;
        limiters.with(io, |handle| handle.limiter.set_limit(limit))??;
        Ok(Reply::Nothing)
    })?
    .operation("stats", |limiters, io, _| {
        io.set(stats::concurrency(&limiters.with(io, |handle| handle.limiter.stats())?));
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
