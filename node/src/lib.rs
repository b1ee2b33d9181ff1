//! The process: all that a client or an operator can touch.
// Layers, lowest first. A module imports only from those above it; the tidy test checks.
pub mod config;

pub mod admin;
