//! The forms of acquiring that wait.

use super::listener::ConcurrencyListener;
use super::{ConcurrencyLimiter, ConcurrencyPermit};
use crate::limit::Mode;
use crate::pressure::blocking::block_with_pauses;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

impl ConcurrencyLimiter {
    /// Blocks this thread for a permit, first come first served among those of this process who wait on this object; `None` after `timeout`
    /// (`None`: never gives up). A `try_acquire` may come in between. In a named scope, where another process's release wakes nobody
    /// here, it also looks by itself after 1, 2, 4, 8, then every 10 ms; processes have no common line, and what
    /// a process gives back mostly goes to its own waiters.
    pub fn acquire(&self, timeout: Option<Duration>) -> Option<ConcurrencyPermit> {
        if timeout == Some(Duration::ZERO) {
            return self.try_acquire();
        }
        if let Some(permit) = self.at_once() {
            return Some(permit);
        }
        let mut listener = None;
        block_with_pauses(timeout, |context| {
            let listener = listener.get_or_insert_with(|| self.listen(context.waker()));
            listener.take().ok_or_else(|| listener.retry_in())
        })
    }

    /// [`acquire`](Self::acquire) for any async runtime, without a deadline (put the runtime's own around it). In a named scope it is
    /// woken by releases of this process only: there, use [`acquire_async_with`](Self::acquire_async_with).
    ///
    /// Cancel safe: dropped before it is ready, it leaves the line, and a permit that was given to it goes to the next.
    pub async fn acquire_async(&self) -> ConcurrencyPermit {
        self.acquire_async_with(|_| pending()).await
    }

    /// [`acquire_async`](Self::acquire_async) in any scope; `sleep` is the runtime's timer (`tokio::time::sleep`).
    pub async fn acquire_async_with<S: Future<Output = ()>>(
        &self,
        mut sleep: impl FnMut(Duration) -> S,
    ) -> ConcurrencyPermit {
        if let Some(permit) = self.at_once() {
            return permit;
        }
        let mut listener = poll_fn(|context| Poll::Ready(self.listen(context.waker()))).await;
        loop {
            let mut nap = pin!(listener.retry_in().map(&mut sleep));
            let look = poll_fn(|context| {
                listener.rearm(context.waker());
                match (listener.take(), nap.as_mut().as_pin_mut()) {
                    (None, Some(nap)) => nap.poll(context).map(|()| None),
                    (None, None) => Poll::Pending,
                    (permit, _) => Poll::Ready(permit),
                }
            });
            if let Some(permit) = look.await {
                return permit;
            }
        }
    }

    /// Joins the line for a permit; `waker` is called once when it is there to be taken. The building block of waiting forms in other runtimes:
    /// listen, [`take`](ConcurrencyListener::take), and again when woken or after
    /// [`retry_in`](ConcurrencyListener::retry_in); drop the listener to give up. Where there is nothing to wait for, the permit is
    /// there at once, and the waker is not called.
    pub fn listen(&self, waker: &Waker) -> ConcurrencyListener {
        match self.at_once() {
            Some(permit) => ConcurrencyListener::granted(&self.shared, permit),
            None => ConcurrencyListener::waiting(&self.shared, waker),
        }
    }

    /// What a waiting form does first: a permit, unless the limit is reached or others wait. A denial is not counted: the
    /// wait is, when it ends.
    pub fn at_once(&self) -> Option<ConcurrencyPermit> {
        match self.shared.mode {
            Mode::Enforce if self.shared.is_waited_for() => None,
            Mode::Enforce => self.shared.attempt().inspect(|_| self.count_admitted()),
            Mode::DryRun | Mode::Disabled => self.try_acquire(),
        }
    }
}
