//! Where there is no host scope there is nothing to look at live.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

/// There is none.
#[derive(Debug)]
pub(super) struct Screen(Infallible);

impl Screen {
    pub(super) fn open() -> Option<Self> {
        None
    }

    pub(super) fn draw(&self, _page: &str, _interval: Duration, _out: &mut dyn Write) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn wait(&mut self, _interval: Duration) -> io::Result<bool> {
        match self.0 {}
    }
}
