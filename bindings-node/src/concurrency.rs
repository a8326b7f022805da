//! The operations of `ConcurrencyLimiter` in `lib/concurrency.cjs`.

use crate::clock::Entry;
use crate::convert::ms;
use crate::io::Io;
use crate::quota::mode;
use crate::raw::{Kind, Reply};
use crate::refusal::refused;
use crate::scope;
use crate::settings::whole;
use crate::table::Table;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;
use tidegate::concurrency::{ConcurrencyListener, ConcurrencyPermit, SETTINGS};
use tidegate::refusal::Refusal;
use tidegate::{ConcurrencyConfig, ConcurrencyLimiter};

/// Where the settings stand among the numbers; `lib/concurrency.cjs` has the same.
const MODE: usize = 2;

/// A limiter as one JavaScript instance has it.
pub(crate) struct Handle {
    limiter: ConcurrencyLimiter,
    /// In an arena: the words of permits that this instance gave out, by their cell; 0 where there is none.
    held: Option<RefCell<Vec<u64>>>,
    /// Those who wait here, by number. JavaScript asks for them after every release of its own and from time to time:
    /// nobody else can wake them, so their wakers do nothing.
    waiting: RefCell<BTreeMap<u32, ConcurrencyListener>>,
}

impl Handle {
    fn new(limiter: ConcurrencyLimiter, is_shared: bool) -> Self {
        Self { limiter, held: is_shared.then(RefCell::default), waiting: RefCell::default() }
    }

    #[inline]
    fn give_out(&self, io: Io, permit: Option<ConcurrencyPermit>) {
        io.answer(permit.is_some());
        let Some(permit) = permit else { return };
        io.set_bits([permit.word, permit.cell]);
        // A limiter that is off gives out permits of nobody.
        if let Some(held) = self.held.as_ref().filter(|_| permit.word != 0) {
            let (mut held, cell) = (held.borrow_mut(), permit.cell as usize);
            if cell >= held.len() {
                held.resize(cell + 1, 0);
            }
            held[cell] = permit.word;
        }
    }

    #[inline]
    fn take_back(&self, permit: ConcurrencyPermit) -> bool {
        if let Some(held) = &self.held
            && let Some(word) = held.borrow_mut().get_mut(permit.cell as usize).filter(|word| **word == permit.word)
        {
            *word = 0;
        }
        self.limiter.release(permit)
    }

    /// A permit at once, or a number in the line.
    fn join(&self, io: Io) {
        let permit = self.limiter.at_once();
        self.give_out(io, permit);
        if permit.is_none() {
            let mut waiting = self.waiting.borrow_mut();
            let number = waiting.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
            waiting.insert(number, self.limiter.listen(Waker::noop()));
            io.set_word(2, number);
        }
    }

    /// The permit of who waits under word 2, if it is there; else number 0 says when to ask again.
    fn fetch(&self, io: Io) {
        let mut waiting = self.waiting.borrow_mut();
        let listener = waiting.get_mut(&io.word(2));
        let permit = listener.and_then(|listener| {
            let permit = listener.take();
            io.set([listener.retry_in().map_or(f64::INFINITY, |pause| ms(pause.as_nanos() as u64))]);
            permit
        });
        if permit.is_some() {
            waiting.remove(&io.word(2));
        }
        self.give_out(io, permit);
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

/// Exports the operations. Numbers of a creation: the limit, the most that it may be raised to, the mode.
pub(crate) fn export(kind: &Kind<Handle>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    kind.operation("create", move |limiters, io, call| {
        let limit = whole(io, 0, SETTINGS.field("limit"))? as u32;
        let max_limit = match io.option(1) {
            Some(_) => whole(io, 1, SETTINGS.field("max_limit"))? as u32,
            None => limit,
        };
        let config = ConcurrencyConfig { max_limit, mode: mode(io, MODE), ..ConcurrencyConfig::new(limit) };
        let (handle, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| Ok(Handle::new(ConcurrencyLimiter::in_arena(at.arena, at.name, config, at.on_conflict)?, true)),
            |clock| Ok(Handle::new(ConcurrencyLimiter::with_config(config, clock)?, false)),
        )?;
        call.adopt(limiters, io, handle, max_limit as usize * 8)?;
        lives.told(call)
    })?
    .operation("tryAcquire", |limiters, io, _| {
        limiters.with(io, |handle| handle.give_out(io, handle.limiter.try_acquire()))?;
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
        limiters.with(io, |handle| io.answer(handle.take_back(ConcurrencyPermit { word, cell })))?;
        Ok(Reply::Nothing)
    })?
    // What ConcurrencyLimitError says; number 1 is the timeout, the name a text.
    .operation("refused", |limiters, io, call| {
        let [name] = call.texts(1)?;
        let limit = limiters.with(io, |handle| handle.limiter.limit())?;
        refused(call, io, Refusal::of_concurrency(limit).named(name.as_deref()))
    })?
    .operation("setLimit", |limiters, io, _| {
        let limit = whole(io, 0, SETTINGS.field("limit"))? as u32;
        limiters.with(io, |handle| handle.limiter.set_limit(limit))??;
        Ok(Reply::Nothing)
    })?
    .operation("stats", |limiters, io, _| {
        let stats = limiters.with(io, |handle| handle.limiter.stats())?;
        let [limit, in_use] = [stats.limit, stats.in_use].map(f64::from);
        let counts = [stats.admitted, stats.denied, stats.would_deny, stats.reclaimed].map(|count| count as f64);
        let [admitted, denied, would_deny, reclaimed] = counts;
        let waits = [stats.refused, stats.timed_out, stats.cancelled, stats.waiting].map(|count| count as f64);
        let [refused, timed_out, cancelled, waiting] = waits;
        let longest_ms = stats.longest_wait.as_secs_f64() * 1e3;
        io.set([
            limit, in_use, admitted, denied, would_deny, reclaimed, refused, timed_out, cancelled, waiting, longest_ms,
        ]);
        Ok(Reply::Nothing)
    })?;
    Ok(())
}
