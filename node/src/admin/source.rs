//! Where operators' answers come from.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Backup, Compared, Leaderless, NoBackup};
use futures_util::future::BoxFuture;
use machine::Machine;
use proto::SessionId;
use tokio::sync::Semaphore;

use super::deed::{Credentials, Deed};
use super::report::Report;
use crate::metrics::Metrics;
use crate::stats::Line;

/// Who knows what operators ask.
pub(crate) trait Source: Send + Sync + 'static {
    /// All that is known at this moment.
    fn report(&self) -> Report<'_>;

    /// Has the world looked at, under the replica's lock: it must be short.
    fn look(&self, look: &mut dyn FnMut(&Machine));

    /// What this member counts of its own work.
    fn metrics(&self) -> &Metrics;

    /// What the credentials of an `Authorization` line prove of somebody who calls from there.
    fn credentials(&self, authorization: &str, peer: IpAddr) -> Credentials;

    /// Does it.
    fn perform(&self, deed: Deed);

    /// In how long each session will be overdue; `None` if this member does not lead.
    fn deadlines(&self) -> Option<Vec<(Duration, SessionId)>>;

    /// Its connections.
    fn connections(&self) -> Vec<Line>;

    /// The digests of all members at one place of the log; an error in words.
    fn compare(&self) -> BoxFuture<'static, Result<Vec<Compared>, String>>;

    /// Whether a backup may be taken now: not too soon after the last one.
    fn may_back_up(&self) -> bool;

    /// The whole state, to be kept elsewhere.
    fn backup(&self, leaderless: Leaderless) -> BoxFuture<'static, Result<Backup, NoBackup>>;

    /// A place for whoever asks for digests.
    fn digesting(&self) -> &Semaphore;

    /// A place for each listing that may be made at one time.
    fn listings(&self) -> &Arc<Semaphore>;
}
