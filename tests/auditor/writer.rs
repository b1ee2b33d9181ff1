//! A session that changes its own znodes all the time, in all the ways that watches can tell apart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::{Client, Lost};
use super::history::{Change, Deed};
use super::paths::PathId;
use super::pen::Pen;
use crate::session::Gone;

/// The znodes of one writer.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What all of them are below. It is always there.
    pub(super) base: PathId,
    /// Its children, each with children of its own.
    pub(super) znodes: Vec<(PathId, Vec<PathId>)>,
}

#[derive(Debug)]
pub(super) struct Writer {
    client: Client,
    pen: Pen,
    plot: Plot,
    /// How long it rests between two steps, on average.
    pace: Duration,
}

impl Writer {
    pub(super) fn new(client: Client, plot: Plot, pace: Duration) -> Self {
        Self { pen: Pen::new(plot.base), client, plot, pace }
    }

    /// Writes until told to stop. Returns all that it has done, and what was wrong.
    pub(super) fn run(mut self, stop: &AtomicBool) -> (Vec<Change>, Vec<String>) {
        while self.go_on(stop.load(Ordering::SeqCst)).is_ok_and(|more| more) {}
        let _closed = self.client.call(&crate::Ask::close_session());
        (self.pen.changes, self.client.log.violations)
    }

    /// Says whether there is more to do.
    fn go_on(&mut self, is_over: bool) -> Result<bool, Gone> {
        if !self.client.is_connected() {
            self.client.connect()?;
        }
        if self.pen.settle(&mut self.client).is_err() {
            return Ok(true);
        }
        if !is_over {
            // If the connection breaks, the next round finds out how far this got.
            let _broken = self.step();
            let rest = self.client.rng.f64() * 2.0 * self.pace.as_secs_f64();
            std::thread::sleep(Duration::from_secs_f64(rest));
        }
        // Nobody needs what was written down of a session that watches nothing.
        self.client.log.moments.clear();
        Ok(!is_over)
    }

    fn step(&mut self) -> Result<(), Lost> {
        let (client, pen) = (&mut self.client, &mut self.pen);
        let rng = &mut client.rng;
        let &(path, ref children) = &self.plot.znodes[rng.usize(..self.plot.znodes.len())];
        let there: Vec<PathId> = children.iter().copied().filter(|child| pen.is_there(*child)).collect();
        let missing: Vec<PathId> = children.iter().copied().filter(|child| !pen.is_there(*child)).collect();
        let missing = rng.choice(missing);
        let with_children = |deed| there.iter().map(|child| (*child, Deed::Deleted)).chain([(path, deed)]);
        if !pen.is_there(path) {
            return match rng.u8(..10) {
                0..2 => {
                    pen.write(client, &[(path, Deed::Created)])?;
                    pen.write(client, &[(path, Deed::Deleted)])
                }
                2 => pen.write(client, &[(path, Deed::Created), (path, Deed::Written)]),
                3 if missing.is_some() => {
                    let child = missing.unwrap_or(path);
                    pen.write(client, &[(path, Deed::Created), (child, Deed::Created)])
                }
                _ => pen.write(client, &[(path, Deed::Created)]),
            };
        }
        match rng.u8(..20) {
            0..8 => pen.write(client, &[(path, Deed::Written)]),
            8..12 => match missing {
                Some(child) => pen.write(client, &[(child, Deed::Created)]),
                None => pen.write(client, &[(children[0], Deed::Deleted)]),
            },
            12..14 => match there.first() {
                Some(child) => pen.write(client, &[(*child, Deed::Deleted)]),
                None => pen.write(client, &[(self.plot.base, Deed::Written)]),
            },
            14 => {
                let more: Vec<_> = there.iter().map(|child| (*child, Deed::Written)).collect();
                pen.write(client, &[&[(path, Deed::Written)], &more[..]].concat())
            }
            // Gone and there again, in two transactions or in one.
            15..17 => {
                pen.write(client, &with_children(Deed::Deleted).collect::<Vec<_>>())?;
                pen.write(client, &[(path, Deed::Created)])
            }
            17 => {
                let deeds: Vec<_> = with_children(Deed::Deleted).chain([(path, Deed::Created)]).collect();
                pen.write(client, &deeds)
            }
            _ => pen.write(client, &with_children(Deed::Deleted).collect::<Vec<_>>()),
        }
    }
}
