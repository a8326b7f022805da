//! What a store holds, for people: limits, their members and leases.

use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::time::Duration;

/// One limit, as its store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitView {
    /// Its name.
    pub name: String,
    /// Tokens each `period_us`, as the host said that was heard last.
    pub count: u64,
    /// Microseconds.
    pub period_us: u64,
    /// Tokens that are left, as of the latest question.
    pub level: u64,
    /// Tokens that hosts hold, as far as the store knows.
    pub outstanding: u64,
    /// Calls a second of all hosts.
    pub demand: u64,
    /// Microseconds since the latest question.
    pub quiet_us: u64,
    /// Whether it is of the store's present epoch: else it counts as empty when the epoch began.
    pub is_current: bool,
    /// By their ids.
    pub members: Vec<MemberView>,
}

/// A host of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberView {
    /// What `tidegate show` on that host calls it.
    pub id: String,
    /// Tokens it holds.
    pub held: u64,
    /// Tokens it has spent since it came.
    pub spent: u64,
    /// Calls a second.
    pub demand: u64,
    /// Microseconds until its lease ends, or its share where it is absent.
    pub expires_us: u64,
    /// It has not asked in time, and may be running on its share.
    pub absent: bool,
}

/// The limits of a namespace that a store holds, by name. Reads, and changes nothing.
///
/// Errors: what went wrong with the store.
pub fn look(url: &str, namespace: &str, timeout: Duration) -> Result<Vec<LimitView>, StoreError> {
    let mut store = Store::new(url, namespace)?;
    store.open(timeout)?;
    let (epoch_key, prefix) = (store.epoch_key(), store.limit_key(""));
    let epoch: HashMap<String, String> = store.say(redis::cmd("HGETALL").arg(&epoch_key), timeout)?;
    let (s, us): (u64, u64) = store.say(&redis::cmd("TIME"), timeout)?;
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i128>().ok()).unwrap_or_default();
    let now = i128::from(s) * 1_000_000 + i128::from(us) - number(epoch.get("off"));
    let is_of = format!("{}:{}", number(epoch.get("n")), number(epoch.get("birth")));
    // The brackets of the namespace are plain in a pattern; its letters too.
    let mut limits = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<String>) = store.say(&scan, timeout)?;
        for key in keys {
            let hash: HashMap<String, String> = store.say(redis::cmd("HGETALL").arg(&key), timeout)?;
            if let Some(name) = key.strip_prefix(&prefix) {
                limits.push(limit(name, &hash, now, &is_of));
            }
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    // SCAN may tell a key twice.
    limits.sort_by(|one, other| one.name.cmp(&other.name));
    limits.dedup_by(|one, other| one.name == other.name);
    Ok(limits)
}

fn limit(name: &str, hash: &HashMap<String, String>, now: i128, epoch: &str) -> LimitView {
    let number = |field: &str| hash.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let (count, period_us) = hash.get("q").and_then(|quota| quota.split_once('/')).unwrap_or_default();
    let until = |us: u64| u64::try_from(i128::from(us) - now).unwrap_or_default();
    let member = |(field, value): (&String, &String)| {
        let id = field.strip_prefix("m:")?;
        // seq | held | expiry | spent | demand | state
        let parts: Vec<u64> = value.split('|').map(|part| part.parse().unwrap_or_default()).collect();
        let [_, held, expiry, spent, demand, state] = parts[..] else { return None };
        Some(MemberView { id: id.to_owned(), held, spent, demand, expires_us: until(expiry), absent: state == 2 })
    };
    let mut members: Vec<MemberView> = hash.iter().filter_map(member).collect();
    members.sort_by(|one, other| one.id.cmp(&other.id));
    LimitView {
        name: name.to_owned(),
        count: count.parse().unwrap_or_default(),
        period_us: period_us.parse().unwrap_or_default(),
        level: number("lv"),
        outstanding: number("O"),
        demand: number("D"),
        quiet_us: u64::try_from(now - i128::from(number("ts"))).unwrap_or_default(),
        is_current: hash.get("e").is_some_and(|of| of == epoch),
        members,
    }
}
