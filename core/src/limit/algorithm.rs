//! The algorithms that a keyed limit can run.

use crate::ConfigError;
use crate::setting::{Field, Kind, Preset};
use std::fmt;
use std::str::FromStr;

/// How a [`RateLimiter`](super::RateLimiter) counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Refills continuously, holds at most the burst (GCRA, ITU-T I.371). The default.
    #[default]
    TokenBucket,
    /// At most `limit` in a window that starts at the first hit. Cheap to explain; passes twice the limit across an
    /// edge. A window never ends early, and late by at most the period / 2^(35 - bits of the limit): 15 ns of a minute
    /// at a limit of 5, 2 ms of an hour at 10,000, 0.4 s of a day at 100,000.
    FixedWindow,
    /// Two windows, the earlier weighted by how much of it still counts (Cloudflare's approximation).
    SlidingWindow,
    /// Remembers each admission: exact, for small limits such as logins (at most 4,096).
    SlidingLog,
    /// Paces: admits with a delay, at most `burst - 1` waiting (the leaky bucket as a queue, as nginx's `limit_req`).
    LeakyBucket,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TokenBucket, Self::FixedWindow, Self::SlidingWindow, Self::SlidingLog, Self::LeakyBucket];

    /// The name in every language: `"token_bucket"`, `"fixed_window"`, `"sliding_window"`, `"sliding_log"`,
    /// `"leaky_bucket"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::FixedWindow => "fixed_window",
            Self::SlidingWindow => "sliding_window",
            Self::SlidingLog => "sliding_log",
            Self::LeakyBucket => "leaky_bucket",
        }
    }

    /// Whether it counts in windows, whose limit is all there is: a burst beside it has no meaning.
    pub fn is_window(self) -> bool {
        matches!(self, Self::FixedWindow | Self::SlidingWindow | Self::SlidingLog)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == text);
        found.ok_or_else(|| ALGORITHM.none_of(format_args!("{text:?}")))
    }
}

pub(super) const ALGORITHM: Field =
    Field::new("algorithm", Kind::Choice(&NAMES), Preset::Choice(Algorithm::TokenBucket.name()), "how it counts");
const NAMES: [&str; 5] = {
    let mut names = [""; 5];
    let mut at = 0;
    while at < names.len() {
        names[at] = Algorithm::ALL[at].name();
        at += 1;
    }
    names
};
