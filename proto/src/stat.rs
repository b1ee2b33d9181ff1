//! What is known of a znode besides its data.

/// The `Stat` record of PROTOCOL, section "Stat rules", as a client reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Zxid of the transaction that created the znode.
    pub czxid: i64,
    /// Zxid of the transaction that last wrote its data.
    pub mzxid: i64,
    /// When it was created, in milliseconds since the epoch.
    pub ctime: i64,
    /// When its data was last written, in milliseconds since the epoch.
    pub mtime: i64,
    /// How many times its data was written.
    pub version: i32,
    /// How many times a child was created or deleted.
    pub cversion: i32,
    /// How many times its ACL was written.
    pub aversion: i32,
    /// The session that owns it, or 0 if it is not ephemeral.
    pub ephemeral_owner: i64,
    /// Bytes of data.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// Zxid of the transaction that last created or deleted a child.
    pub pzxid: i64,
}
