//! A load for any server of the client protocol, and what it measured of it.
//!
//! It speaks the protocol itself, over many connections and with many requests under way on each, so that no client
//! library is measured. A few threads drive all connections; nothing is shared between them but a counter.
// Layers, lowest first.
mod mix;
mod wire;

mod plan;
mod record;

mod grove;

mod client;

mod load;

mod fanout;
mod sessions;

mod plot;
mod table;

mod run;

pub use mix::Mix;
pub use plan::{Plan, Workload};
pub use run::run;
