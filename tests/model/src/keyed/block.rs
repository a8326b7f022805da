//! Denials that add up to a block.

use super::Block;

/// What a key's denials and blocks have come to. Time is counted in beats: at least about a millisecond, longer for
/// blocks of months.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Denials {
    /// Denials in the present window.
    count: u32,
    /// The beat at which the window of denials ends, or the last block.
    end: u64,
    /// Blocks that are not forgotten.
    blocks: u32,
}

impl Denials {
    /// One more, at `now`: how long to block the key if that is what it has come to.
    pub(super) fn denied(&mut self, now: u64, block: &Block) -> Option<u64> {
        let beat = |ns: u64| ns / block.beat_ns();
        let beats = |ns: u64| ns.div_ceil(block.beat_ns());
        if beat(now) >= self.end {
            // Peace since then, for the longer of the window and twice the last block, and all is forgotten.
            let memory = match self.blocks {
                0 => 0,
                blocks => beats(block.within_ns).max(beats(2 * block.length(blocks - 1))),
            };
            let blocks = if beat(now) < self.end + memory { self.blocks } else { 0 };
            *self = Self { count: 0, end: beat(now) + beats(block.within_ns), blocks };
        }
        self.count += 1;
        if self.count < block.after {
            return None;
        }
        let length = block.length(self.blocks);
        *self = Self { count: 0, end: beat(now) + beats(length), blocks: self.blocks + 1 };
        Some(length)
    }
}

impl Block {
    /// The block of a key that has been blocked so often.
    fn length(&self, blocks: u32) -> u64 {
        let ns = self.duration_ns as f64 * self.growth.powi(i32::try_from(blocks).unwrap_or(i32::MAX));
        ns.min(self.max_ns as f64) as u64
    }

    /// Three times the longest time fits 2^24 beats.
    fn beat_ns(&self) -> u64 {
        let longest = 3 * self.within_ns.max(self.max_ns);
        (20..63).map(|shift| 1 << shift).find(|&beat: &u64| longest.div_ceil(beat) <= 1 << 24).expect("a year fits")
    }
}
