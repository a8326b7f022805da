//! A limit of many machines lives in an arena of each.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::{ClusterConfig, ClusterLimit, KEPT, Lease, OnUnreachable};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings, damaged};
use crate::hash::random_secret;
use crate::memory::Zeroable;
use crate::mode::Mode;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::generation;
use crate::{Arena, Clock, ConfigError, OnConflict, Quota};
use std::sync::Arc;
use std::time::Duration;

/// Whose lease it is.
#[repr(C)]
#[derive(Debug)]
struct Owner {
    id: [AtomicU64; 2],
    /// In an arena of a process, its generation: a child of fork has a copy of what its parent leased.
    generation: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Owner {}

impl ClusterLimit {
    /// The limit `name` of an arena, opened or made: what this machine has leased, for all who share the arena. The
    /// mode is each opener's own.
    ///
    /// In an arena of a process a child of fork is denied everything until it opens the limit again, as a member of its
    /// own.
    ///
    /// Errors: a setting that is out of its range, and those of the arena: unless `on_conflict` says otherwise, other
    /// settings under the name. With [`OnConflict::Apply`] the refiller goes on by the new ones.
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: ClusterConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        arena.object(name, &config, on_conflict)
    }

    /// Whether both are one object: of this name one may have been removed, and another made.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Arena {
    /// The limits in it that somebody must keep the leases of, by name, with their settings as declared last. Takes no
    /// lock. One whose record is damaged is left out.
    pub fn cluster_limits(self: &Arc<Self>) -> Vec<(String, ClusterLimit)> {
        let names = self.objects().into_iter().filter(|info| info.kind == ObjectKind::ClusterLimit);
        let open = |name: String| {
            let (kind, mut context) = self.context_to_look(&name)?;
            let limit = (kind == ObjectKind::ClusterLimit).then(|| context.look().ok())??;
            Some((name, limit))
        };
        names.filter_map(|info| open(info.name)).collect()
    }
}

fn ns(span: Option<Duration>) -> u64 {
    // 0: left out; it is none that could be said.
    span.map_or(0, |span| span.as_nanos() as u64)
}

fn span(ns: u64) -> Option<Duration> {
    (ns > 0).then(|| Duration::from_nanos(ns))
}

const DENY: u64 = 0;
const LOCAL: u64 = 1;

impl ArenaObject for ClusterLimit {
    const KIND: ObjectKind = ObjectKind::ClusterLimit;
    type Config = ClusterConfig;

    fn shape(_: &ClusterConfig) -> String {
        "leased".to_owned()
    }

    fn settings(config: &ClusterConfig) -> Settings {
        let ClusterConfig { quota, sync, lease, timeout, max_outstanding, on_unreachable, .. } = config;
        let (alone, hosts, fallback_for) = match *on_unreachable {
            OnUnreachable::Deny => (DENY, 0, Duration::ZERO),
            OnUnreachable::Local { hosts, fallback_for } => (LOCAL, hosts, fallback_for),
        };
        let words = [
            quota.count(),
            quota.period().as_nanos() as u64,
            quota.burst().into(),
            ns(*sync),
            ns(*lease),
            timeout.as_nanos() as u64,
            max_outstanding.unwrap_or(0).into(),
            alone,
            hosts.into(),
            fallback_for.as_nanos() as u64,
        ];
        let mut text = format!("{quota}, timeout {timeout:?}");
        sync.iter().for_each(|sync| text += &format!(", sync {sync:?}"));
        lease.iter().for_each(|lease| text += &format!(", lease {lease:?}"));
        max_outstanding.iter().for_each(|most| text += &format!(", max_outstanding {most}"));
        if let OnUnreachable::Local { hosts, fallback_for } = on_unreachable {
            text += &format!(", local for {fallback_for:?} of {hosts} hosts");
        }
        Settings::new(&words, text)
    }

    fn basis(_: &ClusterConfig) -> [u64; 8] {
        [0; 8]
    }

    fn config(context: &OpenContext, own: Option<&ClusterConfig>) -> Result<ClusterConfig, ConfigError> {
        let [count, period_ns, burst, sync, lease, timeout, most, alone, hosts, fallback, ..] = context.settings.words;
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let quota = Quota::from_parts(count, period_ns, number(burst)).ok_or_else(|| damaged("rate"))?;
        let config = ClusterConfig {
            quota,
            sync: span(sync),
            lease: span(lease),
            timeout: Duration::from_nanos(timeout),
            max_outstanding: (most > 0).then(|| number(most)),
            on_unreachable: match alone {
                DENY => OnUnreachable::Deny,
                LOCAL => {
                    let fallback_for = Duration::from_nanos(fallback);
                    OnUnreachable::Local { hosts: number(hosts), fallback_for }
                }
                _ => return Err(damaged("on_unreachable")),
            },
            mode: own.map_or(Mode::Enforce, |own| own.mode),
        };
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &ClusterConfig) -> Result<Self, ConfigError> {
        let (terms, arena, room) = (config.check()?, context.arena.clone(), &mut context.room);
        let of_machine = arena.path().is_some();
        let lease = Lease::in_room(room, Clock::boottime(), of_machine)?;
        let health = room.one()?;
        let owner = room.one::<Owner>()?;
        // Relaxed, all: written by who makes it, before anybody knows it, and by a child of fork, in its own memory.
        let before = owner.generation.load(Ordering::Relaxed);
        let generation = if of_machine { 0 } else { u64::from(generation()) };
        if room.is_fresh() || before != generation {
            lease.close();
            lease.keep([0; KEPT]);
            owner.id.iter().zip(member_id()).for_each(|(word, id)| word.store(id, Ordering::Relaxed));
            owner.generation.store(generation, Ordering::Relaxed);
        }
        let id = std::array::from_fn(|at| owner.id[at].load(Ordering::Relaxed));
        Ok(Self { lease, health, config: *config, terms, arena, id })
    }

    /// The settings are read from the record, by the refiller too.
    fn apply(&self, _: &OpenContext, _: &ClusterConfig, _: &ClusterConfig) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// 128 bits that no other member has: those of the system, and what tells apart children that copied its seeds.
fn member_id() -> [u64; 2] {
    let moment = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let own = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [one, two] = random_secret();
    [one ^ own, two ^ moment.rotate_left(17)]
}
