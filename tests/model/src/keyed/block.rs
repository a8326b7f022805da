//! Denials that add up to a block.

use super::Block;

/// What a key's denials and blocks have come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Denials {
    /// When the window of denials began, and how many it has.
    since: u64,
    count: u32,
    /// Blocks that are not forgotten, and the length of the last.
    blocks: u32,
    last_block_ns: u64,
    /// The end of the last block, or the last denial if that is later.
    latest: u64,
}

impl Denials {
    /// One more, at `now`: how long to block the key if that is what it has come to.
    pub(super) fn denied(&mut self, now: u64, block: &Block) -> Option<u64> {
        if now >= self.latest + block.within_ns.max(2 * self.last_block_ns) {
            *self = Self::default();
        }
        if self.count == 0 || now >= self.since + block.within_ns {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        self.latest = self.latest.max(now);
        if self.count < block.after {
            return None;
        }
        let length = block.duration_ns as f64 * block.growth.powi(i32::try_from(self.blocks).unwrap_or(i32::MAX));
        self.last_block_ns = (length as u64).min(block.max_ns);
        self.blocks += 1;
        self.count = 0;
        Some(self.last_block_ns)
    }

    pub(super) fn blocked_until(&mut self, end: u64) {
        self.latest = end;
    }
}
