//! The threads of a member: a flood of clients must not delay a heartbeat.

use tokio::runtime::{Handle, Runtime};

use crate::Fault;

/// A runtime that may be dropped anywhere, also on a thread of its own; `None` for the one that this is called on.
pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    /// With threads of its own.
    pub(crate) fn new() -> Result<Self, Fault> {
        // Two at least, because an apply of many transactions keeps one of them for a while. Few, because what a write takes is a
        // chain of short tasks: with four threads each of them woke another one, which found nothing left to do.
        let threads =
            std::thread::available_parallelism().map_or(2, |threads| (threads.get() / 2).clamp(2, 4));
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("raft")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Fault::Other(format!("start the threads of Raft: {error}")))
    }

    /// The one that this is called on.
    #[cfg(any(test, simulation))]
    pub(crate) const fn borrowed() -> Self {
        Self(None)
    }

    /// What starts tasks on it.
    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
