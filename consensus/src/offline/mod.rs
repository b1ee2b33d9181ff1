//! What can be done with the folders of a member while it does not run.
// Layers, lowest first.
mod difference;
mod folders;
mod inspect;

mod compare;
mod force;
mod recover;
mod replay;

mod restore;

pub use compare::{Brought, Comparison, Data, Standing, compare};
pub use difference::Difference;
pub use folders::Folders;
pub use force::{Forced, Survivor, force_new_ensemble, survey};
pub use inspect::{EntryInWords, LogInWords, Place, StateInWords, inspect_log, inspect_state};
pub use recover::{Recovered, recover};
pub use replay::replay_log;
pub use restore::{BackupInWords, Manner, Restored, check_backup, restore};
