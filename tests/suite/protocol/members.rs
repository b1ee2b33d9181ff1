//! What members do of themselves, and what they say of each other.

use std::time::Duration;

use bytes::BufMut;
use harness::{Ask, Connection, Ensemble, wait};

use crate::{alone, make, open};

/// Processor time that a process has spent.
fn spent(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may hold anything, also blanks; what follows it does not. User and system time are the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|&index| fields[index].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn members_that_nobody_asks_anything_rest() {
    let ensemble = Ensemble::three();
    let processes: Vec<u32> = ensemble.ids().map(|id| ensemble.pid(id).unwrap()).collect();
    let before: Vec<Duration> = processes.iter().map(|process| spent(*process)).collect();
    // Heartbeats take a few hundredths of it. A busy machine gives them less of it, never more.
    let while_resting = Duration::from_secs(3);
    std::thread::sleep(while_resting);
    for (process, before) in processes.iter().zip(before) {
        let spent = spent(*process) - before;
        assert!(spent < while_resting / 5, "spent {spent:?} of {while_resting:?} on nothing");
    }
}

#[test]
fn words_are_answered_and_stop_nobody() {
    let ensemble = Ensemble::three();
    let mut client = open(&ensemble, 1);
    make(&mut client, "/words", "");
    for id in ensemble.ids() {
        assert_eq!(ensemble.four_letter(id, "ruok").unwrap(), "imok");
        assert_eq!(ensemble.four_letter(id, "isro").unwrap().trim(), "rw");
        let expected = [
            ("srvr", "Mode: "),
            ("stat", "Mode: "),
            ("mntr", "zk_server_state\t"),
            ("conf", &format!("clientPort={}", ensemble.address(id).port())),
            ("envi", "zookeeper.version="),
        ];
        for (word, expected) in expected {
            let answer = ensemble.four_letter(id, word).unwrap();
            assert!(answer.contains(expected), "{word} of member {id} does not say `{expected}`:\n{answer}");
        }
    }
    let modes = |mode: &str| {
        let says = |id: &usize| ensemble.four_letter(*id, "srvr").unwrap().contains(&format!("Mode: {mode}"));
        ensemble.ids().filter(says).count()
    };
    assert_eq!((modes("leader"), modes("follower")), (1, 2));

    let mut half_a_word = Connection::dial(ensemble.address(1)).unwrap();
    let mut odd = bytes::BytesMut::new();
    odd.put_slice(b"xyzw");
    half_a_word.write(&odd).unwrap();
    half_a_word.expect_hang_up();
    make(&mut client, "/words/still", "");
}

#[test]
fn clients_read_who_the_members_are() {
    let ensemble = Ensemble::three();
    let told: Vec<(String, i32)> = ensemble
        .ids()
        .map(|id| {
            let mut client = open(&ensemble, id);
            wait::until("the members are written down", || {
                let (data, stat) = client.call(&Ask::get_data("/zookeeper/config", false)).data();
                let text = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
                (!text.is_empty()).then_some((text, stat.version))
            })
        })
        .collect();
    assert!(told.iter().all(|member| *member == told[0]), "each member tells its own: {told:?}");
    let (text, version) = &told[0];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, id) in lines.iter().zip(ensemble.ids()) {
        assert!(line.starts_with(&format!("server.{id}=127.0.0.1:")), "{line}");
        assert!(line.contains(":participant"), "{line}");
    }
    assert_eq!((lines[3], *version), ("version=0", -1));
    assert!(!text.ends_with('\n'));

    let server = alone();
    let mut alone = open(&server, 1);
    let (data, stat) = alone.call(&Ask::get_data("/zookeeper/config", false)).data();
    assert_eq!((data.unwrap_or_default().len(), stat.version), (0, 0), "a member alone is no ensemble");
}
