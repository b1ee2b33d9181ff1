//! Ports that no other test uses at the same time.
//!
//! The numbers lie below the range from which the kernel takes ports for outgoing connections. Otherwise a client
//! that dials a member which is down could be given that very port, connect to itself, and keep the member from
//! starting again.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

const FIRST: u16 = 12_000;
const PORTS_IN_BLOCK: u16 = 32;
const BLOCKS: u16 = 600;

/// A row of ports, ours as long as this lives: whoever else takes ports by this rule, in this process or another,
/// finds the block's file locked.
#[derive(Debug)]
pub struct Block {
    free: Vec<u16>,
    _claim: File,
}

impl Block {
    /// A block nobody else has, and in it the ports nobody listens at.
    ///
    /// # Errors
    /// If there is none.
    pub fn claim() -> Result<Self> {
        let directory = std::env::temp_dir().join("corral-test-ports");
        std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        let start = fastrand::u16(..BLOCKS);
        for block in (0..BLOCKS).map(|offset| (start + offset) % BLOCKS) {
            // A file of another user cannot be opened: then the block is that user's.
            let path = directory.join(block.to_string());
            let Ok(claim) = OpenOptions::new().create(true).append(true).open(path) else { continue };
            if claim.try_lock().is_err() {
                continue;
            }
            let first = FIRST + block * PORTS_IN_BLOCK;
            let free: Vec<u16> = (first..first + PORTS_IN_BLOCK).filter(|port| is_free(*port)).collect();
            if free.len() > usize::from(PORTS_IN_BLOCK) / 2 {
                return Ok(Self { free, _claim: claim });
            }
        }
        bail!("no free block of ports between {FIRST} and {}", FIRST + BLOCKS * PORTS_IN_BLOCK);
    }

    /// The next port of the block.
    ///
    /// # Errors
    /// If all have been taken.
    pub fn take(&mut self) -> Result<u16> {
        self.free.pop().context("the block of ports is used up")
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_share_no_port() {
        let (one, two) = (Block::claim().unwrap(), Block::claim().unwrap());
        assert!(!one.free.is_empty());
        assert!(one.free.iter().all(|port| !two.free.contains(port)));
    }
}
