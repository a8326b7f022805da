//! The settings as numbers: what memory that is shared holds. The kind and the length of the window stand for the two
//! windows, the others are in the order of [`SETTINGS`]; so another order of those is another layout of arenas.

use super::config::{BreakerConfig, SETTINGS, Window};
use super::rules::nanos;
use crate::setting::{Kind, Preset, Value};
use std::time::Duration;

pub(super) const KIND: usize = 0;
pub(super) const WINDOW: usize = 1;
pub(super) const FAILURE_RATE: usize = 2;
pub(super) const SLOW_CALL: usize = 3;
pub(super) const SLOW_RATE: usize = 4;
pub(super) const RUN: usize = 5;
pub(super) const COOLDOWN: usize = 7;
pub(super) const BACKOFF: usize = 8;
pub(super) const MAX_COOLDOWN: usize = 9;
pub(super) const JITTER: usize = 10;
pub(super) const PROBES: usize = 11;
pub(super) const PROBE_TIMEOUT: usize = 12;
pub(super) const PROBE_RATE: usize = 13;
pub(super) const AT_ONCE: usize = 14;
pub(super) const HEALTHY: usize = 15;
pub(super) const RAMP: usize = 16;
pub(super) const RAMP_FROM: usize = 17;
/// How many there are.
pub(super) const CONFIG_WORDS: usize = SETTINGS.fields.len();

/// The settings as numbers.
pub(super) fn words(config: &BreakerConfig) -> [u64; CONFIG_WORDS] {
    let (kind, window) = match config.window {
        Window::Calls(calls) => (0, calls.into()),
        Window::Duration(span) => (1, nanos(span)),
    };
    let mut words = [0; CONFIG_WORDS];
    (words[KIND], words[WINDOW]) = (kind, window);
    for (word, field) in words.iter_mut().zip(SETTINGS.fields).skip(WINDOW + 1) {
        *word = match config.get(field) {
            Some(Value::Count(count)) => count,
            Some(Value::Real(real)) => real.to_bits(),
            Some(Value::Span(span)) => nanos(span),
            None => 0,
        };
    }
    words
}

/// The settings that [`words`] says; from shared memory they are to be checked as any argument.
pub(super) fn config(words: &[u64; CONFIG_WORDS]) -> BreakerConfig {
    let mut config = BreakerConfig::default();
    let window = words[WINDOW];
    config.window = match words[KIND] {
        0 => Window::Calls(u32::try_from(window).unwrap_or(u32::MAX)),
        _ => Window::Duration(Duration::from_nanos(window)),
    };
    for (&word, field) in words.iter().zip(SETTINGS.fields).skip(WINDOW + 1) {
        let value = match field.kind {
            Kind::Count { .. } => Value::Count(word),
            Kind::Real { .. } => Value::Real(f64::from_bits(word)),
            _ => Value::Span(Duration::from_nanos(word)),
        };
        // Of a setting that may be left out, 0 says that it is.
        config.set(field, Some(value).filter(|_| word != 0 || field.default != Preset::Unset));
    }
    config
}

/// A word in which 0 stands for "never".
#[inline]
pub(super) fn or_never(word: u64) -> u64 {
    word.wrapping_sub(1).saturating_add(1)
}
