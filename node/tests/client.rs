//! A member alone, in this process, and clients that speak to it over real sockets, frame by frame.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use consensus::{Retention, Timing};
use node::config::{
    AuthConfig, ClientLimits, Config, DigestAlgorithm, Listen, SessionConfig, Throttle, Whitelist,
};
use node::server::Server;
use proto::jute::read::Reader;
use proto::jute::write::Writer;
use proto::jute::{connect, frame};
use proto::{MemberId, SessionId, limits};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

const CREATE: i32 = 1;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const SYNC: i32 = 9;
const PING: i32 = 11;
const AUTH: i32 = 100;
const SET_WATCHES: i32 = 101;
const ADD_WATCH: i32 = 106;
const CHECK_WATCHES: i32 = 17;
const REMOVE_WATCHES: i32 = 18;
const WHO_AM_I: i32 = 107;
const CLOSE: i32 = -11;

struct Alone {
    server: Server,
    _dir: TempDir,
}

async fn alone() -> Alone {
    alone_with(|_| {}).await
}

async fn alone_with(change: impl FnOnce(&mut Config)) -> Alone {
    let dir = tempfile::tempdir().unwrap();
    let member = MemberId::new(1);
    let mut config = Config {
        text: String::new(),
        metrics_total_suffix: false,
        member,
        standalone: true,
        client_listen: Listen { host: "127.0.0.1".to_owned(), port: 0 },
        tls: None,
        session: SessionConfig {
            tick: Duration::from_millis(200),
            timeout_min: Duration::from_millis(600),
            timeout_max: Duration::from_secs(60),
        },
        clients: ClientLimits { per_address: 0, total: 0, frame_bytes: limits::FRAME_BYTES_MAX, backlog: 50 },
        throttle: Throttle { outstanding: 1_000, greetings: None, requests: None, large: None },
        slow_sync: Duration::from_secs(1),
        read_only_mode: false,
        words: Whitelist::parse("*"),
        admin: None,
        metrics: None,
        auth: AuthConfig { digest: Some(DigestAlgorithm::Sha1), ..AuthConfig::default() },
        consensus: consensus::Config {
            member,
            boot: 1,
            observers: BTreeMap::new(),
            members: BTreeMap::from([(member, String::new())]),
            listen: None,
            data_dir: dir.path().join("data"),
            log_dir: dir.path().join("log"),
            timing: Timing::default(),
            tick: Duration::from_millis(200),
            retention: Retention::default(),
            ensemble: None,
            sync_delay: Duration::ZERO,
            rules: machine::Rules::default(),
            reaping: consensus::Reaping::default(),
            world_bytes_max: None,
        },
        ensemble: None,
    };
    change(&mut config);
    let server = Server::start(config).await.unwrap();
    let mut status = server.status();
    timeout(PATIENCE, status.wait_for(|status| status.recovered && status.leader.is_some()))
        .await
        .expect("a member alone leads at once")
        .unwrap();
    Alone { server, _dir: dir }
}

/// RocksDB does not bear that the process ends while it is open.
impl Drop for Alone {
    fn drop(&mut self) {
        tokio::task::block_in_place(|| Handle::current().block_on(self.server.shutdown()));
    }
}

impl Alone {
    fn address(&self) -> SocketAddr {
        self.server.client_address()
    }

    async fn client(&self) -> Client {
        self.greeted(&greeting(0, 0, &[0; 16])).await.expect("a new session is welcome")
    }

    /// A client that says this greeting. `None` if it is hung up without a word.
    async fn greeted(&self, greeting: &[u8]) -> Option<Client> {
        let mut client = Client::dial(self.address()).await;
        client.stream.write_all(greeting).await.unwrap();
        client.read_welcome().await.then_some(client)
    }

    async fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    }
}

fn greeting(last_zxid: i64, session: i64, password: &[u8]) -> BytesMut {
    greeting_of(last_zxid, 10_000, session, password)
}

fn greeting_of(last_zxid: i64, timeout_ms: i32, session: i64, password: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        out.int(0);
        out.long(last_zxid);
        out.int(timeout_ms);
        out.long(session);
        out.buffer(Some(password));
    });
    out
}

fn request(xid: i32, op: i32, body: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        out.int(xid);
        out.int(op);
        body(out);
    });
    out
}

fn create(xid: i32, path: &str, flags: i32) -> BytesMut {
    request(xid, CREATE, |out| {
        out.text(path);
        out.buffer(Some(b""));
        out.count(1);
        out.int(31);
        out.text("world");
        out.text("anyone");
        out.int(flags);
    })
}

fn set(xid: i32, path: &str, data: &[u8]) -> BytesMut {
    request(xid, SET_DATA, |out| {
        out.text(path);
        out.buffer(Some(data));
        out.int(-1);
    })
}

fn look(xid: i32, op: i32, path: &str, watch: bool) -> BytesMut {
    request(xid, op, |out| {
        out.text(path);
        out.boolean(watch);
    })
}

fn plain(xid: i32, op: i32) -> BytesMut {
    request(xid, op, |_| {})
}

fn auth(xid: i32, scheme: &str) -> BytesMut {
    request(xid, AUTH, |out| {
        out.int(0);
        out.text(scheme);
        out.buffer(Some(b"bob:secret"));
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Packet {
    xid: i32,
    zxid: i64,
    err: i32,
    body: Bytes,
}

struct Client {
    stream: TcpStream,
    inbox: BytesMut,
    session: SessionId,
    timeout_ms: i32,
    password: Bytes,
}

impl Client {
    async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self {
            stream,
            inbox: BytesMut::new(),
            session: SessionId::NONE,
            timeout_ms: 0,
            password: Bytes::new(),
        }
    }

    async fn read_welcome(&mut self) -> bool {
        let Some(frame) = self.frame().await else { return false };
        // But for the last byte, an answer has the form of a greeting without a zxid.
        assert_eq!(frame.len(), 36, "a greeting without the readOnly byte has an answer without it");
        let mut reader = Reader::new(frame);
        assert_eq!(reader.int().unwrap(), 0);
        self.timeout_ms = reader.int().unwrap();
        self.session = SessionId::from_wire(reader.long().unwrap());
        self.password = reader.buffer().unwrap().unwrap();
        assert_eq!(self.password.len(), connect::PASSWORD_BYTES);
        true
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = frame::take(&mut self.inbox, 64 << 20).unwrap() {
                return Some(frame);
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.inbox)).await.expect("something comes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn packet(&mut self) -> Option<Packet> {
        let mut reader = Reader::new(self.frame().await?);
        let (xid, zxid, err) = (reader.int().unwrap(), reader.long().unwrap(), reader.int().unwrap());
        Some(Packet { xid, zxid, err, body: reader.rest() })
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn call(&mut self, bytes: &[u8]) -> Packet {
        self.send(bytes).await;
        self.packet().await.expect("an answer comes")
    }

    /// What comes next, in short: `xid/err`, or the kind and path of an event.
    async fn next(&mut self) -> String {
        match self.packet().await {
            None => "hung up".to_owned(),
            Some(Packet { xid: -1, body, .. }) => {
                let mut reader = Reader::new(body);
                let (kind, _state) = (reader.int().unwrap(), reader.int().unwrap());
                format!("event {kind} {}", reader.text().unwrap())
            }
            Some(Packet { xid, err, .. }) => format!("{xid}/{err}"),
        }
    }

    #[track_caller]
    fn expect(&mut self, expected: &[&str]) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        async move {
            for (number, expected) in expected.into_iter().enumerate() {
                assert_eq!(self.next().await, expected, "number {number} at {place}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_writes_and_reads() {
    let alone = alone().await;
    let mut client = alone.client().await;
    assert_eq!(client.timeout_ms, 10_000);
    assert!(client.session.to_wire() > 0);
    let created = client.call(&create(1, "/a", 0)).await;
    assert_eq!((created.xid, created.err), (1, 0));
    let written = client.call(&set(2, "/a", b"text")).await;
    assert_eq!(written.zxid, created.zxid + 1);
    let read = client.call(&look(3, GET_DATA, "/a", false)).await;
    assert_eq!((read.zxid, &read.body[4..8]), (written.zxid, &b"text"[..]));
    client.send(&create(4, "/a", 0)).await;
    client.expect(&["4/-110"]).await;
    alone.server.shutdown().await;
    client.expect(&["hung up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_deeper_than_the_lane_is_answered_in_order() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.call(&create(0, "/a", 0)).await;
    let count = 5 * i32::try_from(limits::LANE_REQUESTS_MAX).unwrap();
    let mut all = BytesMut::new();
    for xid in 1..=count {
        all.extend_from_slice(&match xid % 10 {
            0..4 => set(xid, "/a", &xid.to_be_bytes()),
            4 => plain(xid, PING),
            5 => request(xid, SYNC, |out| out.text("/")),
            6 => plain(xid, 500),
            _ => look(xid, GET_DATA, "/a", false),
        });
    }
    client.send(&all).await;
    let (mut zxid, mut last_set) = (0, 0);
    for xid in 1..=count {
        let packet = client.packet().await.expect("every request is answered");
        // Pings are answered under the number of pings.
        assert_eq!(packet.xid, if xid % 10 == 4 { -2 } else { xid });
        assert_eq!(packet.err, if xid % 10 == 6 { -6 } else { 0 });
        assert!(packet.zxid >= zxid, "a connection never goes back in time");
        zxid = packet.zxid;
        match xid % 10 {
            0..4 => last_set = xid,
            4..7 => {}
            _ => assert_eq!(packet.body[4..8], last_set.to_be_bytes(), "a read sees the writes before it"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_larger_than_the_outbox_arrives_whole() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.call(&create(1, "/a", 0)).await;
    client.call(&set(2, "/a", &vec![7; 900_000])).await;
    let mut all = BytesMut::new();
    for xid in 3..103 {
        all.extend_from_slice(&look(xid, GET_DATA, "/a", false));
    }
    client.send(&all).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for xid in 3..103 {
        let packet = client.packet().await.unwrap();
        assert_eq!((packet.xid, packet.body.len()), (xid, 4 + 900_000 + 68));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_comes_before_the_answer_of_its_own_write() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.send(&look(1, EXISTS, "/a", true)).await;
    client.send(&create(2, "/a", 0)).await;
    client.send(&look(3, GET_DATA, "/a", true)).await;
    client.send(&set(4, "/a", b"x")).await;
    client.send(&set(5, "/a", b"y")).await;
    client.expect(&["1/-101", "event 1 /a", "2/0", "3/0", "event 3 /a", "4/0", "5/0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_go_with_their_removal_and_with_their_connection() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client
        .send(&request(1, ADD_WATCH, |out| {
            out.text("/");
            out.int(1);
        }))
        .await;
    client
        .send(&request(2, ADD_WATCH, |out| {
            out.text("/");
            out.int(7);
        }))
        .await;
    client.send(&create(3, "/a", 0)).await;
    client
        .send(&request(4, REMOVE_WATCHES, |out| {
            out.text("/");
            out.int(5);
        }))
        .await;
    client
        .send(&request(5, REMOVE_WATCHES, |out| {
            out.text("/");
            out.int(5);
        }))
        .await;
    client.send(&set(6, "/a", b"x")).await;
    client.expect(&["1/0", "2/-5", "event 1 /a", "3/0", "4/0", "5/-121", "6/0"]).await;
    client.send(&look(7, GET_DATA, "/a", true)).await;
    client.expect(&["7/0"]).await;
    assert!(alone.word("mntr").await.contains("zk_watch_count\t1\n"));
    drop(client);
    let gone = async { while !alone.word("mntr").await.contains("zk_watch_count\t0\n") {} };
    timeout(PATIENCE, gone).await.expect("the watch goes with the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_there_for_what_the_client_asks_next() {
    let alone = alone().await;
    let mut client = alone.client().await;
    let mut pipeline = BytesMut::new();
    let find = |xid, op| {
        request(xid, op, |out| {
            out.text("/a");
            out.int(3);
        })
    };
    let look = look(1, EXISTS, "/a", true);
    for packet in [look, find(2, CHECK_WATCHES), find(3, REMOVE_WATCHES), find(4, CHECK_WATCHES)] {
        pipeline.extend_from_slice(&packet);
    }
    // All in one segment, so that they are answered under one hold.
    client.send(&pipeline).await;
    client.expect(&["1/-101", "2/0", "3/0", "4/-121"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watches_of_a_returning_client_are_compared() {
    let alone = alone().await;
    let mut client = alone.client().await;
    let before = client.call(&create(1, "/a", 0)).await.zxid;
    client.call(&set(2, "/a", b"x")).await;
    client
        .send(&request(-8, SET_WATCHES, |out| {
            out.long(before);
            for list in [&["/a", "/gone"][..], &["/a", "/later"], &["/a"]] {
                out.count(list.len());
                for path in list {
                    out.text(path);
                }
            }
        }))
        .await;
    client.expect(&["event 2 /gone", "event 1 /a", "event 3 /a", "-8/0"]).await;
    client.send(&create(3, "/later", 0)).await;
    client.send(&create(4, "/a/b", 0)).await;
    client.expect(&["event 1 /later", "3/0", "event 4 /a", "4/0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_cannot_be_ends_the_connection_and_an_unreadable_body_does_not() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.send(&request(1, GET_DATA, |out| out.int(99))).await;
    client.send(&request(2, CREATE, |out| out.int(99))).await;
    client.send(&plain(3, PING)).await;
    client.expect(&["1/-5", "2/-5", "-2/0"]).await;
    let overlong = i32::try_from(limits::FRAME_BYTES_MAX).unwrap() + 1;
    for bytes in [vec![0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7], overlong.to_be_bytes().to_vec(), vec![0xff; 4]] {
        let mut client = alone.client().await;
        client.send(&bytes).await;
        client.expect(&["hung up"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_in_their_turn_and_end_the_connection() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.send(&create(1, "/a", 0)).await;
    client.send(&auth(-4, "digest")).await;
    client.send(&plain(2, WHO_AM_I)).await;
    client.send(&auth(-4, "nobody")).await;
    client.send(&plain(3, PING)).await;
    assert_eq!(client.packet().await.unwrap().xid, 1);
    assert_eq!(client.packet().await.unwrap(), Packet { xid: -4, zxid: 0, err: 0, body: Bytes::new() });
    let mut who = Reader::new(client.packet().await.unwrap().body);
    let ids = who.vector(|r| Ok((r.text()?.to_string(), r.text()?.to_string()))).unwrap().unwrap();
    let expected = [("ip", "127.0.0.1"), ("digest", "bob")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(ids, expected);
    client.expect(&["-4/-115", "hung up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_answered_and_nothing_behind_it_is() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.send(&create(1, "/e", 1)).await;
    client.send(&plain(2, CLOSE)).await;
    client.send(&plain(3, PING)).await;
    client.send(&create(4, "/late", 0)).await;
    client.expect(&["1/0", "2/0", "hung up"]).await;
    let mut other = alone.client().await;
    other.send(&look(1, EXISTS, "/e", false)).await;
    other.send(&look(2, EXISTS, "/late", false)).await;
    other.expect(&["1/-101", "2/-101"]).await;
    let password = client.password.clone();
    let refused = alone.greeted(&greeting(0, client.session.to_wire(), &password)).await.unwrap();
    assert_eq!((refused.session, refused.timeout_ms), (SessionId::NONE, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_comes_back_leaves_its_old_connection_hung_up() {
    let alone = alone().await;
    let mut first = alone.client().await;
    let zxid = first.call(&create(1, "/e", 1)).await.zxid;
    let wrong = alone.greeted(&greeting(zxid, first.session.to_wire(), b"not the password")).await.unwrap();
    assert_eq!(wrong.session, SessionId::NONE);
    first.send(&plain(2, PING)).await;
    first.expect(&["-2/0"]).await;
    let password = first.password.clone();
    let mut second = alone.greeted(&greeting(zxid, first.session.to_wire(), &password)).await.unwrap();
    assert_eq!(second.session, first.session);
    first.expect(&["hung up"]).await;
    second.send(&look(1, EXISTS, "/e", false)).await;
    second.send(&set(2, "/e", b"x")).await;
    second.expect(&["1/0", "2/0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_the_future_is_hung_up_and_nothing_is_proposed() {
    let alone = alone().await;
    let mut client = alone.client().await;
    let before = client.call(&plain(1, PING)).await.zxid;
    let (session, password) = (client.session.to_wire(), client.password.clone());
    assert!(alone.greeted(&greeting(before + 1_000, session, &password)).await.is_none());
    assert!(alone.greeted(&greeting(before + 1_000, 0, &[0; 16])).await.is_none());
    assert_eq!(client.call(&plain(2, PING)).await.zxid, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_behind_the_greeting_waits_for_the_session() {
    let alone = alone().await;
    let mut all = greeting(0, 0, &[0; 16]);
    all.extend_from_slice(&create(1, "/a", 0));
    all.extend_from_slice(&look(2, EXISTS, "/a", false));
    let mut client = alone.greeted(&all).await.unwrap();
    client.expect(&["1/0", "2/0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_the_connection() {
    let alone = alone().await;
    let mut silent = alone.greeted(&greeting_of(0, 1, 0, &[0; 16])).await.unwrap();
    assert_eq!(silent.timeout_ms, 600, "no timeout is shorter than the operator allows");
    for xid in 1..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        silent.send(&plain(xid, PING)).await;
        silent.expect(&["-2/0"]).await;
    }
    silent.expect(&["hung up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_are_closed_at_once() {
    let alone = alone_with(|config| config.clients.per_address = 2).await;
    let _first = alone.client().await;
    let second = alone.client().await;
    assert_eq!(Client::dial(alone.address()).await.next().await, "hung up");
    drop(second);
    let admitted = async { while alone.greeted(&greeting(0, 0, &[0; 16])).await.is_none() {} };
    timeout(PATIENCE, admitted).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_told_from_greetings() {
    let alone = alone().await;
    assert_eq!(alone.word("ruok").await, "imok");
    let mut client = alone.client().await;
    client.call(&plain(1, PING)).await;
    let told = alone.word("srvr\n").await;
    assert!(told.contains("\nMode: standalone\n"), "{told}");
    // Whoever asks is one of them.
    assert!(told.contains("\nConnections: 2\n"), "{told}");
    assert!(alone.word("isro").await == "rw");
    assert_eq!(alone.word("nope").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_ends_answers_what_is_under_way() {
    let alone = alone().await;
    let mut client = alone.client().await;
    client.call(&create(0, "/a", 0)).await;
    let mut all = BytesMut::new();
    for xid in 1..=500 {
        all.extend_from_slice(&set(xid, "/a", b"x"));
    }
    client.send(&all).await;
    assert_eq!(client.packet().await.unwrap().xid, 1);
    let ended = tokio::spawn(async move { alone.server.shutdown().await });
    let mut answered = 1;
    while let Some(packet) = client.packet().await {
        answered += 1;
        assert_eq!((packet.xid, packet.err), (answered, 0));
    }
    assert!(answered > 1, "what was in the lane was answered");
    timeout(PATIENCE, ended).await.expect("the member ends").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_of_many_is_told_of_a_change() {
    let alone = alone().await;
    let mut writer = alone.client().await;
    writer.call(&create(1, "/a", 0)).await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = alone.client().await;
        client.send(&look(1, GET_DATA, "/a", true)).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.expect(&["1/0"]).await;
    }
    writer.send(&set(2, "/a", b"x")).await;
    writer.expect(&["2/0"]).await;
    for client in &mut clients {
        client.expect(&["event 3 /a"]).await;
    }
}
