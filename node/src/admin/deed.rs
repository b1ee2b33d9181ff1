//! What operators may have done.

/// Something that an operator may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// What each connection does is counted anew.
    ResetConnections,
    /// What all connections do, and what the member measures under ZooKeeper's names, is counted anew.
    ResetStats,
    /// The mask of what is traced is this. Nothing is traced by it here: it is kept, and told.
    SetTraceMask(i64),
}

/// The mask that ZooKeeper begins with.
pub(crate) const TRACE_MASK: i64 = 0b1_0011_0010;

/// What came of the credentials of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// There are none.
    #[default]
    None,
    /// They prove nothing.
    Wrong,
    /// Whom they prove may not do everything at the root.
    NotEnough,
    /// Whom they prove may do everything at the root.
    Enough,
}
