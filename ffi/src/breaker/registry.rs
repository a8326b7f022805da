//! A breaker for each key.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` and `Plain` for structs of pointers and numbers.
#![allow(unsafe_code)]

use super::{tg_breaker, tg_breaker_config};
use crate::arena::place::{Place, place};
use crate::arena::tg_arena;
use crate::bytes::tg_bytes;
use crate::clock::tg_clock;
use crate::handle::{Handle, In, Out, Plain, Settings, versioned};
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use tg_status::{TG_EMPTY, TG_OK};
use tidegate_core::{BreakerConfig, BreakerRegistry, RegistryConfig};

/// Circuit breakers by key: one for each host, tenant or operation, at most max_breakers of them, in memory that is
/// taken when the registry is made. Full, the closed one whose last call is the oldest makes room; one in any other
/// state never does. If none can, newcomers share one more breaker.
#[derive(Debug)]
pub struct tg_registry(pub(crate) BreakerRegistry);

impl Handle for tg_registry {}

/// Other settings for some keys.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_registry_override {
    /// Which keys: * stands for any bytes. Of the patterns that mean a key the one with the most bytes other than stars
    /// holds, of equals the first. Copied.
    pub pattern: tg_bytes,
    /// All of their settings, as for tg_registry_config's breakers. Borrowed during the call.
    pub breakers: In<tg_breaker_config>,
}

// SAFETY: pointers, NULL or good by the header's law, and a number.
unsafe impl Plain for tg_registry_override {}

/// Settings of a registry. Start from TG_REGISTRY_CONFIG_INIT, which holds the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_registry_config {
    /// sizeof(tg_registry_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// Settings of its breakers, of which name, clock, arena and on_conflict say nothing here; NULL: the defaults. They
    /// decide how much room each has, see tg_breaker_set_config(). Borrowed during the call.
    pub breakers: In<tg_breaker_config>,
    /// An array of overrides_len; NULL with 0. Borrowed during the call.
    pub overrides: In<tg_registry_override>,
    /// How many.
    pub overrides_len: usize,
    /// How many keys can have a breaker, 1 .. 65536.
    pub max_breakers: u32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
}

versioned!(
    tg_registry_config,
    first = 64,
    fields = [clock, arena, name, breakers, overrides, overrides_len, max_breakers, on_conflict]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_registry_config {}

impl Default for tg_registry_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            breakers: In::default(),
            overrides: In::default(),
            overrides_len: 0,
            max_breakers: RegistryConfig::default().max_breakers,
            on_conflict: 0,
        }
    }
}

impl tg_registry_config {
    fn checked(&self) -> Result<RegistryConfig, Failure> {
        let defaults = match self.breakers.is_null() {
            true => BreakerConfig::default(),
            false => self.breakers.read("breakers")?.checked()?,
        };
        let of = |it: &tg_registry_override| {
            let pattern = it.pattern.get("overrides")?.to_vec();
            let defaults = it.breakers.read("overrides")?.checked()?;
            // Each by itself first, so that the error names a field of the struct.
            let alone = RegistryConfig { defaults, ..RegistryConfig::default() };
            alone.check()?;
            Ok((pattern, alone.defaults))
        };
        let overrides = self.overrides.array(self.overrides_len, "overrides")?;
        let overrides = overrides.iter().map(of).collect::<Result<_, Failure>>()?;
        Ok(RegistryConfig { max_breakers: self.max_breakers, defaults, overrides })
    }
}

/// A look at a registry. Start from TG_REGISTRY_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_registry_snapshot {
    /// sizeof(tg_registry_snapshot)
    pub struct_size: usize,
    // <stats registry>
    /// Keys that have a breaker.
    pub breakers: u64,
    /// How many can have one.
    pub max_breakers: u64,
    /// Breakers that made room for others since the registry was made.
    pub evicted: u64,
    /// How often a key found no room and shared the overflow breaker.
    pub overflowed: u64,
    // </stats>
}

versioned!(tg_registry_snapshot, first = 40, fields = [breakers, max_breakers, evicted, overflowed]);

/// Makes a registry, or opens the one of that name in an arena: one object with all of its breakers.
///
/// Errors: TG_UTF8 (name); TG_OUT_OF_RANGE (max_breakers, a setting of its breakers or of a pattern's, a pattern's
/// window or probes for which they have no room); TG_NO_MEMORY (for max_breakers); TG_SYNTAX (an empty pattern);
/// TG_CONFLICT (a pattern given twice, both windows, a clock beside an arena, an arena without a name);
/// TG_UNKNOWN_VALUE (on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (another max_breakers, a window of
/// the other kind under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_new(config: In<tg_registry_config>, registry: Out<*mut tg_registry>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        registry.require("registry")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => BreakerRegistry::with_clock(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => BreakerRegistry::in_arena(arena, name, settings, on_conflict)?,
        };
        registry.give(tg_registry(made));
        Ok(TG_OK)
    })
}

/// Frees a registry; NULL is fine. Breakers that it gave stay good until each is freed.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_free(registry: Out<tg_registry>) {
    guard_system(|| {
        registry.free();
        Ok(TG_OK)
    });
}

/// Gives the breaker of a key, made where it has none; the shared one where there is no room. It goes with all
/// tg_breaker_*() functions and stands for its key: after it has made room, its next call goes to the key's breaker of
/// then, made anew where there is none.
///
/// Ownership: *breaker is the caller's, to be freed with tg_breaker_free(), once for each time that it was given.
/// Thread safety: a key without a breaker waits for others who make or remove one, in an arena in other processes too.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_get(
    registry: In<tg_registry>,
    key: In<c_void>,
    key_len: usize,
    breaker: Out<*mut tg_breaker>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        breaker.require("breaker")?;
        breaker.give_shared(it.get(key.bytes(key_len, "key")?));
        Ok(TG_OK)
    })
}

/// tg_registry_get() at now_ns nanoseconds of the registry's clock: only who makes a breaker needs it.
///
/// Ownership: as there.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_get_at(
    registry: In<tg_registry>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    breaker: Out<*mut tg_breaker>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        breaker.require("breaker")?;
        breaker.give_shared(it.get_at(now_ns, key.bytes(key_len, "key")?));
        Ok(TG_OK)
    })
}

/// Gives the breaker of a key: TG_EMPTY, and *breaker is left alone, when it has none. Never makes one.
///
/// Ownership: as for tg_registry_get().
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_peek(
    registry: In<tg_registry>,
    key: In<c_void>,
    key_len: usize,
    breaker: Out<*mut tg_breaker>,
) -> tg_status {
    guard(|| {
        let it = &registry.get("registry")?.0;
        breaker.require("breaker")?;
        Ok(match it.peek(key.bytes(key_len, "key")?) {
            Some(found) => {
                breaker.give_shared(found);
                TG_OK
            }
            None => TG_EMPTY,
        })
    })
}

/// Takes a key's breaker away, whatever its state; TG_EMPTY: it has none. Outcomes of calls that are under way are
/// dropped; handles of the key begin a new breaker with their next call.
///
/// Errors: TG_ARENA_* (the system refuses the arena's lock).
/// Thread safety: waits as tg_registry_get() does.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_remove(registry: In<tg_registry>, key: In<c_void>, key_len: usize) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        Ok(if it.remove(key.bytes(key_len, "key")?)? { TG_OK } else { TG_EMPTY })
    })
}

/// Gives the breaker that keys share for which there is no room.
///
/// Ownership: as for tg_registry_get().
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_overflow(registry: In<tg_registry>, breaker: Out<*mut tg_breaker>) -> tg_status {
    guard(|| {
        let it = &registry.get("registry")?.0;
        breaker.require("breaker")?;
        breaker.give_shared(it.overflow().clone());
        Ok(TG_OK)
    })
}

/// Tells one key after the other, all but those that share: TG_OK, or TG_EMPTY when there is none any more. *at says
/// where to go on and is 0 in the beginning; others may come and go meanwhile:
/// `while (tg_registry_next(registry, &at, key, sizeof key, &key_len, NULL) == TG_OK) ...`
///
/// The first key_size bytes of the key are written to key, without a NUL, and *key_len is how many it has. Keys of up
/// to 256 bytes are known whole, of longer ones the first 240. key may be NULL with 0; key_len and breaker may be NULL.
///
/// Ownership: *breaker as for tg_registry_get(), if it is not NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_next(
    registry: In<tg_registry>,
    at: Out<usize>,
    key: Out<c_void>,
    key_size: usize,
    key_len: Out<usize>,
    breaker: Out<*mut tg_breaker>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        let mut from = at.value("at")?;
        if key_size > 0 {
            key.require("key")?;
        }
        let Some(item) = it.next_item(&mut from) else { return Ok(TG_EMPTY) };
        at.set(from);
        key.write_bytes(&item.key[..item.key.len().min(key_size)]);
        key_len.set(item.key.len());
        breaker.give_shared(item.breaker);
        Ok(TG_OK)
    })
}

/// Gives the keys that a pattern means other settings, whether they have a breaker or get one: *config as for
/// tg_breaker_set_config(), pattern as in tg_registry_override; of several the one that says most of a key holds. "*"
/// changes the shared breaker as well. In an arena the change is for all who opened the registry, for breakers that
/// stand and for those that any of them makes later; 16 patterns of up to 64 bytes can be changed there.
///
/// Errors: as tg_registry_new(); TG_OUT_OF_RANGE (in an arena: a pattern too many or too long). Nothing is changed
/// then.
/// Thread safety: waits as tg_registry_get() does.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_set_config(
    registry: In<tg_registry>,
    pattern: In<c_void>,
    pattern_len: usize,
    config: In<tg_breaker_config>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        it.set_config(pattern.bytes(pattern_len, "pattern")?, &config.read("config")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// Tells the settings that a pattern has, or that a new one begins with: those of the pattern that says most, of equals
/// the first, among those that mean all of its keys; without one those of all. Fills *config in as
/// tg_breaker_get_config() does: change some of it and give it to tg_registry_set_config(), so that the others stay.
///
/// Errors: TG_SYNTAX (an empty pattern); TG_ARENA_* (the system refuses the arena's lock).
/// Thread safety: waits as tg_registry_get() does.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_get_config(
    registry: In<tg_registry>,
    pattern: In<c_void>,
    pattern_len: usize,
    config: Out<tg_breaker_config>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        let room = config.room("config")?;
        config.fill(room, tg_breaker_config::of(&it.config_of(pattern.bytes(pattern_len, "pattern")?)?));
        Ok(TG_OK)
    })
}

/// tg_registry_set_config() at now_ns nanoseconds of the registry's clock, which the events carry.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_set_config_at(
    registry: In<tg_registry>,
    now_ns: u64,
    pattern: In<c_void>,
    pattern_len: usize,
    config: In<tg_breaker_config>,
) -> tg_status {
    guard_system(|| {
        let it = &registry.get("registry")?.0;
        it.set_config_at(now_ns, pattern.bytes(pattern_len, "pattern")?, &config.read("config")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// Tells how full it is.
#[unsafe(no_mangle)]
pub extern "C" fn tg_registry_stats(registry: In<tg_registry>, snapshot: Out<tg_registry_snapshot>) -> tg_status {
    guard(|| {
        let it = &registry.get("registry")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats().into());
        Ok(TG_OK)
    })
}
