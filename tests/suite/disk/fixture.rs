//! Data that an older release has written.

use std::fs;
use std::path::{Path, PathBuf};

use harness::ask::flags::{EPHEMERAL, PERSISTENT};
use harness::{Ask, Connection, Ensemble, Plan, Server};

use super::{data, digest};

/// What the world of the fixture comes to: its zxid, and its digest.
const FORMAT_1: (&str, &str) = ("0x14", "59da99eb161de997");

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Copies what counts: RocksDB's own diary, and the file that it locks, are made anew.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(&name));
        } else if !name.to_string_lossy().starts_with("LO") {
            fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

#[test]
fn the_data_of_format_1_opens() {
    if Server::under_test().is_apache() {
        return;
    }
    if let Some(name) = std::env::var_os("CORRAL_WRITE_FIXTURE") {
        write(&fixtures().join(name));
    }
    let mut ensemble = Ensemble::prepare(&Plan::members(1));
    copy(&fixtures().join("data-format-1"), &ensemble.directory(1).join("data"));
    let (zxid, digest) = digest(&ensemble, 1);
    assert_eq!((&*zxid, &*digest), FORMAT_1);
    ensemble.start_member(1);
    ensemble.wait_until_serving();
    let (mut client, _) = Connection::open(ensemble.address(1), 5_000);
    for number in 0..10 {
        let read = client.call(&Ask::get_data(&format!("/filled-{number}"), false));
        let expected = if number == 3 { b"new".to_vec() } else { data(number) };
        assert_eq!(read.data().0.as_deref(), Some(&*expected));
    }
    assert_eq!(client.call(&Ask::create("/goes-on", b"", PERSISTENT)).err, 0);
}

/// Writes a fixture of the present format, when that has changed: under a name of its own, because the older ones stay.
/// What it comes to is printed, and gets a test above.
fn write(fixture: &Path) {
    assert!(!fixture.exists(), "{} is there already", fixture.display());
    let mut ensemble = Ensemble::start(&Plan::members(1));
    let (mut client, _) = Connection::open(ensemble.address(1), 30_000);
    for number in 0..10 {
        client.call(&Ask::create(&format!("/filled-{number}"), &data(number), PERSISTENT));
    }
    client.call(&Ask::create("/filled-0/gone", b"x", PERSISTENT));
    client.call(&Ask::delete("/filled-0/gone"));
    client.call(&Ask::create("/ephemeral", b"", EPHEMERAL));
    client.call(&Ask::create_container("/container"));
    client.call(&Ask::create_ttl("/ttl", b"", 3_600_000));
    client.call(&Ask::create_for("/acl", 31, "digest", "ann:x"));
    client.call(&Ask::get_data("/filled-1", true));
    client.call(&Ask::add_watch("/filled-2", 1));
    client.call(&Ask::set_data("/filled-3", b"new", -1));
    ensemble.stop(1);
    for folder in ["log", "state"] {
        copy(&ensemble.directory(1).join("data").join(folder), &fixture.join(folder));
    }
    eprintln!("{:?}", digest(&ensemble, 1));
}
