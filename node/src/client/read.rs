//! Questions to answers: query, watch and reply under one hold of the replica.
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::BytesMut;
use machine::{Identities, Machine, Told, WatchKind};
use proto::request::Read;
use proto::{Code, Event, Id, Reply, SessionId, Text, Xid, Zxid, jute};

use super::lane::Question;
use crate::auth;
use crate::config::AuthConfig;
use crate::mailbox::Delivery;
use crate::metrics::Cause;
use crate::watch::{Kind, Listener};

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
    /// What it was told by way of catching up, until it sets a watch anew.
    pub(super) told: Told,
}

impl Caller {
    fn who(&self) -> Identities<'_> {
        Identities { address: &self.address, proved: &self.proved }
    }
}

/// Answers a question, behind the events that the answer brings with it. `Break` if the connection ends behind the
/// answer. The caller holds the replica for reading, and puts `out` into the mailbox before it lets go: so an event
/// of anything that the answer does not show yet comes behind it.
pub(super) fn answer(
    machine: &Machine,
    caller: &mut Caller,
    config: &AuthConfig,
    xid: Xid,
    question: Question,
    out: &mut Vec<Delivery>,
) -> ControlFlow<()> {
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
            let who = Identities { address: &caller.address, proved: &caller.proved };
            let caught_up = machine.catch_up(&watches, who, &mut caller.told);
            if !caught_up.whole {
                tracing::info!(
                    session = %caller.session, since = %watches.relative, now = %zxid,
                    "history does not reach back: persistent watches were told what left a trace in the tree"
                );
            }
            let metrics = caller.listener.metrics();
            metrics.replayed(Cause::SetWatches).inc_by(caught_up.events.len() as u64);
            metrics.catch_ups_not_whole.inc_by(u64::from(!caught_up.whole));
            out.extend(caught_up.events.iter().map(notification));
            caller.listener.watch_all(&caught_up.waiting);
            Ok(Reply::Empty)
        }
        Question::AddWatch { path, recursive } => {
            caller.told = Told::default();
            let (kind, armed) = match recursive {
                true => (Kind::Recursive, WatchKind::Recursive),
                false => (Kind::Persistent, WatchKind::Persistent),
            };
            caller.listener.watch(&path, kind);
            caller.listener.metrics().armed(armed).inc();
            Ok(Reply::NoError)
        }
        Question::FindWatches { path, kind, remove } => match caller.listener.find(&path, kind, remove) {
            true => Ok(Reply::Empty),
            false => Err(Code::NoWatcher),
        },
        Question::WhoAmI => Ok(Reply::Identities(auth::who_am_i(&caller.address, &caller.proved))),
        Question::Refused(code) => Err(code),
    };
    out.push(Delivery::Answer { xid, zxid, result });
    ends
}

fn query(machine: &Machine, caller: &mut Caller, read: &Read) -> Result<Reply, Code> {
    let result = machine.read(read, caller.session, caller.who());
    let watch = match read {
        Read::Exists { path, watch: true } => Some((path, Kind::Data)),
        Read::GetData { path, watch: true } => Some((path, Kind::Data)),
        Read::GetChildren { path, watch: true } | Read::GetChildren2 { path, watch: true } => {
            Some((path, Kind::Child))
        }
        _ => None,
    };
    if let Some((path, kind)) = watch {
        // What does not exist can be watched by asking whether it exists, and only so.
        let awaited = matches!((read, &result), (Read::Exists { .. }, Err(Code::NoNode)));
        if result.is_ok() || awaited {
            caller.told = Told::default();
            caller.listener.watch(path, kind);
            let armed = match kind {
                _ if awaited => WatchKind::Exist,
                Kind::Child => WatchKind::Child,
                _ => WatchKind::Data,
            };
            caller.listener.metrics().armed(armed).inc();
        }
    }
    result
}

fn notification(event: &Event) -> Delivery {
    let mut frame = BytesMut::new();
    jute::reply::write_event(&mut frame, event.zxid, event.kind, &event.path);
    Delivery::Event(frame.freeze())
}
