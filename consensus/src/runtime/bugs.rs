//! Bugs that are put in on purpose, to see that a simulation finds them.

use machine::{Act, Command, Machine};

use super::life;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A leader that restarts goes on leading in its term.
    LeaderRestored,
    /// A leader does not believe that a member has less than it had acknowledged, as is openraft's default: it goes on asking
    /// for what was lost with the disk, and the member has nothing until the log is purged of what it lacks.
    ReversionForbidden,
    /// The disk of the log says "safe" of what it has only heard of.
    EarlyAcknowledgement,
    /// The disk of the log says "written" of what it could not write.
    FailedWriteAcknowledged,
    /// A vote is told before it is safe.
    VoteNotFlushed,
    /// That the end of the log was cut off is never made safe.
    TruncationNotFlushed,
    /// A member with an empty disk votes.
    EmptyDiskVotes,
    /// A member with an empty disk asks for votes before it has caught up.
    EmptiedStands,
    /// A member with an empty disk acknowledges before it has heard of the others.
    UnaskedAcknowledges,
    /// A follower that lacks what stands in front of new entries says that it has it, and so it does when it is asked without
    /// any: either answer alone would put right what the other had done.
    HoleAcknowledged,
    /// What a crash leaves of the state may lack what was written before what it has.
    StateOutOfOrder,
    /// The log is purged of what the state has not made safe.
    PurgedTooEarly,
    /// The log is purged of what was applied once more at the start, and the state has not made safe since.
    PurgedAtStart,
    /// The log is purged of what a member needs next that is being sent the state.
    NothingHeld,
    /// A snapshot says that it is further than it is.
    SnapshotBehind,
    /// Watches do not travel with a snapshot.
    SnapshotWithoutWatches,
    /// What comes over an attachment that the session has left is done.
    Unfenced,
    /// What comes a second time is done a second time.
    Repeated,
    /// A session that has moved since its end was decided is ended all the same.
    ExpiryUnfenced,
    /// A new leader brings the members by the log in line with those that are written down before it has applied what was
    /// committed before.
    MembersUnsettled,
    /// Who stands for election waits for votes as long as its own disk would take.
    ImpatientCandidate,
    /// Whoever applies a transaction stamps it with his own time.
    OwnClock,
    /// A barrier is answered without asking a quorum.
    HollowBarrier,
    /// A barrier is answered before what it asked for is applied.
    ImpatientBarrier,
}

/// Whether this one is in the current life.
pub(crate) fn is_in(bug: Bug) -> bool {
    life::with_current(|life| life.is_some_and(|life| life.bug == Some(bug)))
}

/// What a bug makes of a command that is about to be applied, if it makes anything of it.
pub(crate) fn tampered(machine: &Machine, command: &Command) -> Option<Command> {
    let (bug, now) = life::with_current(|life| life.and_then(|life| Some((life.bug?, life.wall()))))?;
    let mut command = command.clone();
    if bug == Bug::OwnClock {
        command.time = now;
    }
    match &mut command.act {
        Act::Write { session, attachment, seq, .. } => {
            let session = machine.session(*session)?;
            if bug == Bug::Unfenced && *attachment < session.attachment {
                (*attachment, *seq) = (session.attachment, session.next_seq);
            }
            if bug == Bug::Repeated && *attachment == session.attachment && *seq < session.next_seq {
                *seq = session.next_seq;
            }
        }
        Act::Expire { session, attachment } if bug == Bug::ExpiryUnfenced => {
            *attachment = machine.session(*session)?.attachment;
        }
        _ => {}
    }
    Some(command)
}
