//! Members whose disk is damaged, and ensembles of which one member is left.
#![allow(clippy::unwrap_used, reason = "it holds nothing but tests")]

mod harness;

use std::fs;
use std::path::Path;

use consensus::{Retention, offline};
use harness::{Ensemble, PATIENCE};
use machine::ChangeKind;
use proto::{ClusterId, MemberId, Zxid};

/// One bit is flipped in the first file below `dir` with this ending that holds `needle`.
fn flip(dir: &Path, ending: &str, needle: &[u8]) {
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if !path.to_string_lossy().ends_with(ending) {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no file in {} that ends with {ending} holds the bytes", dir.display());
}

async fn filled(znodes: usize) -> (Ensemble, harness::Client) {
    let mut ensemble = Ensemble::new(3);
    ensemble.start_all().await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client(leader).await;
    for number in 0..znodes {
        ensemble.create(&mut client, &format!("/filled-{number}")).await;
    }
    ensemble.agree().await;
    (ensemble, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_moved_aside_and_the_member_is_filled_again() {
    let (mut ensemble, _) = filled(50).await;
    let before = ensemble.agree().await;
    let damaged = ensemble.follower().await;
    ensemble.stop(damaged).await;
    let refused = offline::recover(&ensemble.config(damaged), false).unwrap_err().to_string();
    assert!(refused.starts_with("nothing is wrong with"), "{refused}");

    flip(&ensemble.directory(damaged).join("log"), ".log", b"/filled-20");
    let refused = ensemble.try_start(damaged).await.unwrap_err().to_string();
    assert!(refused.contains("run `corral recover` with this member's configuration"), "{refused}");
    let recovered = offline::recover(&ensemble.config(damaged), false).unwrap();
    assert_eq!(recovered.damage.len(), 1, "{recovered:?}");
    assert_eq!(recovered.aside.len(), 2);
    assert!(recovered.aside.iter().all(|folder| folder.is_dir()));
    let name = ensemble.members.values().next().unwrap().consensus.status().borrow().cluster;
    assert!(name.is_some());

    ensemble.start(damaged).await;
    assert_eq!(ensemble.agree().await, before);
    // It votes again, and knows what it belongs to.
    ensemble.stop_all().await;
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    assert_eq!(ensemble.members[&damaged].consensus.status().borrow().cluster, name);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_were_recovered_do_not_begin_an_ensemble_among_themselves() {
    let (mut ensemble, _) = filled(5).await;
    let before = ensemble.agree().await;
    ensemble.stop_all().await;
    for member in [1, 2] {
        offline::recover(&ensemble.config(member), true).unwrap();
        ensemble.start(member).await;
    }
    let mut status = ensemble.members[&1].consensus.status();
    let led = status.wait_for(|status| status.leader.is_some());
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(3), led).await.is_err(),
        "two have forgotten all"
    );
    ensemble.stop_all().await;
    // What they had is still there.
    for member in [1, 2] {
        let dir = ensemble.directory(member);
        for folder in ["log", "state"] {
            fs::remove_dir_all(dir.join(folder)).ok();
            let aside = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
            let aside =
                aside.into_iter().find(|path| path.to_string_lossy().contains(&format!("{folder}.aside-")));
            fs::rename(aside.unwrap(), dir.join(folder)).unwrap();
        }
    }
    ensemble.start_all().await;
    assert_eq!(ensemble.agree().await, before);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_member_goes_on_alone_with_all_that_was_acknowledged() {
    let (mut ensemble, _) = filled(50).await;
    let (zxid, _) = ensemble.agree().await;
    let old = ensemble.members[&1].consensus.status().borrow().cluster;
    ensemble.stop_all().await;
    ensemble.lose_disk(1);
    ensemble.lose_disk(2);

    let config = ensemble.config(3);
    let survivor = offline::survey(&config).unwrap();
    assert_eq!((survivor.member, survivor.cluster, survivor.zxid), (MemberId::new(3), old, zxid));
    assert_eq!(survivor.voters.len(), 3);
    assert_eq!(survivor.sessions, 1);
    let name = ClusterId::new(0xf0).unwrap();
    let forced = offline::force_new_ensemble(&config, name).unwrap();
    assert_eq!(forced.zxid, Zxid::new(1 << 32));
    assert_eq!(forced.aside.len(), 2);

    ensemble.start(3).await;
    let mut status = ensemble.members[&3].consensus.status();
    let serves = status.wait_for(|status| status.recovered && status.leader.is_some());
    tokio::time::timeout(PATIENCE, serves).await.unwrap().unwrap();
    assert_eq!(status.borrow().cluster, Some(name));
    assert_eq!(status.borrow().members.keys().copied().collect::<Vec<_>>(), [MemberId::new(3)]);
    // The four that every world has.
    assert_eq!(ensemble.znodes(3), 54);
    let mut client = ensemble.client(3).await;
    ensemble.create(&mut client, "/goes-on").await;
    assert!(ensemble.digest(3).0 > forced.zxid);
    ensemble.stop_all().await;
    ensemble.start(3).await;
    let mut status = ensemble.members[&3].consensus.status();
    let serves = status.wait_for(|status| status.recovered && status.leader.is_some());
    tokio::time::timeout(PATIENCE, serves).await.unwrap().unwrap();
    assert_eq!(ensemble.znodes(3), 55);
    ensemble.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_disk_is_told_in_words() {
    let (mut ensemble, client) = filled(3).await;
    let (zxid, digest) = ensemble.agree().await;
    let name = ensemble.members[&1].consensus.status().borrow().cluster;
    ensemble.stop_all().await;
    let mut acts = Vec::new();
    let dir = ensemble.directory(1);
    let log = offline::inspect_log(&dir.join("log"), |entry| acts.extend(entry.acts)).unwrap();
    assert_eq!(
        (log.member, log.cluster, log.purged, log.is_new),
        (Some(MemberId::new(1)), name, None, false)
    );
    assert!(acts.iter().any(|act| act.starts_with("members: 1 votes at 127.0.0.1:")), "{acts:?}");
    assert!(acts.contains(&format!("the ensemble is called {}", name.unwrap())), "{acts:?}");
    let created = format!("session {}, write 1.3: Create", client.session);
    assert!(acts.iter().any(|act| act.starts_with(&created) && act.contains("/filled-2")), "{acts:?}");
    // What each zxid was.
    let mut made = Vec::new();
    let mut last = Zxid::ZERO;
    let end = offline::replay_log(&dir.join("log"), |_, _, applied| {
        last = applied.zxid;
        let paths = applied.changes.iter().filter(|change| change.kind == ChangeKind::Created);
        made.extend(paths.map(|change| (applied.zxid, change.path.to_string())));
    });
    assert_eq!((last, end.unwrap()), (zxid, log.committed));
    let expected = (0..3).map(|number| (Zxid::new(zxid.get() - 2 + number), format!("/filled-{number}")));
    assert_eq!(made[made.len() - 3..], expected.collect::<Vec<_>>());
    let state = offline::inspect_state(&dir.join("state")).unwrap();
    assert_eq!((state.zxid, state.digest, state.cluster), (zxid, digest, name));
    // Whoever led last may have written the beginning of another term, which not all have applied.
    assert_eq!(state.census.sessions, 1);
    assert!(state.applied.is_some() && state.applied <= log.last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_does_not_say_what_each_zxid_was() {
    let mut ensemble = Ensemble::new(1);
    ensemble.retention = Retention { snapshot_every: 20, keep: 5, bytes_max: u64::MAX };
    ensemble.start_all().await;
    let mut client = ensemble.client(1).await;
    for number in 0..60 {
        ensemble.create(&mut client, &format!("/filled-{number}")).await;
    }
    let log = ensemble.directory(1).join("log");
    let is_cut = || offline::inspect_log(&log, |_| {}).is_ok_and(|log| log.purged.is_some());
    let patience = tokio::time::timeout(PATIENCE, async {
        while !is_cut() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    patience.await.unwrap();
    ensemble.stop_all().await;
    let refused = offline::replay_log(&log, |_, _, _| {}).unwrap_err().to_string();
    assert!(refused.contains("without what came before nobody can tell the zxids"), "{refused}");
}
