//! The network between the members, which a test may cut.

use super::{Ensemble, Line};
use crate::relay::Relay;

impl Ensemble {
    /// Cuts a member off from the others; its clients still reach it. The ensemble must be [`crate::Plan::wired`].
    ///
    /// # Panics
    /// This and [`Self::rejoin`] panic if it is not.
    #[track_caller]
    pub fn cut_off(&self, id: usize) {
        self.wires_of(id).for_each(Relay::cut);
    }

    /// Breaks a member's connections with the others, and lets nobody make new ones. Other than when it is
    /// [cut off](Self::cut_off), what is under way is lost, and all hear of it.
    ///
    /// # Panics
    /// If the ensemble is not wired.
    #[track_caller]
    pub fn disconnect(&self, id: usize) {
        self.wires_of(id).for_each(Relay::tear);
    }

    /// Lets a member that was cut off or disconnected speak to the others again.
    #[track_caller]
    pub fn rejoin(&self, id: usize) {
        self.wires_of(id).for_each(Relay::mend);
    }

    /// The wire that one member dials another by. The ensemble must be [`crate::Plan::wired`].
    pub fn wire(&self, from: usize, to: usize) -> Option<&Relay> {
        self.wires.get(&(from, to, Line::Peer))
    }

    #[track_caller]
    fn wires_of(&self, id: usize) -> impl Iterator<Item = &Relay> {
        assert!(!self.wires.is_empty(), "the members of this ensemble cannot be cut off");
        self.wires.iter().filter(move |((from, to, _), _)| *from == id || *to == id).map(|(_, wire)| wire)
    }
}
