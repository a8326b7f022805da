//! The operations of `BreakerRegistry` in `lib/registry.cjs`.

use crate::breaker::{self, Handle};
use crate::clock::Entry;
use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Call, Kind, Reply};
use crate::scope;
use crate::settings::whole;
use crate::table::Table;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tidegate::breaker::SETTINGS as BREAKER_SETTINGS;
use tidegate::breaker::registry::{RegistryItem, SETTINGS};
use tidegate::{BreakerConfig, BreakerRegistry, CircuitBreaker, RegistryConfig};

/// After the numbers of a breaker's settings: which of them are given, by their bits; at a creation the number of
/// breakers.
const AFTER: usize = BREAKER_SETTINGS.fields.len();
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
    /// What the next object is made of.
    next: RefCell<Option<Arc<CircuitBreaker>>>,
    /// What `list` has found.
    listed: RefCell<Vec<RegistryItem>>,
}

impl Registry {
    fn new(core: BreakerRegistry) -> Self {
        Self { core, known: RefCell::default(), next: RefCell::default(), listed: RefCell::default() }
    }

    /// Word 1: how; word 2: the place of one that is known.
    fn tell(&self, io: Io, breakers: &Table<Handle>, breaker: Arc<CircuitBreaker>) {
        if Arc::ptr_eq(&breaker, self.core.overflow()) {
            io.set_word(1, SHARED);
            return;
        }
        let is_it = |place: &u32| breakers.at(*place, |handle| handle.is_of(&breaker)).unwrap_or(false);
        let known = self.known.borrow().get(&(Arc::as_ptr(&breaker) as usize)).copied().filter(is_it);
        io.set_word(1, if known.is_some() { KNOWN } else { NEW });
        io.set_word(2, known.unwrap_or_default());
        *self.next.borrow_mut() = Some(breaker);
    }

    fn keep(&self, breakers: &Table<Handle>, breaker: &Arc<CircuitBreaker>, place: u32) {
        let mut known = self.known.borrow_mut();
        if known.len() > 2 * self.core.config().max_breakers as usize {
            known.retain(|address, place| breakers.at(*place, |handle| handle.address() == *address).unwrap_or(false));
        }
        known.insert(Arc::as_ptr(breaker) as usize, place);
    }
}

/// Patterns that the next registry is made with.
type Overrides = Rc<RefCell<Vec<(Vec<u8>, BreakerConfig, u64)>>>;

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
        let (config, given) = (breaker::config(io)?, io.get(AFTER) as u64);
        call.with_key(|pattern| {
            added.borrow_mut().push((pattern.to_vec(), config, given));
            Ok(Reply::Nothing)
        })
    })?
    .operation("create", move |registries, io, call| {
        let max_breakers = whole(io, AFTER, &SETTINGS.fields[0])? as u32;
        let defaults = breaker::config(io)?;
        let over = |(pattern, changed, given): (Vec<u8>, _, _)| {
            let mut config = defaults.clone();
            breaker::change(&mut config, changed, given);
            // Each by itself first, so that the error names a setting as it was written here.
            let alone = RegistryConfig { defaults: config.clone(), ..RegistryConfig::default() };
            let within = format!("overrides['{}']", String::from_utf8_lossy(&pattern));
            alone.check().map_err(|error| Failure::from(error).within(&within))?;
            Ok((pattern, config))
        };
        let overrides = overrides.take().into_iter().map(over).collect::<Result<_, Failure>>()?;
        let config = RegistryConfig { max_breakers, defaults, overrides };
        let (registry, lives) = scope::make(
            &clocks,
            io,
            call,
            |at| BreakerRegistry::in_arena(at.arena, at.name, config.clone(), at.on_conflict),
            |clock| Ok(BreakerRegistry::with_clock(config.clone(), clock)?),
        )?;
        call.adopt(registries, io, Registry::new(registry), 0)?;
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
    .keyed(
        "setConfig",
        keyed(|it, _, io, pattern| {
            let (changed, given) = (breaker::config(io)?, io.get(AFTER) as u64);
            Ok(it.core.update_config(pattern, |config| breaker::change(config, changed, given))?)
        }),
    )?
    .operation("stats", |registries, io, _| {
        let stats = registries.with(io, |it| it.core.stats())?;
        io.set([stats.breakers, stats.max_breakers, stats.evicted, stats.overflowed].map(|count| count as f64));
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
            call.adopt(&breakers, io, Handle::shared(next.clone()), 0)?;
            registries.at(registry, |it| it.keep(&breakers, &next, io.id()))?;
            call.string(next.name())
        }
    })?
    // The same of the breaker that keys share.
    .operation("takeOverflow", move |registries, io, call| {
        let shared = registries.with(io, |it| it.core.overflow().clone())?;
        call.adopt(&breakers, io, Handle::shared(shared.clone()), 0)?;
        call.string(shared.name())
    })?;
    Ok(())
}
