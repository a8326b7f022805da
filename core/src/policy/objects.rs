//! What is made of a policy.

use super::near::nearest;
use super::shedders::Watched;
use super::{LimitPolicy, PolicyConfig, PolicyError, Problem};
use crate::arena::{Arena, ArenaError, OnConflict};
use crate::breaker::CircuitBreaker;
use crate::concurrency::ConcurrencyLimiter;
use crate::gate::{Gate, GateConfig, QueueView};
use crate::limit::{LimitSet, Member, RateLimiter, Tier, TokenBucket};
use crate::queue::{BoundedQueue, QueueConfig};
use crate::shed::{LoadShedder, Signal, SignalKind};
use crate::{Clock, ConfigError, ConfigErrorKind};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The objects of a policy: each is made once, and everybody who asks for it by its name gets the same.
///
/// Limits, concurrency limits and breakers are there at once. A queue is made when it is asked for first, for only the
/// program knows of what it is; shedders and gates too, for they may watch a queue: ask for the queue before.
///
/// ```
/// use tidegate::gate::Request;
/// use tidegate::policy::{Policy, PolicyConfig};
/// use tidegate::Clock;
///
/// let config = PolicyConfig::parse(r#"
///     version = 1
///     [limits]
///     client = { rate = "2/minute", key = "client_ip" }
///     [concurrency]
///     database = { limit = 10 }
///     [gates.orders]
///     use = { limits = ["client"], concurrency = "database" }
/// "#)?;
/// let policy = Policy::new(config, Clock::monotonic())?;
/// let orders = policy.gate("orders")?;
/// assert!(orders.admit(&Request::new(&[b"192.0.2.1"]))?.is_allowed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Policy {
    config: PolicyConfig,
    clock: Clock,
    arena: Option<Arc<Arena>>,
    limits: BTreeMap<String, Member>,
    concurrency: BTreeMap<String, Arc<ConcurrencyLimiter>>,
    breakers: BTreeMap<String, Arc<CircuitBreaker>>,
    later: Mutex<Later>,
}

/// What is made when it is asked for.
#[derive(Default)]
struct Later {
    queues: BTreeMap<String, Queue>,
    shedders: BTreeMap<String, Arc<LoadShedder>>,
    gates: BTreeMap<String, Arc<Gate>>,
}

/// A queue, whatever is in it.
struct Queue {
    whole: Arc<dyn Any + Send + Sync>,
    view: Arc<dyn QueueView>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Policy {
    /// Of a file, on the monotonic clock; in a named scope on that of its arena.
    ///
    /// Errors: all that is wrong with the file; what cannot be made of it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        Self::new(PolicyConfig::load(path)?, Clock::monotonic()).map_err(|error| error.in_file(path))
    }

    /// Of what a file says; `clock` where the scope is that of the process, else that of the arena.
    ///
    /// Errors: the scope cannot be opened, or has another object under one of the names.
    pub fn new(config: PolicyConfig, clock: Clock) -> Result<Self, PolicyError> {
        let arena = config.scope_in_force()?.open();
        let arena = arena.map_err(|error| problem(&config, "scope", error.message()))?;
        let (mut limits, mut concurrency, mut breakers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let made = |path: String, error: ArenaError| problem(&config, &path, error.message());
        for (name, limit) in &config.limits {
            let member = self::limit(arena.as_ref(), &clock, name, limit);
            limits.insert(name.clone(), member.map_err(|error| made(format!("limits.{name}"), error))?);
        }
        for (name, own) in &config.concurrency {
            let limiter = match &arena {
                Some(arena) => ConcurrencyLimiter::in_arena(arena, name, *own, OnConflict::Apply),
                None => ConcurrencyLimiter::with_config(*own, clock.clone()).map_err(ArenaError::from),
            };
            let limiter = limiter.map_err(|error| made(format!("concurrency.{name}"), error))?;
            concurrency.insert(name.clone(), Arc::new(limiter));
        }
        for (name, own) in &config.breakers {
            let breaker = match &arena {
                Some(arena) => CircuitBreaker::in_arena(arena, name, own.clone(), OnConflict::Apply),
                None => {
                    let breaker = CircuitBreaker::with_clock(name.as_str(), own.clone(), clock.clone());
                    breaker.map_err(ArenaError::from)
                }
            };
            breakers.insert(name.clone(), Arc::new(breaker.map_err(|error| made(format!("breakers.{name}"), error))?));
        }
        Ok(Self { config, clock, arena, limits, concurrency, breakers, later: Mutex::default() })
    }

    /// What the file says.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// The arena that its objects live in; `None` in the scope of the process.
    pub fn arena(&self) -> Option<&Arc<Arena>> {
        self.arena.as_ref()
    }

    /// A limit of everybody together.
    ///
    /// Errors: there is none of this name, or it is one per key.
    pub fn bucket(&self, name: &str) -> Result<Arc<TokenBucket>, ConfigError> {
        match self.limits.get(name) {
            Some(Member::Bucket(bucket)) => Ok(bucket.clone()),
            Some(_) => Err(conflict(format!("{name:?} is a limit per key: ask for it with limiter"))),
            None => Err(none("limits", name, self.limits.keys())),
        }
    }

    /// A limit per key.
    ///
    /// Errors: there is none of this name, or it is one of everybody together.
    pub fn limiter(&self, name: &str) -> Result<Arc<RateLimiter>, ConfigError> {
        match self.limits.get(name) {
            Some(Member::Keyed(limiter)) => Ok(limiter.clone()),
            Some(_) => Err(conflict(format!("{name:?} is a limit without keys: ask for it with bucket"))),
            None => Err(none("limits", name, self.limits.keys())),
        }
    }

    /// A tier of a limit per key, for [`check_tier`](RateLimiter::check_tier).
    ///
    /// Errors: there is none of this name, or no such limit.
    pub fn tier(&self, limit: &str, name: &str) -> Result<Tier, ConfigError> {
        let limiter = self.limiter(limit)?;
        let tiers = match self.config.limits.get(limit) {
            Some(LimitPolicy::PerKey { tiers, .. }) => tiers.as_slice(),
            _ => &[],
        };
        match tiers.iter().find(|(own, _)| own == name) {
            Some((_, quota)) => limiter.tier(*quota),
            None => Err(none(&format!("limits.{limit}.tiers"), name, tiers.iter().map(|(own, _)| own))),
        }
    }

    /// A concurrency limit.
    ///
    /// Errors: there is none of this name.
    pub fn concurrency(&self, name: &str) -> Result<Arc<ConcurrencyLimiter>, ConfigError> {
        found("concurrency", name, &self.concurrency)
    }

    /// A circuit breaker.
    ///
    /// Errors: there is none of this name.
    pub fn breaker(&self, name: &str) -> Result<Arc<CircuitBreaker>, ConfigError> {
        found("breakers", name, &self.breakers)
    }

    /// A queue of `T`: who asks first says of what it is.
    ///
    /// Errors: there is none of this name, or it is of another type.
    pub fn queue<T: Send + 'static>(&self, name: &str) -> Result<Arc<BoundedQueue<T>>, ConfigError> {
        let config = self.config.queues.get(name).ok_or_else(|| none("queues", name, self.config.queues.keys()))?;
        let mut later = self.later();
        if let Some(queue) = later.queues.get(name) {
            let whole = queue.whole.clone().downcast();
            return whole.map_err(|_| conflict(format!("the queue {name:?} was made of another type before")));
        }
        let queue = Arc::new(self.made(config)?);
        later.queues.insert(name.to_owned(), Queue { whole: queue.clone(), view: queue.clone() });
        Ok(queue)
    }

    fn made<T: Send>(&self, config: &QueueConfig) -> Result<BoundedQueue<T>, ConfigError> {
        BoundedQueue::with_clock(config.clone(), self.clock.clone())
    }

    /// A load shedder. Loop lag is told to it by the program, `tell`.
    ///
    /// Errors: there is none of this name; it watches a queue that was not asked for yet; in a named scope another
    /// object has its name.
    pub fn shedder(&self, name: &str) -> Result<Arc<LoadShedder>, ConfigError> {
        self.shedder_of(&mut self.later(), name)
    }

    fn shedder_of(&self, later: &mut Later, name: &str) -> Result<Arc<LoadShedder>, ConfigError> {
        if let Some(shedder) = later.shedders.get(name) {
            return Ok(shedder.clone());
        }
        let own = self.config.shedders.get(name).ok_or_else(|| none("shedders", name, self.config.shedders.keys()))?;
        let mut config = own.config.clone();
        for signal in &own.signals {
            let plain = Signal::new(signal.kind).range(signal.start, signal.full);
            config.signals.push(match &signal.of {
                None => plain,
                Some(Watched::Concurrency(of)) => {
                    let limiter = self.concurrency(of)?;
                    plain.reading(move || f64::from(limiter.in_use()) / f64::from(limiter.limit()))
                }
                Some(Watched::Queue(of)) => {
                    let queue = self.view(later, of)?;
                    match signal.kind {
                        SignalKind::QueueFill => plain.reading(move || queue.depth() as f64 / queue.capacity() as f64),
                        _ => plain.reading(move || queue.delay().map_or(f64::NAN, |delay| delay.as_secs_f64())),
                    }
                }
            });
        }
        let shedder = match &self.arena {
            Some(arena) => LoadShedder::in_arena(arena, name, config, OnConflict::Apply).map_err(of_arena)?,
            None => LoadShedder::with_clock(config, self.clock.clone())?,
        };
        Ok(later.shedders.entry(name.to_owned()).or_insert(Arc::new(shedder)).clone())
    }

    fn view(&self, later: &Later, name: &str) -> Result<Arc<dyn QueueView>, ConfigError> {
        later.queues.get(name).map(|queue| queue.view.clone()).ok_or_else(|| {
            conflict(format!(
                "the queue {name:?} is not made yet: only the program knows of what it is; ask for it first, \
                 policy.queue::<Order>({name:?})"
            ))
        })
    }

    /// A gate.
    ///
    /// Errors: there is none of this name; it has a queue that was not asked for yet.
    pub fn gate(&self, name: &str) -> Result<Arc<Gate>, ConfigError> {
        let later = &mut *self.later();
        if let Some(gate) = later.gates.get(name) {
            return Ok(gate.clone());
        }
        let own = self.config.gates.get(name).ok_or_else(|| none("gates", name, self.config.gates.keys()))?;
        let members = own.limits.iter().map(|name| Ok((name.clone(), self.member(name)?)));
        let members: Vec<_> = members.collect::<Result<_, ConfigError>>()?;
        let limits = if members.is_empty() { None } else { Some(Arc::new(LimitSet::new(members)?)) };
        let shedder = own.shedder.as_ref().map(|name| Ok((name.clone(), self.shedder_of(later, name)?)));
        let queue = own.queue.as_ref().map(|name| Ok((name.clone(), self.view(later, name)?)));
        let concurrency = own.concurrency.as_ref().map(|name| Ok((name.clone(), self.concurrency(name)?)));
        let dependencies = own.dependencies.iter().map(|name| Ok((name.clone(), self.breaker(name)?)));
        let gate = Gate::new(GateConfig {
            name: name.to_owned(),
            access: own.access.clone(),
            shedder: shedder.transpose()?,
            queue: queue.transpose()?,
            concurrency: concurrency.transpose()?,
            limits,
            dependencies: dependencies.collect::<Result<_, ConfigError>>()?,
            refund_on: own.refund_on,
            mode: own.mode,
        })?;
        Ok(later.gates.entry(name.to_owned()).or_insert(Arc::new(gate)).clone())
    }

    fn member(&self, name: &str) -> Result<Member, ConfigError> {
        self.limits.get(name).cloned().ok_or_else(|| none("limits", name, self.limits.keys()))
    }

    /// What was made before a panic is whole.
    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn limit(arena: Option<&Arc<Arena>>, clock: &Clock, name: &str, limit: &LimitPolicy) -> Result<Member, ArenaError> {
    Ok(match limit {
        LimitPolicy::Together { quota, options } => Member::from(Arc::new(match arena {
            Some(arena) => TokenBucket::in_arena(arena, name, *quota, *options, OnConflict::Apply)?,
            None => TokenBucket::with_options(*quota, *options, clock.clone())?,
        })),
        LimitPolicy::PerKey { config, .. } => Member::from(Arc::new(match arena {
            Some(arena) => RateLimiter::in_arena(arena, name, *config, OnConflict::Apply)?,
            None => RateLimiter::with_config(*config, clock.clone())?,
        })),
    })
}

fn problem(config: &PolicyConfig, path: &str, message: &str) -> PolicyError {
    let (line, column) = config.places.get(path).copied().unwrap_or_default();
    let problem = Problem { line, column, path: path.to_owned(), message: message.to_owned(), hint: None };
    PolicyError::new(vec![problem], 0)
}

fn of_arena(error: ArenaError) -> ConfigError {
    error.config().cloned().unwrap_or_else(|| conflict(error.message().to_owned()))
}

fn conflict(message: String) -> ConfigError {
    ConfigError::new(ConfigErrorKind::Conflict, "name", message)
}

fn found<T>(of: &str, name: &str, all: &BTreeMap<String, Arc<T>>) -> Result<Arc<T>, ConfigError> {
    all.get(name).cloned().ok_or_else(|| none(of, name, all.keys()))
}

fn none<'k>(of: &str, name: &str, known: impl Iterator<Item = &'k String>) -> ConfigError {
    let known: Vec<_> = known.map(String::as_str).collect();
    let near = nearest(name, known.iter().copied()).map(|near| format!(" (did you mean {near:?}?)"));
    let message = match known.as_slice() {
        [] => format!("{name:?} is none; the policy has no [{of}]"),
        known => format!("{name:?} is none of [{of}]; there are {}{}", known.join(", "), near.unwrap_or_default()),
    };
    ConfigError::out_of_range("name", message)
}
