//! Counts and latencies of the last seconds in buckets of 100 ms, as kratos and go-zero keep them.

use std::collections::VecDeque;

const BUCKET: f64 = 0.1;

/// A bucket that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    number: u64,
    /// Calls that ended in it.
    pub(super) calls: f64,
    /// The sum of their latencies in milliseconds.
    pub(super) ms: f64,
}

pub(super) struct Rolling {
    buckets: VecDeque<Bucket>,
    size: u64,
}

impl Rolling {
    pub(super) fn of(size: u64) -> Self {
        Self { buckets: VecDeque::new(), size }
    }

    pub(super) fn add(&mut self, now: f64, ms: f64) {
        let number = (now / BUCKET) as u64;
        match self.buckets.back_mut() {
            Some(last) if last.number == number => (last.calls, last.ms) = (last.calls + 1.0, last.ms + ms),
            _ => self.buckets.push_back(Bucket { number, calls: 1.0, ms }),
        }
        while self.buckets.front().is_some_and(|first| first.number + self.size <= number) {
            self.buckets.pop_front();
        }
    }

    /// The buckets of the last seconds without the one that is being filled.
    pub(super) fn past(&self, now: f64) -> impl Iterator<Item = &Bucket> {
        let number = (now / BUCKET) as u64;
        let lasts = move |bucket: &&Bucket| bucket.number < number && bucket.number + self.size > number;
        self.buckets.iter().filter(lasts)
    }

    /// Most calls of a bucket, at least one.
    pub(super) fn most(&self, now: f64) -> f64 {
        self.past(now).map(|bucket| bucket.calls).fold(1.0, f64::max)
    }
}
