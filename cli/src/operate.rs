//! `tidegate open`, `close` and `reset`: an operator's hand on what is shared.

use crate::args::Place;
use crate::snapshot::{self, no_object};
use crate::{CliError, Output, units};
use serde_json::json;
use std::sync::Arc;
use tidegate::arena::ObjectKind;
use tidegate::breaker::State;
use tidegate::inspect::Object;
use tidegate::{Arena, CircuitBreaker};

/// What was done, in words and for programs.
struct Done {
    was: Option<State>,
    now: Option<State>,
    words: String,
}

/// Refuses every call until closed or reset.
pub(crate) fn open(place: &Place, arena: &str, name: &str, to: &mut Output<'_>) -> Result<(), CliError> {
    let breaker = breaker(place, arena, name)?;
    let was = breaker.state();
    if was != State::ForcedOpen {
        breaker.force_open();
    }
    done(place, arena, name, Done::of(was, &breaker), to)
}

/// Ends an open or half-open state. What its operator switched off stays off, and a closed one keeps its window.
pub(crate) fn close(place: &Place, arena: &str, name: &str, to: &mut Output<'_>) -> Result<(), CliError> {
    let breaker = breaker(place, arena, name)?;
    let was = breaker.state();
    match was {
        State::Open | State::HalfOpen | State::ForcedOpen => breaker.reset(),
        State::Closed => {}
        _ => {
            return Err(CliError::Message(format!(
                "{name:?} is not open, it was switched to {}: `tidegate reset {arena} {name}` ends that",
                spoken(was)
            )));
        }
    }
    done(place, arena, name, Done::of(was, &breaker), to)
}

/// As new: a breaker closed with an empty window, a bucket full, the keys of a limiter (or one of them) unknown.
pub(crate) fn reset(
    place: &Place,
    arena: &str,
    name: &str,
    key: Option<&str>,
    to: &mut Output<'_>,
) -> Result<(), CliError> {
    let object = find(place, arena, name)?;
    let words = |words: String| Done { was: None, now: None, words };
    let what = match (&object, key) {
        (Object::Limiter(limiter), None) => {
            let keys = limiter.len();
            limiter.reset_all();
            words(match keys {
                1 => "1 key is as new".to_owned(),
                more => format!("{} keys are as new", units::count(more as u64)),
            })
        }
        (Object::Limiter(limiter), Some(key)) => {
            limiter.reset(key.as_bytes());
            words(format!("the key {key:?} is as new"))
        }
        (Object::BreakerRegistry(registry), Some(key)) => {
            let Some(breaker) = registry.peek(key.as_bytes()) else {
                return Err(CliError::Message(format!("the registry {name:?} has no breaker for {key:?}")));
            };
            let was = breaker.state();
            breaker.reset();
            Done::of(was, &breaker)
        }
        (Object::BreakerRegistry(_), None) => {
            let why = format!("{name:?} has a breaker for each key: say which one is to be as new");
            return Err(CliError::Message(why));
        }
        (_, Some(_)) => return Err(CliError::Message(format!("{name:?} is a {}: it has no keys", kind(&object)))),
        (Object::Bucket(bucket), None) => {
            bucket.reset();
            words("the bucket is full".to_owned())
        }
        (Object::Breaker(breaker), None) => {
            let was = breaker.state();
            breaker.reset();
            Done::of(was, breaker)
        }
        (Object::Concurrency(_), None) => {
            return Err(CliError::Message(format!(
                "{name:?} is a concurrency limiter: its permits belong to who holds them, and come back when they are \
                 given back or their process dies"
            )));
        }
        (Object::Cluster(_), None) => {
            return Err(CliError::Message(format!(
                "{name:?} is a cluster limit: its level is the store's, for all machines; it fills at its rate"
            )));
        }
        (Object::RetryBudget(_) | Object::Throttle(_) | Object::Shedder(_), None) => {
            return Err(CliError::Message(format!(
                "{name:?} is a {}: it forgets by itself; `tidegate rm` removes it",
                kind(&object)
            )));
        }
    };
    done(place, arena, name, what, to)
}

impl Done {
    fn of(was: State, breaker: &CircuitBreaker) -> Self {
        let now = breaker.state();
        let means = match now {
            State::ForcedOpen => "every call is refused until it is closed or reset",
            State::Closed => "calls pass",
            // Somebody else was at it.
            _ => "changed by somebody else meanwhile",
        };
        let words = match now == was {
            true => format!("was {} already: {means}", spoken(now)),
            false => format!("is {}, was {}: {means}", spoken(now), spoken(was)),
        };
        Self { was: Some(was), now: Some(now), words }
    }
}

fn done(place: &Place, arena: &str, name: &str, done: Done, to: &mut Output<'_>) -> Result<(), CliError> {
    if place.json {
        let value = json!({
            "arena": arena,
            "name": name,
            "was": done.was.map(State::name),
            "now": done.now.map(State::name),
        });
        return Ok(writeln!(to.out, "{value:#}")?);
    }
    Ok(writeln!(to.out, "{name}: {}", done.words)?)
}

fn breaker(place: &Place, arena: &str, name: &str) -> Result<CircuitBreaker, CliError> {
    match find(place, arena, name)? {
        Object::Breaker(breaker) => Ok(breaker),
        other => Err(CliError::Message(format!("{name:?} is a {}: only breakers open and close", kind(&other)))),
    }
}

fn find(place: &Place, arena: &str, name: &str) -> Result<Object, CliError> {
    let arena: Arc<Arena> = snapshot::open(&place.options(arena))?;
    arena.check_writable()?;
    match arena.to_look(name) {
        Some(object) => object.map_err(|error| CliError::Message(format!("{name:?} is damaged: {error}"))),
        None => Err(CliError::Message(no_object(&arena, name, &arena.objects()))),
    }
}

fn kind(object: &Object) -> ObjectKind {
    match object {
        Object::Bucket(_) => ObjectKind::TokenBucket,
        Object::Limiter(_) => ObjectKind::RateLimiter,
        Object::Breaker(_) => ObjectKind::CircuitBreaker,
        Object::Concurrency(_) => ObjectKind::ConcurrencyLimiter,
        Object::RetryBudget(_) => ObjectKind::RetryBudget,
        Object::Throttle(_) => ObjectKind::ClientThrottle,
        Object::BreakerRegistry(_) => ObjectKind::BreakerRegistry,
        Object::Shedder(_) => ObjectKind::LoadShedder,
        Object::Cluster(_) => ObjectKind::ClusterLimit,
    }
}

fn spoken(state: State) -> String {
    state.name().replace('_', " ")
}
