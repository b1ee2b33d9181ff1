//! Questions to answers: query, watch and reply under one hold of the replica.
use std::ops::ControlFlow;
use std::sync::Arc;

use machine::{CatchUp, Identities, Machine, Told, WatchKind};
use proto::limits::LIST_IS_LAST_BYTES_MAX;
use proto::request::{Read, SetWatches};
use proto::{Code, Event, Id, Reply, SessionId, Text, Xid, Zxid};

use super::forgone::Forgone;
use super::lane::Question;
use crate::auth;
use crate::config::AuthConfig;
use crate::mailbox::Delivery;
use crate::metrics::Cause;
use crate::watch::{Listener, Reports};

/// The one who asks.
pub(super) struct Caller {
    /// Its session.
    pub(super) session: SessionId,
    /// Where it calls from.
    pub(super) address: Text,
    /// Who it has proved to be.
    pub(super) proved: Vec<Id>,
    /// Its place among those who listen.
    pub(super) listener: Listener,
    /// What it had seen when it came back to its session; zero if the session is new.
    pub(super) returned: Zxid,
    /// Whether it has come back and is still to be told what it missed. Until then it listens to nothing.
    pub(super) is_owed: bool,
    /// Which of the watches that it had before it came back it has named: of those it knows best what they are.
    pub(super) named: Named,
    /// Whether it has asked for nothing yet but to have its watches back.
    pub(super) only_lists: bool,
    /// What it has taken away itself since it came back.
    pub(super) forgone: Forgone,
    /// What it was told by way of catching up, until it sets a watch anew.
    pub(super) told: Told,
    /// The same from then on: what becomes known late of watches that it had before is held against it, until it takes
    /// a watch away.
    pub(super) told_before: Option<Told>,
    /// The watches of the answers that are being given: see [`Self::arm`].
    pub(super) arming: Vec<(Text, WatchKind)>,
    /// What it sets and takes away, on its way to all members.
    pub(super) reports: Reports,
}

/// What a client that has come back has named of its watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// Nothing yet, or it never does.
    #[default]
    Nothing,
    /// Those that are told once. It may have others, and not know that they can be named too.
    OneShot,
    /// All kinds.
    All,
}

impl Caller {
    fn who(&self) -> Identities<'_> {
        Identities { address: &self.address, proved: &self.proved }
    }

    /// Notes the watch of an answer, for [`Self::arm`].
    fn watch(&mut self, path: &Text, kind: WatchKind) {
        if !self.told.is_empty() {
            let told = std::mem::take(&mut self.told);
            self.told_before.get_or_insert(told);
        }
        self.forgone.set(path, kind);
        self.arming.push((path.clone(), kind));
    }

    /// Registers the watches of all answers since it was called last, and takes the lock of those who listen once for
    /// all of them. It is called before anybody looks who listens: by whoever has asked for answers before the replica is
    /// let go of, since the next change may be the one that they wait for.
    pub(super) fn arm(&mut self, machine: &Machine) {
        let Self { listener, arming, reports, .. } = self;
        if !arming.is_empty() {
            // Where it listens already, nothing has happened since that it would have to hear of: no need to report it.
            listener.watch_new(arming);
            for (path, kind) in arming.drain(..) {
                reports.note(&path, kind, machine.last_zxid(), true);
            }
        }
    }
}

/// Tells a client that has come back what it missed, as far as the members know what it waits for. It comes in front of
/// everything that it is answered, except whether it is who it says: that decides what it may be told. The caller
/// holds the replica for reading, and puts `out` into the mailbox before it lets go.
pub(super) fn catch_up(machine: &Machine, caller: &mut Caller, out: &mut Vec<Delivery>) {
    out.extend(Delivery::caught_up(&owed(machine, caller)));
}

/// What a client that has come back is still to be told. It listens from here on.
fn owed(machine: &Machine, caller: &mut Caller) -> Vec<Event> {
    if !std::mem::take(&mut caller.is_owed) {
        return Vec::new();
    }
    let who = Identities { address: &caller.address, proved: &caller.proved };
    let caught_up = machine.missed(caller.session, caller.returned, who, &mut caller.told);
    count(caller, &caught_up, Cause::Attach, caller.returned);
    // All members know of them.
    caller.listener.watch_all(&caught_up.waiting, |_, _| {});
    caught_up.events
}

/// Tells what was missed by watches that have become known only now, because the member where they were set was slow
/// to report them.
pub(super) fn catch_up_late(
    machine: &Machine,
    caller: &mut Caller,
    mut late: SetWatches,
    out: &mut Vec<Delivery>,
) {
    // What is still owed is told with them, and who has named its watches has named these too.
    match caller.named {
        _ if caller.is_owed => return,
        Named::All => return,
        Named::OneShot => [&mut late.data, &mut late.exist, &mut late.child].into_iter().for_each(Vec::clear),
        Named::Nothing => {}
    }
    for (path, kind) in caller.forgone.strike(&mut late) {
        caller.reports.note(&path, kind, machine.last_zxid(), false);
    }
    let who = Identities { address: &caller.address, proved: &caller.proved };
    let told = caller.told_before.as_mut().unwrap_or(&mut caller.told);
    let caught_up = machine.missed_late(caller.session, &late, who, told);
    count(caller, &caught_up, Cause::Late, late.relative);
    out.extend(Delivery::caught_up(&caught_up.events));
    caller.listener.watch_all(&caught_up.waiting, |_, _| {});
}

fn count(caller: &Caller, caught_up: &CatchUp, cause: Cause, since: Zxid) {
    let metrics = caller.listener.metrics();
    metrics.replayed(cause).inc_by(caught_up.events.len() as u64);
    if !caught_up.whole {
        metrics.catch_ups_not_whole.inc();
        tracing::warn!(
            session = %caller.session, %since,
            "too much was missed, or too long ago: persistent watches were told what left a trace in the tree"
        );
    }
}

/// Answers a question, behind the events that the answer brings with it. `Break` if the connection ends behind the
/// answer. The caller holds the replica for reading, and before it lets go lets [`Caller::arm`] and puts `out` into the
/// mailbox: so an event of anything that the answer does not show yet comes, and comes behind it.
pub(super) fn answer(
    machine: &Machine,
    caller: &mut Caller,
    config: &AuthConfig,
    xid: Xid,
    question: Question,
    out: &mut Vec<Delivery>,
) -> ControlFlow<()> {
    if !matches!(question, Question::Auth(_) | Question::SetWatches(_)) {
        catch_up(machine, caller, out);
    }
    caller.only_lists &= matches!(question, Question::Auth(_) | Question::SetWatches(_));
    let mut zxid = machine.last_zxid();
    let mut ends = ControlFlow::Continue(());
    let result = match question {
        Question::Read(read) => query(machine, caller, &read),
        Question::Synced(path) => Ok(Reply::Synced(path)),
        // A ping's answer carries a zxid, from which a client may one day ask what it missed. It must not overtake
        // an event of a smaller one, so it takes its place like a read.
        Question::Ping => Ok(Reply::Empty),
        Question::Auth(auth) => {
            zxid = Zxid::ZERO;
            let proved = auth::prove(&auth, config, &mut caller.proved);
            caller.listener.proved(Arc::from(&*caller.proved));
            match proved {
                Ok(()) => Ok(Reply::Empty),
                Err(auth::Denied) => {
                    ends = ControlFlow::Break(());
                    Err(Code::AuthFailed)
                }
            }
        }
        Question::SetWatches(watches) => {
            let mut events = owed(machine, caller);
            let who = Identities { address: &caller.address, proved: &caller.proved };
            let caught_up = machine.catch_up(&watches, who, &mut caller.told);
            count(caller, &caught_up, Cause::SetWatches, watches.relative);
            // The list may name what no report has brought to the members, and it may have happened first.
            events.extend(caught_up.events);
            events.sort_by_key(|event| event.zxid);
            out.extend(Delivery::caught_up(&events));
            let only_one_shot = watches.persistent.is_empty() && watches.recursive.is_empty();
            caller.named = caller.named.max(if only_one_shot { Named::OneShot } else { Named::All });
            let Caller { listener, reports, .. } = caller;
            listener.watch_all(&caught_up.waiting, |path, kind| {
                listener.metrics().armed(kind).inc();
                reports.note(path, kind, zxid, true);
            });
            if caller.only_lists && bytes(&watches) >= LIST_IS_LAST_BYTES_MAX {
                // The client takes the zxid of an answer for what it has seen. If the connection broke now, it would
                // come back with the lists that are still to come and this zxid, and what those watches missed
                // before it would be lost. So it is shown no more than it knew.
                zxid = zxid.min(watches.relative);
            }
            Ok(Reply::Empty)
        }
        Question::AddWatch { path, recursive } => {
            caller.watch(&path, if recursive { WatchKind::Recursive } else { WatchKind::Persistent });
            Ok(Reply::NoError)
        }
        Question::FindWatches { path, kind, remove } => {
            // What stands in front of it has set what is looked for here.
            caller.arm(machine);
            let found = caller.listener.find(&path, kind, remove);
            if remove {
                caller.forgone.taken_away(&path, kind);
                // What a persistent watch has told is told, but it tells no more.
                if found.iter().any(|kind| matches!(kind, WatchKind::Persistent | WatchKind::Recursive)) {
                    caller.told_before = Some(Told::default());
                }
                for &kind in &found {
                    caller.reports.note(&path, kind, zxid, false);
                }
            }
            if found.is_empty() { Err(Code::NoWatcher) } else { Ok(Reply::Empty) }
        }
        Question::WhoAmI => Ok(Reply::Identities(auth::who_am_i(&caller.address, &caller.proved))),
        Question::Refused(code) => Err(code),
    };
    out.push(Delivery::Answer { xid, zxid, result });
    ends
}

/// Bytes of the paths in a list of watches.
fn bytes(watches: &SetWatches) -> usize {
    let SetWatches { relative: _, data, exist, child, persistent, recursive } = watches;
    [data, exist, child, persistent, recursive].into_iter().flatten().map(|path| path.len()).sum()
}

fn query(machine: &Machine, caller: &mut Caller, read: &Read) -> Result<Reply, Code> {
    let result = machine.read(read, caller.session, caller.who());
    let watch = match (read, &result) {
        // What does not exist can be watched by asking whether it exists, and only so.
        (Read::Exists { path, watch: true }, Err(Code::NoNode)) => Some((path, WatchKind::Exist)),
        (Read::Exists { path, watch: true } | Read::GetData { path, watch: true }, Ok(_)) => {
            Some((path, WatchKind::Data))
        }
        (Read::GetChildren { path, watch: true } | Read::GetChildren2 { path, watch: true }, Ok(_)) => {
            Some((path, WatchKind::Child))
        }
        _ => None,
    };
    if let Some((path, kind)) = watch {
        caller.watch(path, kind);
    }
    result
}
