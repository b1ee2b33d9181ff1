//! The world on disk, written behind the one in memory.

/// This member's state on disk. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Store {}
