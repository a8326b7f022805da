//! Waiting in a thread: the same wakers as in a runtime, with a waker that unparks.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until ready, parking this thread in between; `None`: not ready at the deadline.
pub(crate) fn block<R>(timeout: Option<Duration>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> Option<R> {
    block_with_pauses(timeout, |context| match poll(context) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err(None),
    })
}

/// [`block`] for polls that say after what time, if any, they want to be tried again unwoken.
pub(crate) fn block_with_pauses<R>(
    timeout: Option<Duration>,
    mut poll: impl FnMut(&mut Context<'_>) -> Result<R, Option<Duration>>,
) -> Option<R> {
    // A deadline beyond the end of time is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        let pause = match poll(&mut context) {
            Ok(result) => return Some(result),
            Err(pause) => pause,
        };
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match (left, pause) {
            (Some(Duration::ZERO), _) => return None,
            (None, None) => thread::park(),
            (None, Some(time)) | (Some(time), None) => thread::park_timeout(time),
            (Some(left), Some(pause)) => thread::park_timeout(left.min(pause)),
        }
    }
}
