//! The hash of keys: XXH3-64 under a secret for keys of 4 to 240 bytes, SipHash-1-3 for others.
//!
//! It stands in the format of arenas: all builds, machines and versions that share one must find a key in the same
//! place. So nothing in this folder may change what comes out without a new number of the arena's layout.
//!
//! **Why that is enough.** Strangers choose keys, and may see that two of them share a level. They see no hash; what
//! they see says that some 40 bits of two (line and tag) are equal. Keys with one hash have one limit, and keys that
//! crowd into a line are decided by a shared sketch: either denies early and admits nothing more. So what has to be
//! kept from them is a rule that makes such keys at will, above all for a key of somebody else.
//!
//! XXH3 xors the words of a key with those of a secret, then multiplies. For a rule a word of the secret must be found:
//! 64 bits, a guess for each pair of keys that is tried, and a wrong guess tells nothing. This holds for a secret whose
//! every word is random. With a seed instead, which XXH3 adds to a public secret, there are keys that collide under
//! each seed. And it holds where XXH3 multiplies whole words only:
//! - Beyond 240 bytes it multiplies halves of words and adds up what comes out, so that a collision takes some 34 bits.
//!   Among half a million keys of 1,100 bytes that differ in the top two bits of 16 words, up to 17 pairs have one hash
//!   of 64 bits; and other keys of the words' same halves collide when the same bits are flipped.
//! - Up to 3 bytes the secret has 32 bits, which can be tried out without asking.
//!
//! SipHash, a pseudo-random function, takes those. The words for 4 to 8 bytes, for 9 to 16, for 17 to 240 and for
//! SipHash are apart, so that what is learned of one says nothing of the others.

mod sip;
mod xxh3;

use sip::SipHash;
use xxh3::{WORDS, Xxh3};

/// 128 bits that nobody else knows.
pub(crate) type Secret = [u64; 2];

/// A secret from the operating system.
#[cfg(not(all(loom, test)))] // Models take a fixed one.
pub(crate) fn random_secret() -> Secret {
    use std::hash::{BuildHasher, Hasher};
    // std's seeds come from the system's generator, and differ for each object.
    std::array::from_fn(|lane| {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_usize(lane);
        hasher.finish()
    })
}

/// A place among `count`, by the high bits of a hash (D. Lemire's multiply-shift reduction).
#[inline]
pub(crate) fn place(hash: u64, count: usize) -> usize {
    ((u128::from(hash) * count as u128) >> 64) as usize
}

/// SipHash-1-3 under a secret; for what must come out alike in every process that has the secret.
pub(crate) fn sip_hash(secret: Secret, bytes: &[u8]) -> u64 {
    SipHash::new(secret).hash(bytes)
}

/// The hash of keys under the secret of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashOfKeys {
    common: Xxh3,
    other: SipHash,
}

impl HashOfKeys {
    /// Under the secret of the object at `place` among those that share `secret`: its words are the SipHashes, under
    /// that, of `place` and 0, of `place` and 1 and so on, each as eight bytes, the least first.
    pub(crate) fn derived(secret: Secret, place: u64) -> Self {
        let of_all = SipHash::new(secret);
        let word = |number: usize| {
            let mut text = [0; 16];
            text[..8].copy_from_slice(&place.to_le_bytes());
            text[8..].copy_from_slice(&(number as u64).to_le_bytes());
            of_all.hash(&text)
        };
        Self {
            common: Xxh3 {
                words: std::array::from_fn(word),
                word: word(WORDS),
                pair: [word(WORDS + 1), word(WORDS + 2)],
            },
            other: SipHash::new([word(WORDS + 3), word(WORDS + 4)]),
        }
    }

    /// Inlined for the lengths of most keys: addresses, numbers of users, names.
    #[inline]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let length = bytes.len() as u64;
        // One range after the other: so each is one comparison, and the chunks are there without another.
        match bytes.len() {
            17..=32 => {
                if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
                    return self.common.two_pairs(length, first, last);
                }
            }
            9..=16 => {
                if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
                    return self.common.two_words(length, first, last);
                }
            }
            _ => {}
        }
        self.hash_other(bytes)
    }

    #[inline(never)]
    fn hash_other(&self, bytes: &[u8]) -> u64 {
        let length = bytes.len() as u64;
        match (length, bytes.first_chunk(), bytes.last_chunk()) {
            (4..=8, Some(first), Some(last)) => self.common.two_halves(length, first, last),
            (33..=240, ..) => self.common.many_pairs(bytes),
            _ => self.other.hash(bytes),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// As the authors' implementations of both hashes say. What follows is the format of arenas: whoever has to change
    /// it gives the layout a new number.
    #[test]
    fn keys_of_an_object_hash_alike_in_all_builds() {
        let secret = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
        let expected = [
            (0, "", 0x3312_41a0_a16c_dcd8),
            (0, "ab", 0x164c_2f45_8a77_4f84),
            (0, "user:1", 0xf7d5_2f89_ee78_c93b),
            (202_752, "user:1", 0x3257_5570_6b0e_5e8e),
            (202_752, "203.0.113.77", 0xb437_ebb9_2feb_2bf0),
            (202_752, "2001:db8:1:2::/64", 0x8e8e_601a_fe4a_0ee7),
            (1_048_576, "über", 0x16bf_5d5c_4a56_ba5d),
            (1_048_576, &"x".repeat(240), 0xe6d2_8c1c_d181_50b7),
            (1_048_576, &"x".repeat(241), 0x2989_27b4_57aa_c349),
            (1_099_511_627_776, "0123456789abcdef0123456789abcdef", 0x1551_740e_4b02_0614),
            (1_099_511_627_776, "3f2b8c1e-77aa-4d0e-9a53-0c6b2d9e4f10", 0x6db7_81c4_3b0c_1bb5),
        ];
        for (place, key, expected) in expected {
            assert_eq!(HashOfKeys::derived(secret, place).hash(key.as_bytes()), expected, "{key:?} at {place}");
        }
    }

    #[test]
    fn secrets_differ() {
        let secrets: std::collections::BTreeSet<_> = (0..100).flat_map(|_| random_secret()).collect();
        assert_eq!(secrets.len(), 200);
    }
}
