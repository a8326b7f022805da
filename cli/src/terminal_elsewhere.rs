//! Where there is no host scope there is nothing to look at live.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

/// There is none.
#[derive(Debug)]
pub(crate) struct Screen(Infallible);

impl Screen {
    pub(crate) fn open() -> Option<Self> {
        None
    }

    pub(crate) fn draw(&self, _page: &str, _interval: Duration, _out: &mut dyn Write) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn wait(&mut self, _interval: Duration) -> io::Result<bool> {
        match self.0 {}
    }
}
