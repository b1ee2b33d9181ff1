//! A life of a simulated member: everything that it started, which a crash ends at once, and its own randomness.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

use super::bugs::Bug;
use super::dice::Dice;
use super::witness::Witness;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Life>>> = const { RefCell::new(None) };
}

/// The life whose task runs now; none outside a simulation.
pub(crate) fn current() -> Option<Arc<Life>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Looks at the life whose task runs now.
pub(crate) fn with_current<T>(look: impl FnOnce(Option<&Arc<Life>>) -> T) -> T {
    CURRENT.with_borrow(|life| look(life.as_ref()))
}

/// From a start of a member to its end.
pub(crate) struct Life {
    /// Whose life it is.
    pub(crate) member: u64,
    pub(crate) witness: Arc<Witness>,
    pub(crate) dice: Dice,
    pub(crate) bug: Option<Bug>,
    inner: Mutex<Inner>,
}

struct Inner {
    over: bool,
    panicked: bool,
    /// What its clock shows more than the true one, in milliseconds.
    clock_ahead: i64,
    /// Whether it stands still, and who is to go on with it.
    paused: Option<Vec<Waker>>,
    tasks: Vec<AbortHandle>,
    prune_at: usize,
}

impl Life {
    /// A life of `member`, with the randomness of this seed.
    pub(crate) fn new(member: u64, witness: Arc<Witness>, bug: Option<Bug>, seed: u64) -> Arc<Self> {
        let inner = Inner {
            over: false,
            panicked: false,
            clock_ahead: 0,
            paused: None,
            tasks: Vec::new(),
            prune_at: 64,
        };
        Arc::new(Self { member, witness, dice: Dice::new(seed), bug, inner: Mutex::new(inner) })
    }

    /// Starts a task that ends with this life.
    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(self.clone().scope(future));
        let mut inner = self.inner.lock();
        if inner.over {
            task.abort();
            return task;
        }
        inner.tasks.push(task.abort_handle());
        if inner.tasks.len() >= inner.prune_at {
            inner.tasks.retain(|task| !task.is_finished());
            inner.prune_at = 64.max(2 * inner.tasks.len());
        }
        task
    }

    /// Does as if the future were one of this life.
    pub(crate) fn scope<F: Future>(self: Arc<Self>, future: F) -> Scoped<F> {
        Scoped { life: self, future: Some(Box::pin(future)) }
    }

    /// Ends it: nothing that it started does anything more.
    pub(crate) fn end(&self) {
        let tasks = {
            let mut inner = self.inner.lock();
            inner.over = true;
            std::mem::take(&mut inner.tasks)
        };
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Whether one of its tasks has panicked.
    pub(crate) fn has_panicked(&self) -> bool {
        self.inner.lock().panicked
    }

    /// What its clock on the wall shows, in milliseconds since the epoch.
    pub(crate) fn wall(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.witness.now()).unwrap_or(0) + self.inner.lock().clock_ahead
    }

    /// Sets its clock on the wall.
    pub(crate) fn set_clock(&self, ahead: i64) {
        self.inner.lock().clock_ahead = ahead;
    }

    /// Lets nothing of it go on, while time passes.
    pub(crate) fn pause(&self) {
        self.inner.lock().paused.get_or_insert_default();
    }

    /// Goes on.
    pub(crate) fn resume(&self) {
        let waiting = self.inner.lock().paused.take();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

/// A future of a life.
pub(crate) struct Scoped<F> {
    life: Arc<Life>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(paused) = &mut self.life.inner.lock().paused {
            paused.push(cx.waker().clone());
            return Poll::Pending;
        }
        let _entered = Entered::new(self.life.clone());
        self.future.as_mut().expect("it has not been dropped").as_mut().poll(cx)
    }
}

impl<F> Drop for Scoped<F> {
    fn drop(&mut self) {
        let _entered = Entered::new(self.life.clone());
        self.future = None;
    }
}

struct Entered(Option<Arc<Life>>);

impl Entered {
    fn new(life: Arc<Life>) -> Self {
        Self(CURRENT.replace(Some(life)))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = CURRENT.replace(self.0.take());
        if let Some(life) = left.filter(|_| std::thread::panicking()) {
            life.inner.lock().panicked = true;
        }
    }
}
