//! What it costs to read a client's requests, and to write the answers.

use bytes::BytesMut;
use divan::counter::BytesCount;
use divan::{Bencher, black_box_drop};
use proto::jute::{frame, reply, request};
use proto::{Ask, Code, EventKind, OpCode, Reply, Request, Stat, Xid, ZnodePath, Zxid};

/// What a znode holds.
const DATA: [u8; 100] = [b'x'; 100];

/// Bytes that a frame may have, by ZooKeeper's default.
const FRAME_MAX: usize = 1_048_575;

const PATH: &str = "/services/web/hosts/0000012345";

fn main() {
    divan::main();
}

/// As a connection does it: bytes arrive in a buffer that is used again, and a frame is cut off them. The body of a write
/// is looked at where it is applied.
#[divan::bench(sample_size = 200, args = [
    OpCode::Ping, OpCode::Exists, OpCode::GetData, OpCode::Create, OpCode::SetData, OpCode::Multi,
])]
fn read_request(bencher: Bencher, op: OpCode) {
    let sent = sent(op);
    let mut arrived = BytesMut::with_capacity(8_192);
    bencher.counter(BytesCount::of_slice(&sent)).bench_local(|| {
        arrived.extend_from_slice(&sent);
        let frame = frame::take(&mut arrived, FRAME_MAX).expect("a short frame").expect("a whole frame");
        let (_, op, body) = request::read_header(frame).expect("a header");
        black_box_drop(request::read_body(op, body).expect("a request"));
    });
}

/// As every member does it behind the log.
#[divan::bench(sample_size = 200, args = [OpCode::Create, OpCode::SetData, OpCode::Multi])]
fn read_write(bencher: Bencher, op: OpCode) {
    let body = ask(op).body;
    bencher
        .counter(BytesCount::of_slice(&body))
        .with_inputs(|| body.clone())
        .bench_values(|body| request::read_write(op, body).expect("a write"));
}

/// By what was asked for.
#[divan::bench(sample_size = 200, args = [
    OpCode::Ping, OpCode::Exists, OpCode::GetData, OpCode::Create, OpCode::Multi, OpCode::GetChildren,
])]
fn write_reply(bencher: Bencher, op: OpCode) {
    let answer = Ok(answer(op));
    measure_writing(bencher, |out| reply::write_reply(out, Xid::new(7), Zxid::new(1 << 32), &answer));
}

#[divan::bench(sample_size = 200)]
fn write_refusal(bencher: Bencher) {
    let refusal = Err(Code::NoNode);
    measure_writing(bencher, |out| reply::write_reply(out, Xid::new(7), Zxid::new(1 << 32), &refusal));
}

#[divan::bench(sample_size = 200)]
fn write_event(bencher: Bencher) {
    measure_writing(bencher, |out| {
        reply::write_event(out, Some(Zxid::new(1 << 32)), EventKind::DataChanged, PATH);
    });
}

/// Into a buffer that is used again.
fn measure_writing(bencher: Bencher, write: impl Fn(&mut BytesMut)) {
    let mut out = BytesMut::new();
    write(&mut out);
    bencher.counter(BytesCount::of_slice(&out)).bench_local(|| {
        out.clear();
        write(&mut out);
    });
}

/// A request as it stands in the stream. It must come back as what it is.
fn sent(op: OpCode) -> BytesMut {
    let mut out = BytesMut::new();
    ask(op).put(&mut out, 7);
    let (_, number, body) = request::read_header(out.clone().freeze().slice(4..)).expect("a header");
    let request = request::read_body(number, body).expect("a request");
    assert!(
        number == op.to_wire() && !matches!(request, Request::Unserved(_)),
        "{op:?} came back as {request:?}"
    );
    out
}

fn ask(op: OpCode) -> Ask {
    match op {
        OpCode::Ping => Ask::ping(),
        OpCode::Exists => Ask::exists(PATH, true),
        OpCode::GetData => Ask::get_data(PATH, true),
        OpCode::Create => Ask::create(PATH, &DATA, 0),
        OpCode::SetData => Ask::set_data(PATH, &DATA, -1),
        OpCode::Multi => Ask::multi(&vec![ask(OpCode::SetData); 10]),
        _ => panic!("{op:?} is not measured"),
    }
}

fn answer(op: OpCode) -> Reply {
    match op {
        OpCode::Ping => Reply::Empty,
        OpCode::Exists => Reply::Stat(Stat::default()),
        OpCode::GetData => Reply::Data(Some(DATA[..].into()), Stat::default()),
        OpCode::Create => Reply::Path(path(PATH)),
        OpCode::Multi => Reply::Multi(vec![(OpCode::SetData, Ok(answer(OpCode::Exists))); 10]),
        OpCode::GetChildren => {
            Reply::Children((0..1_000).map(|child| path(&format!("{PATH}/{child:010}"))).collect())
        }
        _ => panic!("{op:?} is not measured"),
    }
}

fn path(path: &str) -> ZnodePath {
    ZnodePath::parse(path).expect("a legal path")
}
