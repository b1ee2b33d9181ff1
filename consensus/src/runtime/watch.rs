//! A watch channel that wakes who waits in the order in which they came: tokio's own has them in an order of chance, and
//! a simulation would not be the same twice.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use openraft::OptionalSend;
use openraft::OptionalSync;
use openraft::async_runtime::watch as asked;
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Notify;

/// The same as `tokio::sync::watch::channel`.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    version: AtomicU64,
    changed: Notify,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// Where values are put.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Where they are seen.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
    /// How often it was waited for what cannot change any more.
    in_vain: u64,
}

/// Whoever waits so often for what cannot change any more would go on with it for ever, and no time would pass.
const IN_VAIN_MAX: u64 = 10_000;

/// Nobody sends any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Where tokio has it.
pub mod error {
    pub use super::RecvError;
}

/// A look at a value, which nobody changes meanwhile.
#[derive(Debug)]
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Sender<T> {
    /// One that nobody listens to yet.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            changed: Notify::new(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
        }))
    }

    /// Another that hears of every change from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { shared: self.0.clone(), seen: self.0.version.load(Ordering::Relaxed), in_vain: 0 }
    }

    /// Looks at the value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.value.read())
    }

    /// Changes the value, and tells of it if that says so.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = modify(&mut self.0.value.write());
        if modified {
            self.0.version.fetch_add(1, Ordering::Relaxed);
            self.0.changed.notify_waiters();
        }
        modified
    }

    /// Changes the value, and tells of it.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Puts another value there, and gives back the old one.
    pub fn send_replace(&self, value: T) -> T {
        let mut old = value;
        self.send_modify(|value| std::mem::swap(value, &mut old));
        old
    }
}

impl<T> Receiver<T> {
    /// Looks at the value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.value.read())
    }

    /// Looks at the value, and takes it for seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.seen = self.shared.version.load(Ordering::Relaxed);
        self.borrow()
    }

    /// Waits for another value than was seen.
    ///
    /// # Errors
    /// If there will be none.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let version = self.shared.version.load(Ordering::Relaxed);
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if self.shared.senders.load(Ordering::Relaxed) == 0 {
                self.in_vain += 1;
                assert!(self.in_vain < IN_VAIN_MAX, "goes round and round, because nobody sends any more");
                return Err(RecvError);
            }
            changed.await;
        }
    }

    /// Waits for a value like that.
    ///
    /// # Errors
    /// If there will be none.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        loop {
            let is_there = wanted(&self.borrow_and_update());
            if is_there {
                return Ok(self.borrow());
            }
            self.changed().await?;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), seen: self.seen, in_vain: 0 }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The same for Raft.
pub struct Watch;

impl asked::Watch for Watch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(value: T) -> (Sender<T>, Receiver<T>) {
        channel(value)
    }
}

impl<T: OptionalSend + OptionalSync> asked::WatchSender<Watch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), asked::SendError<T>> {
        if self.0.receivers.load(Ordering::Relaxed) == 0 {
            return Err(asked::SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        Self::send_if_modified(self, modify)
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        Self::subscribe(self)
    }
}

impl<T: OptionalSend + OptionalSync> asked::WatchReceiver<Watch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), asked::RecvError> {
        Self::changed(self).await.map_err(|RecvError| asked::RecvError(()))
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.borrow()
    }

    fn borrow_and_update(&mut self) -> Ref<'_, T> {
        Self::borrow_and_update(self)
    }
}
