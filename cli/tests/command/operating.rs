//! `open`, `close` and `reset`.

use crate::support::Place;
use crate::worker::{Objects, Worker};
use crate::{json, refused, told};
use serde_json::json;
use tidegate::breaker::{Outcome, State};

#[test]
fn an_operator_opens_and_closes_a_breaker_of_all_processes() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    let payments = Objects::open(&place.open("orders").expect("opened")).payments;
    assert!(told(&place, &["open", "orders", "payments"]).contains("is forced open, was closed"));
    assert_eq!(payments.state(), State::ForcedOpen);
    worker.tell("be refused");
    assert!(told(&place, &["open", "orders", "payments"]).contains("forced open already"));
    let closed = json(&place, &["close", "orders", "payments"]);
    assert_eq!(closed, json!({ "arena": "orders", "name": "payments", "was": "forced_open", "now": "closed" }));
    worker.tell("fail");
    assert_eq!(payments.state(), State::Open);
    assert!(told(&place, &["close", "orders", "payments"]).contains("is closed, was open"));
    assert!(payments.acquire().is_ok());
    assert_eq!(payments.stats().calls, 0, "an empty window");
}

#[test]
fn to_close_a_closed_breaker_keeps_its_window_and_to_reset_it_does_not() {
    let place = Place::new();
    let payments = Objects::open(&place.open("orders").expect("opened")).payments;
    payments.report(payments.acquire().expect("closed"), Outcome::Failure, None);
    assert!(told(&place, &["close", "orders", "payments"]).contains("was closed already"));
    assert_eq!(payments.stats().calls, 1);
    told(&place, &["reset", "orders", "payments"]);
    assert_eq!(payments.stats().calls, 0);
    payments.disable();
    refused(&place, &["close", "orders", "payments"], &["switched to disabled", "tidegate reset orders payments"]);
    assert_eq!(payments.state(), State::Disabled);
    assert!(told(&place, &["reset", "orders", "payments"]).contains("is closed, was disabled"));
    assert_eq!(payments.state(), State::Closed);
}

#[test]
fn limits_are_reset_whole_or_by_key() {
    let place = Place::new();
    let Objects { everyone, users, .. } = Objects::open(&place.open("orders").expect("opened"));
    assert!(everyone.try_acquire(10) && !everyone.try_acquire(1));
    assert!(told(&place, &["reset", "orders", "everyone"]).contains("the bucket is full"));
    assert_eq!(everyone.peek().remaining, 10);
    for user in ["ada", "bob"] {
        assert!(users.try_acquire(user.as_bytes(), 10));
    }
    told(&place, &["reset", "orders", "users", "--key", "ada"]);
    assert_eq!((users.peek(b"ada", None).remaining, users.peek(b"bob", None).remaining), (10, 0));
    assert!(told(&place, &["reset", "orders", "users"]).contains("1 key is as new"));
    assert_eq!(users.peek(b"bob", None).remaining, 10);
}

#[test]
fn what_cannot_be_done_is_told() {
    let place = Place::new();
    let _worker = Worker::start(&place);
    refused(&place, &["open", "orders", "users"], &["is a rate limiter: only breakers open and close"]);
    refused(&place, &["reset", "orders", "database"], &["permits belong to who holds them"]);
    refused(&place, &["reset", "orders", "everyone", "--key", "ada"], &["is a token bucket: it has no keys"]);
    refused(&place, &["close", "orders", "nobody"], &["no \"nobody\"", "payments"]);
}
