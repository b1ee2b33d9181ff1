//! What a client may rely on, frame by frame.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

use harness::ask::flags::PERSISTENT;
use harness::{Ask, Connection, Ensemble, Plan, Server};

#[path = "protocol/connections.rs"]
mod connections;
#[path = "protocol/events.rs"]
mod events;
#[path = "protocol/members.rs"]
mod members;
#[path = "protocol/requests.rs"]
mod requests;
#[path = "protocol/returning.rs"]
mod returning;
#[path = "protocol/sessions.rs"]
mod sessions;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

const NO_NODE: i32 = -101;

const TIMEOUT_MS: i32 = 10_000;

fn alone() -> Ensemble {
    Ensemble::start(&Plan::members(1))
}

#[track_caller]
fn open(ensemble: &Ensemble, member: usize) -> Connection {
    Connection::open(ensemble.address(member), TIMEOUT_MS).0
}

#[track_caller]
fn make(connection: &mut Connection, path: &str, data: &str) {
    let reply = connection.call(&Ask::create(path, data.as_bytes(), PERSISTENT));
    assert_eq!((reply.err, reply.path().as_str()), (0, path));
}

/// What a znode holds, or the refusal.
#[track_caller]
fn text(connection: &mut Connection, path: &str) -> Result<String, i32> {
    let reply = connection.call(&Ask::get_data(path, false));
    match reply.err {
        0 => Ok(String::from_utf8_lossy(&reply.data().0.unwrap_or_default()).into_owned()),
        err => Err(err),
    }
}

/// Whether this is a server that does as ZooKeeper does where we mean to do better.
fn is_apache() -> bool {
    Server::under_test().is_apache()
}
