//! Named tasks, joined at shutdown.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span};

use crate::runtime;

/// The tasks of this member, so that none is left behind when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    running: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs `task` on the current runtime until it returns or the member shuts down: it is then dropped where it
    /// waits.
    pub(crate) fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.spawn_to_end(name, async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Runs `task` on the current runtime until it returns. It must do so soon after [`stopping`](Self::stopping).
    pub(crate) fn spawn_to_end<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let alarm = Alarm(name);
        let watched = async move {
            task.await;
            drop(alarm);
        };
        runtime::spawn(self.running.track_future(watched.instrument(info_span!("task", name))));
    }

    /// Is cancelled when the member shuts down.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends all tasks, and returns when they have ended.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

/// Says so when the task that holds it panics: nobody waits for a task's result before shutdown.
struct Alarm(&'static str);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(task = self.0, "task panicked; this member lacks a part until it is restarted");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn shutdown_ends_what_would_wait_for_ever() {
        struct Mark(Arc<AtomicBool>);
        impl Drop for Mark {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        let tasks = Tasks::default();
        let dropped = Arc::new(AtomicBool::new(false));
        let mark = Mark(dropped.clone());
        tasks.spawn("wait", async move {
            let _mark = mark;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert!(!dropped.load(Ordering::SeqCst));
        tasks.shutdown().await;
        assert!(dropped.load(Ordering::SeqCst));
    }
}
