//! Short texts and numbers in an arena: whole words, so that whatever another process writes is read safely.

use crate::sync::{AtomicU64, Ordering};

/// Writes as much of `text` as there is room for, cut at a character.
pub(crate) fn write(words: &[AtomicU64], text: &str) {
    let mut length = text.len().min(words.len() * 8);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    let mut bytes = text.as_bytes()[..length].chunks(8);
    for word in words {
        let mut buffer = [0; 8];
        if let Some(chunk) = bytes.next() {
            buffer[..chunk.len()].copy_from_slice(chunk);
        }
        // Relaxed: published by the word that names this text.
        word.store(u64::from_ne_bytes(buffer), Ordering::Relaxed);
    }
}

/// Reads what was written. Invariant: what comes out is printable ASCII on one line, so it can be shown, logged and put
/// in an error as it is. All that tidegate writes is; anything else is of somebody who wrote to the arena, and is
/// escaped as in Rust (`\u{1b}`).
pub(crate) fn read(words: &[AtomicU64]) -> String {
    // Relaxed: read after the word that names this text.
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let mut text = String::with_capacity(end);
    for c in String::from_utf8_lossy(&bytes[..end]).chars() {
        match c {
            ' '..='~' => text.push(c),
            other => text.extend(other.escape_unicode()),
        }
    }
    text
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits: tells texts apart, keeps nobody out.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<AtomicU64> {
        (0..8).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn what_is_written_is_read_and_what_is_too_long_is_cut() {
        let words = words();
        for text in ["", "a", "10 per 1s, burst 20", &"x".repeat(64)] {
            write(&words, text);
            assert_eq!(read(&words), text);
        }
        write(&words, &"y".repeat(100));
        assert_eq!(read(&words), "y".repeat(64));
    }

    #[test]
    fn whatever_is_there_is_read_as_one_line_that_can_be_printed() {
        let words = words();
        write(&words, "a\x1b[2J\n\u{9b}\u{202e}\x07");
        assert_eq!(read(&words), "a\\u{1b}[2J\\u{a}\\u{9b}\\u{202e}\\u{7}");
        for byte in 1..=255 {
            // Relaxed: one thread.
            words.iter().for_each(|word| word.store(u64::from_ne_bytes([byte; 8]), Ordering::Relaxed));
            assert!(read(&words).bytes().all(|byte| matches!(byte, b' '..=b'~')), "{byte}");
        }
    }
}
