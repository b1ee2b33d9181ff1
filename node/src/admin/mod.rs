//! What operators may ask: four-letter words, the AdminServer's commands, and metrics.
// Layers, lowest first.
mod host;
mod report;
pub mod version;

mod numbers;
mod watching;

mod source;

mod listing;
mod prometheus;
mod text;

mod commands;
mod word;

mod http;

pub use host::Host;
pub use report::{Connection, Latency, Proposals, Report, Serving};
pub use watching::Form;
pub use word::{Answer, Word, answer};

pub(crate) use http::{Port, admin_routes, metrics_routes};
pub(crate) use listing::gather;
pub(crate) use source::Source;

#[cfg(test)]
mod example;
