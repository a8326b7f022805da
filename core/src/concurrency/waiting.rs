//! The forms of acquiring that wait.

use super::lending::{self, Asked};
use super::listener::ConcurrencyListener;
use super::wait_queue::ADMITTED;
use super::{ConcurrencyLimiter, ConcurrencyPermit, Partition};
use crate::mode::Mode;
use crate::wait::block_with_pauses;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

impl ConcurrencyLimiter {
    /// Blocks this thread for a permit, in the config's [order](super::WaitOrder) among those of this process who wait
    /// on this object; `None` after `timeout` (`None`: never gives up), or at once if as many wait as may. A
    /// `try_acquire` may come in between. In a named scope a place goes to the process whose first has waited longest
    /// (newest first: that was served longest ago), up to 10 ms give or take; as nobody wakes another process, each
    /// looks by itself every 1 to 10 ms. A process that was killed or stopped while it waited keeps one place free for
    /// 26 ms at most.
    pub fn acquire(&self, timeout: Option<Duration>) -> Option<ConcurrencyPermit> {
        self.acquire_in(Partition::default(), timeout)
    }

    /// [`acquire`](Self::acquire) for a call of `partition`. Each partition has an order of its own; a call within its
    /// partition's guarantee waits for no other's turn.
    pub fn acquire_in(&self, partition: Partition, timeout: Option<Duration>) -> Option<ConcurrencyPermit> {
        if timeout == Some(Duration::ZERO) {
            return self.try_acquire_in(partition);
        }
        if let Some(permit) = self.at_once_in(partition) {
            return Some(permit);
        }
        let mut listener = None;
        let answer = block_with_pauses(timeout, |context| {
            let listener = listener.get_or_insert_with(|| self.listen_in(partition, context.waker()));
            if listener.is_refused() {
                return Ok(None);
            }
            listener.take().map(Some).ok_or_else(|| listener.retry_in())
        });
        answer.unwrap_or_else(|| {
            listener.take().into_iter().for_each(ConcurrencyListener::time_out);
            None
        })
    }

    /// [`acquire`](Self::acquire) for any async runtime, without a deadline (put the runtime's own around it). In a
    /// named scope it is woken by releases of this process only, and with partitions by releases only, not when a place
    /// is not kept any more: there, use [`acquire_async_with`](Self::acquire_async_with). `None`, at once: as many wait
    /// as may.
    ///
    /// Cancel safe: dropped before it is ready, it leaves the line, and a permit that was given to it goes to the next.
    pub async fn acquire_async(&self) -> Option<ConcurrencyPermit> {
        self.acquire_async_in(Partition::default()).await
    }

    /// [`acquire_async`](Self::acquire_async) for a call of `partition`.
    pub async fn acquire_async_in(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        self.acquire_with(partition, None::<fn(Duration) -> std::future::Pending<()>>).await
    }

    /// [`acquire_async`](Self::acquire_async) in any scope; `sleep` is the runtime's timer (`tokio::time::sleep`).
    pub async fn acquire_async_with<S: Future<Output = ()>>(
        &self,
        sleep: impl FnMut(Duration) -> S,
    ) -> Option<ConcurrencyPermit> {
        self.acquire_async_in_with(Partition::default(), sleep).await
    }

    /// [`acquire_async_with`](Self::acquire_async_with) for a call of `partition`.
    pub async fn acquire_async_in_with<S: Future<Output = ()>>(
        &self,
        partition: Partition,
        sleep: impl FnMut(Duration) -> S,
    ) -> Option<ConcurrencyPermit> {
        self.acquire_with(partition, Some(sleep)).await
    }

    async fn acquire_with<S: Future<Output = ()>>(
        &self,
        partition: Partition,
        mut sleep: Option<impl FnMut(Duration) -> S>,
    ) -> Option<ConcurrencyPermit> {
        if let Some(permit) = self.at_once_in(partition) {
            return Some(permit);
        }
        let deaf = sleep.is_none();
        let mut listener = poll_fn(|context| Poll::Ready(self.join(partition, context.waker(), deaf))).await;
        if listener.is_refused() {
            return None;
        }
        loop {
            let mut nap = pin!(sleep.as_mut().and_then(|sleep| listener.retry_in().map(sleep)));
            let look = poll_fn(|context| {
                listener.rearm(context.waker());
                match (listener.take(), nap.as_mut().as_pin_mut()) {
                    (None, Some(nap)) => nap.poll(context).map(|()| None),
                    (None, None) => Poll::Pending,
                    (permit, _) => Poll::Ready(permit),
                }
            });
            if let Some(permit) = look.await {
                return Some(permit);
            }
        }
    }

    /// Joins the line for a permit; `waker` is called once when it is there to be taken. The building block of waiting
    /// forms in other runtimes: listen, [`take`](ConcurrencyListener::take), and again when woken or after
    /// [`retry_in`](ConcurrencyListener::retry_in); drop the listener to give up, or let it [time
    /// out](ConcurrencyListener::time_out). Where there is nothing to wait for, the permit is there at once, and the
    /// waker is not called. Where as many wait as may, it [is refused](ConcurrencyListener::is_refused).
    pub fn listen(&self, waker: &Waker) -> ConcurrencyListener {
        self.listen_in(Partition::default(), waker)
    }

    /// [`listen`](Self::listen) for a call of `partition`.
    pub fn listen_in(&self, partition: Partition, waker: &Waker) -> ConcurrencyListener {
        self.join(partition, waker, false)
    }

    fn join(&self, partition: Partition, waker: &Waker, deaf: bool) -> ConcurrencyListener {
        match self.at_once_in(partition) {
            Some(permit) => ConcurrencyListener::granted(&self.shared, permit),
            None => ConcurrencyListener::waiting(&self.shared, waker, deaf, partition),
        }
    }

    /// What a waiting form does first: a permit, unless the limit is reached or others wait, here or in another
    /// process. A denial is not counted: the wait is, when it ends.
    pub fn at_once(&self) -> Option<ConcurrencyPermit> {
        self.at_once_in(Partition::default())
    }

    /// [`at_once`](Self::at_once) for a call of `partition`: within its guarantee only others of it come before.
    pub fn at_once_in(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        match self.shared.mode {
            Mode::Enforce if self.shared.is_others_turn(partition) => self.guaranteed(partition),
            _ => self.poll_in(partition),
        }
    }

    /// A look by one who waits without a listener, and so in no line: a permit, unless the limit is reached or others
    /// wait in this process. A denial is not counted.
    pub fn poll(&self) -> Option<ConcurrencyPermit> {
        self.poll_in(Partition::default())
    }

    /// [`poll`](Self::poll) for a call of `partition`: within its guarantee only others of it come before.
    pub fn poll_in(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        match self.shared.mode {
            Mode::Enforce if self.shared.is_waited_for() => self.guaranteed(partition),
            Mode::Enforce => self.given(partition, || self.shared.attempt_in(partition, Asked::Waiting(1))),
            Mode::DryRun | Mode::Disabled => self.try_acquire_in(partition),
        }
    }

    /// A permit for one who comes before those that wait for others, as it is guaranteed it.
    fn guaranteed(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        self.given(partition, || self.shared.attempt_guaranteed(partition))
    }

    fn given(
        &self,
        partition: Partition,
        attempt: impl FnOnce() -> Option<ConcurrencyPermit>,
    ) -> Option<ConcurrencyPermit> {
        let asked = self.shared.asked();
        let permit = attempt()?;
        self.shared.counts.add(ADMITTED, 1);
        self.shared.count_in(lending::ADMITTED, partition);
        Some(self.shared.stamped(permit, asked))
    }
}
