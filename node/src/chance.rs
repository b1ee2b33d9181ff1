//! What is drawn by chance, and what hashes depend on: in a simulation both come from its seed.

/// How tables are hashed whose keys clients may choose.
#[cfg(not(simulation))]
pub(crate) type Hashing = foldhash::fast::RandomState;
#[cfg(simulation)]
pub(crate) type Hashing = foldhash::fast::FixedState;

/// Bytes that nobody can guess.
#[cfg(not(simulation))]
pub(crate) fn secret() -> [u8; 16] {
    rand::random()
}
#[cfg(simulation)]
pub(crate) fn secret() -> [u8; 16] {
    consensus::simulation::secret()
}
