//! Keys of all kinds: bytes are a key, whatever they are.

use super::{Cases, check_key, config, limiter};
use crate::script::S;
use tidegate_model::script::key::Key;
use tidegate_model::script::limiter::AlgorithmName::{SlidingLog, TokenBucket};

pub(super) fn cases() -> Cases {
    let hex = |text: &str| Key::Bytes { hex: text.into() };
    let long = |times| Key::Long { repeat: "a".into(), times };
    let kinds = [
        ("empty", "the empty key is a key like any other", Key::from(""), Key::from(" ")),
        ("nul", "a NUL does not end a key", Key::from("ann\0ben"), Key::from("ann\0cay")),
        ("trailing_nul", "a NUL at the end is part of the key", Key::from("ann"), Key::from("ann\0")),
        ("not_utf8", "bytes that are no text are a key", hex("ff00fe"), hex("ff00ff")),
        ("huge", "a key of a megabyte, and one that is a byte longer", long(1 << 20), long((1 << 20) + 1)),
        ("case", "keys are compared byte by byte", Key::from("Ann"), Key::from("ann")),
        ("composed", "no Unicode normalisation", Key::from("\u{e9}"), Key::from("e\u{301}")),
        ("lines", "line ends and header syntax mean nothing", Key::from("a\r\nx-evil: 1"), Key::from("a\r\nx-evil: 2")),
        ("beyond_the_first_plane", "characters of four bytes", Key::from("🌊"), Key::from("🌋")),
    ];
    let mut cases: Cases = kinds
        .into_iter()
        .map(|(name, why, one, other)| {
            limiter(&format!("key_{name}"), why, config(TokenBucket, 1, S, 2))
                .then(check_key(one.clone(), 2))
                .then(check_key(one, 1))
                .then(check_key(other.clone(), 1))
                .then(check_key(other, 2))
                .end()
        })
        .collect();
    cases.push(
        limiter("key_text_is_its_utf8", "a text and its bytes are one key", config(SlidingLog, 2, S, 2))
            .then(check_key(Key::from("é"), 1))
            .then(check_key(hex("c3a9"), 1))
            .then(check_key(Key::from("é"), 1))
            .end(),
    );
    cases
}
