//! What is made of a policy.

use super::breakers::budget_name;
use super::near::nearest;
use super::section::joined;
use super::shedders::{SignalPolicy, Watched};
use super::{Change, LimitPolicy, PolicyConfig, PolicyError, Problem};
use crate::arena::{Arena, ArenaError, OnConflict, PolicyInForce};
use crate::breaker::CircuitBreaker;
use crate::concurrency::ConcurrencyLimiter;
use crate::gate::{Gate, GateConfig, QueueView};
use crate::limit::{LimitSet, Member, RateLimiter, Tier, TokenBucket};
use crate::queue::BoundedQueue;
use crate::retry::{RetryBudget, RetryPolicy};
use crate::setting::POLICY;
use crate::shed::{LoadShedder, ShedderConfig, SignalKind};
use crate::sys::{Whole, WholeGuard, generation, watch};
use crate::{Clock, ConfigError, ConfigErrorKind, Quota};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    file: Option<PathBuf>,
    clock: Clock,
    arena: Option<Arc<Arena>>,
    /// A child of fork finds it whole, whatever thread of its parent held it.
    state: Whole<State>,
}

/// What is in force.
#[derive(Clone)]
struct State {
    config: Arc<PolicyConfig>,
    /// The same, and of names that left the file what it said last.
    known: PolicyConfig,
    /// The process that put it in force, among forks.
    process: u32,
    /// How many files came before.
    generation: u64,
    /// How many were refused.
    failed: u64,
    /// Of all names that a file ever had: a name is one object for ever, for many hold it. So are those below. Who asks
    /// is given what the file has.
    made: Made,
    /// What is made when it is asked for.
    budgets: BTreeMap<String, Arc<RetryBudget>>,
    queues: BTreeMap<String, Queue>,
    shedders: BTreeMap<String, Arc<LoadShedder>>,
    gates: BTreeMap<String, Arc<Gate>>,
}

/// What is made at once.
#[derive(Clone, Default)]
struct Made {
    limits: BTreeMap<String, Member>,
    concurrency: BTreeMap<String, Arc<ConcurrencyLimiter>>,
    breakers: BTreeMap<String, Arc<CircuitBreaker>>,
}

/// How objects were found, which another process's policy may have said. What is not done to its end is undone, the
/// last first.
#[derive(Default)]
struct Undo(Vec<Box<dyn FnOnce()>>);

impl Undo {
    fn quota(&mut self, member: Member) {
        let found = quota_in_force(&member);
        self.0.push(Box::new(move || {
            if quota_in_force(&member) != found {
                _ = set_quota(&member, found);
            }
        }));
    }

    fn limit(&mut self, limiter: &Arc<ConcurrencyLimiter>) {
        let (limiter, limit, shares) = (limiter.clone(), limiter.limit(), limiter.shares());
        self.0.push(Box::new(move || {
            if limiter.config().adaptive.is_none() && limiter.limit() != limit {
                _ = limiter.set_limit(limit);
            }
            if limiter.shares() != shares {
                _ = limiter.set_shares(shares);
            }
        }));
    }

    fn breaker(&mut self, breaker: &Arc<CircuitBreaker>) {
        let (breaker, found) = (breaker.clone(), breaker.config());
        self.0.push(Box::new(move || {
            if breaker.config() != found {
                _ = breaker.set_config(&found);
            }
        }));
    }

    /// All is done.
    fn forget(mut self) {
        self.0.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.0.drain(..).rev().for_each(|undo| undo());
    }
}

/// What a reload finds.
#[derive(Clone, Copy)]
struct Before<'a> {
    /// `None`: another policy than the last that was read here.
    in_force: Option<&'a PolicyConfig>,
    /// Beside what was read last, what left the file before.
    known: &'a PolicyConfig,
}

impl Before<'_> {
    /// Whether an object may be as no file here said: who held it, or another process, may have changed it since. It is
    /// given all that the new one says.
    fn is_unsure<T>(&self, section: impl Fn(&PolicyConfig) -> &BTreeMap<String, T>, name: &str) -> bool {
        self.in_force.is_none_or(|config| !section(config).contains_key(name))
    }
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// All of them in force.
    pub changes: Vec<Change>,
    /// How many reloads of this policy succeeded.
    pub generation: u64,
}

/// A queue, whatever is in it.
#[derive(Clone)]
struct Queue {
    whole: Arc<dyn Any + Send + Sync>,
    view: Arc<dyn QueueView>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Policy {
    /// Of a file, on the monotonic clock; in a named scope on that of its arena.
    ///
    /// Errors: all that is wrong with the file; what cannot be made of it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let policy = Self::new(PolicyConfig::load(path)?, Clock::monotonic()).map_err(|error| error.in_file(path))?;
        Ok(Self { file: Some(path.to_owned()), ..policy })
    }

    /// Of what a file says; `clock` where the scope is that of the process, else that of the arena.
    ///
    /// Errors: the scope cannot be opened, or has another object under one of the names.
    pub fn new(config: PolicyConfig, clock: Clock) -> Result<Self, PolicyError> {
        let arena = config.scope_in_force()?.open();
        let arena = arena.map_err(|error| problem(&config, "scope", error.message()))?;
        let mut made = Made::default();
        let mut undo = Undo::default();
        made.make_new(arena.as_ref(), &clock, &config, &Made::default(), &mut undo)?;
        arena.iter().try_for_each(|arena| put(arena, &config))?;
        undo.forget();
        watch();
        let state = State {
            known: config.clone(),
            config: Arc::new(config),
            process: generation(),
            generation: 0,
            failed: 0,
            made,
            budgets: BTreeMap::new(),
            queues: BTreeMap::new(),
            shedders: BTreeMap::new(),
            gates: BTreeMap::new(),
        };
        Ok(Self { file: None, clock, arena, state: Whole::new(state) })
    }

    /// Reads its file again: see [`reload_with`](Self::reload_with).
    ///
    /// Errors: as there; all that is wrong with the file; it was made of no file.
    pub fn reload(&self) -> Result<Reloaded, PolicyError> {
        let Some(file) = &self.file else {
            return Err(PolicyError::whole("the policy was made of no file: reload it with what another says"));
        };
        match PolicyConfig::load(file) {
            Ok(config) => self.reload_with(config).map_err(|error| error.in_file(file)),
            Err(error) => {
                self.state().failed += 1;
                Err(error)
            }
        }
    }

    /// Changes its objects to what another file says, all or nothing. In place, with their state: rates, bursts, queues
    /// of leaky buckets, tiers; a fixed concurrency limit up to what it was made with, shares of partitions; ranges of
    /// signals, and how a shedder answers them; all settings of a breaker but the kind of its window, as far as it has
    /// room. What is added is made. What is no longer there stays as it is for who holds it; a name that comes back is
    /// that of the same object, and changed as one that stayed. Calls under way end under what they began with.
    ///
    /// Errors: all changes that need a new object; what cannot be changed or made. Nothing is changed then.
    pub fn reload_with(&self, config: PolicyConfig) -> Result<Reloaded, PolicyError> {
        let state = &mut *self.state();
        let done = self.change(state, config);
        state.failed += u64::from(done.is_err());
        done
    }

    fn change(&self, state: &mut State, config: PolicyConfig) -> Result<Reloaded, PolicyError> {
        let changes = state.config.changes_in_place(&state.known, &config)?;
        let mut made = Made::default();
        let mut undo = Undo::default();
        made.make_new(self.arena.as_ref(), &self.clock, &config, &state.made, &mut undo)?;
        let config = state.made.with_room(config);
        // Who finds a policy in force finds what it says.
        let put = || self.arena.iter().try_for_each(|arena| put(arena, &config));
        let tuned = state.tuned(&config)?;
        let before = Before { in_force: self.is_in_force(state).then_some(&state.config), known: &state.known };
        state.made.change(before, &config, &mut undo)?;
        put()?;
        undo.forget();
        // Checked above, and nothing can fail in it.
        for (shedder, config) in tuned {
            _ = shedder.set_config(&config);
        }
        state.made.join(made);
        state.known = config.with_gone(&state.known);
        state.config = Arc::new(config);
        state.process = generation();
        state.generation += 1;
        Ok(Reloaded { changes, generation: state.generation })
    }

    /// Whether objects are as its file says, as far as the program left them: no other process has put another one in
    /// force, and no thread of a parent was at it at the fork.
    fn is_in_force(&self, state: &State) -> bool {
        let is_own = self.in_force().is_none_or(|it| it.hash == state.config.hash_number());
        is_own && state.process == generation()
    }

    /// How many reloads succeeded.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// How many reloads changed nothing, for what was wrong with them.
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    pub(crate) fn members(&self) -> BTreeMap<String, Member> {
        let state = self.state();
        let made = state.made.limits.iter().filter(|(name, _)| state.config.limits.contains_key(*name));
        made.map(|(name, member)| (name.clone(), member.clone())).collect()
    }

    pub(crate) fn shedders_made(&self) -> BTreeMap<String, Arc<LoadShedder>> {
        let state = self.state();
        let made = state.shedders.iter().filter(|(name, _)| state.config.shedders.contains_key(*name));
        made.map(|(name, shedder)| (name.clone(), shedder.clone())).collect()
    }

    pub(crate) fn gates_made(&self) -> BTreeMap<String, Arc<Gate>> {
        let state = self.state();
        let made = state.gates.iter().filter(|(name, _)| state.config.gates.contains_key(*name));
        made.map(|(name, gate)| (name.clone(), gate.clone())).collect()
    }

    /// The policy that is in force in its arena, which the last process that made or reloaded one has put there; `None`
    /// in the scope of the process. All that the arena has follows it, whatever this one's file says.
    pub fn in_force(&self) -> Option<PolicyInForce> {
        self.arena.as_ref()?.policy()
    }

    /// What the file says.
    pub fn config(&self) -> Arc<PolicyConfig> {
        self.state().config.clone()
    }

    /// The arena that its objects live in; `None` in the scope of the process.
    pub fn arena(&self) -> Option<&Arc<Arena>> {
        self.arena.as_ref()
    }

    /// A limit of everybody together.
    ///
    /// Errors: there is none of this name, or it is one per key.
    pub fn bucket(&self, name: &str) -> Result<Arc<TokenBucket>, ConfigError> {
        match self.state().member(name)? {
            Member::Bucket(bucket) => Ok(bucket),
            Member::Keyed(_) => Err(conflict(format!("{name:?} is a limit per key: ask for it with limiter"))),
        }
    }

    /// A limit per key.
    ///
    /// Errors: there is none of this name, or it is one of everybody together.
    pub fn limiter(&self, name: &str) -> Result<Arc<RateLimiter>, ConfigError> {
        match self.state().member(name)? {
            Member::Keyed(limiter) => Ok(limiter),
            Member::Bucket(_) => Err(conflict(format!("{name:?} is a limit without keys: ask for it with bucket"))),
        }
    }

    /// A tier of a limit per key, for [`check_tier`](RateLimiter::check_tier).
    ///
    /// Errors: there is none of this name, or no such limit.
    pub fn tier(&self, limit: &str, name: &str) -> Result<Tier, ConfigError> {
        let (limiter, config) = (self.limiter(limit)?, self.config());
        let tiers = match config.limits.get(limit) {
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
        self.state().limit(name)
    }

    /// A circuit breaker.
    ///
    /// Errors: there is none of this name.
    pub fn breaker(&self, name: &str) -> Result<Arc<CircuitBreaker>, ConfigError> {
        self.state().breaker(name)
    }

    /// How calls of a breaker's dependency are made again, as the file's `retry` says: the policy, and the budget that
    /// all who ask share.
    ///
    /// Errors: there is no such breaker, or it has no `retry`; in a named scope another object has the budget's name.
    pub fn retry(&self, name: &str) -> Result<(RetryPolicy, Option<Arc<RetryBudget>>), ConfigError> {
        let mut state = self.state();
        let config = state.config.clone();
        let Some(own) = config.retries.get(name) else {
            state.breaker(name)?;
            return Err(conflict(format!("the breaker {name:?} has no retry in the policy")));
        };
        let policy = RetryPolicy::new(own.config)?;
        let Some(budget) = own.budget else { return Ok((policy, None)) };
        if let Some(made) = state.budgets.get(name) {
            return Ok((policy, Some(made.clone())));
        }
        let made = Arc::new(match &self.arena {
            Some(arena) => {
                let on_conflict = on_conflict(arena, &config);
                RetryBudget::in_arena(arena, &budget_name(name), budget, on_conflict).map_err(of_arena)?
            }
            None => RetryBudget::with_clock(budget, self.clock.clone())?,
        });
        state.budgets.insert(name.to_owned(), made.clone());
        Ok((policy, Some(made)))
    }

    /// A queue of `T`: who asks first says of what it is.
    ///
    /// Errors: there is none of this name, or it is of another type.
    pub fn queue<T: Send + 'static>(&self, name: &str) -> Result<Arc<BoundedQueue<T>>, ConfigError> {
        let mut state = self.state();
        let queues = &state.config.queues;
        let config = queues.get(name).ok_or_else(|| none("queues", name, queues.keys()))?;
        if let Some(queue) = state.queues.get(name) {
            let whole = queue.whole.clone().downcast();
            return whole.map_err(|_| conflict(format!("the queue {name:?} was made of another type before")));
        }
        let queue = Arc::new(BoundedQueue::with_clock(config.clone(), self.clock.clone())?);
        state.queues.insert(name.to_owned(), Queue { whole: queue.clone(), view: queue.clone() });
        Ok(queue)
    }

    /// A load shedder. Loop lag is told to it by the program, `tell`.
    ///
    /// Errors: there is none of this name; it watches a queue that was not asked for yet; in a named scope another
    /// object has its name.
    pub fn shedder(&self, name: &str) -> Result<Arc<LoadShedder>, ConfigError> {
        self.shedder_of(&mut self.state(), name)
    }

    fn shedder_of(&self, state: &mut WholeGuard<'_, State>, name: &str) -> Result<Arc<LoadShedder>, ConfigError> {
        let shedders = &state.config.shedders;
        let own = shedders.get(name).ok_or_else(|| none("shedders", name, shedders.keys()))?;
        if let Some(shedder) = state.shedders.get(name) {
            return Ok(shedder.clone());
        }
        let mut config = own.config.clone();
        for signal in &own.signals {
            let plain = signal.signal();
            config.signals.push(match &signal.of {
                None => plain,
                Some(Watched::Concurrency(of)) => {
                    let limiter = state.limit(of)?;
                    plain.reading(move || f64::from(limiter.in_use()) / f64::from(limiter.limit()))
                }
                Some(Watched::Queue(of)) => {
                    let queue = state.view(of)?;
                    match signal.kind {
                        SignalKind::QueueFill => plain.reading(move || queue.depth() as f64 / queue.capacity() as f64),
                        _ => plain.reading(move || queue.delay().map_or(f64::NAN, |delay| delay.as_secs_f64())),
                    }
                }
            });
        }
        let shedder = match &self.arena {
            Some(arena) => {
                LoadShedder::in_arena(arena, name, config, on_conflict(arena, &state.config)).map_err(of_arena)?
            }
            None => LoadShedder::with_clock(config, self.clock.clone())?,
        };
        Ok(state.shedders.entry(name.to_owned()).or_insert(Arc::new(shedder)).clone())
    }

    /// A gate.
    ///
    /// Errors: there is none of this name; it has a queue that was not asked for yet.
    pub fn gate(&self, name: &str) -> Result<Arc<Gate>, ConfigError> {
        let mut state = self.state();
        let config = state.config.clone();
        let own = config.gates.get(name).ok_or_else(|| none("gates", name, config.gates.keys()))?;
        if let Some(gate) = state.gates.get(name) {
            return Ok(gate.clone());
        }
        let members = own.limits.iter().map(|name| Ok((name.clone(), state.member(name)?)));
        let members: Vec<_> = members.collect::<Result<_, ConfigError>>()?;
        let limits = if members.is_empty() { None } else { Some(Arc::new(LimitSet::new(members)?)) };
        let concurrency = own.concurrency.as_ref().map(|name| Ok((name.clone(), state.limit(name)?)));
        let dependencies = own.dependencies.iter().map(|name| Ok((name.clone(), state.breaker(name)?)));
        let (concurrency, dependencies) = (concurrency.transpose()?, dependencies.collect::<Result<_, ConfigError>>()?);
        let queue = own.queue.as_ref().map(|name| Ok((name.clone(), state.view(name)?)));
        let queue = queue.transpose()?;
        let shedder = own.shedder.as_ref().map(|name| Ok((name.clone(), self.shedder_of(&mut state, name)?)));
        let gate = Gate::new(GateConfig {
            name: name.to_owned(),
            access: own.access.clone(),
            shedder: shedder.transpose()?,
            queue,
            concurrency,
            limits,
            dependencies,
            refund_on: own.refund_on,
            mode: own.mode,
        })?;
        Ok(state.gates.entry(name.to_owned()).or_insert(Arc::new(gate)).clone())
    }

    /// What was made before a panic is whole.
    fn state(&self) -> WholeGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn member(&self, name: &str) -> Result<Member, ConfigError> {
        found("limits", name, &self.config.limits, &self.made.limits)
    }

    fn limit(&self, name: &str) -> Result<Arc<ConcurrencyLimiter>, ConfigError> {
        found("concurrency", name, &self.config.concurrency, &self.made.concurrency)
    }

    fn breaker(&self, name: &str) -> Result<Arc<CircuitBreaker>, ConfigError> {
        found("breakers", name, &self.config.breakers, &self.made.breakers)
    }

    /// Shedders that are made, with the settings that another file gives them.
    fn tuned(&self, after: &PolicyConfig) -> Result<Vec<(Arc<LoadShedder>, ShedderConfig)>, PolicyError> {
        let of = |(name, shedder): (&String, &Arc<LoadShedder>)| {
            let own = after.shedders.get(name)?;
            let signals = own.signals.iter().map(SignalPolicy::signal).collect();
            let config = ShedderConfig { signals, ..own.config.clone() };
            let wrong = |error: ConfigError| problem(after, &joined("shedders", name), &error.message_in(&POLICY));
            Some(shedder.check_config(&config).map_err(wrong).map(|()| (shedder.clone(), config)))
        };
        self.shedders.iter().filter_map(of).collect()
    }

    fn view(&self, name: &str) -> Result<Arc<dyn QueueView>, ConfigError> {
        self.queues.get(name).map(|queue| queue.view.clone()).ok_or_else(|| {
            conflict(format!(
                "the queue {name:?} is not made yet: only the program knows of what it is; ask for it first, \
                 policy.queue::<Order>({name:?})"
            ))
        })
    }
}

impl Made {
    /// What `before` does not have. In an arena others may use it: it is looked at before it is given other settings.
    fn make_new(
        &mut self,
        arena: Option<&Arc<Arena>>,
        clock: &Clock,
        config: &PolicyConfig,
        before: &Self,
        undo: &mut Undo,
    ) -> Result<(), PolicyError> {
        let wrong = |path: String, error: ArenaError| unmade(config, &path, &error);
        for (name, limit) in config.limits.iter().filter(|(name, _)| !before.limits.contains_key(*name)) {
            let wrong = |error| wrong(joined("limits", name), error);
            if arena.is_some() {
                undo.quota(self::limit(arena, clock, name, limit, OnConflict::Keep).map_err(wrong)?);
            }
            let member = self::limit(arena, clock, name, limit, OnConflict::Apply);
            self.limits.insert(name.clone(), member.map_err(wrong)?);
        }
        for (name, own) in config.concurrency.iter().filter(|(name, _)| !before.concurrency.contains_key(*name)) {
            let wrong = |error| wrong(joined("concurrency", name), error);
            let limiter = match arena {
                Some(arena) => {
                    let found = ConcurrencyLimiter::in_arena(arena, name, *own, OnConflict::Keep).map_err(wrong)?;
                    undo.limit(&Arc::new(found));
                    ConcurrencyLimiter::in_arena(arena, name, *own, OnConflict::Apply)
                }
                None => ConcurrencyLimiter::with_config(*own, clock.clone()).map_err(ArenaError::from),
            };
            self.concurrency.insert(name.clone(), Arc::new(limiter.map_err(wrong)?));
        }
        for (name, own) in config.breakers.iter().filter(|(name, _)| !before.breakers.contains_key(*name)) {
            let wrong = |error| wrong(joined("breakers", name), error);
            let breaker = match arena {
                Some(arena) => {
                    let found = CircuitBreaker::in_arena(arena, name, own.clone(), OnConflict::Keep).map_err(wrong)?;
                    undo.breaker(&Arc::new(found));
                    CircuitBreaker::in_arena(arena, name, own.clone(), OnConflict::Apply)
                }
                None => {
                    let breaker = CircuitBreaker::with_clock(name.as_str(), own.clone(), clock.clone());
                    breaker.map_err(ArenaError::from)
                }
            };
            self.breakers.insert(name.clone(), Arc::new(breaker.map_err(wrong)?));
        }
        Ok(())
    }

    /// With what limits were made with: a file that says nothing of it leaves them their places.
    fn with_room(&self, mut config: PolicyConfig) -> PolicyConfig {
        for (name, own) in &mut config.concurrency {
            if let Some(limiter) = self.concurrency.get(name).filter(|_| own.adaptive.is_none()) {
                own.max_limit = limiter.config().max_limit;
            }
        }
        config
    }

    /// Changes what both have.
    fn change(&self, before: Before<'_>, after: &PolicyConfig, undo: &mut Undo) -> Result<(), PolicyError> {
        let wrong = |path: String, error: ConfigError| problem(after, &path, &error.message_in(&POLICY));
        for (name, member) in &self.limits {
            let quotas = [before.known, after].map(|config| config.limits.get(name).map(quota_of));
            if let [Some(said), Some(new)] = quotas
                && (said != new || before.is_unsure(|config| &config.limits, name))
            {
                undo.quota(member.clone());
                set_quota(member, new).map_err(|error| wrong(joined("limits", name), error))?;
            }
        }
        for (name, limiter) in &self.concurrency {
            let (Some(said), Some(new)) = (before.known.concurrency.get(name), after.concurrency.get(name)) else {
                continue;
            };
            let is_unsure = before.is_unsure(|config| &config.concurrency, name);
            let is_fixed = limiter.config().adaptive.is_none();
            let wrong = |error| wrong(joined("concurrency", name), error);
            undo.limit(limiter);
            if is_fixed && (said.limit != new.limit || is_unsure) {
                limiter.set_limit(new.limit).map_err(wrong)?;
            }
            if said.partitions != new.partitions || (is_unsure && !new.partitions.is_empty()) {
                limiter.set_shares(new.partitions.shares()).map_err(wrong)?;
            }
        }
        for (name, breaker) in &self.breakers {
            if let (Some(said), Some(new)) = (before.known.breakers.get(name), after.breakers.get(name))
                && (said != new || before.is_unsure(|config| &config.breakers, name))
            {
                undo.breaker(breaker);
                breaker.set_config(new).map_err(|error| wrong(joined("breakers", name), error))?;
            }
        }
        Ok(())
    }

    /// With what was made anew.
    fn join(&mut self, made: Self) {
        self.limits.extend(made.limits);
        self.concurrency.extend(made.concurrency);
        self.breakers.extend(made.breakers);
    }
}

fn quota_of(limit: &LimitPolicy) -> Quota {
    match limit {
        LimitPolicy::Together { quota, .. } => *quota,
        LimitPolicy::PerKey { config, .. } => config.quota,
    }
}

fn quota_in_force(member: &Member) -> Quota {
    match member {
        Member::Bucket(bucket) => bucket.quota(),
        Member::Keyed(limiter) => limiter.quota(),
    }
}

fn set_quota(member: &Member, quota: Quota) -> Result<(), ConfigError> {
    match member {
        Member::Bucket(bucket) => bucket.set_quota(quota),
        Member::Keyed(limiter) => limiter.set_quota(quota),
    }
}

fn limit(
    arena: Option<&Arc<Arena>>,
    clock: &Clock,
    name: &str,
    limit: &LimitPolicy,
    on_conflict: OnConflict,
) -> Result<Member, ArenaError> {
    Ok(match limit {
        LimitPolicy::Together { quota, options } => Member::from(Arc::new(match arena {
            Some(arena) => TokenBucket::in_arena(arena, name, *quota, *options, on_conflict)?,
            None => TokenBucket::with_options(*quota, *options, clock.clone())?,
        })),
        LimitPolicy::PerKey { config, .. } => Member::from(Arc::new(match arena {
            Some(arena) => RateLimiter::in_arena(arena, name, *config, on_conflict)?,
            None => RateLimiter::with_config(*config, clock.clone())?,
        })),
    })
}

/// Why an object could not be made: where there is no memory for it, by the setting that asks for so much.
fn unmade(config: &PolicyConfig, path: &str, error: &ArenaError) -> PolicyError {
    match error.config().filter(|own| own.kind() == ConfigErrorKind::NoMemory) {
        Some(own) => problem(config, path, &own.said(&POLICY)).of_memory(),
        None => problem(config, path, error.message()),
    }
}

/// What is made late must not undo what another process has reloaded since.
pub(super) fn on_conflict(arena: &Arena, config: &PolicyConfig) -> OnConflict {
    match arena.policy() {
        Some(in_force) if in_force.hash != config.hash_number() => OnConflict::Keep,
        _ => OnConflict::Apply,
    }
}

pub(super) fn put(arena: &Arena, config: &PolicyConfig) -> Result<(), PolicyError> {
    let put = arena.put_policy(config.hash_number());
    put.map(drop).map_err(|error| problem(config, "scope", error.message()))
}

pub(super) fn problem(config: &PolicyConfig, path: &str, message: &str) -> PolicyError {
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

fn found<S, T: Clone>(
    of: &str,
    name: &str,
    settings: &BTreeMap<String, S>,
    made: &BTreeMap<String, T>,
) -> Result<T, ConfigError> {
    let own = settings.get(name).and_then(|_| made.get(name));
    own.cloned().ok_or_else(|| none(of, name, settings.keys()))
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
