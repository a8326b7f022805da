//! SIGTERM, SIGINT and SIGHUP end the agent, by a message to its main thread.

use nix::sys::signal::{SigSet, Signal};
use std::sync::mpsc::Sender;

/// Before any other thread is started. What was ignored (`nohup`) stays ignored.
///
/// Errors: the system refuses.
pub(crate) fn watch(end: Sender<()>) -> Result<(), String> {
    let mut ending = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| ending.add(signal));
    ending.thread_block().map_err(|error| format!("signals: {error}"))?;
    let wait = move || {
        // Whatever it says: there is no more to wait for.
        let _ = ending.wait();
        let _ = end.send(());
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map(drop)
        .map_err(|error| format!("signals: {error}"))
}
