//! Colours, where they are seen.

use crate::Output;
use clap::builder::styling::{AnsiColor, Style};
use tidegate::breaker::State;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// On a terminal, unless its user wants none (<https://no-color.org>).
    pub(crate) fn of(to: &Output<'_>) -> Self {
        Self(to.terminal && std::env::var_os("NO_COLOR").is_none_or(|cli| cli.is_empty()))
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Green lets calls pass, red refuses them.
    pub(crate) fn state(self, state: State, name: &str) -> String {
        match state {
            State::Closed => self.good(name),
            State::Open | State::ForcedOpen => self.bad(name),
            _ => self.warning(name),
        }
    }
}
