//! Every bound of the server, each with what happens when it is reached.

use std::time::Duration;

// --- a client's connection -----------------------------------------------------------------------------------

/// Largest frame that a client may send, in bytes, its length prefix not counted: `jute.maxbuffer`.
/// Beyond it the connection is closed without a reply, as ZooKeeper does.
pub const FRAME_BYTES_MAX: usize = 0xf_ffff;

/// How long a connection may take from being accepted to its greeting. Beyond it the connection is closed.
pub const GREETING_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long nobody is accepted after the kernel refused to give a connection, mostly for want of file descriptors.
/// Meanwhile clients wait in the kernel's backlog.
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(50);

/// How long a member may know no leader and hold those who greet: an election mostly takes less. Beyond it the
/// connection is closed, and the client tries another member.
pub const ELECTION_WAIT_MAX: Duration = Duration::from_secs(1);

/// Requests of one connection that were received and not answered. At the bound its socket is not read.
pub const LANE_REQUESTS_MAX: usize = 1_000;

/// Bytes of requests of one connection that were received and not answered. At the bound its socket is not read.
pub const LANE_BYTES_MAX: usize = 8 << 20;

/// Bytes of paths up to which a returning client's list of watches is taken for its last one. Clients cut long lists at
/// 128 KiB. Beyond it another may follow, and the answer carries no newer zxid than the client named.
pub const LIST_IS_LAST_BYTES_MAX: usize = 64 << 10;

/// Watches of one connection of which it is remembered that its client has taken them away since it came back. What an
/// old home reports late of others is believed, though the client may have thought better of it.
pub const FORGONE_WATCHES_MAX: usize = 65_536;

/// Replies and notifications that wait for one connection. Beyond it the reader is too slow: it is hung up.
pub const MAILBOX_DELIVERIES_MAX: usize = 65_536;

/// Encoded bytes that wait for a socket to take them before more deliveries are encoded: the socket is not read
/// meanwhile, and what waits stays in the mailbox, which has a bound of its own.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// Identities that one connection may prove. More credentials are refused, as wrong ones are.
pub const IDENTITIES_MAX: usize = 128;

/// How long a connection that ends may take to receive what it was told before. Beyond it the socket is closed.
pub const FAREWELL_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long requests that are under way may take when the member shuts down. Beyond it their clients are left
/// without an answer.
pub const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(2);

/// Bytes that are read from a socket at once. More waits in the kernel.
pub const SOCKET_READ_BYTES_MAX: usize = 64 << 10;

/// Reads of one connection that are answered under one hold of the replica's lock. The rest take it again, so
/// that a deep pipeline does not keep the writer out.
pub const READS_PER_LOCK_MAX: usize = 64;

// --- operators -----------------------------------------------------------------------------------------------

/// Watches that are looked at under one hold of the replica's lock when an operator asks for all of them. The rest takes
/// the lock again, so that the answer is not one moment's, and the writer is not kept out for long.
pub const LISTING_WATCHES_PER_LOCK_MAX: usize = 1_024;

/// Answers that hold all watches in memory at one time: each takes some 24 bytes for a watch, besides the paths, which
/// it shares with the table. At the bound the next one waits.
pub const LISTINGS_AT_ONCE_MAX: usize = 2;

/// Bytes of such an answer that are made before they are sent. What is over is made when these have gone.
pub const LISTING_PIECE_BYTES: usize = 64 << 10;

/// How long an operator may take to receive an answer, from the first byte of the question on. Beyond it the
/// connection is closed.
pub const OPERATOR_WAIT_MAX: Duration = Duration::from_secs(60);

/// Connections to one of the ports for operators. At the bound nobody is accepted there: they wait in the kernel's
/// backlog.
pub const OPERATOR_CONNECTIONS_MAX: usize = 64;

// --- proposals and the log -----------------------------------------------------------------------------------

/// Transactions in one log entry. What is over waits for the next entry.
pub const BATCH_TRANSACTIONS_MAX: usize = 1_024;

/// Bytes of transactions in one log entry; a single larger transaction still travels alone. What is over waits
/// for the next entry.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Log entries that the leader has proposed and not seen committed. At the bound new transactions gather in the
/// next batch.
pub const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// Proposals that wait at the leader to be packed. At the bound the streams that bring them are not read.
pub const SEQUENCER_QUEUE_MAX: usize = 16_384;

/// Transactions, and bytes of them, in one message to the leader; a single larger one still travels alone. What is
/// over goes into the next message of the same stream.
pub const FORWARD_TRANSACTIONS_MAX: usize = 256;
/// See [`FORWARD_TRANSACTIONS_MAX`].
pub const FORWARD_BYTES_MAX: usize = 256 << 10;

/// How long a leader that leaves waits for another to lead. Beyond it it leaves anyway, and the others wait out an
/// election.
pub const LEADERSHIP_TRANSFER_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long a member that leaves waits for what its clients have proposed to be applied. Beyond it the rest is lost, or
/// not: whoever proposed it has gone without an answer.
pub const DRAIN_WAIT_MAX: Duration = Duration::from_secs(2);

/// Barriers that wait for the next round of questions to the leader. At the bound the next one waits for room.
pub const BARRIERS_WAITING_MAX: usize = 16_384;

/// How long a barrier may take. Beyond it the caller is told that no leader can be reached.
pub const BARRIER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Log entries in one append request to a follower.
pub const APPEND_ENTRIES_MAX: u64 = 1_024;

/// Bytes of log entries in one append request to a follower; a single larger entry still travels alone.
pub const APPEND_BYTES_MAX: usize = 1 << 20;

/// Largest message between members, in bytes. It must be able to carry the largest log entry, so that no
/// committed entry is ever unreadable.
pub const PEER_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Bytes of newest log entries kept in memory. Older ones are read from disk.
pub const LOG_CACHE_BYTES_MAX: usize = 64 << 20;

/// Jobs that the log thread takes into one synced write, and that wait for it. At the bound Raft waits.
pub const LOG_JOBS_PER_SYNC_MAX: usize = 4_096;

/// Bytes of entries that the log thread takes into one synced write; a single larger job is still written whole. What
/// is over waits for the next.
pub const LOG_BYTES_PER_SYNC_MAX: usize = 8 << 20;

/// Batches of changes that wait to be written behind to the state on disk. At the bound apply waits.
pub const PERSIST_BATCHES_MAX: usize = 1_024;

/// Records that are written behind to the state on disk in one write; a single larger batch is still written whole.
/// What is over waits for the next.
pub const PERSIST_RECORDS_PER_WRITE_MAX: usize = 16_384;

/// Bytes of one piece of a snapshot on its way to a member.
pub const SNAPSHOT_CHUNK_BYTES: usize = 512 << 10;

/// Pieces of a snapshot that are read ahead of the network. At the bound no more is read.
pub const SNAPSHOT_CHUNKS_AHEAD_MAX: usize = 4;

/// Transactions applied under one hold of the replica's lock; readers get their turn in between.
pub const APPLY_TRANSACTIONS_PER_LOCK_MAX: usize = 256;

// --- what is remembered for those who come back --------------------------------------------------------------

/// Changes of znodes that the world remembers: 40 seconds, the longest timeout of a session at the default tick, at
/// 25,000 changes a second. Beyond it the oldest transaction is forgotten, and questions that reach back behind it are
/// answered by comparing stats, as ZooKeeper does. What is remembered is part of the replicated world: all members
/// must have the same bound.
pub const HISTORY_CHANGES_MAX: usize = 1 << 20;

/// Bytes that the remembered changes are reckoned to take, with the same consequence and under the same condition as
/// [`HISTORY_CHANGES_MAX`].
pub const HISTORY_BYTES_MAX: u64 = 256 << 20;

/// Missed events that one list of persistent watches is told in full: ten seconds away at 25,000 changes a second.
/// Beyond it each znode's last event is told, and the ones before it are left out, which is logged and counted.
pub const CATCH_UP_EVENTS_MAX: usize = 1 << 18;

/// How long a client that has come back may take to prove who it is before it is told what it missed, if it asks for
/// nothing meanwhile. What only others may read is not told to its persistent watches then.
pub const CATCH_UP_GRACE: Duration = Duration::from_millis(200);

/// Watches of one connection that were set or taken away and are not known to all members yet. At the bound its socket
/// is not read.
pub const WATCH_NOTES_WAITING_MAX: usize = 65_536;

/// Of these, how many travel in one report. What is over goes into the next one.
pub const WATCH_NOTES_PER_REPORT_MAX: usize = 1_024;

/// Znodes that are looked at, where history does not reach back far enough, for what is new below recursive watches.
/// What stands behind them is not told.
pub const CATCH_UP_ZNODES_MAX: usize = 65_536;

/// Times that the client of a session came back of which it is remembered what it had seen. What an old home from before
/// that reports of watches is told since they were set, though some of it may have been told there.
pub const ARRIVALS_REMEMBERED_MAX: usize = 8;

/// Watches of one session that all members know of. What is over is told by the session's home alone: if the session
/// moves, its client must send it again. Like the history, this is part of the replicated world.
pub const WATCHES_PER_SESSION_MAX: usize = 1 << 17;

/// Bytes that the watches of all sessions are reckoned to take, with the same consequence and under the same condition
/// as [`WATCHES_PER_SESSION_MAX`]: some four million of them.
pub const WATCHES_BYTES_MAX: u64 = 512 << 20;
