//! Keys as a service has them: texts on the heap, met in no order.

use std::sync::Arc;

/// Texts of 17 bytes, and a long random sequence of them.
pub struct Keys {
    texts: Vec<String>,
    order: Vec<u32>,
}

/// Two of each even among a million; a power of two, so that going round costs nothing.
const ORDER: usize = 1 << 21;

impl Keys {
    pub fn new(count: usize) -> Arc<Self> {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let texts = (0..count).map(|_| format!("user:{:012x}", random.next() >> 16)).collect();
        let order = (0..ORDER).map(|_| ((random.next() >> 32) as usize % count) as u32).collect();
        Arc::new(Self { texts, order })
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn all(&self) -> &[String] {
        &self.texts
    }

    /// `times` keys of the sequence, which begins again at its end.
    pub fn shuffled(&self, from: usize, times: usize) -> impl Iterator<Item = &String> {
        (from..from + times).map(|at| &self.texts[self.order[at % ORDER] as usize])
    }
}

/// Splitmix64 (G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}
