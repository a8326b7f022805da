//! tidegate for Node: the raw functions that the JavaScript classes in `lib/` wrap.
//!
//! A napi-rs class method costs several times a token bucket; a plain Node-API function does not. So each operation
//! is one such function ([`raw`]) that finds its object in a table ([`table`]), and numbers travel through a block of
//! memory that both sides see ([`io`]).

mod breaker;
mod bucket;
mod clock;
mod cluster;
mod command;
mod concurrency;
mod convert;
mod failure;
mod gate;
mod http;
mod io;
mod key;
mod limit_set;
mod limiter;
mod metrics;
mod policy;
mod queue;
mod quota;
mod raw;
mod refusal;
mod registry;
mod retry;
mod scope;
mod settings;
mod shed;
mod stats;
mod table;

use napi::bindgen_prelude::Object;
use napi::{Env, JsValue};
use napi_derive::napi;
use raw::{Kind, Reply};
use std::rc::Rc;
use std::sync::Arc;
use table::Table;
use tidegate::{BoundedQueue, ClientThrottle, ClusterLimit, LoadShedder, RateLimiter, RetryBudget, TokenBucket};

/// What `lib/native.cjs` loads: `io`, the operations of each kind, `probe` for the tests and benches, `version`.
#[napi(module_exports)]
pub fn init(mut exports: Object, env: Env) -> napi::Result<()> {
    exports.set("version", tidegate::VERSION)?;
    let (env, exports) = (env.raw(), exports.raw());
    let (io, buffer) = io::Io::create(env)?;
    raw::set_property(env, exports, "io", buffer)?;

    settings::export(&Kind::new(env, exports, "settings", Rc::new(Table::new()), io)?)?;
    scope::export(&Kind::new(env, exports, "scope", Rc::new(Table::new()), io)?)?;
    refusal::export(&Kind::new(env, exports, "refusal", Rc::new(Table::new()), io)?)?;
    let clocks = Rc::new(clock::table());
    let (buckets, breakers, queues) = (Rc::new(Table::new()), Rc::new(Table::new()), Rc::new(Table::new()));
    clock::export(&Kind::new(env, exports, "clock", Rc::clone(&clocks), io)?)?;
    bucket::export(&Kind::new(env, exports, "bucket", Rc::clone(&buckets), io)?, Rc::clone(&clocks))?;
    let (limiters, tiers, sets) = (Rc::new(Table::new()), Rc::new(Table::new()), Rc::new(Table::new()));
    let kind = Kind::new(env, exports, "limiter", Rc::clone(&limiters), io)?;
    limiter::export(&kind, Rc::clone(&tiers), Rc::clone(&clocks))?;
    let kind = Kind::new(env, exports, "limitSet", Rc::clone(&sets), io)?;
    limit_set::export(&kind, Rc::clone(&buckets), Rc::clone(&limiters))?;
    let (clients, lists) = (Rc::new(Table::new()), Rc::new(Table::new()));
    http::export_clients(&Kind::new(env, exports, "clientAddress", Rc::clone(&clients), io)?)?;
    http::export_answers(&Kind::new(env, exports, "httpAnswer", Rc::new(Table::new()), io)?)?;
    http::export_lists(&Kind::new(env, exports, "accessList", Rc::clone(&lists), io)?)?;
    breaker::export(&Kind::new(env, exports, "breaker", Rc::clone(&breakers), io)?, Rc::clone(&clocks))?;
    let registries = Rc::new(Table::new());
    let kind = Kind::new(env, exports, "registry", Rc::clone(&registries), io)?;
    registry::export(&kind, Rc::clone(&breakers), Rc::clone(&clocks))?;
    queue::export(&Kind::new(env, exports, "queue", Rc::clone(&queues), io)?, Rc::clone(&clocks))?;
    let limits_at_once = Rc::new(Table::new());
    let kind = Kind::new(env, exports, "concurrency", Rc::clone(&limits_at_once), io)?;
    concurrency::export(&kind, Rc::clone(&clocks))?;
    let (policies, budgets, throttles) = (Rc::new(Table::new()), Rc::new(Table::new()), Rc::new(Table::new()));
    retry::export_policies(&Kind::new(env, exports, "retryPolicy", Rc::clone(&policies), io)?)?;
    let kind = Kind::new(env, exports, "retryBudget", Rc::clone(&budgets), io)?;
    retry::export_budgets(&kind, Rc::clone(&clocks))?;
    let kind = Kind::new(env, exports, "throttle", Rc::clone(&throttles), io)?;
    retry::export_throttles(&kind, Rc::clone(&clocks))?;
    let clusters = Rc::new(Table::new());
    cluster::export(&Kind::new(env, exports, "cluster", Rc::clone(&clusters), io)?, Rc::clone(&clocks))?;
    let shedders = Rc::new(Table::new());
    shed::export(&Kind::new(env, exports, "shedder", Rc::clone(&shedders), io)?, clocks)?;
    let gates = Rc::new(Table::new());
    let parts = gate::Parts {
        lists: Rc::clone(&lists),
        shedders: Rc::clone(&shedders),
        queues: Rc::clone(&queues),
        limits_at_once: Rc::clone(&limits_at_once),
        sets: Rc::clone(&sets),
        breakers: Rc::clone(&breakers),
    };
    gate::export(&Kind::new(env, exports, "gate", Rc::clone(&gates), io)?, parts)?;

    let page = metrics::Page::default();
    let arenas = Rc::new(Table::new());
    metrics::export(&Kind::new(env, exports, "metrics", Rc::clone(&arenas), io)?, &page)?;
    let measured = raw::namespace(env, exports, "measured")?;
    macro_rules! read {
        ($($name:literal: $table:ident, $object:expr;)+) => {$(
            metrics::export_read(&Kind::new(env, measured, $name, Rc::clone(&$table), io)?, &page, $object)?;
        )+};
    }
    read! {
        "bucket": buckets, |it: &Arc<TokenBucket>| &**it;
        "limiter": limiters, |it: &Arc<RateLimiter>| &**it;
        "breaker": breakers, breaker::Handle::breaker;
        "registry": registries, registry::Registry::core;
        "queue": queues, |it: &Arc<BoundedQueue<u32>>| &**it;
        "concurrency": limits_at_once, concurrency::Handle::limiter;
        "retryBudget": budgets, |it: &RetryBudget| it;
        "throttle": throttles, |it: &ClientThrottle| it;
        "cluster": clusters, |it: &ClusterLimit| it;
        "shedder": shedders, |it: &Arc<LoadShedder>| &**it;
        "gate": gates, gate::Handle::gate;
    }

    let probe = Kind::new(env, exports, "probe", Rc::new(Table::<()>::new()), io)?;
    probe
        // The floor of the benches: what a call costs that does nothing.
        .operation("nothing", |_, _, _| Ok(Reply::Nothing))?
        // For the test that a panic stays on this side.
        .operation("panic", |_, _, _| panic!("asked to"))?
        // For the test that collected instances give their native objects back.
        .operation("alive", move |_, io, _| {
            let limits = buckets.len() + clusters.len() + limiters.len() + tiers.len() + sets.len() + registries.len();
            let http = clients.len() + lists.len();
            let pressure = queues.len() + limits_at_once.len() + shedders.len() + gates.len();
            let retries = policies.len() + budgets.len() + throttles.len();
            io.set([(limits + http + breakers.len() + pressure + retries + arenas.len()) as f64]);
            Ok(Reply::Nothing)
        })?;
    Ok(())
}
