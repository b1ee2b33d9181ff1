//! What clients are told of what they wait for, whatever happens to them and to the members: golden traces.
//!
//! A script stands in `tests/traces/watches`, and is played by three real members and by clients on real
//! connections. Each of its commands begins with `>`, and is one line:
//!
//! ```text
//! > members                           three of them; wired, if they are to be cut off; lagging, if a short absence is
//!                                     to be a long one
//! > home leads                        from here on the leader is called home, and the others second and third;
//! > home follows                      or one of the others is, and the third is called third, the leader leader
//! > ann opens home set-watches-2      a client: what it will say of its watches when it comes back, which may also be
//!                                     set-watches and nothing; timeout=60000
//! > ann,bea get /a watch              each of them; exists and ls too
//! > ann watches persistent /a         or recursive
//! > ann unwatches data /a             or child, persistent, recursive, any
//! > ann remembers data /a             a watch of which no member knows, as when one dies before it has reported it
//! > ann creates /a x ephemeral
//! > ann sets /a x                     or many times; bytes=100 times=200 instead of x
//! > ann deletes /a
//! > ann proves ann:secret             who it is
//! > ann shuts /a                      for all others; frees
//! > ann hears                         everything that there is to hear
//! > ann pings                         everything that her member, which may be cut off, knows by itself
//! > ann awaits 5                      so many events, however long it takes
//! > ann leaves                        hangs up
//! > ann loses                         is hung up
//! > ann returns third                 with her session, and as is her manner; of=/a,/b in a packet for these alone,
//!                                     full, with so many others that it has the size at which libraries cut it
//! > ann adds of=/c                    another such packet
//! > ann closes
//! > ann reads /a while wes sets times=200
//! > kill home                         -9; start, stop, pause, continue, cut-off, disconnect, rejoin
//! > kill all                          and start
//! > home has it from a snapshot       waits until it has been sent the whole state
//! ```
//!
//! What each client heard is written behind the command in the order in which it came; where some heard the same,
//! once. A write that was done has a number, and an event the number of the write that it tells of: `3 ann ! deleted
//! /a`. `3+` is a change behind that write which no client asked for, like the end of a session. `-1` is an event of which the member did not know when it happened. An event that comes behind a reply that
//! showed its zxid is marked late, and one that the client does not wait for unasked.
//!
//! Nothing in a script waits for some time to pass. All that is due to a client stands in front of the answer to a
//! sync, so when that has come everything else is missing.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p tests --test watches` writes what happened into the scripts; then read the diff.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

#[path = "watches/client.rs"]
mod client;
#[path = "watches/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harness::Server;
use libtest_mimic::{Arguments, Trial};

use stage::Stage;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/watches");
    let scripts: BTreeSet<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!scripts.is_empty(), "there are no scripts");
    let trials = scripts.into_iter().map(|script| {
        let name = script.file_name().unwrap().to_string_lossy().into_owned();
        let trial = Trial::test(name, move || {
            let mut stage = Stage::default();
            // A panic, because then the members say what they have to say.
            goldenscript::run(&mut stage, &script).unwrap_or_else(|error| panic!("{error}"));
            Ok(())
        });
        // What Corral promises, others do not.
        trial.with_ignored_flag(Server::under_test().is_apache())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
