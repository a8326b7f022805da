//! Concurrency limit.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

pub mod adaptive;
mod config;
pub mod partition;
pub mod permit;
pub mod view;

pub use config::{tg_concurrency_config, tg_concurrency_order};
pub use partition::tg_partition;
pub use permit::tg_concurrency_permit;

use crate::arena::place::{Place, place};
use crate::handle::{Handle, In, Out};
use crate::panic::guard_system;
use crate::status::tg_status;
use std::sync::Arc;
use tg_status::TG_OK;
use tidegate_core::ConcurrencyLimiter;

/// At most so many calls at once: each holds a permit while it runs.
#[derive(Debug)]
pub struct tg_concurrency(pub(crate) Arc<ConcurrencyLimiter>);

impl Handle for tg_concurrency {}

/// Makes a concurrency limit, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE (limit, max_limit, partitions, priority); TG_NO_MEMORY (for limit or max_limit);
/// TG_CONFLICT (a clock beside an arena, an arena without a name, a sum of shares above 1, a name twice);
/// TG_UNKNOWN_VALUE (order, mode, on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (another max_limit or
/// other partitions under the name), TG_ARENA_SETTINGS (another limit, other shares), TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_new(
    config: In<tg_concurrency_config>,
    concurrency: Out<*mut tg_concurrency>,
) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        concurrency.require("concurrency")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => ConcurrencyLimiter::with_config(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => ConcurrencyLimiter::in_arena(arena, name, settings, on_conflict)?,
        };
        concurrency.give(tg_concurrency(Arc::new(made)));
        Ok(TG_OK)
    })
}

/// Frees a concurrency limit; NULL is fine. Permits still out are void with it; those of an arena stay
/// held until they are given back through another handle of this process, or the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_free(concurrency: Out<tg_concurrency>) {
    guard_system(|| {
        concurrency.free();
        Ok(TG_OK)
    });
}
