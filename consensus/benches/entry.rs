//! What it costs to put transactions into an entry of the log, and to read them again.

use consensus::Proposal;
use divan::Bencher;
use divan::counter::ItemsCount;
use proto::{Ask, Attachment, OpCode, Seq, SessionId};

/// What a znode holds.
const DATA: [u8; 100] = [b'x'; 100];

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 10, 100], sample_size = 100)]
fn encode(bencher: Bencher, writes: u64) {
    bencher
        .counter(ItemsCount::new(writes))
        .with_inputs(|| proposals(writes))
        .bench_values(consensus::pack_transactions);
}

#[divan::bench(args = [1, 10, 100], sample_size = 100)]
fn decode(bencher: Bencher, writes: u64) {
    let entry = consensus::pack_transactions(proposals(writes));
    bencher.counter(ItemsCount::new(writes)).bench(|| {
        let read = consensus::count_transactions(&entry).expect("an entry");
        assert_eq!(read as u64, writes);
    });
}

/// Writes of one session.
fn proposals(writes: u64) -> Vec<Proposal> {
    let body = Ask::set_data("/services/web/hosts/0000012345", &DATA, -1).body;
    let write = |seq| Proposal::Write {
        session: SessionId::from_wire(0x0100_0000_0000_0001),
        attachment: Attachment::new(1),
        seq: Seq::new(seq),
        identities: Vec::new(),
        op: OpCode::SetData,
        body: body.clone(),
    };
    (1..=writes).map(write).collect()
}
