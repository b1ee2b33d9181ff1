//! What may have happened or not, and between which transactions if it has.

use std::collections::HashMap;

use super::bounds::Bounds;
use super::history::{End, History, OpId, Request, Session, Stay};

/// What may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A write that was not answered.
    Write(OpId),
    /// The end of a session that nobody acknowledged.
    End,
}

/// What may have happened, and when.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) unit: Unit,
    /// The connection that it went out on.
    pub(super) connection: u32,
    /// It is later than this.
    pub(super) after: i64,
    /// And not later than this.
    pub(super) until: i64,
    /// The zxid at which it was done, if data that somebody read tell it.
    pub(super) fixed: Option<i64>,
    /// Whether it is not decided yet.
    pub(super) is_open: bool,
    /// Whether it was found to have been done.
    pub(super) was_done: bool,
    /// Whether it makes something that goes with its session.
    pub(super) is_ephemeral: bool,
}

/// All that may have happened, session by session, in the order in which it was asked for.
pub(super) fn of(history: &History, bounds: &Bounds, fixed: &HashMap<OpId, i64>) -> Vec<Vec<Pending>> {
    let sessions = history.sessions.iter().enumerate();
    sessions.map(|(number, session)| of_session(number, session, bounds, fixed)).collect()
}

fn of_session(number: usize, session: &Session, bounds: &Bounds, fixed: &HashMap<OpId, i64>) -> Vec<Pending> {
    let mut found = Vec::new();
    // What was answered later bounds what was asked before: a session that has moved on has left it behind.
    let mut until = match session.end {
        End::Expired(told) => bounds.happened_by(told),
        End::Open | End::Abandoned => i64::MAX,
    };
    let closing = session.ops.iter().find(|op| op.request == Request::Close);
    if closing.is_none_or(|op| op.reply.is_none()) {
        let possible_from = match closing {
            Some(op) => op.invoked,
            None => session.last_heard() + session.timeout,
        };
        found.push(Pending {
            unit: Unit::End,
            connection: 0,
            after: bounds.shown_before(possible_from),
            until,
            fixed: None,
            is_open: true,
            was_done: false,
            is_ephemeral: false,
        });
    }
    for (op, it) in session.ops.iter().enumerate().rev() {
        let id = OpId { session: number, op };
        match it.zxid() {
            Some(zxid) => until = until.min(if it.request.is_write() { zxid - 1 } else { zxid }),
            None if it.request.is_write() && it.request != Request::Close => {
                let before = session.ops[..op].iter().rev().find_map(super::history::Op::zxid);
                let is_ephemeral = it
                    .request
                    .parts()
                    .iter()
                    .any(|part| matches!(part, Request::Create { stay: Stay::Ephemeral, .. }));
                found.push(Pending {
                    unit: Unit::Write(id),
                    connection: it.connection,
                    after: bounds.shown_before(it.invoked).max(before.unwrap_or_else(|| session.opened())),
                    until,
                    fixed: fixed.get(&id).copied(),
                    is_open: true,
                    was_done: false,
                    is_ephemeral,
                });
            }
            None => {}
        }
    }
    found.reverse();
    found
}
