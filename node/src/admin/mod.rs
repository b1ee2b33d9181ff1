//! What operators may ask: four-letter words, the AdminServer's commands, and metrics.
// Layers, lowest first.
mod deed;
mod host;
mod report;
pub mod version;

mod numbers;
mod source;

mod flat;
mod watching;

mod dump;

mod listing;
mod prometheus;
mod text;

mod answers;

mod commands;
mod word;

mod http;

pub use crate::metrics::{Detail, Quantiles, Reading, Spread, Unit, Value};
pub use crate::serving::Serving;
pub use crate::stats::{Flush, Line, OfSession, Sizes};
pub use deed::Deed;
pub use host::Host;
pub use report::{Latency, Report};
pub use watching::Form;

pub(crate) use watching::Watching;
pub use word::{Answer, Word, answer};

pub(crate) use deed::{Credentials, TRACE_MASK};
pub(crate) use dump::Dump;
pub(crate) use http::{Port, admin_routes, metrics_routes};
pub(crate) use listing::gather;
pub(crate) use source::Source;

#[cfg(test)]
mod example;
