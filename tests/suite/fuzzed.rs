//! Every decoder, fed with the seeds of its fuzzer (`make fuzz`), and with what is next to them: no panic, and no memory that
//! the input cannot account for.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]
#![allow(unreachable_pub, reason = "the modules are those of the fuzzer, where they are public")]

#[path = "../fuzz/src/bounds.rs"]
mod bounds;
#[path = "../fuzz/src/server.rs"]
mod server;
#[path = "../fuzz/src/wire.rs"]
mod wire;

use std::path::Path;

/// Changes of each seed that are tried besides it.
const CHANGES: usize = 300;

/// Feeds `decode` with all seeds of this name, each also cut short at every byte and with bytes of it changed.
#[track_caller]
fn feed(name: &str, decode: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    // The same changes every time: what fails once fails again.
    let mut random = fastrand::Rng::with_seed(20_261_122);
    for file in files {
        let seed = std::fs::read(&file).unwrap();
        decode(&seed);
        (0..seed.len()).for_each(|end| decode(&seed[..end]));
        for _ in 0..CHANGES {
            let mut changed = seed.clone();
            for _ in 0..random.usize(1..4) {
                let byte = [0, 1, 0x7f, 0x80, 0xff, random.u8(..)][random.usize(..6)];
                if !changed.is_empty() {
                    let at = random.usize(..changed.len());
                    changed[at] = byte;
                }
            }
            decode(&changed);
        }
    }
}

#[test]
fn frames() {
    feed("frames", wire::frames);
}

#[test]
fn greetings() {
    feed("greeting", wire::greeting);
}

#[test]
fn requests() {
    feed("requests", wire::requests);
}

#[test]
fn multis() {
    feed("multi", wire::multi);
}

#[test]
fn entries_of_the_log() {
    feed("entries", server::entries);
}

#[test]
fn configurations() {
    feed("config", server::config);
}
