//! The level of a user: a keyed hash of user and hour, so that a user's retries, and the calls to all services with
//! that key, meet the same fate, and next hour somebody else's turn comes (WeChat's DAGOR, SoCC '18).
//!
//! The hash is SipHash-1-3 of the user's bytes and the hour since 1970 as eight bytes, the least first, under the two
//! SipHashes, under zeroes, of the key's bytes and a byte 0 and 1; the level is its highest seven bits.

use super::LEVELS;
use crate::hash::{Secret, sip_hash};
use std::time::SystemTime;

const HOUR_S: u64 = 3600;

/// Whose users have the same levels: who has the same key.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelKey(Secret);

impl LevelKey {
    pub(super) fn new(key: &str) -> Self {
        Self([0, 1].map(|lane| {
            let mut text = key.as_bytes().to_vec();
            text.push(lane);
            sip_hash([0, 0], &text)
        }))
    }

    /// At `unix_s` seconds since 1970.
    pub(super) fn level_at(&self, user: &[u8], unix_s: u64) -> u8 {
        let mut text = Vec::with_capacity(user.len() + 8);
        text.extend_from_slice(user);
        text.extend_from_slice(&(unix_s / HOUR_S).to_le_bytes());
        (sip_hash(self.0, &text) >> (64 - LEVELS.ilog2())) as u8
    }

    pub(super) fn level(&self, user: &[u8]) -> u8 {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        self.level_at(user, now)
    }
}
