//! The model against its own meaning: what it answers is what then happens.

use super::{Algorithm, Limiter, NEVER, Quota, Settings};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const ALL: [Algorithm; 5] = [
    Algorithm::TokenBucket,
    Algorithm::FixedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
    Algorithm::LeakyBucket,
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn limiter(algorithm: Algorithm, count: u32, period_ns: u64) -> Limiter {
    let quota = Quota { count: count.into(), period_ns, burst: count };
    Limiter::new(Settings::new(algorithm, quota), 77 * S).expect("a common quota")
}

#[test]
fn the_wait_is_enough_and_not_too_long() {
    for algorithm in ALL {
        let mut random = Random(1);
        let mut denials = 0;
        let mut limiter = limiter(algorithm, 7, 3 * S);
        // The length of a tick: what is decided as of the last one may be told that much late.
        let tick = limiter.ticks.start(1).max(1);
        let mut now = 77 * S;
        for _ in 0..1_500 {
            now += random.below(S / 2);
            let n = 1 + random.below(7) as u32;
            let seen = limiter.look(now, b"ann", n, None);
            let answer = limiter.check(now, b"ann", n, None);
            assert_eq!(answer.allowed, seen.allowed, "{algorithm:?}");
            assert_eq!(answer.allowed, answer.retry_after_ns == 0, "{algorithm:?}");
            if !answer.allowed {
                denials += 1;
                let then = now + answer.retry_after_ns;
                assert!(limiter.look(then, b"ann", n, None).allowed, "{algorithm:?} {answer:?}");
                assert!(!limiter.look(then - tick, b"ann", n, None).allowed, "{algorithm:?} {answer:?}");
            }
            let reset = limiter.peek(now, b"ann", None).reset_after_ns;
            let full = limiter.peek(now + reset, b"ann", None);
            assert_eq!((full.remaining, full.reset_after_ns), (7, 0), "{algorithm:?}");
        }
        assert!(denials > 300, "{algorithm:?}: {denials}");
    }
}

/// What passes in any span of time, by each algorithm's own promise.
#[test]
fn no_span_holds_more_than_promised() {
    for algorithm in ALL {
        let mut random = Random(2);
        let mut limiter = limiter(algorithm, 5, S);
        let (mut now, mut passed) = (77 * S, Vec::new());
        for _ in 0..2_000 {
            now += random.below(S / 4);
            if limiter.try_acquire(now, b"ann", 1, None) {
                passed.push(now);
            }
        }
        let largest = |span: u64| {
            passed
                .iter()
                .enumerate()
                .map(|(i, &at)| passed[i..].iter().take_while(|&&next| next < at + span).count())
                .max()
        };
        let most = match algorithm {
            // One at a time: less than five and the one that begins it.
            Algorithm::LeakyBucket => 5,
            Algorithm::SlidingLog => 5,
            // Twice the limit across an edge.
            Algorithm::FixedWindow => 10,
            // Burst and rate.
            Algorithm::TokenBucket => 10,
            // The earlier window weighs less the later it is in this one.
            Algorithm::SlidingWindow => 7,
        };
        let largest = largest(S).expect("something passed");
        assert!(largest <= most && largest >= 4, "{algorithm:?}: {largest}");
    }
}

#[test]
fn a_cost_above_the_limit_is_never() {
    for algorithm in ALL {
        let mut limiter = limiter(algorithm, 5, S);
        assert_eq!(limiter.check(77 * S, b"ann", 6, None).retry_after_ns, NEVER);
        assert!(limiter.check(77 * S, b"ann", 5, None).allowed);
    }
}

/// The rate in ticks is slower than the quota's by less than 0.01 %, or there is no such limiter.
#[test]
fn ticks_keep_the_rate() {
    for (count, period_ns) in [(1, 365 * 86_400 * S), (17, 3_600 * S), (7, 60 * S), (999, S), (99_999_989, S)] {
        for burst in [1, 20, 1_000, 1 << 20, u32::MAX] {
            let quota = Quota { count, period_ns, burst };
            let Some(limiter) = Limiter::new(Settings::new(Algorithm::TokenBucket, quota), 0) else { continue };
            let limit = limiter.limit(0, None);
            let exact = period_ns as f64 / count as f64;
            let got = limit.token as f64 * limiter.ticks.start(1 << 20) as f64 / f64::from(1 << 20);
            assert!(got >= exact * 0.999_999_999 && got <= exact * 1.000_1, "{quota:?}: {got} for {exact}");
        }
    }
    let refused = Quota { count: 100_000_000, period_ns: S, burst: u32::MAX };
    assert!(Limiter::new(Settings::new(Algorithm::TokenBucket, refused), 0).is_none());
}
