//! What tests need to see an ensemble as its clients and its operators do: from outside.
//!
//! An [`Ensemble`] is a number of real server processes on loopback. A [`Connection`] speaks the client protocol
//! frame by frame; a [`Session`] is a client as it should be, which moves on to the next member when it loses one;
//! [`Load`] is many of them that write down what they were told, and [`audit`](audit::audit) compares that with
//! what the members say afterwards.
//!
//! With `CORRAL_TEST_SERVER=apache` in the environment the ensembles consist of Apache ZooKeeper (Debian's package; with
//! `apache-3.9` a later one), which is how one finds out what is to be expected.
// Layers, lowest first. A module imports only from those above it.
pub mod ports;
pub mod relay;
mod server;
mod turn;
pub mod wait;

mod clock;
pub mod disk;
mod plan;
mod preload;

pub mod certificates;
pub mod connection;

mod calls;
pub mod crowd;
pub mod session;
pub mod watcher;

pub mod tree;

pub mod load;

pub mod audit;

pub mod ensemble;

#[path = "../auditor/mod.rs"]
pub mod auditor;

#[path = "../checker/mod.rs"]
pub mod checker;

#[path = "../faults/mod.rs"]
pub mod faults;

#[path = "../differ/mod.rs"]
pub mod differ;

pub use connection::{Connection, Packet, Welcome};
pub use crowd::Crowd;
pub use ensemble::Ensemble;
pub use load::Load;
pub use plan::Plan;
pub use proto::ask::{self, Ask};
pub use server::{Server, corral, java_class_path, scratch};
pub use session::{Answer, Session};
pub use watcher::Watcher;
