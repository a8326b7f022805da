//! Short texts and numbers in an arena: whole words, so that whatever another process writes is read safely.

use crate::sync::{AtomicU64, Ordering};

/// Writes as much of `text` as there is room for, cut at a character.
pub(super) fn write(words: &[AtomicU64], text: &str) {
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

/// Reads what was written; foreign bytes come out as replacement characters.
pub(super) fn read(words: &[AtomicU64]) -> String {
    // Relaxed: read after the word that names this text.
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits: tells texts apart, keeps nobody out.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
