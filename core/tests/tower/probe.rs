//! A service that holds its caller to the contract of tower: only what was ready may be called.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use tower::Service;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Answers,
    NeverReady,
    NotReady,
    NeverEnds,
    Panics,
}

#[derive(Debug)]
pub(crate) struct Probe {
    behaviour: Behaviour,
    is_ready: bool,
    asked: Arc<[AtomicU32; 2]>,
}

impl Probe {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, is_ready: false, asked: Arc::default() }
    }

    /// How often all clones were asked whether they are ready, and were called.
    pub(crate) fn asked(&self) -> [u32; 2] {
        self.asked.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl Clone for Probe {
    /// A clone is not ready.
    fn clone(&self) -> Self {
        Self { behaviour: self.behaviour, is_ready: false, asked: Arc::clone(&self.asked) }
    }
}

impl Service<u16> for Probe {
    type Response = u16;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<u16, &'static str>> + Send + Sync>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.asked[0].fetch_add(1, Ordering::Relaxed);
        match self.behaviour {
            Behaviour::NeverReady => Poll::Pending,
            Behaviour::NotReady => Poll::Ready(Err("not ready")),
            _ => {
                self.is_ready = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn call(&mut self, status: u16) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called and was not ready");
        self.asked[1].fetch_add(1, Ordering::Relaxed);
        let behaviour = self.behaviour;
        Box::pin(async move {
            match behaviour {
                Behaviour::NeverEnds => std::future::pending().await,
                Behaviour::Panics => panic!("the service below"),
                _ => Ok(status),
            }
        })
    }
}
