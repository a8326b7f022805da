//! A snapshot for programs. Times are seconds, null is never.

use crate::rates::{self, Rates};
use crate::snapshot::{ObjectView, Seen, Snapshot};
use crate::units::{seconds, seconds_or_never};
use serde_json::{Map, Value, json};
use tidegate::Quota;
use tidegate::arena::{LAYOUT_VERSION, MemberInfo, ObjectKind};

/// `before`: the last one, for what happened since.
pub(crate) fn snapshot(snapshot: &Snapshot, before: Option<&Snapshot>) -> Value {
    let objects: Vec<Value> = snapshot.objects.iter().map(|seen| object(seen, snapshot, before)).collect();
    let processes: Vec<Value> = snapshot.members.iter().map(process).collect();
    json!({
        "arena": snapshot.arena,
        "path": snapshot.path.to_string_lossy(),
        "layout": LAYOUT_VERSION,
        "bytes": snapshot.bytes,
        "used_bytes": snapshot.used,
        "created_s": seconds(snapshot.created_ns),
        "objects": objects,
        "processes": processes,
    })
}

fn object(seen: &Seen, snapshot: &Snapshot, before: Option<&Snapshot>) -> Value {
    let mut value = json!({
        "name": seen.info.name,
        "kind": kind_name(seen.info.kind),
        "shape": seen.info.shape,
        "declared": seen.info.declared,
        "bytes": seen.info.bytes,
    });
    let more = match &seen.view {
        Ok(view) => self::view(view, snapshot),
        Err(error) => json!({ "error": error.to_string() }),
    };
    add(&mut value, more);
    if let Some(rates) = before.and_then(|before| Rates::of(seen, snapshot, before)) {
        let denial_rate = rates.denial_rate();
        let rates = match &seen.view {
            Ok(ObjectView::Breaker { .. }) => json!({ "rejected_per_s": rates.denied }),
            _ => json!({ "admitted_per_s": rates.admitted, "denied_per_s": rates.denied, "denial_rate": denial_rate }),
        };
        add(&mut value, json!({ "since_last": rates }));
    }
    value
}

fn view(view: &ObjectView, snapshot: &Snapshot) -> Value {
    match view {
        ObjectView::Bucket { quota, now, stats } => json!({
            "quota": self::quota(quota),
            "remaining": now.remaining,
            "limit": now.limit,
            "retry_after_s": seconds_or_never(now.retry_after_ns),
            "reset_after_s": seconds_or_never(now.reset_after_ns),
            "admitted": stats.admitted,
            "denied": stats.denied,
            "would_deny": stats.would_deny,
            "denial_rate": rates::denial_rate(view),
        }),
        ObjectView::Limiter { algorithm, quota, keys, max_keys, memory, stats } => json!({
            "algorithm": algorithm.name(),
            "quota": self::quota(quota),
            "keys": keys,
            "max_keys": max_keys,
            "memory_bytes": memory,
            "evictions": stats.evictions,
            "overflowed": stats.overflowed,
            "blocked": stats.blocked,
            "admitted": stats.admitted,
            "denied": stats.denied,
            "would_deny": stats.would_deny,
            "denial_rate": rates::denial_rate(view),
        }),
        ObjectView::Breaker { stats, events } => {
            let event = |event: &tidegate::breaker::Event| {
                json!({
                    "number": event.seq,
                    "event": event.kind.name(),
                    "ago_s": seconds(snapshot.taken_ns.saturating_sub(event.at_ns)),
                })
            };
            json!({
                "state": stats.state.name(),
                "ramping": stats.ramping,
                "calls": stats.calls,
                "failed": stats.failed,
                "slow": stats.slow,
                "failure_rate": stats.failure_rate,
                "slow_call_rate": stats.slow_call_rate,
                "rejected": stats.rejected,
                "opened": stats.opened,
                "retry_after_s": seconds_or_never(stats.retry_after_ns),
                "events": events.iter().map(event).collect::<Vec<_>>(),
            })
        }
        ObjectView::RetryBudget { stats } => json!({
            "balance": stats.balance,
            "deposited": stats.deposited,
            "admitted": stats.withdrawn,
            "denied": stats.denied,
            "would_deny": stats.would_deny,
            "denial_rate": rates::denial_rate(view),
        }),
        ObjectView::Registry { stats, rejected, open } => {
            let open = open.iter().map(|(key, state)| json!({ "key": key, "state": state.name() }));
            json!({
                "breakers": stats.breakers,
                "max_breakers": stats.max_breakers,
                "evicted": stats.evicted,
                "overflowed": stats.overflowed,
                "denied": rejected,
                "not_closed": open.collect::<Vec<_>>(),
            })
        }
        ObjectView::Shedder { stats } => {
            let [critical, high, normal, sheddable] = stats.shed;
            json!({
                "pressure": stats.pressure,
                "shed_share": stats.shed_share,
                "shed": { "critical": critical, "high": high, "normal": normal, "sheddable": sheddable },
                "admitted": stats.admitted,
                "denied": stats.shed.iter().sum::<u64>(),
                "would_deny": stats.would_shed,
                "denial_rate": rates::denial_rate(view),
            })
        }
        ObjectView::Cluster { quota, member, stats } => json!({
            "quota": self::quota(quota),
            "member": member,
            "tokens": stats.tokens,
            "expires_in_s": seconds(stats.expires_in_ns),
            "refilled": stats.refilled,
            "fault": stats.health.fault,
            "syncs": stats.health.syncs,
            "errors": stats.health.errors,
            "late": stats.health.late,
            "epochs": stats.health.epochs,
            "granted": stats.health.granted,
            "level": stats.health.level,
            "round_trip_s": stats.health.round_trip.as_secs_f64(),
            "admitted": stats.admitted,
            "denied": stats.denied,
            "would_deny": stats.would_deny,
            "denial_rate": rates::denial_rate(view),
        }),
        ObjectView::Throttle { stats } => json!({
            "probability": stats.probability,
            "window_requests": stats.window_requests,
            "window_accepts": stats.window_accepts,
            "accepted": stats.accepted,
            "refused": stats.refused,
            "forced": stats.forced,
            "admitted": stats.accepted + stats.refused,
            "denied": stats.rejected,
            "would_deny": stats.would_reject,
            "denial_rate": rates::denial_rate(view),
        }),
        ObjectView::Concurrency { stats, holders } => {
            let holder = |holder: &tidegate::concurrency::ConcurrencyHolder| {
                let member = snapshot.member(holder.slot, holder.incarnation);
                json!({
                    "slot": holder.slot,
                    "incarnation": holder.incarnation,
                    "pid": member.map(|member| member.pid),
                    "alive": member.is_some_and(|member| member.alive),
                    "permits": holder.permits,
                })
            };
            json!({
                "in_use": stats.in_use,
                "limit": stats.limit,
                "admitted": stats.admitted,
                "denied": stats.denied,
                "would_deny": stats.would_deny,
                "denial_rate": rates::denial_rate(view),
                "reclaimed": stats.reclaimed,
                "refused": stats.refused,
                "timed_out": stats.timed_out,
                "cancelled": stats.cancelled,
                "waiting": stats.waiting,
                "longest_wait_s": stats.longest_wait.as_secs_f64(),
                "holders": holders.iter().map(holder).collect::<Vec<_>>(),
            })
        }
    }
}

fn quota(quota: &Quota) -> Value {
    json!({ "count": quota.count(), "period_s": quota.period().as_secs_f64(), "burst": quota.burst() })
}

fn process(member: &MemberInfo) -> Value {
    json!({
        "slot": member.slot,
        "incarnation": member.incarnation,
        "pid": member.pid,
        "since_s": seconds(member.since_ns),
        "alive": member.alive,
    })
}

fn kind_name(kind: ObjectKind) -> String {
    kind.to_string().replace(' ', "_")
}

/// The members of `more`, of two JSON objects.
pub(crate) fn add(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend::<Map<String, Value>>(more);
    }
}
