//! What we call ourselves.

/// The version of ZooKeeper whose words and bytes are spoken.
pub const SPOKEN: &str = "3.9.5";

/// Our own version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// `3.9.5-corral-0.1.0`: tools read the numbers in front, people the rest.
pub fn short() -> String {
    format!("{SPOKEN}-corral-{OWN}")
}

/// The same with the day of the build, if whoever built it has said so in `CORRAL_BUILT_ON`.
pub fn long() -> String {
    format!("{}, built on {}", short(), option_env!("CORRAL_BUILT_ON").unwrap_or("an unknown day"))
}
