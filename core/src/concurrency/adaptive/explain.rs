//! The state of an adaptive limit in words: a line for each thing that may hold it where it is.

use super::estimate::Estimate;
use super::rule::State;
use std::time::Duration;

fn ns(ns: f64) -> String {
    // Three digits are what a histogram knows.
    format!("{:.3?}", Duration::from_nanos(ns.clamp(0.0, 1e18) as u64))
}

impl Estimate {
    /// Lines for people; their text may change.
    pub(in super::super) fn explain(&self) -> Vec<String> {
        let (config, control) = (&self.config, self.control());
        let state = self.state(control);
        let mut lines = vec![
            format!("algorithm: {}, after {} windows", config.algorithm.name(), control.number),
            format!(
                "limit: {} of {} to {}, from {}",
                control.limit, config.min_limit, config.max_limit, config.initial_limit
            ),
        ];
        let base = match (config.base, state.base()) {
            (Some(base), _) => format!("base: {base:?}, fixed"),
            (None, Some(base)) => format!("base: {}", ns(base)),
            (None, None) => "base: none yet".to_owned(),
        };
        match state {
            State::Gradient(state) => {
                lines.push(base);
                lines.push(format!("tolerance: the median may be {} times the base", config.tolerance));
                lines.push(match (control.is_probe, config.probe, config.base) {
                    (_, _, Some(_)) => "probe: none, the base is fixed".to_owned(),
                    (_, false, _) => "probe: off".to_owned(),
                    (true, ..) => format!("probe: under way, {} calls at most; then {}", 40, state.saved as u32),
                    (false, ..) => {
                        format!("probe: {} so far; a suspicion repeats one after {}", state.probes, ns(state.wait))
                    }
                });
                lines.push(match config.max_latency {
                    Some(most) => format!("max latency: above {most:?} the limit falls and the base stays"),
                    None => "max latency: none".to_owned(),
                });
                lines.push(match config.probe_floor {
                    Some(floor) => format!("floor: {}, of a probe {floor}", config.min_limit),
                    None => format!("floor: {}, of a probe too", config.min_limit),
                });
                lines.push(format!(
                    "window: {:?} and {} samples, at most {:?}; no step with fewer than {}",
                    config.window, config.samples, config.max_window, config.min_samples
                ));
            }
            State::Gradient2(_) | State::Vegas(_) | State::Aimd(_) => {
                lines.push(format!("window: {:?}, no step with fewer than {} samples", config.window, config.samples));
            }
        }
        lines
    }
}
