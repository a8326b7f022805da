//! Where an object is to live: in memory of its own, or by name in an arena.

use crate::clock::{self, Entry};
use crate::failure::Failure;
use crate::io::Io;
use crate::raw::{Answer, Call, Kind, Reply};
use crate::table::Table;
use std::collections::BTreeSet;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate::arena::{ArenaError, HostConfig};
use tidegate::{Arena, Clock, OnConflict, Scope};

/// Arguments of every creation after the instance: scope, name, on conflict, path, group; `lib/scope.cjs` has the same
/// list.
const TEXTS: usize = 5;
/// The first argument after them: an object's own text.
pub(crate) const OWN: usize = 1 + TEXTS;
/// The number that is the capacity of a `HostScope` or `ProcessScope`, NaN for the default.
const CAPACITY: usize = 22;
/// The number that says how the scope was given: 0 as a text; else its text is the arena's name.
const GIVEN: usize = 23;
const AS_HOST_SCOPE: f64 = 1.0;
const AS_PROCESS_SCOPE: f64 = 2.0;

/// A name in an arena, while an object is made under it.
pub(crate) struct Place<'a> {
    pub(crate) arena: &'a Arc<Arena>,
    pub(crate) name: &'a str,
    pub(crate) on_conflict: OnConflict,
}

/// Where an object has come to live: a scope, and below it, a line each, what is to be said of its arena.
pub(crate) struct Lives(Vec<String>);

impl Lives {
    fn private() -> Self {
        Self(Vec::new())
    }

    fn shared(scope: &Scope, arena: &Arena) -> Self {
        let scope = scope.to_string().trim_matches('"').to_owned();
        Self(iter::once(scope).chain(unsaid(arena)).collect())
    }

    /// The reply of its creation, nothing where it is private.
    pub(crate) fn told(&self, call: Call) -> Answer {
        if self.0.is_empty() { Ok(Reply::Nothing) } else { call.string(&self.0.join("\n")) }
    }
}

/// An arena's notices that this process, in whichever of its threads, has not been told.
fn unsaid(arena: &Arena) -> Vec<String> {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    arena.notices().into_iter().filter(|notice| said.insert(notice.clone())).collect()
}

/// Exports `check`: whether the second argument is a scope, or else the third the name and number 22 the capacity of a
/// `HostScope` or `ProcessScope`.
pub(crate) fn export(kind: &Kind<()>) -> napi::Result<()> {
    kind.operation("check", |_, io, call| {
        let [scope, host] = call.texts(1)?;
        match host {
            Some(name) => host_options(io, name).check()?,
            None => drop(Scope::parse(&scope.unwrap_or_default())?),
        }
        Ok(Reply::Nothing)
    })?;
    Ok(())
}

fn host_options(io: Io, name: String) -> HostConfig {
    let mut options = HostConfig::new(name);
    options.capacity = io.option(CAPACITY).map(|bytes| bytes as usize);
    options
}

/// How the arguments of a creation name a scope.
struct Given {
    scope: Scope,
    /// Of a `HostScope`.
    host: Option<HostConfig>,
    /// Of a `ProcessScope`.
    of_process: Option<String>,
    capacity: Option<usize>,
}

impl Given {
    fn read(io: Io, text: Option<&str>, path: Option<String>, group: Option<String>) -> Result<Self, Failure> {
        let mut options = host_options(io, text.unwrap_or_default().to_owned());
        let capacity = options.capacity;
        (options.path, options.group) = (path.map(Into::into), group);
        let host = (io.get(GIVEN) == AS_HOST_SCOPE).then_some(options);
        let of_process = text.filter(|_| io.get(GIVEN) == AS_PROCESS_SCOPE).map(str::to_owned);
        let scope = match (&host, &of_process) {
            (Some(options), _) => Scope::Host(options.name.clone()),
            (None, Some(arena)) => Scope::Shared(arena.clone()),
            (None, None) => text.map_or_else(Scope::from_env, Scope::parse)?,
        };
        Ok(Self { scope, host, of_process, capacity })
    }
}

/// An arena that is held open.
#[derive(Debug)]
pub(crate) struct Opened {
    arena: Arc<Arena>,
}

impl Opened {
    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// What is to be said of it, a line each.
    pub(crate) fn notices(&self) -> String {
        unsaid(&self.arena).join("\n")
    }
}

/// The arena of the scope that a creation's arguments name; `None`: it has none.
pub(crate) fn open(io: Io, call: Call) -> Result<Option<Opened>, Failure> {
    let [text, _, _, path, group] = call.texts::<TEXTS>(1)?;
    let Given { scope, host, of_process, capacity } = Given::read(io, text.as_deref(), path, group)?;
    let arena = match (host, of_process, capacity) {
        (Some(options), _, _) => Some(Arena::open(&options)?),
        (None, Some(arena), Some(capacity)) => Some(Arena::process_with_capacity(&arena, capacity)?),
        (None, Some(arena), None) => Some(Arena::process(&arena)?),
        (None, None, _) => scope.open()?,
    };
    Ok(arena.map(|arena| Opened { arena }))
}

/// Makes an object where its constructor's arguments say: `shared` in an arena, else `private` on the chosen clock.
pub(crate) fn make<T>(
    clocks: &Table<Entry>,
    io: Io,
    call: Call,
    shared: impl FnOnce(&Place<'_>) -> Result<T, ArenaError>,
    private: impl FnOnce(Clock) -> Result<T, Failure>,
) -> Result<(T, Lives), Failure> {
    let [text, name, on_conflict, path, group] = call.texts::<TEXTS>(1)?;
    let on_conflict = on_conflict.map_or(Ok(OnConflict::default()), |text| text.parse())?;
    let name = name.as_deref();
    let Given { scope, host, of_process, capacity } = Given::read(io, text.as_deref(), path, group)?;
    if scope == Scope::Process {
        return Ok((private(clock::chosen(clocks, io)?)?, Lives::private()));
    }
    if io.id() != clock::SYSTEM {
        let message = format!(
            "clock: the scope {scope} has a clock of its own, which everybody in it reads; leave clock out, or say \
             scope: 'process' to test on a ManualClock"
        );
        return Err(Failure::Argument { code: c"ERR_INVALID_ARG_VALUE", message });
    }
    let place = match (&host, &of_process) {
        (Some(options), _) => Some(Scope::place_in(options, name)?),
        (None, Some(arena)) => Some(Scope::place_in_process(arena, capacity, name)?),
        (None, None) => Scope::place(text.as_deref(), name)?,
    };
    let Some((arena, name)) = place else { return Err(Failure::Internal(format!("no arena for {scope}"))) };
    let object = shared(&Place { arena: &arena, name, on_conflict })?;
    Ok((object, Lives::shared(&scope, &arena)))
}
