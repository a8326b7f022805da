//! The forms that wait: threads and futures.

use super::BoundedQueue;
use super::error::{PopError, PushError, PushErrorKind};
use super::listener::Listener;
use super::options::{Place, PushOptions};
use super::rules::Taken;
use super::state::Interest;
use crate::wait::block;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

impl<T> BoundedQueue<T> {
    /// Puts `item` in, blocking this thread up to `timeout` (`None`: for ever) for room.
    ///
    /// Errors: the item with [`PushErrorKind::Full`] at the deadline, or [`PushErrorKind::Closed`].
    pub fn push(&self, item: T, timeout: Option<Duration>) -> Result<Option<T>, PushError<T>> {
        self.push_in(item, Place::default(), timeout)
    }

    /// [`push`](Self::push) into a lane, or with a deadline, which counts from the call.
    ///
    /// Errors: as there, and [`PushErrorKind::NoLane`].
    pub fn push_with(
        &self,
        item: T,
        options: PushOptions,
        timeout: Option<Duration>,
    ) -> Result<Option<T>, PushError<T>> {
        self.push_in(item, options.place(|| self.now()), timeout)
    }

    fn push_in(&self, item: T, place: Place, timeout: Option<Duration>) -> Result<Option<T>, PushError<T>> {
        let mut slot = match self.put(item, place, || self.now()) {
            Err(PushError { item, kind: PushErrorKind::Full }) if timeout != Some(Duration::ZERO) => Some(item),
            done => return self.counted(done),
        };
        let mut listener = None;
        let done = block(timeout, |context| self.poll_push(context, &mut listener, &mut slot, place));
        self.counted(done.unwrap_or_else(|| Err(PushError { item: given_back(slot), kind: PushErrorKind::Full })))
    }

    /// Takes the next item, blocking this thread up to `timeout` (`None`: for ever).
    ///
    /// Errors: [`PopError::Empty`] at the deadline; [`PopError::Closed`] once it is closed and everything is out.
    pub fn pop(&self, timeout: Option<Duration>) -> Result<T, PopError> {
        self.wait_to_pop(timeout, || self.try_pop())
    }

    /// [`take`](Self::take), blocking this thread up to `timeout` (`None`: for ever). A dropped item ends the wait too.
    ///
    /// Errors: as [`pop`](Self::pop).
    pub fn take_within(&self, timeout: Option<Duration>) -> Result<Taken<T>, PopError> {
        self.wait_to_pop(timeout, || self.take())
    }

    fn wait_to_pop<R>(&self, timeout: Option<Duration>, look: impl Fn() -> Result<R, PopError>) -> Result<R, PopError> {
        match look() {
            Err(PopError::Empty) if timeout != Some(Duration::ZERO) => {}
            done => return done,
        }
        let mut listener = None;
        block(timeout, |context| self.poll_pop(context, &mut listener, &look)).unwrap_or(Err(PopError::Empty))
    }

    /// [`push`](Self::push) for any async runtime, without a deadline (put the runtime's own around it).
    ///
    /// Cancel safe: dropped before it is ready, the item has not been accepted and is dropped with it.
    ///
    /// Errors: the item with [`PushErrorKind::Closed`].
    pub async fn push_async(&self, item: T) -> Result<Option<T>, PushError<T>> {
        self.push_async_with(item, PushOptions::default()).await
    }

    /// [`push_async`](Self::push_async) into a lane, or with a deadline, which counts from the call.
    ///
    /// Errors: as there, and [`PushErrorKind::NoLane`].
    pub async fn push_async_with(&self, item: T, options: PushOptions) -> Result<Option<T>, PushError<T>> {
        let place = options.place(|| self.now());
        let (mut slot, mut listener) = (Some(item), None);
        let done = poll_fn(|context| self.poll_push(context, &mut listener, &mut slot, place)).await;
        self.counted(done)
    }

    /// [`pop`](Self::pop) for any async runtime, without a deadline (put the runtime's own around it).
    ///
    /// Cancel safe: dropped before it is ready, it has taken nothing, and a wake-up that was meant for it goes to the
    /// next.
    ///
    /// Errors: [`PopError::Closed`] once it is closed and everything is out.
    pub async fn pop_async(&self) -> Result<T, PopError> {
        let mut listener = None;
        poll_fn(|context| self.poll_pop(context, &mut listener, &|| self.try_pop())).await
    }

    fn poll_push(
        &self,
        context: &mut Context<'_>,
        listener: &mut Option<Listener>,
        slot: &mut Option<T>,
        place: Place,
    ) -> Poll<Result<Option<T>, PushError<T>>> {
        loop {
            let item = slot.take().expect("a finished push is not polled again");
            match self.put(item, place, || self.now()) {
                Err(PushError { item, kind: PushErrorKind::Full }) => *slot = Some(item),
                done => return Poll::Ready(done),
            }
            if self.waits(Interest::Push, context, listener) {
                return Poll::Pending;
            }
        }
    }

    fn poll_pop<R>(
        &self,
        context: &mut Context<'_>,
        listener: &mut Option<Listener>,
        look: &impl Fn() -> Result<R, PopError>,
    ) -> Poll<Result<R, PopError>> {
        loop {
            match look() {
                Err(PopError::Empty) => {}
                done => return Poll::Ready(done),
            }
            if self.waits(Interest::Pop, context, listener) {
                return Poll::Pending;
            }
        }
    }

    /// Registered, or still registered: the waker will be called. Otherwise it is time to try again.
    fn waits(&self, interest: Interest, context: &mut Context<'_>, listener: &mut Option<Listener>) -> bool {
        if listener.as_ref().is_some_and(|listener| listener.rearm(context.waker())) {
            return true;
        }
        let fresh = Listener::new(self.state(), interest, context.waker());
        !listener.insert(fresh).was_satisfied()
    }
}

fn given_back<T>(slot: Option<T>) -> T {
    slot.expect("a push that is not done still has its item")
}
