//! `rm`.

use crate::support::Place;
use crate::worker::{Objects, Worker};
use crate::{json, refused, told};
use serde_json::json;

#[test]
fn an_arena_is_removed_when_nobody_lives_in_it() {
    let place = Place::new();
    let workers = [Worker::start(&place), Worker::start(&place)];
    let [one, two] = [&workers[0], &workers[1]].map(|worker| format!("pid {}", worker.pid()));
    refused(&place, &["rm", "orders"], &[&one, &two, "--force", "begins a new one"]);
    assert!(place.file("orders").exists());
    workers.into_iter().for_each(Worker::kill);
    assert!(told(&place, &["rm", "orders"]).starts_with("removed the arena \"orders\""));
    assert!(!place.file("orders").exists());
    refused(&place, &["rm", "orders"], &["no arena \"orders\"", "none at all"]);
}

#[test]
fn force_leaves_its_users_by_themselves() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    worker.tell("take 3");
    let answer = crate::tidegate(&place, &["rm", "orders", "--force"]);
    assert_eq!(answer.code, 0);
    assert!(
        answer.err.contains("still in the removed arena") && answer.err.contains(&worker.pid().to_string()),
        "{}",
        answer.err
    );
    worker.tell("take 3");
    let anew = Objects::open(&place.open("orders").expect("made anew"));
    assert_eq!(anew.everyone.peek().remaining, 10, "another arena");
}

#[test]
fn a_name_is_removed_by_itself() {
    let place = Place::new();
    let worker = Worker::start(&place);
    let pid = format!("pid {}", worker.pid());
    refused(&place, &["rm", "orders", "everyone"], &[&pid, "\"everyone\"", "--force"]);
    let removed = json(&place, &["rm", "orders", "everyone", "--force"]);
    assert_eq!(removed, json!({ "arena": "orders", "name": "everyone", "was_in_use": true }));
    refused(&place, &["rm", "orders", "everyone", "--force"], &["no \"everyone\"", "users, payments, database"]);
    worker.kill();
    assert!(told(&place, &["rm", "orders", "users"]).contains("removed \"users\""));
    assert_eq!(json(&place, &["ls"])["arenas"][0]["objects"], 2);
}
