//! Garbage on the ports that are not for clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use harness::ports::Block;
use harness::{Ensemble, Plan};

use crate::victim::{Victim, is_apache};

/// The beginning of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is said to each port.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let mut noise = |bytes: usize| (0..bytes).map(|_| random.u8(..)).collect::<Vec<u8>>();
    // An HTTP/2 frame: its length, type, flags and stream, and what it holds.
    let frame = |kind: u8, flags: u8, stream: u32, length: u32, content: &[u8]| {
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    };
    let http2 = |frames: &[Vec<u8>]| [PREFACE, &frames.concat()].concat();
    let settings = frame(4, 0, 0, 0, &[]);
    vec![
        ("nothing", Vec::new()),
        ("one byte", vec![0]),
        ("noise", noise(100_000)),
        ("a greeting of ZooKeeper's", crate::victim::greeting(&harness::connection::Greeting::new(1_000)).to_vec()),
        ("a word", b"ruok".to_vec()),
        ("a TLS hello", vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
        ("what a peer of ZooKeeper's says first", [&(-65_536_i64).to_be_bytes()[..], &noise(100)].concat()),
        ("HTTP/1.1", b"GET /commands/stats HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a request without an end", b"GET /commands/stats HTTP/1.1\r\nX: ".to_vec()),
        ("a line without an end", [b"GET /", &[b'x'; 1 << 20][..]].concat()),
        ("a header without an end", [b"GET / HTTP/1.1\r\nX: ", &[b'x'; 1 << 20][..]].concat()),
        ("very many headers", [&b"GET / HTTP/1.1\r\n"[..], &b"X: y\r\n".repeat(20_000), b"\r\n"].concat()),
        ("a body without an end", b"POST /commands/restore HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nxx".to_vec()),
        ("a length that cannot be", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_vec()),
        ("a length that contradicts", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec()),
        ("a path out of the folder", b"GET /commands/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("escapes that are none", b"GET /commands/%zz%00%ff?a=%&%%% HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a method that nobody knows", b"FROB /commands/stats HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a version that nobody knows", b"GET / HTTP/9.9\r\n\r\n".to_vec()),
        ("HTTP/2 that says no more", PREFACE.to_vec()),
        ("HTTP/2 and noise", [PREFACE, &noise(100_000)].concat()),
        ("a frame of 16 MiB", http2(&[settings.clone(), frame(0, 0, 1, 0xff_ffff, &[0; 100])])),
        ("settings of a strange length", http2(&[frame(4, 0, 0, 7, &[0; 7])])),
        ("a window of nothing", http2(&[settings.clone(), frame(8, 0, 0, 4, &[0; 4])])),
        ("headers that are none", http2(&[settings.clone(), frame(1, 4, 1, 64, &[0xff; 64])])),
        ("headers that go on for ever", {
            let first = frame(1, 0, 1, 16_384, &[0x40; 16_384]);
            let more = frame(9, 0, 1, 16_384, &[0x40; 16_384]);
            http2(&[vec![settings.clone(), first], vec![more; 100]].concat())
        }),
        ("very many resets", {
            let reset = (0..5_000_u32).map(|n| frame(3, 0, 2 * n + 1, 4, &[0, 0, 0, 8]));
            http2(&[vec![settings.clone()], reset.collect()].concat())
        }),
        ("very many pings", http2(&[vec![settings.clone()], vec![frame(6, 0, 0, 8, &[0; 8]); 20_000]].concat())),
        ("very many settings", http2(&vec![settings; 20_000])),
    ]
}

/// Says this and takes what is answered, for a moment.
fn say(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // Whoever does not want to hear it all hangs up.
    let _ = stream.write_all(bytes);
    let mut some = [0; 4_096];
    let _ = stream.read(&mut some);
    stream
}

#[test]
fn garbage_on_the_port_of_the_peers() {
    let mut victim = Victim::of(&Plan::members(3));
    if is_apache() {
        return;
    }
    let peer = peer_port(&victim.ensemble);
    let mut held = Vec::new();
    for (what, bytes) in garbage() {
        for _ in 0..3 {
            held.push(say(peer, &bytes));
        }
        victim.stands(what);
    }
    // Three hundred that come and say nothing.
    held.extend((0..300).map(|_| TcpStream::connect(peer).unwrap()));
    victim.stands_and_is_small("garbage on the port of the peers");
    drop(held);
    victim.stands_and_is_small("garbage on the port of the peers that has gone");
    assert!(victim.ensemble.leader().is_some());
}

#[test]
fn garbage_on_the_ports_of_the_operators() {
    if is_apache() {
        return;
    }
    let mut block = Block::claim().unwrap();
    let [admin, metrics] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, block.take().unwrap())));
    let plan = Plan::members(1)
        .line("admin.enableServer=true")
        .line(&format!("admin.serverPort={}", admin.port()))
        .line("metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider")
        .line("metricsProvider.httpHost=127.0.0.1")
        .line(&format!("metricsProvider.httpPort={}", metrics.port()));
    let mut victim = Victim::of(&plan);
    for port in [admin, metrics] {
        for (what, bytes) in garbage() {
            for _ in 0..3 {
                say(port, &bytes);
            }
            victim.stands(what);
        }
        victim.stands_and_is_small("garbage on a port of the operators");
        // It answers those who ask for something.
        let mut answer = String::new();
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// Where the first member listens to the others.
fn peer_port(ensemble: &Ensemble) -> SocketAddr {
    let text = std::fs::read_to_string(ensemble.directory(1).join("zoo.cfg")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("server.1=127.0.0.1:")).unwrap();
    let port: u16 = line.split(':').next().unwrap().parse().unwrap();
    (Ipv4Addr::LOCALHOST, port).into()
}
