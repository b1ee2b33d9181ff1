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

/// How long a member that may serve nothing but reads knows no leader before it does, as in ZooKeeper: an election is long
/// over then. Beyond it those of its clients are hung up that have said that reads are enough for them.
pub const READ_ONLY_WAIT: Duration = Duration::from_secs(2);

/// Requests of one connection that were received and not answered. At the bound its socket is not read.
pub const LANE_REQUESTS_MAX: usize = 1_000;

/// Bytes of requests of one connection that were received and not answered. At the bound its socket is not read.
pub const LANE_BYTES_MAX: usize = 8 << 20;

/// Bytes of paths up to which a returning client's list of watches is taken for its last one. Clients cut long lists at
/// 128 KiB. Beyond it another may follow, and the answer carries no newer zxid than the client named.
pub const LIST_IS_LAST_BYTES_MAX: usize = 64 << 10;

/// Replies and notifications that wait for one connection. Beyond it the reader is too slow: it is hung up.
pub const MAILBOX_DELIVERIES_MAX: usize = 65_536;

/// Encoded bytes that wait for a socket to take them before more deliveries are encoded: the socket is not read
/// meanwhile, and what waits stays in the mailbox, which has a bound of its own.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// Identities that one connection may prove. More credentials are refused, as wrong ones are.
pub const IDENTITIES_MAX: usize = 128;

/// Bytes of all identities that one connection may prove, with the same consequence: each of its writes carries them
/// into the log.
pub const IDENTITIES_BYTES_MAX: usize = 16 << 10;

/// Lines of an ACL that the scheme `auth` may stand for. A list that would have more of them is refused, as one that is
/// no ACL is.
pub const ACL_LINES_OF_AUTH_MAX: usize = 4_096;

/// Bytes of one SASL token: as much as RFC 2831 allows a response to have. What is longer fails, as a wrong password does.
pub const SASL_TOKEN_BYTES_MAX: usize = 4_096;

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

/// Bytes that the answers of one such hold are reckoned to take. The rest are made when these are with the socket: a
/// client that reads nothing is made nothing.
pub const ANSWER_BYTES_PER_LOCK_MAX: usize = 1 << 20;

/// Bytes that the answer to a multiRead is reckoned to take. What would be more is refused as what cannot be marshalled:
/// a frame of a megabyte could ask for fifty gigabytes.
pub const MULTI_READ_BYTES_MAX: usize = 32 << 20;

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

/// How long an operator may take to receive a backup. Beyond it the connection is closed. Meanwhile the state on disk keeps
/// what was written over or deleted since the backup began.
pub const BACKUP_WAIT_MAX: Duration = Duration::from_secs(30 * 60);

/// How long a member may take to find the digest of its state at a mark in the log. Beyond it it counts as one that has
/// none. It is shorter than [`OPERATOR_WAIT_MAX`], so that the operator hears of it.
pub const DIGEST_WAIT_MAX: Duration = Duration::from_secs(50);

/// Digests that a member remembers. Beyond it the oldest is forgotten, and counts as one that was never found.
pub const DIGESTS_KEPT_MAX: usize = 8;

/// Quotas that are read when an operator asks for metrics, under one hold of the replica's lock. What is over is left out.
pub const QUOTAS_READ_MAX: usize = 4_096;

/// Quotas of which the log tells that something goes beyond them, each once a minute. The rest is counted by a metric only.
pub const QUOTAS_TOLD_MAX: usize = 64;

/// Top-level znodes of which reads and writes are counted one by one. Of others they are not counted so.
pub const NAMESPACES_MEASURED_MAX: usize = 256;

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

/// How long a change of members waits for new voters to be in step. Beyond it the change is done if most of the voters that
/// there are to be are in step, and refused otherwise.
pub const JOIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a leader waits for members that are to go to receive the last that is meant for them. Beyond it their clients are
/// hung up without it.
pub const PARTING_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long another member may take to say whether it knows this one. Beyond it it counts as one that is not there.
pub const STANDING_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long another member may take to say what it has, to one with a new log. Beyond it that one goes on without, and asks again.
pub const RECALL_WAIT_MAX: Duration = Duration::from_millis(300);

/// How long a member that leaves waits for what its clients have proposed to be applied. Beyond it the rest is lost, or
/// not: whoever proposed it has gone without an answer.
pub const DRAIN_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a vote of another member is waited for at most, however slow it says that its disk is. Where the only vote that is left
/// comes from a disk that takes more than a fifth of it for a sync, nobody may be elected.
pub const VOTE_WAIT_MAX: Duration = Duration::from_secs(3);

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

/// Members about whom it is remembered when was last complained. Beyond it nothing is said about others for a minute.
pub const COMPLAINTS_ABOUT_MAX: usize = 64;

/// Bytes of newest log entries kept in memory. Older ones are read from disk.
pub const LOG_CACHE_BYTES_MAX: usize = 16 << 20;

/// Bytes of a database's files that are written before the system is asked to begin bringing them to the disk. A sync of the
/// log waits for what else is to be brought there, so that what is flushed in one go would hold it up.
pub const DIRTY_BYTES_MAX: u64 = 1 << 20;

/// Jobs that the log thread takes into one synced write, and that wait for it. At the bound Raft waits.
pub const LOG_JOBS_PER_SYNC_MAX: usize = 4_096;

/// Bytes of entries that the log thread takes into one synced write; a single larger job is still written whole. What
/// is over waits for the next.
pub const LOG_BYTES_PER_SYNC_MAX: usize = 8 << 20;

/// For how long what was applied may wait to be handed to the state on disk, so that what is changed again meanwhile is
/// written once. Behind that the next entry hands it over: a start after a crash applies that much more of the log.
pub const PERSIST_BEHIND_MAX: Duration = Duration::from_millis(500);

/// Batches of changes that wait to be written behind to the state on disk. At the bound apply waits.
pub const PERSIST_BATCHES_MAX: usize = 16;

/// Records that are written behind to the state on disk in one write; a single larger batch is still written whole.
/// What is over waits for the next.
pub const PERSIST_RECORDS_PER_WRITE_MAX: usize = 32_768;

/// Bytes of records that are written behind in one write, with the same consequence: each child of a large znode that is
/// made or deleted writes the parent anew, data and all.
pub const PERSIST_BYTES_PER_WRITE_MAX: usize = 8 << 20;

/// Bytes of one piece of a snapshot on its way to a member.
pub const SNAPSHOT_CHUNK_BYTES: usize = 512 << 10;

/// Pieces of a snapshot that are read ahead of the network. At the bound no more is read.
pub const SNAPSHOT_CHUNKS_AHEAD_MAX: usize = 4;

/// Bytes of a text that says the limits or the usage of a quota: those that ZooKeeper writes take a hundred or so. It is read
/// with every write that it counts, so a longer one is taken for no such text.
pub const QUOTA_TEXT_BYTES_MAX: usize = 1_024;

/// Containers and TTL znodes that are looked at under one hold of the replica's lock for those that have had their time.
/// The rest takes the lock again.
pub const REAPER_ZNODES_PER_LOCK_MAX: usize = 1_024;

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

/// Watches of one session of which all members remember that its client has taken them away since it came back. Beyond
/// it the oldest is forgotten: if it was set at a home that is late to report it, it comes back. Like the history, this is
/// part of the replicated world.
pub const REMOVED_WATCHES_PER_SESSION_MAX: usize = 1_024;

/// Bytes that those of all sessions are reckoned to take, with the same consequence and under the same condition as
/// [`REMOVED_WATCHES_PER_SESSION_MAX`]: some half a million of them. They are among those of [`WATCHES_BYTES_MAX`].
pub const REMOVED_WATCHES_BYTES_MAX: u64 = 64 << 20;
