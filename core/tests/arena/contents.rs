//! What was declared before, and what is declared now.

use crate::support::{Place, refused};
use std::sync::Arc;
use tidegate::arena::{ArenaError, ArenaErrorKind};
use tidegate::limit::{Algorithm, BucketConfig, LimiterConfig, RateLimiter};
use tidegate::{Arena, OnConflict, TokenBucket};

fn declare(arena: &Arc<Arena>, quota: &str, on_conflict: OnConflict) -> Result<TokenBucket, ArenaError> {
    let quota = quota.parse().expect("a quota");
    TokenBucket::in_arena(arena, "everyone", quota, BucketConfig::default(), on_conflict)
}

#[test]
fn another_shape_under_a_name_is_an_error_that_names_both() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let _bucket = declare(&arena, "400/s", OnConflict::Error).expect("made");
    let options = BucketConfig { stripes: 4, ..BucketConfig::default() };
    let striped = |on_conflict| {
        TokenBucket::in_arena(&arena, "everyone", "400/s".parse().expect("a quota"), options, on_conflict)
    };
    for on_conflict in [OnConflict::Error, OnConflict::Keep, OnConflict::Apply] {
        let parts = [
            "\"everyone\"",
            "\"orders\"",
            "token bucket (1 stripe)",
            "token bucket (4 stripes)",
            "tidegate rm orders everyone",
        ];
        refused(striped(on_conflict), ArenaErrorKind::Shape, &parts);
    }
    let config = LimiterConfig::new(Algorithm::TokenBucket, "400/s".parse().expect("a quota"));
    let limiter = RateLimiter::in_arena(&arena, "everyone", config, OnConflict::Keep);
    refused(limiter, ArenaErrorKind::Shape, &["is a token bucket", "declared as a rate limiter"]);

    assert!(arena.remove("everyone").expect("removed"));
    assert!(striped(OnConflict::Error).is_ok(), "the name is free again");
}

#[test]
fn other_settings_are_an_error_or_kept_or_applied() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let first = declare(&arena, "2/hour", OnConflict::Error).expect("made");
    let parts =
        ["\"everyone\" in the arena \"orders\"", "2 per 3600s", "3 per 3600s", "OnConflict::Keep", "OnConflict::Apply"];
    refused(declare(&arena, "3/hour", OnConflict::Error), ArenaErrorKind::Settings, &parts);
    assert_eq!(declare(&arena, "3/hour", OnConflict::Keep).expect("kept").peek().limit, 2);
    assert_eq!(first.peek().limit, 2);
    let applied = declare(&arena, "3/hour", OnConflict::Apply).expect("applied");
    assert_eq!((applied.peek().limit, first.peek().limit), (3, 3), "for everybody");
    refused(declare(&arena, "2/hour", OnConflict::Error), ArenaErrorKind::Settings, &["2 per 3600s", "3 per 3600s"]);
}

/// Also when nobody had it open in between: the arena's file keeps it.
#[test]
fn a_quota_set_at_run_time_survives_a_worker_that_declares_the_same_as_before() {
    let place = Place::new();
    let arena = place.open("orders").expect("made");
    let bucket = declare(&arena, "2/hour", OnConflict::Error).expect("made");
    bucket.set_quota("7/hour".parse().expect("a quota")).expect("set");
    drop((bucket, arena));
    let arena = place.open("orders").expect("found");
    assert_eq!(declare(&arena, "2/hour", OnConflict::Error).expect("found").peek().limit, 7);
}
