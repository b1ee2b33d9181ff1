//! Who the members are and where, as this member knows it: by the log, and by its own file where the log is silent.
//!
//! A member of the first hour stands in the log with nothing but its address, and what it is stands in the files: members
//! that know themselves by a wildcard address write other files than the rest. Since the first change of members through
//! the ensemble itself the whole line of each stands in the log, and counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::BasicNode;
use parking_lot::Mutex;
use proto::MemberId;
use proto::server_line::ServerLine;

use crate::runtime::watch;
use crate::types::Membership;

/// Who the members are and where. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Where each was configured to be, as `host:port`.
    configured: BTreeMap<MemberId, String>,
    known: Mutex<BTreeMap<MemberId, String>>,
    /// How often anything has changed.
    changes: watch::Sender<u64>,
}

impl Directory {
    /// Of members that are configured to be at these addresses, `host:port`.
    pub(crate) fn new(configured: BTreeMap<MemberId, String>) -> Self {
        let (changes, _) = watch::channel(0);
        Self { shared: Arc::new(Shared { configured, known: Mutex::default(), changes }) }
    }

    /// Takes in what the log says.
    pub(crate) fn learn(&self, membership: &Membership) {
        let now = membership.nodes().map(|(id, node)| (MemberId::new(*id), node.addr.clone())).collect();
        let mut known = self.shared.known.lock();
        if *known != now {
            *known = now;
            drop(known);
            self.shared.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Where a member is, as `host:port`; `None` if nobody has said, or all that was said is "anywhere".
    pub(crate) fn address(&self, member: MemberId) -> Option<String> {
        let known = self.shared.known.lock().get(&member).cloned();
        let said = known.as_deref().and_then(line);
        if let Some(address) = said.filter(|line| !line.address().is_wildcard()) {
            return Some(address.address().peer());
        }
        let plain = || known.filter(|known| line(known).is_none());
        self.shared.configured.get(&member).cloned().or_else(plain).filter(|address| !address.is_empty())
    }

    /// All members that were ever heard of but one, with where they are.
    pub(crate) fn others(&self, own: MemberId) -> Vec<MemberId> {
        let known: Vec<MemberId> = self.shared.known.lock().keys().copied().collect();
        let mut all: Vec<_> = self.shared.configured.keys().copied().chain(known).collect();
        all.retain(|member| *member != own);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns when a member is no longer at `address`.
    pub(crate) async fn moved(self, member: MemberId, address: String) {
        let mut changes = self.shared.changes.subscribe();
        let gone = |_: &u64| self.address(member).as_deref() != Some(&*address);
        // Whoever holds the sender is held here.
        let _ = changes.wait_for(gone).await;
    }
}

/// What the log says of a member, if it says more than an address.
pub(crate) fn line(said: &str) -> Option<ServerLine> {
    ServerLine::parse(said).ok()
}

/// A member as the log has it, with its whole line.
pub(crate) fn node(line: &ServerLine) -> BasicNode {
    BasicNode::new(line)
}

/// Reads `server.1=…`; the leader writes these lines itself, so one that cannot be read is nobody's.
pub(crate) fn read(text: &str) -> Option<(u64, ServerLine)> {
    let (id, description) = text.strip_prefix("server.")?.split_once('=')?;
    Some((id.parse().ok()?, line(description)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const OTHER: MemberId = MemberId::new(2);

    fn directory(configured: &[(u64, &str)], log: &[(u64, &str)]) -> Directory {
        let directory = Directory::new(
            configured.iter().map(|(id, address)| (MemberId::new(*id), (*address).to_owned())).collect(),
        );
        learn(&directory, log);
        directory
    }

    fn learn(directory: &Directory, log: &[(u64, &str)]) {
        let nodes: BTreeMap<u64, BasicNode> =
            log.iter().map(|(id, said)| (*id, BasicNode::new(said))).collect();
        let voters: BTreeSet<u64> = nodes.keys().copied().collect();
        let sets = if voters.is_empty() { Vec::new() } else { vec![voters] };
        directory.learn(&Membership::new(sets, nodes).unwrap());
    }

    #[test]
    fn the_file_counts_until_the_log_says_more_than_an_address() {
        let at = |directory: Directory| directory.address(OTHER);
        assert_eq!(at(directory(&[], &[(2, "old:1")])).as_deref(), Some("old:1"));
        assert_eq!(at(directory(&[(2, "new:1")], &[(2, "old:1")])).as_deref(), Some("new:1"));
        let line = "log:1:2:observer;0.0.0.0:3";
        assert_eq!(at(directory(&[(2, "file:9")], &[(2, line)])).as_deref(), Some("log:1"));
    }

    #[test]
    fn a_wildcard_leads_nowhere() {
        let anywhere = "0.0.0.0:1:2:participant";
        assert_eq!(directory(&[(2, "file:9")], &[(2, anywhere)]).address(OTHER).as_deref(), Some("file:9"));
        assert_eq!(directory(&[], &[(2, anywhere)]).address(OTHER), None);
        assert_eq!(directory(&[(1, "file:9")], &[]).address(OTHER), None);
    }

    #[tokio::test]
    async fn who_waits_is_told_when_a_member_has_moved() {
        use futures_util::FutureExt;

        let directory = directory(&[(1, "a:1")], &[(2, "b:1:2"), (3, "c:1:2")]);
        assert_eq!(directory.others(MemberId::new(1)), [OTHER, MemberId::new(3)]);
        let mut moved = std::pin::pin!(directory.clone().moved(OTHER, "b:1".to_owned()));
        assert!(moved.as_mut().now_or_never().is_none());
        learn(&directory, &[(2, "b:1:2"), (3, "d:1:2")]);
        assert!(moved.as_mut().now_or_never().is_none());
        learn(&directory, &[(2, "e:1:2")]);
        moved.await;
    }

    #[test]
    fn a_line_is_read_as_it_is_written_down() {
        let (id, line) = read("server.7=a:1:2:observer;0.0.0.0:3").unwrap();
        assert_eq!((id, line.to_string().as_str()), (7, "a:1:2:observer;0.0.0.0:3"));
        assert_eq!(node(&line).addr, line.to_string());
        assert_eq!(read("version=0"), None);
    }
}
