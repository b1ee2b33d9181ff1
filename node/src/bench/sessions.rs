//! Sessions that are opened and closed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use proto::Ask;

use super::client::TIMEOUT;
use super::mix::Kind;
use super::plan::Plan;
use super::record::Record;
use super::wire;

/// Opens and closes sessions, as many at a time as there are to be connections, each on a thread of its own.
pub(super) fn run(servers: &[SocketAddr], plan: &Plan, done: &AtomicU64) -> io::Result<Record> {
    let start = Instant::now() + plan.warmup;
    let end = start + plan.seconds;
    let records: Vec<io::Result<Record>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|number| {
                scope.spawn(move || {
                    let mut record = Record::new(start);
                    let server = servers[number as usize % servers.len()];
                    while Instant::now() < end {
                        once(server, &mut record)?;
                        done.fetch_add(2, Ordering::Relaxed);
                    }
                    Ok(record)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Record::new(start);
    for record in records {
        all.add(&record?);
    }
    Ok(all)
}

fn once(server: SocketAddr, record: &mut Record) -> io::Result<()> {
    let begun = Instant::now();
    let mut stream = wire::open(server, TIMEOUT)?;
    let opened = Instant::now();
    record.answered(Kind::Open, begun, opened, 0);
    let code = wire::call(&mut stream, &Ask::close_session())?;
    record.answered(Kind::Close, opened, Instant::now(), code);
    Ok(())
}
