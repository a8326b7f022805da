//! A breaker for each key (host, tenant, operation) in a fixed number of places.
//!
//! | file | idea |
//! |---|---|
//! | `config.rs`, `pattern.rs` | settings, and which keys have others |
//! | `choices.rs` | of bindings: which keys' calls are watched |
//! | `key.rs` | a key as it stands in shared memory |
//! | `index.rs` | from a key's hash to a place |
//! | `shelf.rs` | the places, and how they change hands |
//! | `place.rs` | a handle's own place, and where its key stands once that is another's |
//! | `handles.rs` | the handles of this process, found without a lock |
//! | `arena.rs` | a registry that processes share |
//!
//! A key is found without a lock and without an allocation. Making one, making room and removing take the lock of the
//! object, which the kernel releases at death; each of their steps leaves what the next holder of the lock can go on
//! with:
//!
//! 1. **The control word is retired** by an exchange, in the next generation. Whether a trip or the making of room came
//!    first is decided by that exchange alone: an open circuit never makes room. From here on outcomes, transitions and
//!    probes of the key are late. A place with a retired word is nobody's, whoever finds it.
//! 2. The index forgets the place, then the incarnation becomes even.
//! 3. The new key is written, and the incarnation becomes odd; the index names the place; the control word is closed,
//!    in the next generation.
//!
//! So who has read a control word and then finds the incarnation its own has read a word of its own key: a word of the
//! next key comes after the change of the incarnation.

#[cfg(not(loom))]
mod arena;
mod choices;
mod config;
mod handles;
mod index;
mod key;
#[cfg(all(test, loom))]
mod loom_tests;
mod overrides;
mod pattern;
mod place;
mod shelf;
#[cfg(all(test, not(loom)))]
mod tests;

#[doc(hidden)] // For the bindings of Python and Node.
pub use choices::Choices;
pub use config::{RegistryConfig, SETTINGS};
pub(super) use place::Place;

use super::layout::Layout;
use super::{BreakerConfig, CircuitBreaker};
use crate::memory::ObjectAllocator;
use crate::{Clock, ConfigError};
use handles::Handles;
use shelf::Shelf;
use std::fmt;
use std::sync::Arc;

/// The name of the breaker that keys share for which there is no room.
pub const OVERFLOW: &str = "(overflow)";

/// Circuit breakers by key: one for each host, tenant or operation, at most `max_breakers` of them in memory that is
/// taken at construction.
///
/// Full, the closed one whose last call is the oldest makes room; one in any other state never does. If none can,
/// newcomers share one more breaker, named [`OVERFLOW`], and for 10 ms nobody looks for room again.
///
/// A handle stays good when its breaker has made room: its next call stands for the key again, with a new breaker;
/// outcomes of calls that began before are dropped, or count for the new breaker of the same key, never for another
/// key's.
///
/// Thread safety: every method may be called from any thread at any time. [`get`](Self::get) and
/// [`with`](Self::with) of a key that this process has had before and [`peek`](Self::peek) take no lock; the first two
/// allocate nothing.
pub struct BreakerRegistry {
    shelf: Arc<Shelf>,
    handles: Handles,
}

/// A breaker of a registry and its key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryItem {
    /// The key, or its first 240 bytes.
    pub key: Vec<u8>,
    /// Whether that is all of it: keys of up to 256 bytes are kept whole.
    pub is_whole: bool,
    /// Its breaker.
    pub breaker: Arc<CircuitBreaker>,
}

/// A look at a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryStats {
    /// Keys that have a breaker.
    pub breakers: u64,
    /// How many can have one.
    pub max_breakers: u64,
    /// Breakers that made room for others since the registry was made.
    pub evicted: u64,
    /// How often a key found no room and shared the overflow breaker.
    pub overflowed: u64,
}

impl BreakerRegistry {
    /// An empty registry of this process on the monotonic clock.
    ///
    /// Errors: a setting outside its bounds; a pattern's window or probes for which breakers made with the defaults
    /// have no room.
    ///
    /// ```
    /// use tidegate::breaker::registry::{BreakerRegistry, RegistryConfig};
    ///
    /// let registry = BreakerRegistry::new(RegistryConfig::default())?;
    /// let breaker = registry.get(b"api.example.com");
    /// assert!(breaker.call(|| Ok::<_, ()>(())).is_ok());
    /// assert!(registry.peek(b"api.example.com").is_some() && registry.peek(b"elsewhere").is_none());
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn new(config: RegistryConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// An empty registry of this process on `clock`.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_clock(config: RegistryConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        let (layout, made_ns) = (Layout::of(&config.defaults), clock.now());
        Self::in_room(&mut ObjectAllocator::of_process(false), config, layout, made_ns, clock)
    }

    fn in_room(
        room: &mut ObjectAllocator,
        config: RegistryConfig,
        layout: Layout,
        made_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        config.fits(&layout)?;
        let shelf = Arc::new(Shelf::in_room(room, config, layout, made_ns, clock)?);
        Ok(Self { handles: Handles::new(shelf.places())?, shelf })
    }

    /// Its settings: as given, and changed by [`set_config`](Self::set_config).
    pub fn config(&self) -> Arc<RegistryConfig> {
        self.shelf.config()
    }

    /// Gives the keys that a pattern means these settings, whether they have a breaker or get one; as in
    /// [`overrides`](RegistryConfig::overrides), of several patterns the one that says most holds, and what another
    /// says stays with its keys. `"*"` changes the shared breaker as well.
    ///
    /// A breaker goes on under other settings as [`CircuitBreaker::set_config`] has it. In an arena the change is for
    /// all who have the registry open: for the breakers that stand, and for those that any of them makes later. There
    /// are 16 patterns of up to 64 bytes there that can be changed.
    ///
    /// Errors: as [`new`](Self::new); in an arena `pattern` for one too many or too long, `arena` where the system
    /// refuses the arena's lock. Nothing is changed then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate::{BreakerConfig, BreakerRegistry, RegistryConfig};
    ///
    /// let registry = BreakerRegistry::new(RegistryConfig::default())?;
    /// let known = registry.get(b"db.internal");
    /// registry.set_config(b"*.internal", &BreakerConfig { cooldown: Duration::from_secs(5), ..known.config() })?;
    /// assert_eq!(known.config().cooldown, Duration::from_secs(5));
    /// assert_eq!(registry.get(b"queue.internal").config().cooldown, Duration::from_secs(5));
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn set_config(&self, pattern: &[u8], config: &BreakerConfig) -> Result<(), ConfigError> {
        self.set_config_at(self.clock().now(), pattern, config)
    }

    /// [`set_config`](Self::set_config) at `now` nanoseconds of this registry's clock, which the events carry.
    pub fn set_config_at(&self, now: u64, pattern: &[u8], config: &BreakerConfig) -> Result<(), ConfigError> {
        self.shelf.change(pattern, now, |it| it.clone_from(config))
    }

    /// [`set_config`](Self::set_config) with some settings changed. The pattern's others stay: a new one begins with
    /// what [`RegistryConfig::of_pattern`] says. So do those of the breakers that it means, with what was changed of
    /// one alone: `update` is called for the pattern and once for each of them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate::{BreakerRegistry, RegistryConfig};
    ///
    /// let registry = BreakerRegistry::new(RegistryConfig::default())?;
    /// registry.update_config(b"*", |all| all.cooldown = Duration::from_secs(5))?;
    /// registry.update_config(b"*.internal", |internal| internal.min_calls = 3)?;
    /// let config = registry.get(b"db.internal").config();
    /// assert_eq!((config.cooldown, config.min_calls), (Duration::from_secs(5), 3));
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn update_config(&self, pattern: &[u8], update: impl Fn(&mut BreakerConfig)) -> Result<(), ConfigError> {
        self.shelf.change(pattern, self.clock().now(), update)
    }

    /// The settings of a pattern, or those that a new one begins with ([`RegistryConfig::of_pattern`]), with what
    /// others have changed in an arena.
    ///
    /// Errors: an empty pattern; `arena` where the system refuses the arena's lock.
    pub fn config_of(&self, pattern: &[u8]) -> Result<BreakerConfig, ConfigError> {
        config::check_pattern(pattern)?;
        self.shelf.config_of(pattern)
    }

    /// The clock of the plain forms, and of its breakers.
    pub fn clock(&self) -> &Clock {
        self.shelf.clock()
    }

    /// The breaker of `key`, made where there is none; where there is no room, the one that such keys share.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Arc<CircuitBreaker> {
        self.get_when(key, || self.shelf.clock().now())
    }

    /// [`get`](Self::get) at `now` nanoseconds of this registry's clock: only who makes a breaker needs it.
    #[inline]
    pub fn get_at(&self, now: u64, key: &[u8]) -> Arc<CircuitBreaker> {
        self.get_when(key, || now)
    }

    #[inline]
    fn get_when(&self, key: &[u8], now: impl Fn() -> u64) -> Arc<CircuitBreaker> {
        let hash = self.shelf.hash(key);
        match self.handles.find(&self.shelf, hash, key) {
            Some(handle) => handle,
            None => self.get_with_care(key, now()),
        }
    }

    #[inline(never)]
    fn get_with_care(&self, key: &[u8], now: u64) -> Arc<CircuitBreaker> {
        self.handles.keep(self.shelf.get(&self.shelf.key(key), now))
    }

    /// What `f` says of the breaker that [`get`](Self::get) gives, which is lent for that long: nobody counts it, in
    /// the line that all who look for it read.
    ///
    /// `f` may call anything, this registry too.
    ///
    /// ```
    /// use tidegate::{BreakerRegistry, RegistryConfig};
    ///
    /// let hosts = BreakerRegistry::new(RegistryConfig::default())?;
    /// let answer = hosts.with(b"api.example.com", |breaker| breaker.call(|| Ok::<_, ()>("here")));
    /// assert_eq!(answer.ok(), Some("here"));
    /// assert_eq!(hosts.with(b"api.example.com", |breaker| breaker.stats().calls), 1);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[inline]
    pub fn with<T>(&self, key: &[u8], f: impl FnOnce(&Arc<CircuitBreaker>) -> T) -> T {
        self.with_when(key, || self.shelf.clock().now(), f)
    }

    /// [`with`](Self::with) at `now` nanoseconds of this registry's clock: only who makes a breaker needs it.
    #[inline]
    pub fn with_at<T>(&self, now: u64, key: &[u8], f: impl FnOnce(&Arc<CircuitBreaker>) -> T) -> T {
        self.with_when(key, || now, f)
    }

    #[inline]
    fn with_when<T>(&self, key: &[u8], now: impl Fn() -> u64, f: impl FnOnce(&Arc<CircuitBreaker>) -> T) -> T {
        let hash = self.shelf.hash(key);
        match self.handles.lend(&self.shelf, hash, key) {
            Some(lent) => f(lent.get()),
            None => f(&self.get_with_care(key, now())),
        }
    }

    /// The breaker of `key`, if it has one: never makes one.
    pub fn peek(&self, key: &[u8]) -> Option<Arc<CircuitBreaker>> {
        let hash = self.shelf.hash(key);
        self.handles
            .find(&self.shelf, hash, key)
            .or_else(|| Some(self.handles.keep(self.shelf.find(&self.shelf.key(key))?)))
    }

    /// Takes a key's breaker away, whatever its state; returns whether there was one. Outcomes of its calls that are
    /// under way are dropped. Handles of the key begin a new breaker with their next call.
    ///
    /// Errors: `arena` where the system refuses the arena's lock.
    pub fn remove(&self, key: &[u8]) -> Result<bool, ConfigError> {
        self.shelf.remove(&self.shelf.key(key))
    }

    /// All breakers but the shared one. Others may come and go meanwhile.
    pub fn items(&self) -> Vec<RegistryItem> {
        let mut from = 0;
        std::iter::from_fn(|| self.next_item(&mut from)).collect()
    }

    /// One after the other: the first breaker from place `from` on, which then says where to go on. 0 is the
    /// beginning.
    pub fn next_item(&self, from: &mut usize) -> Option<RegistryItem> {
        let place = (*from..self.shelf.places()).find_map(|place| Some((place, self.item(place)?)));
        *from = place.as_ref().map_or(self.shelf.places(), |(place, _)| place + 1);
        place.map(|(_, item)| item)
    }

    fn item(&self, place: usize) -> Option<RegistryItem> {
        let breaker = self.handles.keep(self.shelf.at(place)?);
        let key = breaker.place.as_ref()?.key();
        Some(RegistryItem { key: key.text().to_vec(), is_whole: key.is_whole(), breaker: breaker.clone() })
    }

    /// The breaker that keys share for which there is no room.
    pub fn overflow(&self) -> &Arc<CircuitBreaker> {
        self.shelf.overflow()
    }

    /// How full it is. The parts are read one after the other, not at one instant.
    pub fn stats(&self) -> RegistryStats {
        self.shelf.stats()
    }
}

impl fmt::Debug for BreakerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerRegistry").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
