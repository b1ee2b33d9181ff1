//! What befalls a member besides death: disks that fail, clocks that are wrong, an end of its own.

use super::Ensemble;
use crate::{clock, disk, wait};

impl Ensemble {
    /// Lets a member's disk fail from now on, for files with this in their path; `None` mends it. The ensemble must have
    /// [`crate::Plan::faulty_disks`].
    ///
    /// # Panics
    /// If it does not, or that cannot be written down.
    #[track_caller]
    pub fn break_disk(&self, id: usize, fault: Option<(disk::Fault, &str)>) {
        assert!(!self.preload.is_empty(), "the disks of this ensemble cannot fail");
        let said = disk::say(&self.members[id - 1].directory.join("zoo.cfg"), fault);
        said.unwrap_or_else(|error| panic!("say how the disk of member {id} fails: {error}"));
    }

    /// Lets a member's wall clock be wrong by so many milliseconds from now on, also when it is started again. The ensemble
    /// must have [`crate::Plan::shifting_clocks`].
    ///
    /// # Panics
    /// If it does not, or that cannot be written down.
    #[track_caller]
    pub fn shift_clock(&self, id: usize, millis: i64) {
        let file = clock::shift_of(&self.members[id - 1].directory.join("zoo.cfg"));
        assert!(file.exists(), "the clocks of this ensemble cannot be shifted");
        clock::shift(&file, millis).unwrap_or_else(|error| panic!("write {}: {error}", file.display()));
    }

    /// Waits until a member that was started serves (`true`) or has ended by itself (`false`).
    ///
    /// # Panics
    /// If it does neither.
    #[track_caller]
    pub fn serves_or_ends(&mut self, id: usize) -> bool {
        let member = &mut self.members[id - 1];
        let client = member.client;
        let serves = wait::within(wait::PATIENCE, || {
            if member.child.as_mut()?.try_wait().ok()?.is_some() {
                member.child = None;
                return Some(false);
            }
            super::gives_sessions(client).then_some(true)
        });
        serves.unwrap_or_else(|| panic!("member {id} neither serves nor ends:\n{}", self.tail(id)))
    }
}
