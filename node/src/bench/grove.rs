//! The znodes that are read and written.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use indicatif::ProgressBar;
use proto::Ask;
use proto::ask::flags::PERSISTENT;

use super::wire::{call, exchange, open};

/// Children of one znode.
const CHILDREN: u32 = 100;

/// Requests under way while the znodes are made and taken away.
const UNDER_WAY: usize = 256;

/// Where everything is made. Two that measure at the same time must not be in each other's way.
#[derive(Clone, Debug)]
pub(super) struct Grove {
    root: String,
    znodes: u32,
}

impl Grove {
    /// Znodes of that number, none of them made.
    pub(super) fn new(znodes: u32) -> Self {
        Self { root: format!("/corral-bench-{:08x}", rand::random::<u32>()), znodes }
    }

    /// Where everything is.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The znode of that number, or another if there are not so many.
    pub(super) fn znode(&self, number: u32) -> String {
        let number = number % self.znodes;
        format!("{}/d{:05}/n{number:08}", self.root, number / CHILDREN)
    }

    /// The parent of some znode.
    pub(super) fn list(&self, number: u32) -> String {
        format!("{}/d{:05}", self.root, number % self.znodes / CHILDREN)
    }

    /// Where a client makes what it makes.
    pub(super) fn own(&self, client: u32) -> String {
        format!("{}/c{client:06}", self.root)
    }

    /// Makes all of it, for so many clients.
    pub(super) fn plant(
        &self,
        server: SocketAddr,
        clients: u32,
        size: u32,
        progress: &ProgressBar,
    ) -> io::Result<()> {
        let data = data(size);
        let create = |path: &str, data: &[u8]| Ask::create(path, data, PERSISTENT);
        let root = std::iter::once(create(&self.root, b""));
        let owned = (0..clients).map(|client| create(&self.own(client), b""));
        let lists = (0..self.znodes).step_by(CHILDREN as usize).map(|number| create(&self.list(number), b""));
        let znodes = (0..self.znodes).map(|number| create(&self.znode(number), &data));
        progress.set_length(1 + u64::from(clients) + u64::from(self.znodes.div_ceil(CHILDREN) + self.znodes));
        let mut stream = open(server, TIMEOUT)?;
        exchange(&mut stream, root.chain(owned).chain(lists).chain(znodes), UNDER_WAY, &[0], progress)?;
        call(&mut stream, &Ask::close_session()).map(drop)
    }

    /// Takes all of it away, and what clients have left there.
    pub(super) fn clear(
        &self,
        server: SocketAddr,
        left: impl Iterator<Item = String>,
        clients: u32,
        progress: &ProgressBar,
    ) -> io::Result<()> {
        let znodes = (0..self.znodes).map(|number| self.znode(number));
        let lists = (0..self.znodes).step_by(CHILDREN as usize).map(|number| self.list(number));
        let owned = (0..clients).map(|client| self.own(client));
        let all = left.chain(znodes).chain(lists).chain(owned).chain([self.root.clone()]);
        let mut stream = open(server, TIMEOUT)?;
        // Of what was under way when the time was up, nobody knows whether it is there: -101 is "no such znode".
        exchange(&mut stream, all.map(|path| Ask::delete(&path)), UNDER_WAY, &[0, -101], progress)?;
        call(&mut stream, &Ask::close_session()).map(drop)
    }
}

/// Session timeout of whoever prepares.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Data of that many bytes.
pub(super) fn data(size: u32) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size as usize).collect()
}
