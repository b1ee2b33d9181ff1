//! Answers that tell all watches or sessions of the ensemble: gathered aside, made while they are sent, few at a time.
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::source::Source;
use super::watching::Pieces;

/// Such an answer, piece by piece. When it is dropped, somebody else may ask.
pub(crate) struct Listing {
    pieces: Pieces,
    _place: Option<OwnedSemaphorePermit>,
}

impl Iterator for Listing {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.pieces.next()
    }
}

/// Waits for a place, and gathers the answer on a thread where it keeps nobody waiting: to sort a million paths takes
/// a second.
pub(crate) async fn gather<F>(source: Arc<dyn Source>, form: F) -> Listing
where
    F: FnOnce(&dyn Source) -> Pieces + Send + 'static,
{
    let place = source.listings().clone().acquire_owned().await.ok();
    let pieces = tokio::task::spawn_blocking(move || form(&*source)).await;
    // The thread is lost only when the process ends.
    Listing { pieces: pieces.unwrap_or_else(|_| Box::new(std::iter::empty())), _place: place }
}
