//! The algorithms behind one face: when a window ends, and what follows from it.

use super::aimd::Aimd;
use super::gradient::{Gradient, Probe};
use super::gradient2::Gradient2;
use super::vegas::Vegas;
use super::window::Window;
use super::{AdaptiveAlgorithm, AdaptiveConfig, gradient, gradient2, vegas};

/// Netflix's `WindowedLimit` takes no notice of shorter latencies, ns.
const LEAST_LATENCY: u64 = 100_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    Gradient(Gradient),
    Gradient2(Gradient2, Windowed),
    Vegas(Vegas, Windowed),
    Aimd(Aimd, Windowed),
}

/// Netflix's `WindowedLimit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windowed {
    window: u64,
    samples: u64,
}

/// What is known after a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Gradient(gradient::State),
    Gradient2(gradient2::State),
    Vegas(vegas::State),
    Aimd(u32),
}

/// A state as words of shared memory.
pub(super) const WORDS: usize = 11;
pub(super) type Words = [u64; WORDS];

/// `few`, and nothing behind them.
fn padded<const N: usize>(few: [u64; N]) -> Words {
    let mut words = [0; WORDS];
    words.iter_mut().zip(few).for_each(|(word, one)| *word = one);
    words
}

impl Rule {
    pub(super) fn of(config: &AdaptiveConfig) -> Self {
        let [min_limit, initial_limit, max_limit] =
            [config.min_limit, config.initial_limit, config.max_limit].map(f64::from);
        let ns = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let windowed = Windowed { window: ns(config.window), samples: config.samples.into() };
        match config.algorithm {
            AdaptiveAlgorithm::Gradient => {
                let floor = config.probe_floor.map_or(min_limit, f64::from);
                Self::Gradient(Gradient {
                    min_limit,
                    initial_limit,
                    max_limit,
                    tolerance: config.tolerance,
                    window: windowed.window,
                    samples: windowed.samples,
                    max_window: ns(config.max_window),
                    min_samples: config.min_samples.into(),
                    probe: config.probe.then(|| Probe { every: ns(config.probe_every) as f64, floor }),
                    max_latency: config.max_latency.map(|most| ns(most) as f64),
                    base: config.base.map(|base| ns(base) as f64),
                })
            }
            AdaptiveAlgorithm::Gradient2 => Self::Gradient2(
                Gradient2 { min_limit, initial_limit, max_limit, tolerance: config.tolerance },
                windowed,
            ),
            AdaptiveAlgorithm::Vegas => {
                let decrease = vegas::decrease;
                Self::Vegas(Vegas { min_limit, initial_limit, max_limit, smoothing: 1.0, decrease }, windowed)
            }
            AdaptiveAlgorithm::Aimd => {
                let AdaptiveConfig { min_limit, initial_limit, max_limit, backoff_ratio, .. } = *config;
                let timeout = ns(config.timeout);
                Self::Aimd(Aimd { min_limit, initial_limit, max_limit, backoff_ratio, timeout }, windowed)
            }
        }
    }

    /// `draw`: 0 to 1, of the limiter's own.
    pub(super) fn start(&self, draw: f64) -> State {
        match self {
            Self::Gradient(rule) => State::Gradient(rule.start()),
            Self::Gradient2(rule, _) => State::Gradient2(rule.start()),
            Self::Vegas(rule, _) => State::Vegas(rule.start(draw)),
            Self::Aimd(rule, _) => State::Aimd(rule.initial_limit),
        }
    }

    fn windowed(&self) -> Option<Windowed> {
        match self {
            Self::Gradient(_) => None,
            Self::Gradient2(_, windowed) | Self::Vegas(_, windowed) | Self::Aimd(_, windowed) => Some(*windowed),
        }
    }

    /// Whether it is the default's, which reads a histogram where Netflix's read a mean.
    pub(super) fn is_gradient(&self) -> bool {
        self.windowed().is_none()
    }

    /// Whether a latency is one of its samples.
    pub(super) fn counts(&self, ns: u64) -> bool {
        self.is_gradient() || ns >= LEAST_LATENCY
    }

    /// Whether a window is to end.
    pub(super) fn ends(&self, number: u64, is_probe: bool, elapsed: u64, calls: u64) -> bool {
        match (self, self.windowed()) {
            (Self::Gradient(rule), _) => rule.ends(is_probe, elapsed, calls),
            // Netflix's first window is the first sample.
            (_, Some(windowed)) => number == 0 || elapsed > windowed.window,
            (_, None) => false,
        }
    }

    /// The longest that a window takes while there are calls, ns.
    pub(super) fn longest(&self) -> u64 {
        match (self, self.windowed()) {
            (_, Some(windowed)) => windowed.window,
            (Self::Gradient(rule), None) => rule.max_window,
            (_, None) => 0,
        }
    }

    /// The state after a window.
    pub(super) fn next(&self, state: State, window: &Window, draw: f64) -> State {
        if self.windowed().is_some_and(|windowed| window.calls < windowed.samples) {
            return state;
        }
        match (self, state) {
            (Self::Gradient(rule), State::Gradient(state)) => State::Gradient(rule.next(state, window, draw)),
            (Self::Gradient2(rule, _), State::Gradient2(state)) => State::Gradient2(rule.next(state, window)),
            (Self::Vegas(rule, _), State::Vegas(state)) => State::Vegas(rule.next(state, window, draw)),
            (Self::Aimd(rule, _), State::Aimd(limit)) => State::Aimd(rule.next(limit, window)),
            (_, state) => state,
        }
    }

    /// The state that stands in shared memory.
    pub(super) fn state_of(&self, words: Words) -> State {
        let [a, b, c, d, ..] = words;
        match self {
            Self::Gradient(_) => State::Gradient(gradient::State::of_words(words)),
            Self::Gradient2(..) => State::Gradient2(gradient2::State::of_words([a, b, c, d])),
            Self::Vegas(..) => State::Vegas(vegas::State::of_words([a, b, c, d])),
            Self::Aimd(..) => State::Aimd(a as u32),
        }
    }
}

impl State {
    pub(super) fn to_words(self) -> Words {
        match self {
            Self::Gradient(state) => state.to_words(),
            Self::Gradient2(state) => padded(state.to_words()),
            Self::Vegas(state) => padded(state.to_words()),
            Self::Aimd(limit) => padded([limit.into()]),
        }
    }

    /// In force.
    pub(super) fn limit(self) -> u32 {
        match self {
            Self::Gradient(state) => state.limit as u32,
            Self::Gradient2(state) => state.limit as u32,
            Self::Vegas(state) => state.limit as u32,
            Self::Aimd(limit) => limit,
        }
    }

    /// The same with another limit.
    pub(super) fn with_limit(self, limit: u32) -> Self {
        let real = f64::from(limit);
        match self {
            Self::Gradient(state) => Self::Gradient(gradient::State { limit: real, ..state }),
            Self::Gradient2(state) => Self::Gradient2(gradient2::State { limit: real, ..state }),
            Self::Vegas(state) => Self::Vegas(vegas::State { limit: real, ..state }),
            Self::Aimd(_) => Self::Aimd(limit),
        }
    }

    pub(super) fn is_probe(self) -> bool {
        matches!(self, Self::Gradient(state) if state.saved > 0.0)
    }

    /// The latency of an unloaded call, where it has one: ns.
    pub(super) fn base(self) -> Option<f64> {
        match self {
            Self::Gradient(state) => Some(state.base).filter(|&base| base > 0.0),
            Self::Gradient2(_) | Self::Aimd(_) => None,
            Self::Vegas(state) => Some(state.unloaded as f64).filter(|&base| base > 0.0),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_shared_memory_is_counted_on() {
        let full = Window { now: u64::MAX, span: u64::MAX, calls: u64::MAX, dropped: u64::MAX, ..Window::default() };
        let full = Window { median: f64::MAX, mean: u64::MAX, most: u32::MAX, saturated: true, ..full };
        for algorithm in AdaptiveAlgorithm::ALL {
            let config = AdaptiveConfig::new(algorithm);
            let rule = Rule::of(&config);
            for words in [[u64::MAX; WORDS], [0; WORDS], [1; WORDS], [1 << 62; WORDS]] {
                let mut state = rule.state_of(words);
                for window in [full, Window::default(), full, full, full] {
                    state = rule.next(state, &window, 1.0);
                    assert!(state.limit() <= config.max_limit, "{state:?}");
                }
            }
        }
    }
}
