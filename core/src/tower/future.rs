//! One call: the wait for the service below, then its future.

// The pin of the future below is projected by hand.
#![allow(unsafe_code)]

use super::policy::Call;
use crate::breaker::CallError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A call of [`Guarded`](super::Guarded). Dropped before its end it is cancelled, and counts for nothing.
#[must_use = "futures do nothing unless polled"]
pub struct CallFuture<S: Service<Request>, Request, K: Call, R, C> {
    // In this order: what is below ends before the call does.
    stage: Stage<S, Request, R>,
    passed: Option<(Passed<K>, C)>,
}

/// What a refused, a waiting and a running call hold. Only `Running` is pinned.
enum Stage<S: Service<Request>, Request, R> {
    Refused(R),
    Waiting(S, Request),
    Running(S::Future),
    Done,
}

impl<S: Service<Request>, Request, K: Call, R, C> CallFuture<S, Request, K, R, C> {
    #[inline]
    pub(super) fn passed(request: Request, call: K, below: impl FnOnce() -> (S, C)) -> Self {
        // A clone that panics has failed, as all that comes after it.
        let mut passed = Passed { call, if_dropped: Some(ByPanic(true)) };
        let (service, classify) = below();
        passed.if_dropped = Some(ByPanic(false));
        Self { stage: Stage::Waiting(service, request), passed: Some((passed, classify)) }
    }

    #[inline]
    pub(super) fn refused(refusal: R) -> Self {
        Self { stage: Stage::Refused(refusal), passed: None }
    }
}

impl<S, Request, K, R, C, J> Future for CallFuture<S, Request, K, R, C>
where
    S: Service<Request>,
    K: Call,
    C: Fn(&Result<S::Response, S::Error>) -> J,
    J: Into<K::End>,
{
    type Output = Result<S::Response, CallError<S::Error, R>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the one field that is treated as pinned is the future in `Stage::Running`. It is made in its place,
        // never moved out of it, and dropped there: by the assignment of another stage, or with all of this, which has
        // no `Drop` of its own and is `Unpin` only where that future is.
        let this = unsafe { self.get_unchecked_mut() };
        let Some((passed, classify)) = &mut this.passed else {
            return match std::mem::replace(&mut this.stage, Stage::Done) {
                Stage::Refused(refusal) => Poll::Ready(Err(CallError::Rejected(refusal))),
                _ => panic!("polled after its end"),
            };
        };
        // Whoever leaves by a panic from here on, has failed.
        passed.if_dropped = Some(ByPanic(true));
        let Poll::Ready(end) = this.stage.poll(context) else {
            passed.if_dropped = Some(ByPanic(false));
            return Poll::Pending;
        };
        passed.end(classify(&end).into());
        // The future below is dropped before its caller goes on.
        this.stage = Stage::Done;
        this.passed = None;
        Poll::Ready(end.map_err(CallError::Failed))
    }
}

impl<S: Service<Request>, Request, R> Stage<S, Request, R> {
    /// Invariant: `self` is in its final place.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<S::Response, S::Error>> {
        if let Self::Waiting(service, _) = self {
            ready!(service.poll_ready(context))?;
            if let Self::Waiting(mut service, request) = std::mem::replace(self, Self::Done) {
                *self = Self::Running(service.call(request));
            }
        }
        match self {
            // SAFETY: see `CallFuture::poll`.
            Self::Running(future) => unsafe { Pin::new_unchecked(future) }.poll(context),
            _ => panic!("polled after its end"),
        }
    }
}

/// A call that is reported once, at the latest when it is dropped.
struct Passed<K: Call> {
    call: K,
    /// `None`: it was reported.
    if_dropped: Option<ByPanic>,
}

/// Whether a panic is what drops it.
struct ByPanic(bool);

impl<K: Call> Passed<K> {
    #[inline]
    fn end(&mut self, end: K::End) {
        self.if_dropped = None;
        self.call.end(end);
    }
}

impl<K: Call> Drop for Passed<K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ByPanic(by_panic)) = self.if_dropped.take() {
            self.call.dropped(by_panic);
        }
    }
}

impl<S: Service<Request>, Request, K: Call, R, C> fmt::Debug for CallFuture<S, Request, K, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Refused(_) => "refused",
            Stage::Waiting(..) => "waiting",
            Stage::Running(_) => "running",
            Stage::Done => "done",
        };
        f.debug_struct("CallFuture").field("stage", &stage).finish_non_exhaustive()
    }
}
