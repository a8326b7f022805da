//! Arenas of bytes that nobody of us wrote.

use crate::support::{Place, poke};
use crate::worker::Worker;
use crate::{json, refused, row, told};
use std::os::unix::fs::FileExt;
use tidegate::arena::LAYOUT_VERSION;

#[test]
fn a_damaged_header_is_told_and_the_file_can_be_removed() {
    let place = Place::new();
    let file = place.make("orders");
    poke(&file, 0, 7);
    let text = told(&place, &["ls"]);
    assert_eq!(row(&text, "orders"), ["orders", &LAYOUT_VERSION.to_string(), "16 MiB", "-", "-", "0", "-"]);
    assert!(text.contains("is no arena"), "{text}");
    assert_eq!(json(&place, &["ls"])["arenas"][0]["state"], "foreign");
    refused(&place, &["show", "orders"], &["is no arena", "tidegate rm orders"]);
    refused(&place, &["top", "orders"], &["is no arena"]);
    told(&place, &["rm", "orders"]);
    assert!(place.names().iter().all(|name| !name.starts_with("orders")));
}

#[test]
fn whatever_bytes_there_are_the_command_ends_in_words() {
    let place = Place::new();
    Worker::start(&place).kill();
    let path = place.file("orders");
    let whole = std::fs::read(&path).expect("the file");
    let file = std::fs::File::options().write(true).open(&path).expect("the file");
    // The header's checksum covers its first words; all behind it may be anything.
    let (behind_header, end) = (256, 1 << 20);
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        for _ in 0..1 + round {
            let at = random.usize(behind_header / 8..end / 8) * 8;
            // Where records are, more often: the first pages hold slots and names.
            let at = if random.bool() { at % (96 << 10) } else { at }.max(behind_header);
            let words = [0, 1, 2, u64::MAX, 1 << 63, random.u64(..)];
            let word = words[random.usize(..words.len())];
            file.write_all_at(&word.to_ne_bytes(), at as u64).expect("written");
        }
        for words in [
            &["ls"][..],
            &["show", "orders"],
            &["--json", "show", "orders"],
            &["top", "orders", "-n", "1"],
            &["reset", "orders", "users"],
            &["open", "orders", "payments"],
        ] {
            let answer = crate::tidegate(&place, words);
            assert!(matches!(answer.code, 0 | 1), "{words:?}");
            assert_eq!(answer.code == 1, answer.err.starts_with("tidegate: "), "{words:?}: {}", answer.err);
        }
        file.write_all_at(&whole[..end], 0).expect("whole again");
    }
    assert_eq!(json(&place, &["show", "orders"])["objects"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_damaged_object_is_told_beside_the_others() {
    let place = Place::new();
    Worker::start(&place).kill();
    let bytes = std::fs::read(place.file("orders")).expect("the file");
    let name = b"everyone";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("its name in the record");
    // The set of settings that is in force is one of two: the count of both, which stand behind name, shape and basis.
    let settings = at + 64 + 192 + 64;
    for set in [settings, settings + 24 * 8 + 192] {
        poke(&place.file("orders"), set as u64, 0);
    }
    let answer = crate::tidegate(&place, &["show", "orders"]);
    assert_eq!(answer.code, 1, "{}", answer.out);
    assert!(answer.err.contains("\"everyone\" is damaged") && answer.out.contains("damaged: "), "{}", answer.err);
    assert_eq!(row(&answer.out, "payments")[..2], ["payments", "closed"]);
}

/// Another user of the group may write what it likes; nothing of it may reach a terminal or a log as it is.
#[test]
fn texts_of_somebody_else_are_escaped_wherever_they_are_shown() {
    let place = Place::new();
    Worker::start(&place).kill();
    let path = place.file("orders");
    let whole = std::fs::read(&path).expect("the file");
    let hostile = b"\x1b]52;c;aGk=\x07\x1b[2J\n\xe2\x80\xae\xc2\x9b\xff";
    let file = std::fs::File::options().write(true).open(&path).expect("the file");
    // Behind the record's name: shape, basis, then two sets of settings, each with a text.
    let (shape, text, set) = (64, 64 + 192 + 64 + 24 * 8, 24 * 8 + 192);
    for name in ["everyone", "users", "payments", "database"] {
        let at = whole.windows(name.len()).position(|window| window == name.as_bytes()).expect("its record");
        for offset in [shape, text, text + set] {
            file.write_all_at(hostile, (at + offset) as u64).expect("written");
        }
    }
    let refused = crate::support::bucket(&place.open("orders").expect("opened"), "everyone");
    let error = refused.expect_err("other settings").to_string();
    assert!(error.contains("\\u{1b}") && !error.contains(char::is_control), "{error}");
    let users = whole.windows(5).position(|window| window == b"users").expect("its record");
    file.write_all_at(b"us\x1b[2J\n", users as u64).expect("written");
    for words in [
        &["ls"][..],
        &["show", "orders"],
        &["top", "orders", "-n", "1"],
        &["show", "orders", "nobody"],
        &["reset", "orders", "everyone"],
        &["reset", "orders", "users"],
        &["rm", "orders", "nobody"],
    ] {
        for json in [&[][..], &["--json"]] {
            let answer = crate::tidegate(&place, &[json, words].concat());
            let all = answer.out.clone() + &answer.err;
            assert!(all.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{words:?}: {all:?}");
            if !json.is_empty() && !answer.out.is_empty() {
                serde_json::from_str::<serde_json::Value>(&answer.out).expect("JSON");
            }
        }
    }
    assert!(told_of(&place).contains("us\\u{1b}[2J\\u{a}"), "{}", told_of(&place));
}

fn told_of(place: &Place) -> String {
    crate::tidegate(place, &["show", "orders"]).out
}
