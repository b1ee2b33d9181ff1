//! What operators may ask: the four-letter words.
// Layers, lowest first.
mod host;
mod report;
pub mod version;

mod text;

mod word;

pub use host::Host;
pub use report::{Connection, Latency, Proposals, Report, Serving};
pub use word::{Word, answer};
