//! `ls`, `show` and `top`.

use crate::support::{BOOT_AT, Place, poke_header};
use crate::worker::{Objects, Worker};
use crate::{json, object, refused, row, told};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::arena::LAYOUT_VERSION;

/// An arena in which something happened.
fn busy(place: &Place) -> Worker {
    let mut worker = Worker::start(place);
    for what in ["take 3", "ask too much", "see users", "fail", "be refused", "hold 2"] {
        worker.tell(what);
    }
    worker
}

#[test]
fn ls_lists_arenas_and_what_is_the_matter_with_them() {
    let place = Place::new();
    assert_eq!(told(&place, &["ls"]), format!("no arenas in {}\n", place.path().display()));
    assert!(!place.path().exists(), "looking makes nothing");
    let worker = Worker::start(&place);
    let old = place.make("old");
    poke_header(&old, BOOT_AT, 1);
    std::fs::copy(place.file("orders"), place.path().join("orders.v9.arena")).expect("a copy");

    let text = told(&place, &["ls"]);
    assert_eq!(row(&text, "ARENA"), ["ARENA", "LAYOUT", "SIZE", "USED", "OBJECTS", "PROCESSES", "CREATED"]);
    let [name, layout, size, used, objects, processes, created] = row(&text, "orders")[..] else { panic!("{text}") };
    let own = LAYOUT_VERSION.to_string();
    assert_eq!([name, layout, size, objects, processes], ["orders", &own, "16 MiB", "4", "1"]);
    assert!(used.ends_with(" KiB") && created.ends_with(" ago"), "{text}");
    assert_eq!(row(&text, "old"), ["old", &own, "16 MiB", "-", "-", "0", "-"]);
    assert!(
        text.contains("of another boot of the machine") && text.contains("of another version of tidegate"),
        "{text}"
    );

    let arenas = &json(&place, &["ls"])["arenas"];
    let seen: Vec<_> = arenas
        .as_array()
        .expect("a list")
        .iter()
        .map(|arena| json!([arena["name"], arena["layout"], arena["state"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["old", LAYOUT_VERSION, "other_boot"]),
            json!(["orders", LAYOUT_VERSION, "ok"]),
            json!(["orders", 9, "other_layout"])
        ]
    );
    assert_eq!(
        (&arenas[1]["processes"], &arenas[1]["objects"], &arenas[1]["in_use"]),
        (&json!(1), &json!(4), &json!(true))
    );

    refused(&place, &["show", "old"], &["another boot"]);
    worker.kill();
    assert_eq!(json(&place, &["ls"])["arenas"][1]["processes"], 0, "the dead do not count");
}

#[test]
fn show_tells_what_is_in_an_arena() {
    let place = Place::new();
    let worker = busy(&place);
    let picture = json(&place, &["show", "orders"]);
    assert_eq!(picture["path"], json!(place.file("orders")));

    let everyone = object(&picture, "everyone");
    assert_eq!(everyone["quota"], json!({ "count": 10, "period_s": 3600.0, "burst": 10 }));
    assert_eq!(
        json!([everyone["remaining"], everyone["limit"], everyone["admitted"], everyone["denied"]]),
        json!([7, 10, 1, 1])
    );
    assert_eq!((&everyone["kind"], &everyone["denial_rate"]), (&json!("token_bucket"), &json!(0.5)));
    let users = object(&picture, "users");
    assert_eq!(
        json!([users["algorithm"], users["keys"], users["max_keys"], users["admitted"]]),
        json!(["token_bucket", 3, 1_000, 3])
    );
    assert_eq!(json!([users["evictions"], users["overflowed"], users["denied"]]), json!([0, 0, 0]));
    let payments = object(&picture, "payments");
    assert_eq!(json!([payments["state"], payments["opened"], payments["rejected"]]), json!(["open", 1, 1]));
    assert_eq!(payments["events"][0]["event"], "opened");
    let wait = payments["retry_after_s"].as_f64().expect("a time");
    assert!(0.0 < wait && wait <= 30.0, "{wait}");
    let database = object(&picture, "database");
    assert_eq!(json!([database["in_use"], database["limit"], database["admitted"]]), json!([2, 4, 2]));
    let held = json!({ "slot": 0, "incarnation": 1, "pid": worker.pid(), "alive": true, "permits": 2 });
    assert_eq!(database["holders"], json!([held]));
    let waits = ["refused", "timed_out", "cancelled", "waiting", "longest_wait_s"].map(|name| database[name].clone());
    assert_eq!(json!(waits), json!([0, 0, 0, 0, 0.0]));
    assert_eq!(json!([picture["processes"][0]["pid"], picture["processes"][0]["alive"]]), json!([worker.pid(), true]));

    let text = told(&place, &["show", "orders"]);
    assert_eq!(row(&text, "everyone"), ["everyone", "10 per 3600s, burst 10", "7 / 10", "now", "1", "1", "50.0 %"]);
    assert_eq!(row(&text, "users")[..4], ["users", "token bucket", "10 per 3600s, burst 10", "3 / 1,000"]);
    assert_eq!(row(&text, "payments")[..2], ["payments", "open"]);
    assert_eq!(row(&text, "database"), ["database", "2 / 4", "0", "2", "0", "0.0 %"]);
    assert!(text.contains(&format!("held by 2 (slot 0, pid {})", worker.pid())), "{text}");
    assert_eq!(row(&text, "0")[..3], ["0", &worker.pid().to_string(), "alive"]);
    assert!(
        text.lines().all(|line| line.trim_end() == line && !line.contains('\x1b')),
        "no colours, no loose ends: {text}"
    );

    let one = json(&place, &["show", "orders", "users"]);
    assert_eq!(one["objects"], json!([users]));
    refused(
        &place,
        &["show", "orders", "user"],
        &["no \"user\" in the arena \"orders\"", "everyone, users, payments, database"],
    );
    refused(&place, &["show", "order"], &["no arena \"order\"", "there is orders"]);

    let pid = worker.pid();
    worker.kill();
    let text = told(&place, &["show", "orders"]);
    assert!(text.contains(&format!("held by 2 (slot 0, pid {pid}, dead)")), "{text}");
    assert_eq!(row(&text, "0")[..3], ["0", &pid.to_string(), "dead"]);
}

#[test]
fn settings_changed_at_run_time_are_told_beside_the_declared_ones() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    assert!(!told(&place, &["show", "orders", "everyone"]).contains("declared as"));
    worker.tell("slow down");
    let text = told(&place, &["show", "orders", "everyone"]);
    assert_eq!(row(&text, "everyone")[1], "5 per 3600s, burst 5");
    assert!(text.contains("changed at run time: declared as 10 per 3600s, burst 10"), "{text}");
    let picture = json(&place, &["show", "orders"]);
    let everyone = object(&picture, "everyone");
    assert_eq!((&everyone["quota"]["count"], &everyone["declared"]), (&json!(5), &json!("10 per 3600s, burst 10")));
}

#[test]
fn top_tells_what_happened_since_the_last_picture() {
    let place = Place::new();
    let _worker = Worker::start(&place);
    let objects = Objects::open(&place.open("orders").expect("opened"));
    let done = AtomicBool::new(false);
    let top = |words: &[&str]| told(&place, &[&["top", "orders", "--count", "2", "--interval", "0.2"], words].concat());
    let (text, lines) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: only a flag.
            while !done.load(Ordering::Relaxed) {
                objects.everyone.try_acquire(1);
            }
        });
        let seen = (top(&[]), top(&["--json"]));
        done.store(true, Ordering::Relaxed);
        seen
    });
    let (first, second) = text.split_once("\n\norders  ").expect("two pictures");
    assert_eq!(row(first, "TOKEN BUCKET")[4..], ["ADMITTED/S", "DENIED/S", "DENIED %"]);
    assert_eq!(row(first, "everyone")[4..], ["-", "-", "-"], "nothing to compare with yet");
    assert_ne!(row(second, "everyone")[5], "0", "{second}");
    assert_eq!(row(second, "payments").last(), Some(&"0"));

    let pictures: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a picture a line")).collect();
    assert_eq!(pictures.len(), 2);
    let pace = &object(&pictures[1], "everyone")["since_last"];
    assert!(pace["denied_per_s"].as_f64() > Some(0.0) && pace["denial_rate"].as_f64() > Some(0.9), "{pace}");
    assert_eq!(object(&pictures[1], "users")["since_last"]["admitted_per_s"], 0.0);
}

#[test]
fn looking_changes_nothing() {
    let place = Place::new();
    let _worker = busy(&place);
    let bytes = || std::fs::read(place.file("orders")).expect("the file");
    let (names, before) = (place.names(), bytes());
    for words in
        [&["ls"][..], &["show", "orders"], &["show", "orders", "users"], &["top", "orders", "-n", "3", "-i", "0.1"]]
    {
        told(&place, words);
        json_or_lines(&place, words);
    }
    assert!(before == bytes(), "not a byte of the arena");
    assert_eq!(names, place.names());
}

fn json_or_lines(place: &Place, words: &[&str]) {
    for picture in serde_json::Deserializer::from_str(&told(place, &[&["--json"], words].concat())).into_iter::<Value>()
    {
        assert!(picture.expect("JSON").is_object());
    }
}

#[test]
fn show_tells_of_budgets_and_throttles() {
    use tidegate::limit::Mode;
    use tidegate::{ClientThrottle, ClientThrottleConfig, OnConflict, RetryBudget, RetryBudgetConfig};
    let place = Place::new();
    let mut options = tidegate::arena::HostConfig::new("orders");
    (options.path, options.capacity) = (Some(place.path().into()), Some(16 << 20));
    let arena = tidegate::Arena::open(&options).expect("an arena");
    let config = RetryBudgetConfig { min_per_second: 0.001, mode: Mode::Enforce, ..RetryBudgetConfig::default() };
    let budget = RetryBudget::in_arena(&arena, "bank", config, OnConflict::Error).expect("a budget");
    (0..6).for_each(|_| budget.deposit());
    assert!(budget.try_withdraw() && !budget.try_withdraw());
    let config = ClientThrottleConfig { mode: Mode::Enforce, ..ClientThrottleConfig::default() };
    let throttle = ClientThrottle::in_arena(&arena, "search", config, OnConflict::Error).expect("a throttle");
    (0..20).for_each(|_| throttle.refused());

    let picture = json(&place, &["show", "orders"]);
    let bank = object(&picture, "bank");
    assert_eq!(
        json!([bank["kind"], bank["balance"], bank["deposited"], bank["admitted"], bank["denied"]]),
        json!(["retry_budget", 0, 6, 1, 1])
    );
    let search = object(&picture, "search");
    assert_eq!(
        json!([search["kind"], search["probability"], search["window_requests"], search["refused"]]),
        json!(["client_throttle", 0.9, 20, 20])
    );
    let text = told(&place, &["show", "orders"]);
    assert_eq!(row(&text, "bank"), ["bank", "0", "6", "1", "1", "50.0 %"]);
    assert_eq!(row(&text, "search")[..5], ["search", "90.0 %", "20", "0", "0"]);
    assert!(text.contains("0.2 retries a call, 0.001 a second for 10s"), "{text}");
    refused(&place, &["reset", "orders", "bank"], &["it forgets by itself"]);
}
