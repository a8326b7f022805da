//! The `tidegate` command on real arenas, with other processes in them.
#![cfg(target_os = "linux")]

mod damage;
mod looking;
#[path = "../../../core/tests/arena/messages.rs"]
mod messages;
mod operating;
mod policy;
mod read_only;
mod removing;
#[path = "../../../core/tests/arena/support.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod support;
mod terminal;
mod worker;

use serde_json::Value;
use support::Place;

/// What the command answered.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

/// Runs `tidegate --path PLACE WORDS`.
fn tidegate(place: &Place, words: &[&str]) -> Answer {
    let path = place.path().to_str().expect("a path");
    let words = ["tidegate", "--path", path].into_iter().chain(words.iter().copied());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tidegate_cli::run(words.map(Into::into), &mut out, &mut err);
    let [out, err] = [out, err].map(|bytes| String::from_utf8(bytes).expect("text"));
    Answer { code, out, err }
}

/// The same, of which no complaint is due.
#[track_caller]
fn told(place: &Place, words: &[&str]) -> String {
    let answer = tidegate(place, words);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{words:?}: {}", answer.out);
    answer.out
}

/// Trouble: nothing but one line, with all these parts.
#[track_caller]
fn refused(place: &Place, words: &[&str], parts: &[&str]) {
    let answer = tidegate(place, words);
    assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{words:?}: {}", answer.err);
    assert!(answer.err.starts_with("tidegate: ") && answer.err.trim_end().lines().count() == 1, "{}", answer.err);
    for part in parts {
        assert!(answer.err.contains(part), "{words:?}: {part:?} is not in {}", answer.err);
    }
}

#[track_caller]
fn json(place: &Place, words: &[&str]) -> Value {
    let text = told(place, &[&["--json"], words].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The object of that name in what `show` answered.
#[track_caller]
fn object<'a>(picture: &'a Value, name: &str) -> &'a Value {
    let objects = picture["objects"].as_array().expect("objects");
    objects.iter().find(|object| object["name"] == name).unwrap_or_else(|| panic!("no {name} in {picture}"))
}

/// The line of a text that begins with this word, its cells by their gaps.
#[track_caller]
fn row<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.trim_start().split("  ").next() == Some(first));
    let line = line.unwrap_or_else(|| panic!("no line of {first:?} in\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn words_that_are_wrong_are_told_with_code_2() {
    let place = Place::new();
    let answer = tidegate(&place, &["loook"]);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""));
    assert!(answer.err.contains("loook") && answer.err.contains("Usage: tidegate"), "{}", answer.err);
    for wrong in [&["show"][..], &["top", "orders", "-i", "0"], &["top", "orders", "-n", "0"], &["open", "orders"]] {
        assert_eq!(tidegate(&place, wrong).code, 2, "{wrong:?}");
    }
    assert!(told(&place, &["--help"]).contains("Usage: tidegate"));
    assert!(told(&place, &["help", "rm"]).contains("Refused while living processes"));
    assert_eq!(told(&place, &["--version"]).trim(), format!("tidegate {}", tidegate::VERSION));
    refused(&place, &["show", "a/b"], &["a/b", "is not an arena's name"]);
}
