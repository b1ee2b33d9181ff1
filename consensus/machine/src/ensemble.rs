//! What clients read of the members, at `/zookeeper/config` (PROTOCOL, section "`/zookeeper/config` and reconfig"), and the
//! change of them that is under way.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proto::server_line::ServerLine;
use proto::{Attachment, Reply, Seq, SessionId, Text, ZnodePath, Zxid};

use crate::command::Millis;
use crate::outcome::{Change, ChangeKind};
use crate::tree::{CONFIG, Tree};

/// What stands in front of the version of the text, which is the last line and has no line end.
const VERSION: &str = "version=";

/// A change of members that a session has asked for and that nothing speaks against: what is left to do takes the
/// members, not the tree. The leader does it and says what came of it ([`Act::Reconfigured`](crate::Act::Reconfigured)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Who asked.
    pub session: SessionId,
    /// Over which attachment.
    pub attachment: Attachment,
    /// Which of its writes it is.
    pub seq: Seq,
    /// Who the members are to be: one line for each, `server.1=…`, in order of their numbers and without line ends.
    pub lines: Vec<Text>,
}

/// The one change of members that may be under way.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    now: Option<Reconfiguration>,
    touched: bool,
}

impl Underway {
    /// As it was found in an image.
    pub(crate) const fn restored(now: Option<Reconfiguration>) -> Self {
        Self { now, touched: false }
    }

    /// What is under way.
    pub(crate) const fn get(&self) -> Option<&Reconfiguration> {
        self.now.as_ref()
    }

    /// It begins.
    pub(crate) fn begin(&mut self, reconfiguration: Reconfiguration) {
        (self.now, self.touched) = (Some(reconfiguration), true);
    }

    /// It is over, if it is the one that this session asked for with this write.
    pub(crate) fn end(
        &mut self,
        session: SessionId,
        attachment: Attachment,
        seq: Seq,
    ) -> Option<Reconfiguration> {
        let ended =
            self.now.take_if(|it| (it.session, it.attachment, it.seq) == (session, attachment, seq))?;
        self.touched = true;
        Some(ended)
    }

    /// Whether it has begun or ended since this was last asked.
    pub(crate) fn take_touched(&mut self) -> bool {
        std::mem::take(&mut self.touched)
    }
}

/// Whether nobody has said yet who the members are. A member that stands alone never does.
pub(crate) fn is_unsaid(tree: &Tree) -> bool {
    text(tree).is_empty()
}

/// Whether just this is known of the members already.
pub(crate) fn says(tree: &Tree, lines: &[Text]) -> bool {
    let known = text(tree);
    let mut known = known.lines().filter(|line| !line.starts_with(VERSION));
    lines.iter().all(|line| known.next() == Some(&**line)) && known.next().is_none()
}

/// The members that are written down, with the version of the text; `None` if nobody has said who they are.
pub(crate) fn members(tree: &Tree) -> Option<(BTreeMap<u64, ServerLine>, i64)> {
    let mut members = BTreeMap::new();
    let mut version = 0;
    let text = text(tree);
    for line in text.lines() {
        if let Some(hex) = line.strip_prefix(VERSION) {
            version = i64::from_str_radix(hex, 16).unwrap_or_default();
        } else if let Some((id, line)) = member(line) {
            members.insert(id, line);
        }
    }
    // The super user may write anything there: what names nobody is not the word of an ensemble.
    (!members.is_empty()).then_some((members, version))
}

/// Who is written down, one line for each member, without the version.
pub(crate) fn lines(tree: &Tree) -> Vec<Text> {
    members(tree).into_iter().flat_map(|(members, _)| members).map(|(id, line)| written(id, &line)).collect()
}

/// A member's line as it is written down.
pub(crate) fn written(id: u64, line: &ServerLine) -> Text {
    Text::from(format!("server.{id}={line}"))
}

/// The text with its Stat, as the answer to who asked for it.
pub(crate) fn reply(tree: &Tree) -> Reply {
    let znode = tree.get(CONFIG).expect("what is reserved is here");
    Reply::Data(znode.data.clone(), znode.stat())
}

/// Reads `server.1=…`.
pub(crate) fn member(line: &str) -> Option<(u64, ServerLine)> {
    let (name, description) = line.split_once('=')?;
    let id = name.trim().strip_prefix("server.")?.parse().ok()?;
    if id == 0 {
        return None;
    }
    Some((id, ServerLine::parse(description.trim()).ok()?))
}

/// Writes it down. `zxid` becomes the version of the text; it is zero the first time.
pub(crate) fn write(tree: &mut Tree, lines: &[Text], zxid: Zxid, time: Millis) -> Change {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("{VERSION}{:x}", zxid.get()));
    tree.set_config(text.into_bytes().into(), zxid, time);
    let acl = tree.get(CONFIG).expect("what is reserved is here").acl.clone();
    let path = ZnodePath::parse(CONFIG).expect("a reserved path is legal");
    Change { path, kind: ChangeKind::DataChanged, acl: acl.clone(), parent_acl: acl }
}

fn text(tree: &Tree) -> Cow<'_, str> {
    let data = tree.get(CONFIG).and_then(|znode| znode.data.as_deref()).unwrap_or_default();
    String::from_utf8_lossy(data)
}
