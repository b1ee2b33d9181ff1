//! What tasks, and work that waits for a disk, run on: tokio's runtime, the one that they are started on.
//!
//! In tests a simulation may put a life of a member in its place, which can end at any moment.

use std::future::Future;

use openraft::async_runtime::AsyncRuntime;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::Fault;

#[cfg(any(test, simulation))]
pub(crate) mod bugs;
#[cfg(any(test, simulation))]
pub(crate) mod dice;
#[cfg(any(test, simulation))]
pub(crate) mod life;
pub(crate) mod own;
mod raft;
#[cfg(any(test, simulation))]
pub mod watch;
#[cfg(any(test, simulation))]
pub(crate) mod witness;
#[cfg(not(any(test, simulation)))]
pub use tokio::sync::watch;

pub(crate) use raft::Runtime;

/// Starts a task on the current runtime.
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Runtime::spawn(task)
}

/// Starts a task on that runtime.
pub(crate) fn spawn_on<F>(handle: &Handle, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _entered = handle.enter();
    spawn(task)
}

/// Does what waits for a disk where waiting holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    #[cfg(any(test, simulation))]
    if life::current().is_some() {
        // A simulated disk waits in simulated time, and elsewhere.
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::Other(format!("work for the disk was given up: {error}")))?
}
