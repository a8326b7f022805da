//! Three limits as one decision beside three of governor's asked in a row, which takes from the first though the last
//! denies.

use crate::harness::{Contender, Plan, Row};
use crate::keyed::{self, LIVE, Limit};
use crate::keys::Keys;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter};
use std::sync::Arc;
use std::time::Duration;
use tidegate::Clock;
use tidegate::limit::{Algorithm, LimitSet, Member, RateLimiter, TokenBucket};

/// One for everybody that no run empties.
const EVERYONE: Limit = Limit { count: 1_000_000, seconds: 1, burst: 1_000_000_000 };

pub fn rows(plan: &Plan) {
    let plan = Plan { batch: Duration::from_millis(4), rounds: plan.rounds / 2, keep: 20, ..plan.clone() };
    let keys = Keys::new(10_000);
    let ours = Arc::clone(&keys);
    plan.measure(Row {
        work: "three limits: user and address of 10 k keys, everyone",
        threads: 1,
        floor: None,
        targets: &[],
        contenders: vec![
            Contender::looping("tidegate LimitSet", move || {
                let set = tidegate();
                keyed::over(&ours, move |key| {
                    let key = key.as_bytes();
                    set.check(&[key, key], 1).expect("two keys").decision.allowed
                })
            }),
            Contender::looping("governor, one after the other", move || {
                let (user, address) = (governor_keyed(), governor_keyed());
                let everyone = DefaultDirectRateLimiter::direct(EVERYONE.governor());
                keyed::over(&keys, move |key| {
                    user.check_key(key).is_ok() && address.check_key(key).is_ok() && everyone.check().is_ok()
                })
            }),
        ],
    });
}

fn tidegate() -> LimitSet {
    let keyed = || {
        let config = keyed::config(Algorithm::TokenBucket, LIVE, 10_000);
        Member::Keyed(Arc::new(RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter")))
    };
    let everyone = Member::Bucket(Arc::new(TokenBucket::new(EVERYONE.tidegate())));
    let members = [("user", keyed()), ("address", keyed()), ("everyone", everyone)];
    LimitSet::new(members.map(|(name, member)| (name.to_owned(), member))).expect("a valid set")
}

fn governor_keyed() -> DefaultKeyedRateLimiter<String> {
    DefaultKeyedRateLimiter::keyed(LIVE.governor())
}
