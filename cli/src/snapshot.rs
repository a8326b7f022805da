//! An arena at one moment: what is in it and who has it open. Taken without a lock, so its parts are not of one
//! instant.

use crate::CliError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate::arena::{ArenaErrorKind, HostConfig, LAYOUT_VERSION, MemberInfo, ObjectInfo};
use tidegate::breaker::registry::RegistryStats;
use tidegate::breaker::{BreakerStats, Event, State};
use tidegate::concurrency::{ConcurrencyHolder, ConcurrencyStats};
use tidegate::inspect::Object;
use tidegate::lease::ClusterStats;
use tidegate::limit::{BucketStats, LimiterStats};
use tidegate::retry::RetryBudgetStats;
use tidegate::shed::ShedderStats;
use tidegate::throttle::ClientThrottleStats;
use tidegate::{Algorithm, Arena, CircuitBreaker, ConfigError, Decision, Quota};

pub(crate) struct Snapshot {
    pub(crate) arena: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) used: u64,
    pub(crate) created_ns: u64,
    /// The arena's clock.
    pub(crate) taken_ns: u64,
    /// All of them, shown or not.
    pub(crate) names: usize,
    pub(crate) objects: Vec<Seen>,
    pub(crate) members: Vec<MemberInfo>,
}

/// A name, and what stands behind it.
pub(crate) struct Seen {
    pub(crate) info: ObjectInfo,
    /// `Err`: its record is damaged.
    pub(crate) view: Result<ObjectView, ConfigError>,
}

pub(crate) enum ObjectView {
    Bucket {
        quota: Quota,
        now: Decision,
        stats: BucketStats,
    },
    Limiter {
        algorithm: Algorithm,
        quota: Quota,
        keys: usize,
        max_keys: usize,
        memory: usize,
        stats: LimiterStats,
    },
    Breaker {
        stats: BreakerStats,
        events: Vec<Event>,
    },
    Concurrency {
        stats: ConcurrencyStats,
        holders: Vec<ConcurrencyHolder>,
    },
    RetryBudget {
        stats: RetryBudgetStats,
    },
    Throttle {
        stats: ClientThrottleStats,
    },
    Shedder {
        stats: ShedderStats,
    },
    Cluster {
        quota: Quota,
        member: String,
        stats: ClusterStats,
    },
    /// `open`: the keys whose breaker is not closed.
    Registry {
        stats: RegistryStats,
        rejected: u64,
        open: Vec<(String, State)>,
    },
}

/// Events of a breaker that people want to see.
const EVENTS: usize = 4;

/// Opens an arena to look at it.
pub(crate) fn open(options: &HostConfig) -> Result<Arc<Arena>, CliError> {
    Arena::inspect(options).map_err(|error| match error.kind() {
        ArenaErrorKind::Removed => CliError::Message(missing(options)),
        _ => error.into(),
    })
}

/// What to say where there is no such arena, or none of this boot and layout.
pub(crate) fn missing(options: &HostConfig) -> String {
    let (name, place) = (&options.name, Arena::directory(options));
    let mut others = Arena::list_where(options).unwrap_or_default();
    if let Some(same) = others.iter().find(|file| file.name == *name) {
        return match same.version {
            LAYOUT_VERSION => {
                format!("the arena {name:?} is of another boot of the machine: replaced as soon as it is opened")
            }
            other => format!(
                "the arena {name:?} has layout {other}, of another version of tidegate: use that one's command ({})",
                same.path.display()
            ),
        };
    }
    others.dedup_by(|one, other| one.name == other.name);
    let others: Vec<String> = others.into_iter().map(|file| file.name).collect();
    let there =
        if others.is_empty() { "there is none at all".to_owned() } else { format!("there is {}", others.join(", ")) };
    format!("no arena {name:?} in {}; {there}", place.display())
}

impl Snapshot {
    /// `only`: of one object, if not all are wanted.
    pub(crate) fn take(arena: &Arc<Arena>, only: Option<&str>) -> Result<Self, CliError> {
        let mut infos = arena.objects();
        let names = infos.len();
        if let Some(name) = only {
            let all = infos.clone();
            infos.retain(|info| info.name == name);
            if infos.is_empty() {
                return Err(CliError::Message(no_object(arena, name, &all)));
            }
        }
        Ok(Self {
            arena: arena.name().to_owned(),
            path: arena.path().map(Path::to_owned).unwrap_or_default(),
            bytes: arena.capacity() as u64,
            used: arena.used() as u64,
            created_ns: arena.created_ns(),
            taken_ns: arena.clock().now(),
            names,
            objects: infos.into_iter().filter_map(|info| Seen::of(arena, info)).collect(),
            members: arena.members(),
        })
    }

    /// Who was in that slot, as far as is known.
    pub(crate) fn member(&self, slot: u16, incarnation: u32) -> Option<&MemberInfo> {
        self.members.iter().find(|member| member.slot == slot && member.incarnation == incarnation)
    }

    pub(crate) fn alive(&self) -> usize {
        self.members.iter().filter(|member| member.alive).count()
    }
}

/// What to say where a name is nobody's.
pub(crate) fn no_object(arena: &Arena, name: &str, all: &[ObjectInfo]) -> String {
    let names: Vec<&str> = all.iter().map(|info| info.name.as_str()).collect();
    let has = if names.is_empty() { "nothing is".to_owned() } else { format!("there is {}", names.join(", ")) };
    format!("no {name:?} in the arena {:?}; {has} in it", arena.name())
}

impl Seen {
    /// `None`: removed meanwhile.
    fn of(arena: &Arc<Arena>, info: ObjectInfo) -> Option<Self> {
        let view = arena.to_look(&info.name)?.map(|object| ObjectView::of(&object));
        Some(Self { info, view })
    }
}

impl ObjectView {
    fn of(object: &Object) -> Self {
        match object {
            Object::Bucket(bucket) => Self::Bucket { quota: bucket.quota(), now: bucket.peek(), stats: bucket.stats() },
            Object::Limiter(limiter) => Self::Limiter {
                algorithm: limiter.algorithm(),
                quota: limiter.quota(),
                keys: limiter.len(),
                max_keys: limiter.max_keys(),
                memory: limiter.memory(),
                stats: limiter.stats(),
            },
            Object::Breaker(breaker) => {
                let mut events = breaker.events_since(0);
                events.reverse();
                events.truncate(EVENTS);
                Self::Breaker { stats: breaker.stats(), events }
            }
            Object::Concurrency(limiter) => Self::Concurrency { stats: limiter.stats(), holders: limiter.holders() },
            Object::RetryBudget(budget) => Self::RetryBudget { stats: budget.stats() },
            Object::Throttle(throttle) => Self::Throttle { stats: throttle.stats() },
            Object::Shedder(shedder) => Self::Shedder { stats: shedder.stats() },
            Object::Cluster(limit) => {
                Self::Cluster { quota: limit.quota(), member: limit.member_id(), stats: limit.stats() }
            }
            Object::BreakerRegistry(registry) => {
                let breakers: Vec<_> = registry.items().into_iter().map(|item| item.breaker).collect();
                let all = breakers.iter().chain([registry.overflow()]);
                let stands = |breaker: &Arc<CircuitBreaker>| (breaker.name().to_owned(), breaker.state());
                Self::Registry {
                    stats: registry.stats(),
                    rejected: all.clone().map(|breaker| breaker.stats().rejected).sum(),
                    open: all.map(stands).filter(|(_, state)| *state != State::Closed).collect(),
                }
            }
        }
    }

    /// What has been admitted and denied.
    pub(crate) fn decided(&self) -> (u64, u64) {
        match self {
            Self::Bucket { stats, .. } => (stats.admitted, stats.denied),
            Self::Limiter { stats, .. } => (stats.admitted, stats.denied),
            Self::Concurrency { stats, .. } => (stats.admitted, stats.denied),
            Self::Breaker { stats, .. } => (0, stats.rejected),
            Self::Registry { rejected, .. } => (0, *rejected),
            Self::RetryBudget { stats } => (stats.withdrawn, stats.denied),
            // What passed and has reported.
            Self::Throttle { stats } => (stats.accepted + stats.refused, stats.rejected),
            Self::Shedder { stats } => (stats.admitted, stats.shed.iter().sum()),
            Self::Cluster { stats, .. } => (stats.admitted, stats.denied),
        }
    }

    /// The settings in force, in the words in which they are declared; `None`: those that are declared.
    pub(crate) fn in_force(&self) -> Option<String> {
        match self {
            Self::Bucket { quota, .. } | Self::Limiter { quota, .. } => Some(quota.to_string()),
            Self::Concurrency { stats, .. } => Some(format!("limit {}", stats.limit)),
            Self::Breaker { .. }
            | Self::Registry { .. }
            | Self::RetryBudget { .. }
            | Self::Throttle { .. }
            | Self::Shedder { .. }
            | Self::Cluster { .. } => None,
        }
    }
}
