//! Faults that are put between the socket and the record on purpose, to show that the auditor finds them.

use std::collections::VecDeque;

use crate::Packet;

/// The number of the answer to a ping.
const PING: i32 = -2;

/// What is done to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// It never arrives.
    Swallow,
    /// It arrives a second time, behind a reply that shows it to have been seen.
    Repeat,
    /// It arrives behind the next notification, which is of a later transaction.
    Swap,
    /// It arrives behind the next reply that shows the change.
    Delay,
    /// It says that something else happened.
    Retype,
}

/// What comes out of a socket, as it is to be recorded.
#[derive(Debug, Default)]
pub struct Tampering {
    /// What is to be done, and to the how manieth notification.
    plan: Option<(Sabotage, u32)>,
    /// The same when it is done.
    done: Option<(Sabotage, u32)>,
    notifications: u32,
    /// The newest of them. What comes again is told for the second time, and to tamper with it would be no harm.
    newest: i64,
    held: Option<Packet>,
    ready: VecDeque<Packet>,
}

impl Tampering {
    /// This is done to one notification, or to one soon after if it cannot be done to that one.
    pub fn new(plan: Option<(Sabotage, u32)>) -> Self {
        Self { plan, ..Self::default() }
    }

    /// Takes in what came.
    pub fn take(&mut self, packet: Packet) {
        let Some((what, number)) = self.plan else { return self.ready.push_back(packet) };
        match packet {
            Packet::Event { zxid, kind, path } => {
                self.notifications += 1;
                let is_new = zxid > self.newest;
                self.newest = self.newest.max(zxid);
                let packet = Packet::Event { zxid, kind, path: path.clone() };
                if self.held.is_some() {
                    self.behind_an_event(zxid, packet);
                } else if self.notifications >= number && is_new {
                    match what {
                        Sabotage::Retype => {
                            let kind = if kind == 2 { 3 } else { 2 };
                            self.ready.push_back(Packet::Event { zxid, kind, path });
                            self.done = self.plan.take();
                        }
                        Sabotage::Repeat => {
                            self.held = Some(packet.clone());
                            self.ready.push_back(packet);
                        }
                        Sabotage::Swallow | Sabotage::Swap | Sabotage::Delay => self.held = Some(packet),
                    }
                } else {
                    self.ready.push_back(packet);
                }
            }
            Packet::Reply(reply) => {
                // Not every client takes note of what the answer to a ping shows.
                let shows = |held: &Packet| matches!(held, Packet::Event { zxid, .. } if *zxid <= reply.zxid && reply.xid != PING);
                let is_shown = self.held.as_ref().is_some_and(shows);
                let packet = Packet::Reply(reply);
                if !is_shown {
                    self.ready.push_back(packet);
                } else if what == Sabotage::Swap {
                    // Nothing came that it could be swapped with.
                    self.ready.extend(self.held.take());
                    self.ready.push_back(packet);
                } else {
                    self.ready.push_back(packet);
                    self.ready.extend(self.held.take().filter(|_| what != Sabotage::Swallow));
                    self.done = self.plan.take();
                }
            }
        }
    }

    /// The connection is gone. What it has not shown to be known may come again on the next one, so what was held has
    /// not been tampered with.
    pub fn hang_up(&mut self) {
        self.held = None;
        if !self.ready.is_empty() {
            self.ready.clear();
            self.plan = self.plan.or(self.done);
        }
    }

    fn behind_an_event(&mut self, zxid: i64, packet: Packet) {
        let is_later = matches!(self.held, Some(Packet::Event { zxid: held, .. }) if held < zxid);
        self.ready.push_back(packet);
        if is_later && matches!(self.plan, Some((Sabotage::Swap, _))) {
            self.ready.extend(self.held.take());
            self.done = self.plan.take();
        }
    }

    /// What is to be recorded next.
    pub fn give(&mut self) -> Option<Packet> {
        self.ready.pop_front()
    }
}
