//! Policy files.

use super::support::Place;
use super::{json, tidegate, told};
use std::fs;

const VALID: &str = "version = 1\n[limits]\nclient = { rate = \"5/s\", key = \"user\" }\n[breakers]\na = {}\nb = {}\n";
const BROKEN: &str = "version = 1\n[limits]\nclient = { rat = \"5/s\" }\n[breakers]\na = { cooldown = 30 }\n";

#[test]
fn files_are_checked_and_shown() {
    let place = Place::new();
    fs::create_dir_all(place.path()).expect("made");
    let [valid, broken] = [("valid.toml", VALID), ("broken.toml", BROKEN)].map(|(name, text)| {
        let path = place.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("a path").to_owned()
    });
    let said = told(&place, &["policy", "check", &valid]);
    assert!(said.starts_with(&format!("{valid}: valid, 1 limit, 2 breakers (")), "{said}");
    let shown = told(&place, &["policy", "show", &valid]);
    assert!(shown.contains("[limits.client]\nrate = \"5/s\"\nalgorithm = \"token_bucket\"\n"), "{shown}");
    assert!(shown.contains("cooldown = \"30s\""), "{shown}");
    // What is shown says the same.
    fs::write(place.path().join("shown.toml"), &shown).expect("written");
    let again = place.path().join("shown.toml").to_str().expect("a path").to_owned();
    assert_eq!(told(&place, &["policy", "show", &again]), shown);
    let hash = json(&place, &["policy", "check", &valid])["hash"].clone();
    assert_eq!(json(&place, &["policy", "check", &again])["hash"], hash);
    assert_eq!(json(&place, &["policy", "show", &valid])["limits"]["client"]["rate"], "5/s");

    let answer = tidegate(&place, &["policy", "check", &broken]);
    let lines: Vec<_> = answer.err.lines().collect();
    assert_eq!((answer.code, answer.out.as_str(), lines.len()), (1, "", 3), "{}", answer.err);
    assert!(lines[1].starts_with(&format!("{broken}:3:12: limits.client.rat: there is no such key")), "{}", answer.err);
    assert!(lines[1].ends_with("(did you mean \"rate\"?)"), "{}", answer.err);
    assert_eq!(tidegate(&place, &["policy", "show", &broken]).err, answer.err);
    let answer = tidegate(&place, &["--json", "policy", "check", &broken]);
    let picture: serde_json::Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!((answer.code, answer.err.as_str()), (1, ""));
    assert_eq!((picture["valid"].clone(), picture["problems"][2]["hint"].clone()), (false.into(), "30s".into()));

    let (faster, other) = (VALID.replace("5/s", "9/s"), VALID.replace("rate =", "max_keys = 5, rate ="));
    let [faster, other] = [("faster.toml", faster), ("other.toml", other)].map(|(name, text)| {
        let path = place.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("a path").to_owned()
    });
    assert_eq!(told(&place, &["policy", "diff", &valid, &again]), "");
    assert_eq!(told(&place, &["policy", "diff", &valid, &faster]), "limits.client.rate: \"5/s\" becomes \"9/s\"\n");
    let answer = tidegate(&place, &["policy", "diff", &valid, &other]);
    assert_eq!(answer.out, "limits.client.max_keys: 100000 becomes 5; needs a new object\n");
    assert!(answer.code == 1 && answer.err.starts_with("a reload refuses all of it"), "{}", answer.err);
    assert_eq!(json(&place, &["policy", "diff", &valid, &faster])["changes"][0]["after"], "\"9/s\"");
    assert!(tidegate(&place, &["policy", "diff", &valid, &broken]).err.contains("limits.client.rat"));

    let answer = tidegate(&place, &["policy", "check", "/no/such/file"]);
    assert!(answer.code == 1 && answer.err.starts_with("/no/such/file: cannot be read: "), "{}", answer.err);
    assert_eq!(tidegate(&place, &["policy"]).code, 2);
}
