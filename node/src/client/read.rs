//! Questions to answers: query, watch and reply under one hold of the replica.
use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use machine::{CatchUp, Identities, Machine, Told, WatchKind};
use proto::limits::LIST_IS_LAST_BYTES_MAX;
use proto::request::{Read, SetWatches, WatcherType};
use proto::{Code, Event, Id, Reply, SessionId, Text, Xid, Zxid};

use super::lane::Question;
use crate::auth::{self, Expects};
use crate::config::AuthConfig;
use crate::mailbox::{Delivery, Reason};
use crate::metrics::Cause;
use crate::stats::Traffic;
use crate::watch::{Listener, Reports, meant_by};

/// Random bytes of a SASL nonce.
const NONCE_BYTES: usize = 24;

/// The one who asks.
pub(super) struct Caller {
    /// Its session.
    pub(super) session: SessionId,
    /// Where it calls from.
    pub(super) address: Text,
    /// Who it has proved to be.
    pub(super) proved: Vec<Id>,
    /// Whether it must prove more before it may ask for anything or is told anything.
    pub(super) is_kept_out: bool,
    /// How far it has come with SASL.
    pub(super) sasl: auth::Exchange,
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
    /// Whether its session has had another connection before.
    pub(super) has_returned: bool,
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

    /// Lets everybody know who it has proved to be by now.
    fn has_proved(&mut self, config: &AuthConfig) {
        self.is_kept_out = !auth::lets_in(config, &self.proved);
        self.listener.proved(Arc::from(&*self.proved));
    }

    /// Notes the watch of an answer, for [`Self::arm`].
    fn watch(&mut self, path: &Text, kind: WatchKind) {
        if !self.told.is_empty() {
            let told = std::mem::take(&mut self.told);
            self.told_before.get_or_insert(told);
        }
        self.arming.push((path.clone(), kind));
    }

    /// Notes that watches go, for all members to know before the client is answered. What it does not listen to here it
    /// may have set over an earlier connection, whose home is late to report it: that is not to come back either.
    pub(super) fn take_away(&mut self, zxid: Zxid, removals: &[(Text, WatcherType)]) {
        for (path, meant) in removals {
            let kinds = if self.has_returned {
                meant_by(*meant).to_vec()
            } else {
                self.listener.find(path, *meant, false)
            };
            for kind in kinds {
                self.reports.note(path, kind, zxid, false);
            }
        }
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
    let who = Identities { address: &caller.address, proved: &caller.proved };
    let told = caller.told_before.as_mut().unwrap_or(&mut caller.told);
    let caught_up = machine.missed_late(caller.session, &late, who, told);
    count(caller, &caught_up, Cause::Late, late.relative);
    out.extend(Delivery::caught_up(&caught_up.events));
    caller.listener.watch_all(&caught_up.waiting, |_, _| {});
}

fn count(caller: &Caller, caught_up: &CatchUp, cause: Cause, since: Zxid) {
    let metrics = caller.listener.metrics();
    metrics.watching.replayed(cause).inc_by(caught_up.events.len() as u64);
    if !caught_up.whole {
        metrics.watching.catch_ups_not_whole.inc();
        tracing::warn!(
            session = %caller.session, %since,
            "too much was missed, or too long ago: persistent watches were told what left a trace in the tree"
        );
    }
}

/// Answers a question, behind the events that the answer brings with it. `Break` if the connection ends behind the
/// answer, and why. The caller holds the replica for reading, and before it lets go lets [`Caller::arm`] and puts `out` into the
/// mailbox: so an event of anything that the answer does not show yet comes, and comes behind it.
pub(super) fn answer(
    machine: &Machine,
    caller: &mut Caller,
    traffic: &mut Traffic,
    config: &AuthConfig,
    xid: Xid,
    question: Question,
    out: &mut Vec<Delivery>,
) -> ControlFlow<Reason> {
    let is_about_who = matches!(question, Question::Auth(_) | Question::Sasl(_));
    if !is_about_who && !caller.is_kept_out && !matches!(question, Question::SetWatches(_)) {
        catch_up(machine, caller, out);
    }
    caller.only_lists &= is_about_who || matches!(question, Question::SetWatches(_));
    let mut zxid = if is_about_who { Zxid::ZERO } else { machine.last_zxid() };
    let mut ends = ControlFlow::Continue(());
    // Whatever number a ping has, it is answered under that of pings, as by ZooKeeper.
    let xid = if matches!(question, Question::Ping) { Xid::PING } else { xid };
    let result = match question {
        Question::Read(read) => query(machine, caller, traffic, &read),
        Question::Synced(path) => Ok(Reply::Synced(path)),
        // A ping's answer carries a zxid, from which a client may one day ask what it missed. It must not overtake
        // an event of a smaller one, so it takes its place like a read.
        Question::Ping => Ok(Reply::Empty),
        Question::Auth(auth) => {
            let proved = auth::prove(&auth, config, &mut caller.proved);
            let counts = &caller.listener.metrics().counts;
            match auth::expects_ensemble(&auth, config) {
                None => 0,
                Some(Expects::Any) => counts.ensemble_auth_skip.inc(),
                Some(Expects::This) => counts.ensemble_auth_success.inc(),
                Some(Expects::Another) => counts.ensemble_auth_fail.inc(),
            };
            caller.has_proved(config);
            match proved {
                Ok(()) => Ok(Reply::Empty),
                Err(auth::Denied::Refused) => {
                    ends = ControlFlow::Break(Reason::AuthFailed);
                    Err(Code::AuthFailed)
                }
                Err(auth::Denied::Elsewhere) => return ControlFlow::Break(Reason::OtherEnsemble),
            }
        }
        Question::Sasl(token) => {
            let answer = sasl(caller, config, &token);
            if matches!(answer, Reply::SaslRefused(_)) {
                ends = ControlFlow::Break(Reason::AuthFailed);
            }
            Ok(answer)
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
                listener.metrics().watching.armed(kind).inc();
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
            // What a persistent watch has told is told, but it tells no more.
            if remove && found.iter().any(|it| matches!(it, WatchKind::Persistent | WatchKind::Recursive)) {
                caller.told_before = Some(Told::default());
            }
            if found.is_empty() { Err(Code::NoWatcher) } else { Ok(Reply::Empty) }
        }
        Question::WhoAmI => Ok(Reply::Identities(auth::who_am_i(&caller.address, config, &caller.proved))),
        Question::Close => {
            ends = ControlFlow::Break(Reason::Closed);
            Ok(Reply::Empty)
        }
        Question::Refused(code @ Code::SessionClosedRequireSaslAuth) => {
            zxid = Zxid::ZERO;
            ends = ControlFlow::Break(Reason::AuthRequired);
            Err(code)
        }
        Question::Refused(code) => Err(code),
        Question::Forbidden(code) => {
            ends = ControlFlow::Break(Reason::Forbidden);
            Err(code)
        }
    };
    out.push(Delivery::Answer { xid, zxid, result });
    ends
}

/// The answer to a SASL token. Where nobody has a password here it says nothing, as in ZooKeeper, and a client that wanted to
/// be somebody knows what to make of it.
fn sasl(caller: &mut Caller, config: &AuthConfig, token: &[u8]) -> Reply {
    let Some(users) = &config.sasl else { return Reply::Token(None) };
    let nonce = || STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>());
    let answer = auth::exchange(&mut caller.sasl, token, users, nonce, &mut caller.proved);
    caller.has_proved(config);
    match answer {
        Ok(token) => Reply::Token(Some(token.into())),
        Err(auth::Failed) if auth::enforces_sasl(config) => {
            Reply::SaslRefused(Code::SessionClosedRequireSaslAuth)
        }
        Err(auth::Failed) if users.failed_may_stay => Reply::Token(None),
        Err(auth::Failed) => Reply::SaslRefused(Code::AuthFailed),
    }
}

/// Bytes of the paths in a list of watches.
fn bytes(watches: &SetWatches) -> usize {
    let SetWatches { relative: _, data, exist, child, persistent, recursive } = watches;
    [data, exist, child, persistent, recursive].into_iter().flatten().map(|path| path.len()).sum()
}

fn query(machine: &Machine, caller: &mut Caller, traffic: &mut Traffic, read: &Read) -> Result<Reply, Code> {
    let result = machine.read(read, caller.session, caller.who());
    if let Ok(reply) = &result {
        measure(read, reply, traffic);
    }
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

/// Counts what a read came to by the top-level znode that it was of: data and the names of children, as ZooKeeper does.
fn measure(read: &Read, reply: &Reply, traffic: &mut Traffic) {
    let path = match read {
        Read::Exists { path, .. }
        | Read::GetData { path, .. }
        | Read::GetChildren { path, .. }
        | Read::GetChildren2 { path, .. } => path,
        Read::GetAcl { .. } | Read::GetEphemerals { .. } | Read::GetAllChildrenNumber { .. } => return,
        Read::MultiRead(reads) => {
            let Reply::Multi(results) = reply else { return };
            for (read, (_, result)) in reads.iter().zip(results) {
                if let Ok(reply) = result {
                    measure(read, reply, traffic);
                }
            }
            return;
        }
    };
    let bytes = match reply {
        Reply::Data(data, _) => data.as_ref().map_or(0, |data| data.len()),
        // All of them begin with the path of their parent, and a slash.
        Reply::Children(children) | Reply::ChildrenStat(children, _) => {
            let parent = if path.len() == 1 { 1 } else { path.len() + 1 };
            children.iter().map(|child| child.as_str().len().saturating_sub(parent)).sum()
        }
        _ => 0,
    };
    traffic.read(path, bytes);
}
