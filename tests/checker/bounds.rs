//! What real time says of zxids: what had returned before something was invoked is older.

use super::history::{History, Micros, Request};

/// Instants with the zxids that were shown by then.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// When a reply came, and the newest zxid of all replies up to it.
    shown: Vec<(Micros, i64)>,
    /// When something was invoked that no older transaction can stand behind, and the oldest zxid of all such from
    /// then on.
    ahead: Vec<(Micros, i64)>,
}

impl Bounds {
    pub(super) fn of(history: &History) -> Self {
        let replies = || history.ops().filter_map(|(_, op)| op.reply.as_ref().map(|reply| (op, reply)));
        let mut shown: Vec<_> = replies().map(|(_, reply)| (reply.at, reply.zxid)).collect();
        shown.sort_unstable();
        let mut newest = 0;
        for (_, zxid) in &mut shown {
            newest = newest.max(*zxid);
            *zxid = newest;
        }
        let mut ahead: Vec<_> = replies()
            .filter_map(|(op, reply)| match op.request {
                Request::Sync(_) => Some((op.invoked, reply.zxid)),
                _ if op.request.is_write() => Some((op.invoked, reply.zxid - 1)),
                _ => None,
            })
            .collect();
        ahead.sort_unstable();
        let mut oldest = i64::MAX;
        for (_, zxid) in ahead.iter_mut().rev() {
            oldest = oldest.min(*zxid);
            *zxid = oldest;
        }
        Self { shown, ahead }
    }

    /// The newest zxid that anybody had been shown before this instant: what is invoked then is newer.
    pub(super) fn shown_before(&self, at: Micros) -> i64 {
        let place = self.shown.partition_point(|(returned, _)| *returned < at);
        if place == 0 { 0 } else { self.shown[place - 1].1 }
    }

    /// What had happened by this instant has at most this zxid.
    pub(super) fn happened_by(&self, at: Micros) -> i64 {
        let place = self.ahead.partition_point(|(invoked, _)| *invoked <= at);
        self.ahead.get(place).map_or(i64::MAX, |(_, zxid)| *zxid)
    }
}
