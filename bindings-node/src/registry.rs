//! The operations of `BreakerRegistry` in `lib/registry.cjs`.

use crate::breaker::{self, Handle};
use crate::clock::Entry;
use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Call, Kind, Reply};
use crate::scope;
use crate::settings::whole;
use crate::stats;
use crate::table::Table;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::breaker::SETTINGS as BREAKER_SETTINGS;
use tidegate::breaker::registry::{Choices, RegistryItem, SETTINGS};
use tidegate::{BreakerConfig, BreakerRegistry, CircuitBreaker, RegistryConfig};

/// After the numbers of a breaker's settings: which of them are given, by their bits; at a creation the number of
/// breakers. Then `countOverdue`, NaN where it is not given.
const AFTER: usize = BREAKER_SETTINGS.fields.len();
const OVERDUE: usize = AFTER + 1;
/// How a breaker is told: the object of that place in the table of breakers has it, a new one is to `take` it, it is
/// the shared one, there is none.
const KNOWN: u32 = 0;
const NEW: u32 = 1;
const SHARED: u32 = 2;
const NONE: u32 = 3;

/// A registry as one JavaScript instance has it.
pub(crate) struct Registry {
    core: BreakerRegistry,
    /// By the address of a core's handle the place of the object that was made of it. One that is still there and has
    /// that handle is the one; places are used again.
    known: RefCell<HashMap<usize, u32>>,
    /// With so many the dead among them are looked for.
    tidy_at: Cell<usize>,
    /// What the next object is made of.
    next: RefCell<Option<Arc<CircuitBreaker>>>,
    /// `countOverdue`, of this object's own breakers.
    watched: RefCell<Choices>,
    /// What `list` has found.
    listed: RefCell<Vec<RegistryItem>>,
}

impl Registry {
    fn new(core: BreakerRegistry, watched: Choices) -> Self {
        Self {
            core,
            known: RefCell::default(),
            tidy_at: Cell::default(),
            next: RefCell::default(),
            watched: RefCell::new(watched),
            listed: RefCell::default(),
        }
    }

    /// The place of the object that was made of a breaker.
    fn place_of(&self, breakers: &Table<Handle>, breaker: &Arc<CircuitBreaker>) -> Option<u32> {
        let is_it = |place: &u32| breakers.at(*place, |handle| handle.is_of(breaker)).unwrap_or(false);
        self.known.borrow().get(&(Arc::as_ptr(breaker) as usize)).copied().filter(is_it)
    }

    fn change(&self, breakers: &Table<Handle>, io: Io, pattern: &[u8]) -> Result<(), Failure> {
        let (changed, given, asked) = (breaker::config(io)?, io.get(AFTER) as u64, io.option(OVERDUE));
        let mut wanted = self.core.config_of(pattern)?;
        breaker::change(&mut wanted, &changed, given);
        let on = asked.map_or_else(|| self.watched.borrow().of_pattern(pattern), |on| on != 0.0);
        needs_slow(on, &wanted)?;
        self.core.update_config(pattern, |config| breaker::change(config, &changed, given))?;
        self.watched.borrow_mut().set(pattern, on);
        if asked.is_some() {
            let config = self.core.config();
            let meant = self.core.items().into_iter().filter(|item| config.holds(&item.key, pattern));
            let shared = (pattern == b"*").then(|| self.core.overflow().clone());
            for breaker in meant.map(|item| item.breaker).chain(shared) {
                if let Some(place) = self.place_of(breakers, &breaker) {
                    breakers.at(place, |handle| handle.count_overdue(on))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn core(&self) -> &BreakerRegistry {
        &self.core
    }

    /// Word 1: how; word 2: the place of one that is known.
    fn tell(&self, io: Io, breakers: &Table<Handle>, breaker: Arc<CircuitBreaker>) {
        if Arc::ptr_eq(&breaker, self.core.overflow()) {
            io.set_word(1, SHARED);
            return;
        }
        let known = self.place_of(breakers, &breaker);
        io.set_word(1, if known.is_some() { KNOWN } else { NEW });
        io.set_word(2, known.unwrap_or_default());
        *self.next.borrow_mut() = Some(breaker);
    }

    fn keep(&self, breakers: &Table<Handle>, breaker: &Arc<CircuitBreaker>, place: u32) {
        let mut known = self.known.borrow_mut();
        if known.len() >= self.tidy_at.get() {
            known.retain(|address, place| breakers.at(*place, |handle| handle.address() == *address).unwrap_or(false));
            // Not before there are twice as many: what the garbage collector has not come to yet is no more than looked
            // at once for each that is added.
            self.tidy_at.set(2 * known.len().max(self.core.config().max_breakers as usize));
        }
        known.insert(Arc::as_ptr(breaker) as usize, place);
    }
}

/// Settings that were given by their bits, and `countOverdue`.
type Changes = (BreakerConfig, u64, Option<bool>);

/// Patterns that the next registry is made with.
type Overrides = Rc<RefCell<Vec<(Vec<u8>, Changes)>>>;

fn needs_slow(on: bool, config: &BreakerConfig) -> Result<(), Failure> {
    if !on || config.slow_call_duration.is_some() {
        return Ok(());
    }
    let message = "countOverdue: without slowCallDurationMs no call is overdue; give one, such as 2000".to_owned();
    Err(Failure::Argument { code: c"ERR_INVALID_ARG_VALUE", message })
}

/// An operation on a key.
type Keyed = fn(&Registry, &Table<Handle>, Io, &[u8]) -> Result<(), Failure>;

/// Exports the operations. Numbers of a creation: the settings of breakers in the core's order, then `max_breakers`;
/// the patterns come before, each by `override`, the first after `begin`.
pub(crate) fn export(kind: &Kind<Registry>, breakers: Rc<Table<Handle>>, clocks: Rc<Table<Entry>>) -> napi::Result<()> {
    let overrides = Overrides::default();
    let (begun, added) = (Rc::clone(&overrides), Rc::clone(&overrides));
    // Keys are read, and texts made, while no table is borrowed: that may run finalizers, which change tables.
    let keyed = |f: Keyed| {
        let breakers = Rc::clone(&breakers);
        move |registries: &Rc<Table<Registry>>, io: Io, call: Call| {
            call.with_key(|key| registries.with(io, |it| f(it, &breakers, io, key))?)?;
            Ok(Reply::Nothing)
        }
    };
    let items = Rc::clone(&breakers);
    kind.operation("begin", move |_, _, _| {
        begun.borrow_mut().clear();
        Ok(Reply::Nothing)
    })?
    .keyed("override", move |_, io, call| {
        let changes = (breaker::config(io)?, io.get(AFTER) as u64, io.option(OVERDUE).map(|on| on != 0.0));
        call.with_key(|pattern| {
            added.borrow_mut().push((pattern.to_vec(), changes));
            Ok(Reply::Nothing)
        })
    })?
    .operation("create", move |registries, io, call| {
        let max_breakers = whole(io, AFTER, &SETTINGS.fields[0])? as u32;
        let mut config = RegistryConfig { max_breakers, defaults: breaker::config(io)?, ..RegistryConfig::default() };
        let mut watched = Choices::of_all(io.option(OVERDUE).is_some_and(|on| on != 0.0));
        let patterns = overrides.take();
        watched.declare(&mut patterns.iter().map(|(it, changes)| (it.clone(), changes.2)).collect::<Vec<_>>());
        let changed = |(pattern, (changed, given, _)): (Vec<u8>, Changes)| {
            (pattern, move |config: &mut BreakerConfig| breaker::change(config, &changed, given))
        };
        config.declare(patterns.into_iter().map(changed).collect());
        for (pattern, of_pattern) in &config.overrides {
            // Each by itself first, so that the error names a setting as it was written here.
            let alone = RegistryConfig { defaults: of_pattern.clone(), ..RegistryConfig::default() };
            let checked = alone.check().map_err(Failure::from);
            checked
                .and_then(|()| needs_slow(watched.of_pattern(pattern), of_pattern))
                .map_err(|error| error.within(&format!("overrides['{}']", String::from_utf8_lossy(pattern))))?;
        }
        let (registry, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| BreakerRegistry::in_arena(at.arena, at.name, config.clone(), at.on_conflict),
            |clock| Ok(BreakerRegistry::with_clock(config.clone(), clock)?),
        )?;
        call.adopt(registries, io, Registry::new(registry, watched), 0)?;
        lives.told(call)
    })?
    .keyed(
        "get",
        keyed(|it, breakers, io, key| {
            it.tell(io, breakers, it.core.get(key));
            Ok(())
        }),
    )?
    .keyed(
        "peek",
        keyed(|it, breakers, io, key| {
            match it.core.peek(key) {
                Some(found) => it.tell(io, breakers, found),
                None => io.set_word(1, NONE),
            }
            Ok(())
        }),
    )?
    .keyed(
        "remove",
        keyed(|it, _, io, key| {
            io.answer(it.core.remove(key)?);
            Ok(())
        }),
    )?
    .keyed("setConfig", keyed(|it, breakers, io, pattern| it.change(breakers, io, pattern)))?
    .operation("stats", |registries, io, _| {
        io.set(stats::registry(&registries.with(io, |it| it.core.stats())?));
        Ok(Reply::Nothing)
    })?
    // Word 1: how many keys there are, of which `item` tells the one of number 0.
    .operation("list", |registries, io, _| {
        let count = registries.with(io, |it| {
            let mut listed = it.listed.borrow_mut();
            *listed = it.core.items();
            listed.len()
        })?;
        io.set_word(1, count as u32);
        Ok(Reply::Nothing)
    })?
    // Replies with the key, or its bytes where they are no text.
    .operation("item", move |registries, io, call| {
        let at = io.get(0) as usize;
        let item = registries.with(io, |it| {
            let item = it.listed.borrow().get(at).cloned();
            if let Some(item) = &item {
                it.tell(io, &items, item.breaker.clone());
            }
            item
        })?;
        let Some(item) = item else { return Err(Failure::Internal("no such item".to_owned())) };
        match std::str::from_utf8(&item.key) {
            _ if !item.is_whole => call.string(item.breaker.name()),
            Ok(text) => call.string(text),
            Err(_) => call.array(&item.key.iter().map(|&byte| f64::from(byte)).collect::<Vec<_>>()),
        }
    })?
    // Makes the breaker that was told the one of the first argument; replies with its name.
    .operation("take", {
        let breakers = Rc::clone(&breakers);
        move |registries, io, call| {
            let registry = io.id();
            let next = registries.at(registry, |it| it.next.borrow_mut().take())?;
            let Some(next) = next else { return Err(Failure::Internal("no breaker to take".to_owned())) };
            let on = registries.at(registry, |it| it.watched.borrow().of(next.key()))?;
            let handle = Handle::shared(next.clone());
            handle.count_overdue(on);
            call.adopt(&breakers, io, handle, 0)?;
            registries.at(registry, |it| it.keep(&breakers, &next, io.id()))?;
            call.string(next.name())
        }
    })?
    // The same of the breaker that keys share.
    .operation("takeOverflow", move |registries, io, call| {
        let (shared, on) = registries.with(io, |it| (it.core.overflow().clone(), it.watched.borrow().of(b"")))?;
        let handle = Handle::shared(shared.clone());
        handle.count_overdue(on);
        let registry = io.id();
        call.adopt(&breakers, io, handle, 0)?;
        registries.at(registry, |it| it.keep(&breakers, &shared, io.id()))?;
        call.string(shared.name())
    })?;
    Ok(())
}
