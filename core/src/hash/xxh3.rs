//! XXH3-64 (Y. Collet, xxHash specification 0.2.0) under a secret, of 4 to 240 bytes. Words are read the least byte
//! first, on every machine.

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const MIX_1: u64 = 0x1656_6791_9E37_79F9;
const MIX_2: u64 = 0x9FB2_1C65_1E98_DF25;

/// Bytes that are hashed two words at a time, each pair under a pair of the secret's.
type Pair = [u8; 16];

/// A secret. What keys of up to 32 bytes need lies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Xxh3 {
    /// For 4 to 8 bytes: words 1 and 2 of the specification's secret, of which only the xor is used.
    pub(super) word: u64,
    /// For 9 to 16 bytes: words 3 and 4, and 5 and 6.
    pub(super) pair: [u64; 2],
    /// For 17 bytes and more: all of the specification's shortest secret.
    pub(super) words: [u64; WORDS],
}

pub(super) const WORDS: usize = 17;

impl Xxh3 {
    /// The hash of 17 to 32 bytes.
    #[inline(always)]
    pub(super) fn two_pairs(&self, length: u64, first: &Pair, last: &Pair) -> u64 {
        let sum = length.wrapping_mul(PRIME_1);
        let sum = sum.wrapping_add(self.mixed(first, 0));
        avalanche(sum.wrapping_add(self.mixed(last, 2)))
    }

    /// The hash of 9 to 16 bytes: of the first and the last eight.
    #[inline(always)]
    pub(super) fn two_words(&self, length: u64, first: &[u8; 8], last: &[u8; 8]) -> u64 {
        let low = self.pair[0] ^ u64::from_le_bytes(*first);
        let high = self.pair[1] ^ u64::from_le_bytes(*last);
        let sum = length.wrapping_add(low.swap_bytes()).wrapping_add(high);
        avalanche(sum.wrapping_add(folded(low, high)))
    }

    /// The hash of 4 to 8 bytes: of the first and the last four.
    #[inline(always)]
    pub(super) fn two_halves(&self, length: u64, first: &[u8; 4], last: &[u8; 4]) -> u64 {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        let value = self.word ^ (u64::from(first) << 32 | u64::from(last));
        let value = (value ^ value.rotate_left(49) ^ value.rotate_left(24)).wrapping_mul(MIX_2);
        let value = (value ^ (value >> 35).wrapping_add(length)).wrapping_mul(MIX_2);
        value ^ value >> 28
    }

    /// The hash of 33 to 240 bytes.
    pub(super) fn many_pairs(&self, bytes: &[u8]) -> u64 {
        let (pairs, _) = bytes.as_chunks::<16>();
        let mut sum = (bytes.len() as u64).wrapping_mul(PRIME_1);
        if bytes.len() <= 128 {
            // As many from the start as from the end, which meet or overlap in the middle.
            let (ends, rounds) = (bytes.as_rchunks::<16>().1, bytes.len().div_ceil(32));
            for (round, (first, last)) in pairs.iter().zip(ends.iter().rev()).take(rounds).enumerate() {
                sum = sum.wrapping_add(self.mixed(first, 4 * round)).wrapping_add(self.mixed(last, 4 * round + 2));
            }
            return avalanche(sum);
        }
        for (at, pair) in pairs.iter().take(8).enumerate() {
            sum = sum.wrapping_add(self.mixed(pair, 2 * at));
        }
        sum = avalanche(sum);
        for (at, pair) in pairs.iter().skip(8).enumerate() {
            sum = sum.wrapping_add(self.mixed_between(pair, 16 * at + 3));
        }
        let last = bytes.last_chunk().map_or(0, |last| self.mixed_between(last, 8 * WORDS - 17));
        avalanche(sum.wrapping_add(last))
    }

    /// A pair under the secret's two words from `at` on.
    #[inline(always)]
    fn mixed(&self, pair: &Pair, at: usize) -> u64 {
        mixed(pair, self.words[at], self.words[at + 1])
    }

    /// A pair under the secret's 16 bytes from `byte` on, which is none where a word begins.
    fn mixed_between(&self, pair: &Pair, byte: usize) -> u64 {
        let (at, shift) = (byte / 8, byte as u32 % 8 * 8);
        let word = |at: usize| self.words[at] >> shift | self.words[at + 1] << (64 - shift);
        mixed(pair, word(at), word(at + 1))
    }
}

#[inline(always)]
fn mixed(pair: &Pair, first: u64, second: u64) -> u64 {
    let (words, _) = pair.as_chunks::<8>();
    folded(u64::from_le_bytes(words[0]) ^ first, u64::from_le_bytes(words[1]) ^ second)
}

/// The two halves of a product, xored.
#[inline(always)]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn avalanche(value: u64) -> u64 {
    let value = (value ^ value >> 37).wrapping_mul(MIX_1);
    value ^ value >> 32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PRIME_32: u64 = 0x9E37_79B1;
    const PRIME_64: u64 = 0x9E37_79B1_85EB_CA8D;

    /// The specification's default.
    const PUBLIC: [u8; 8 * WORDS] = [
        0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4,
        0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e,
        0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43,
        0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
        0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
        0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7,
        0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78,
        0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3,
    ];

    /// The text of the authors' tests.
    fn text() -> [u8; 256] {
        let mut state = PRIME_32;
        std::array::from_fn(|_| {
            let byte = (state >> 56) as u8;
            state = state.wrapping_mul(PRIME_64);
            byte
        })
    }

    /// A secret as the specification has it.
    fn under(secret: &[u8]) -> Xxh3 {
        let word = |at: usize| u64::from_le_bytes(*secret[8 * at..].first_chunk().unwrap());
        Xxh3 { word: word(1) ^ word(2), pair: [word(3) ^ word(4), word(5) ^ word(6)], words: std::array::from_fn(word) }
    }

    fn hash(secret: &Xxh3, bytes: &[u8]) -> u64 {
        let length = bytes.len() as u64;
        match bytes.len() {
            4..=8 => secret.two_halves(length, bytes.first_chunk().unwrap(), bytes.last_chunk().unwrap()),
            9..=16 => secret.two_words(length, bytes.first_chunk().unwrap(), bytes.last_chunk().unwrap()),
            17..=32 => secret.two_pairs(length, bytes.first_chunk().unwrap(), bytes.last_chunk().unwrap()),
            _ => secret.many_pairs(bytes),
        }
    }

    /// Of `cli/xsum_sanity_check.c` in github.com/Cyan4973/xxHash: those of these lengths.
    #[test]
    fn it_is_the_authors_hash() {
        let (text, public) = (text(), under(&PUBLIC));
        let expected = [
            (6, 0x27B5_6A84_CD2D_7325),
            (12, 0xA713_DAF0_DFBB_77E7),
            (24, 0xA3FE_70BF_9D35_10EB),
            (48, 0x397D_A259_ECBA_1F11),
            (80, 0xBCDE_FBBB_2C47_C90A),
            (195, 0xCD94_217E_E362_EC3A),
        ];
        for (length, expected) in expected {
            assert_eq!(hash(&public, &text[..length]), expected, "{length} bytes");
        }
    }

    #[test]
    fn it_is_the_authors_hash_under_a_secret() {
        let (text, secret) = (text(), under(&text()[7..]));
        let expected = [
            (6, 0x82C9_0AB0_5193_69AD),
            (12, 0x1463_1E77_3B78_EC57),
            (24, 0xCDD5_542E_4A9D_9FE8),
            (48, 0x33AB_D54D_094B_2534),
            (80, 0xE687_BA16_8496_5297),
            (195, 0xA057_273F_5EEC_FB20),
        ];
        for (length, expected) in expected {
            assert_eq!(hash(&secret, &text[..length]), expected, "{length} bytes");
        }
    }

    /// A seed is added to the even words of the public secret and taken from the odd ones: for 17 to 128 bytes.
    #[test]
    fn it_is_the_authors_hash_with_a_seed() {
        let (text, public) = (text(), under(&PUBLIC));
        let seeded = |(at, word): (usize, u64)| {
            if at % 2 == 0 { word.wrapping_add(PRIME_64) } else { word.wrapping_sub(PRIME_64) }
        };
        let words: Vec<u64> = public.words.into_iter().enumerate().map(seeded).collect();
        let seeded = Xxh3 { words: words.try_into().unwrap(), ..public };
        let expected = [(24, 0x850E_80FC_35BD_D690), (48, 0xADC2_CBAA_44AC_C616), (80, 0xC6DD_0CB6_9953_2E73)];
        for (length, expected) in expected {
            assert_eq!(hash(&seeded, &text[..length]), expected, "{length} bytes");
        }
    }

    /// Each length from 4 to 240, xored into one word that is rotated before each: what the authors' `xxhash.h` gives.
    #[test]
    fn it_is_the_authors_hash_at_each_length() {
        let text = text();
        for (secret, expected) in [(&PUBLIC[..], 0x43ec_d2f9_38ac_7074), (&text[7..], 0x7c7f_60b0_51e6_abce)] {
            let secret = under(secret);
            let all = (4..=240).fold(0_u64, |all, length| all.rotate_left(1) ^ hash(&secret, &text[..length]));
            assert_eq!(all, expected);
        }
    }
}
