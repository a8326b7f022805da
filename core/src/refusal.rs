//! A refusal as a text that names the object and its quota, the same in every language; written when it is read.

use crate::Quota;
use crate::decision::{Decision, NEVER};
use std::fmt;
use std::time::Duration;

/// Who refused what, and when another try makes sense: `limiter "orders" (100/s) refused 1 token: try again in 0.5 s`.
///
/// ```
/// use tidegate::refusal::Refusal;
/// use tidegate::{Algorithm, RateLimiter};
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = RateLimiter::new(Algorithm::TokenBucket, "1/day".parse()?, 100)?;
/// assert!(limiter.try_acquire(b"ann", 1));
/// let decision = limiter.check(b"ann", 1);
/// let refusal = Refusal::of_limiter(limiter.quota(), 1).decided(&decision).named(Some("orders"));
/// assert!(refusal.to_string().starts_with("limiter \"orders\" (1/day) refused 1 token: try again in 86"));
/// # Ok(())
/// # }
/// # run().unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Refusal<'a> {
    by: By<'a>,
    name: Option<&'a str>,
    within: Option<Duration>,
    retry_after_ns: u64,
}

#[derive(Clone, Copy, Debug)]
enum By<'a> {
    Limit { kind: &'static str, quota: Quota, n: u32 },
    Limits { names: &'a [&'a str], n: u32 },
    Circuit { calls: u32, failed: u32, slow: u32, ramping: bool },
    Queue { depth: usize, capacity: usize },
    Concurrency { limit: u32 },
    Shedder { signal: Option<&'a str>, pressure: f64 },
    Access,
    Deadline { delay_ns: u64 },
}

impl<'a> Refusal<'a> {
    fn new(by: By<'a>) -> Self {
        Self { by, name: None, within: None, retry_after_ns: 0 }
    }

    /// A [`TokenBucket`](crate::TokenBucket) of this quota refused `n` tokens.
    pub fn of_bucket(quota: Quota, n: u32) -> Self {
        Self::new(By::Limit { kind: "bucket", quota, n })
    }

    /// A [`RateLimiter`](crate::RateLimiter) refused `n` tokens by this quota, its own or that of a tier.
    pub fn of_limiter(quota: Quota, n: u32) -> Self {
        Self::new(By::Limit { kind: "limiter", quota, n })
    }

    /// A [`LimitSet`](crate::LimitSet) refused, and none of its limits more than the others.
    pub fn of_limits(names: &'a [&'a str], n: u32) -> Self {
        Self::new(By::Limits { names, n })
    }

    /// A circuit that these calls opened refused a call; without calls, nothing is told of them.
    pub fn of_circuit(calls: u32, failed: u32, slow: u32) -> Self {
        Self::new(By::Circuit { calls, failed, slow, ramping: false })
    }

    /// Of a circuit: whether it has closed and lets calls back by degrees.
    pub fn ramping(self, is_ramping: bool) -> Self {
        match self.by {
            By::Circuit { calls, failed, slow, .. } => {
                Self { by: By::Circuit { calls, failed, slow, ramping: is_ramping }, ..self }
            }
            _ => self,
        }
    }

    /// A [`BoundedQueue`](crate::BoundedQueue) took no item.
    pub fn of_queue(depth: usize, capacity: usize) -> Self {
        Self::new(By::Queue { depth, capacity })
    }

    /// A [`ConcurrencyLimiter`](crate::ConcurrencyLimiter) gave no permit.
    pub fn of_concurrency(limit: u32) -> Self {
        Self::new(By::Concurrency { limit })
    }

    /// A [`LoadShedder`](crate::shed::ShedderConfig) refused a call, by the signal with the largest pressure.
    pub fn of_shedder(signal: Option<&'a str>, pressure: f64) -> Self {
        Self::new(By::Shedder { signal, pressure })
    }

    /// A gate's access list refused a client.
    pub fn of_access() -> Self {
        Self::new(By::Access)
    }

    /// A gate refused a call whose time is over, or shorter than calls wait behind it.
    pub fn of_deadline(delay_ns: u64) -> Self {
        Self::new(By::Deadline { delay_ns })
    }

    /// The object's name; `None` for one that has none.
    pub fn named(self, name: Option<&'a str>) -> Self {
        Self { name, ..self }
    }

    /// How long the caller would have waited; `None` and zero tell nothing.
    pub fn within(self, timeout: Option<Duration>) -> Self {
        Self { within: timeout.filter(|timeout| !timeout.is_zero()), ..self }
    }

    /// Nanoseconds until another try makes sense, [`NEVER`] for none.
    pub fn retry_after_ns(self, retry_after_ns: u64) -> Self {
        Self { retry_after_ns, ..self }
    }

    /// As a limit has decided.
    pub fn decided(self, decision: &Decision) -> Self {
        self.retry_after_ns(decision.retry_after_ns)
    }

    /// The text without the part that says when to try again.
    pub fn subject(&self) -> impl fmt::Display + '_ {
        Subject(self)
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.by, self.retry_after_ns) {
            // A circuit that was opened by hand, which its subject says.
            // One for whom the time is over has nobody who would wait.
            (By::Circuit { .. }, NEVER) | (By::Deadline { .. }, _) => write!(f, "{}", self.subject()),
            _ => write!(f, "{}: {}", self.subject(), Again(self.retry_after_ns)),
        }
    }
}

impl std::error::Error for Refusal<'_> {}

struct Subject<'a>(&'a Refusal<'a>);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(refusal) = self;
        let never = refusal.retry_after_ns == NEVER;
        let (kind, name) = match refusal.by {
            By::Limit { kind, .. } => (kind, refusal.name),
            By::Limits { .. } => ("limits", None),
            By::Circuit { .. } => ("circuit", refusal.name),
            By::Queue { .. } => ("queue", refusal.name),
            By::Concurrency { .. } => ("concurrency limiter", refusal.name),
            By::Shedder { .. } => ("load shedder", refusal.name),
            By::Access | By::Deadline { .. } => ("gate", refusal.name),
        };
        f.write_str(kind)?;
        if let Some(name) = name {
            write!(f, " {name:?}")?;
        }
        match refusal.by {
            By::Limit { quota, n, .. } => write!(f, " ({}) refused {}", quota.brief(), Tokens(n))?,
            By::Limits { names, n } => {
                for (at, name) in names.iter().enumerate() {
                    write!(f, "{} {name:?}", if at == 0 { "" } else { "," })?;
                }
                write!(f, " refused {}", Tokens(n))?;
            }
            By::Circuit { ramping: true, .. } => return f.write_str(" has closed and lets calls back by degrees"),
            By::Circuit { .. } if never => return f.write_str(" is open until it is reset"),
            By::Circuit { calls: 0, .. } => return f.write_str(" is open"),
            By::Circuit { calls, failed, slow, .. } => {
                let slow = if slow == 0 { String::new() } else { format!(", {slow} slow") };
                return write!(f, " is open ({failed} of {calls} calls failed{slow})");
            }
            By::Queue { depth, capacity } => write!(f, " refused an item with {depth} of {capacity} places taken")?,
            By::Concurrency { limit } => write!(f, " ({limit} at once) refused a call")?,
            By::Shedder { signal, pressure } => {
                f.write_str(" refused a call")?;
                if let Some(signal) = signal {
                    write!(f, " ({signal} at {:.0} % of its range)", pressure * 100.0)?;
                }
            }
            By::Access => f.write_str(" refused a client that its access list denies")?,
            By::Deadline { delay_ns: 0 } => f.write_str(" refused a call whose time is over")?,
            By::Deadline { delay_ns } => {
                write!(f, " refused a call whose time is shorter than the wait, {}", seconds(delay_ns.into()))?;
            }
        }
        match (refusal.by, refusal.within) {
            (By::Limit { quota, .. }, _) if never => {
                write!(f, ", and never gives more than {} at once", quota.burst())
            }
            (_, Some(within)) => write!(f, " within {}", seconds(within.as_nanos())),
            _ => Ok(()),
        }
    }
}

struct Tokens(u32);

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} token{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// Nanoseconds as a caller is told when to try again, [`NEVER`] among them.
#[derive(Clone, Copy, Debug)]
pub struct Again(pub u64);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("try again now"),
            NEVER => f.write_str("do not try again"),
            ns => write!(f, "try again in {}", seconds(ns.into())),
        }
    }
}

/// Rounded up to milliseconds, so that who waits for so long does not come early.
fn seconds(ns: u128) -> String {
    let ms = ns.div_ceil(1_000_000);
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().expect("a rate")
    }

    #[test]
    fn names_the_object_and_its_quota() {
        let limit = Refusal::of_limiter(quota("100/s"), 1).retry_after_ns(500_000_000);
        assert_eq!(limit.to_string(), "limiter (100/s) refused 1 token: try again in 0.5 s");
        let named = limit.named(Some("orders"));
        assert_eq!(named.to_string(), "limiter \"orders\" (100/s) refused 1 token: try again in 0.5 s");
        let within = named.within(Some(Duration::from_millis(20)));
        assert_eq!(within.subject().to_string(), "limiter \"orders\" (100/s) refused 1 token within 0.02 s");

        let burst = quota("5 per 15 minutes").with_burst(7).expect("a burst");
        let never = Refusal::of_bucket(burst, 9).named(Some("a\nb")).retry_after_ns(NEVER);
        let want = "bucket \"a\\nb\" (5 per 15 min, burst 7) refused 9 tokens, and never gives more than 7 at once: \
                    do not try again";
        assert_eq!(never.to_string(), want);

        let all = Refusal::of_limits(&["user", "ip"], 2).retry_after_ns(1);
        assert_eq!(all.to_string(), "limits \"user\", \"ip\" refused 2 tokens: try again in 0.001 s");
        let queue = Refusal::of_queue(80, 100).retry_after_ns(1_000_000_000);
        assert_eq!(queue.to_string(), "queue refused an item with 80 of 100 places taken: try again in 1 s");
        let shed = Refusal::of_shedder(Some("cpu"), 0.9).named(Some("main")).retry_after_ns(1_000_000_000);
        let want = "load shedder \"main\" refused a call (cpu at 90 % of its range): try again in 1 s";
        assert_eq!(shed.to_string(), want);
        let denied = Refusal::of_access().named(Some("orders")).retry_after_ns(NEVER);
        let want = "gate \"orders\" refused a client that its access list denies: do not try again";
        assert_eq!(denied.to_string(), want);
        let late = Refusal::of_deadline(0).named(Some("orders"));
        assert_eq!(late.to_string(), "gate \"orders\" refused a call whose time is over");
        let wait = "gate refused a call whose time is shorter than the wait, 0.02 s";
        assert_eq!(Refusal::of_deadline(20_000_000).to_string(), wait);
        let calls = Refusal::of_concurrency(4).named(Some("db")).retry_after_ns(250_000_000);
        assert_eq!(calls.to_string(), "concurrency limiter \"db\" (4 at once) refused a call: try again in 0.25 s");
    }

    #[test]
    fn circuits_tell_what_opened_them() {
        let open = Refusal::of_circuit(10, 5, 0).named(Some("bank")).retry_after_ns(4_000_000_000);
        assert_eq!(open.to_string(), "circuit \"bank\" is open (5 of 10 calls failed): try again in 4 s");
        let slow = Refusal::of_circuit(10, 0, 6).named(Some("bank")).retry_after_ns(1);
        assert_eq!(slow.to_string(), "circuit \"bank\" is open (0 of 10 calls failed, 6 slow): try again in 0.001 s");
        let unknown = Refusal::of_circuit(0, 0, 0).named(Some("bank"));
        assert_eq!(unknown.to_string(), "circuit \"bank\" is open: try again now");
        assert_eq!(unknown.retry_after_ns(NEVER).to_string(), "circuit \"bank\" is open until it is reset");
        let ramping = open.ramping(true).retry_after_ns(1_000_000_000);
        assert_eq!(ramping.to_string(), "circuit \"bank\" has closed and lets calls back by degrees: try again in 1 s");
    }

    #[test]
    fn a_brief_quota_is_the_rate_that_can_be_written() {
        for text in
            ["100/s", "5/min", "7/hour", "3/day", "1/week", "2/year", "5 per 15 min", "1 per 36 hour", "10 per 1.5 s"]
        {
            assert_eq!(quota(text).brief().to_string(), text);
        }
        for (text, brief) in [("0.5/s", "1 per 2 s"), ("10 per 200 ms", "10 per 0.2 s"), ("3 per 60 s", "3/min")] {
            assert_eq!(quota(text).brief().to_string(), brief);
            assert_eq!(quota(brief).period(), quota(text).period());
        }
    }
}
