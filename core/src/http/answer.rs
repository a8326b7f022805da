//! What a server's answer says of the call, for who guards calls to it.

use crate::outcome::{Classified, Outcome};
use std::time::{Duration, SystemTime};

/// The status and the fields of an answer that tell a breaker or a retry what to make of it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tidegate::http::Answer;
///
/// let answer = Answer { status: 503, retry_after: Some(b"20"), ..Answer::default() };
/// assert!(answer.failed());
/// let wait = answer.retry_after(SystemTime::now(), Duration::from_secs(300));
/// assert_eq!(wait, Some(Duration::from_secs(20)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
    pub retry_after: Option<&'a [u8]>,
    /// `Retry-After-Ms`, which some servers send beside it: milliseconds.
    pub retry_after_ms: Option<&'a [u8]>,
    /// `Date`: by which a date in `Retry-After` is read, so that the two clocks need not agree.
    pub date: Option<&'a [u8]>,
}

impl Answer<'_> {
    /// Whether the server failed: 429, and what is not within 100 to 499. Another 4xx is the caller's own doing.
    pub fn failed(&self) -> bool {
        self.status == 429 || !(100..500).contains(&self.status)
    }

    /// What a breaker, a retry and a throttle make of it: [`failed`](Self::failed) and
    /// [`retry_after`](Self::retry_after).
    pub fn classified(&self, now: SystemTime, most: Duration) -> Classified {
        let outcome = if self.failed() { Outcome::Failure } else { Outcome::Success };
        Classified { outcome, retry_after: self.retry_after(now, most) }
    }

    /// How long the server asks to be left alone, at most `most`: of 429 and 503, by `Retry-After-Ms` where that is a
    /// number, else by `Retry-After`. A date that is past is no wait. `None` for what cannot be read.
    ///
    /// `now` is for a date in an answer without a `Date`.
    pub fn retry_after(&self, now: SystemTime, most: Duration) -> Option<Duration> {
        if !matches!(self.status, 429 | 503) {
            return None;
        }
        let ms = self.retry_after_ms.and_then(|value| number(value, 1_000));
        let wait = ms.or_else(|| {
            let value = self.retry_after?;
            number(value, 1).or_else(|| {
                let now = self.date.and_then(date).unwrap_or(now);
                Some(date(value)?.duration_since(now).unwrap_or_default())
            })
        })?;
        Some(wait.min(most))
    }
}

/// A number of which `per_second` are a second: digits, and perhaps a fraction.
fn number(value: &[u8], per_second: u32) -> Option<Duration> {
    let text = str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = if plain { text.parse().ok()? } else { return None };
    // What no Duration holds is longer than any bound.
    Some(Duration::try_from_secs_f64(number / f64::from(per_second)).unwrap_or(Duration::MAX))
}

/// Any of the three forms of a date.
fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(value).ok()?.trim_matches([' ', '\t'])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_more_than_a_wait_within_its_bound() {
        let most = Duration::from_secs(300);
        let long = [b'9'; 400];
        for value in [b"".as_slice(), b"-1", b"+5", b"1e9", b"inf", b"NaN", b".5", b"1.2.3", b"\xff", b"5 s", b"0x10"] {
            for answer in [
                Answer { status: 429, retry_after: Some(value), ..Answer::default() },
                Answer { status: 429, retry_after_ms: Some(value), ..Answer::default() },
            ] {
                assert_eq!(answer.retry_after(SystemTime::now(), most), None, "{value:?}");
            }
        }
        let answer = Answer { status: 503, retry_after: Some(&long), ..Answer::default() };
        assert_eq!(answer.retry_after(SystemTime::UNIX_EPOCH, most), Some(most));
    }
}
