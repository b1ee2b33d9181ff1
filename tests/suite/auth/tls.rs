//! Clients that speak TLS, and who their certificates make them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use harness::ask::flags::PERSISTENT;
use harness::certificates::{Certificates, PASSWORD};
use harness::connection::Greeting;
use harness::ports::Block;
use harness::{Ask, Connection, Ensemble, Plan, wait};

use crate::tunnel::Tunnel;
use crate::{ALL, AUTH_REQUIRED, INVALID_ACL, NO_AUTH, TIMEOUT_MS, open, with_property};

const X509_CLASS: &str = "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider";

/// Members at whose one port clients may speak TLS, and must then show a certificate.
fn unified(members: usize, certificates: &Certificates) -> Plan {
    let plan = certificates
        .lines(&certificates.file("server.pem"))
        .iter()
        .fold(Plan::members(members), |plan, line| plan.line(line))
        .line(X509_CLASS)
        .line("client.portUnification=true");
    with_property(plan, "zookeeper.serverCnxnFactory", "org.apache.zookeeper.server.NettyServerCnxnFactory")
}

fn tunnel(
    ensemble: &Ensemble,
    member: usize,
    certificates: &Certificates,
    identity: Option<&Path>,
) -> Tunnel {
    Tunnel::new(ensemble.address(member), &certificates.file("authority.pem"), identity)
}

#[track_caller]
fn open_at(address: SocketAddr) -> Connection {
    Connection::open(address, TIMEOUT_MS).0
}

#[test]
fn a_certificate_makes_its_owner_somebody_on_every_member() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/C=DE/O=Example, Inc./CN=alice");
    let admin = certificates.issue("admin", "/CN=admin/emailAddress=admin@example.com");
    let admins_name = "1.2.840.113549.1.9.1=#161161646d696e406578616d706c652e636f6d,CN=admin";
    let alices_name = "CN=alice,O=Example\\, Inc.,C=DE";
    let plan = unified(3, &certificates);
    let mut ensemble =
        Ensemble::start(&with_property(plan, "zookeeper.X509AuthenticationProvider.superUser", admins_name));
    let ways: Vec<Tunnel> =
        ensemble.ids().map(|id| tunnel(&ensemble, id, &certificates, Some(&alice))).collect();

    let (mut first, welcome) = Connection::open(ways[0].address, TIMEOUT_MS);
    let told = first.call(&Ask::who_am_i()).identities();
    assert_eq!(told, ["ip:127.0.0.1".to_owned(), format!("x509:{alices_name}")]);
    assert_eq!(first.call(&Ask::create_for("/mine", ALL, "auth", "")).err, 0);
    assert_eq!(first.call(&Ask::get_acl("/mine")).acl(), [format!("31 x509:{alices_name}")]);
    assert_eq!(first.call(&Ask::create_for("/admins", ALL, "x509", admins_name)).err, 0);
    assert_eq!(first.call(&Ask::create_for("/bobs", ALL, "x509", "CN=bob")).err, 0);
    assert_eq!(first.call(&Ask::create_for("/no", ALL, "x509", "bob")).err, INVALID_ACL);

    let way = tunnel(&ensemble, 2, &certificates, Some(&admin));
    let mut super_user = open_at(way.address);
    let told = super_user.call(&Ask::who_am_i()).identities();
    let expected = ["ip:127.0.0.1".to_owned(), format!("super:{admins_name}"), format!("x509:{admins_name}")];
    assert_eq!(told, expected);
    super_user.call(&Ask::sync("/"));
    for path in ["/mine", "/admins", "/bobs"] {
        assert_eq!(super_user.call(&Ask::set_data(path, b"", -1)).err, 0, "{path}");
    }
    for id in ensemble.ids() {
        let mut plain = open(&ensemble, id);
        plain.call(&Ask::sync("/"));
        assert_eq!(plain.call(&Ask::get_data("/mine", false)).err, NO_AUTH, "member {id}");
        assert_eq!(plain.call(&Ask::set_data("/mine", b"", -1)).err, NO_AUTH, "member {id}");
        let mut alice = open_at(ways[id - 1].address);
        alice.call(&Ask::sync("/"));
        let codes = ["/mine", "/admins", "/bobs"].map(|path| alice.call(&Ask::set_data(path, b"", -1)).err);
        assert_eq!(codes, [0, NO_AUTH, NO_AUTH], "member {id}");
    }

    // The session moves to another member; its ephemerals and its rights come with it.
    let seen = first.call(&Ask::exists("/mine", false)).zxid;
    ensemble.kill9(1);
    ensemble.wait_for_leader();
    let (mut moved, again) = Connection::greeted(ways[1].address, &Greeting::again(&welcome, seen));
    assert_eq!(again.session, welcome.session);
    assert_eq!(moved.call(&Ask::set_data("/mine", b"moved", -1)).err, 0);
    // Without its certificate the same session is nobody.
    let (mut plain, _) = Connection::greeted(ensemble.address(3), &Greeting::again(&welcome, seen));
    assert_eq!(plain.call(&Ask::set_data("/mine", b"", -1)).err, NO_AUTH);
}

#[test]
fn who_shows_no_good_certificate_is_not_let_in() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let stranger = others.issue("stranger", "/CN=stranger");
    let good = certificates.issue("good", "/CN=good");
    for (wanted, without, bad) in [("need", false, false), ("want", true, false), ("none", true, true)] {
        let ensemble = Ensemble::start(&unified(1, &certificates).line(&format!("ssl.clientAuth={wanted}")));
        for (identity, is_let_in) in [(None, without), (Some(&stranger), bad), (Some(&good), true)] {
            let way = tunnel(&ensemble, 1, &certificates, identity.map(std::path::PathBuf::as_path));
            let mut connection = Connection::dial(way.address).unwrap();
            let welcome = connection.greet(&Greeting::new(TIMEOUT_MS));
            assert_eq!(welcome.is_ok(), is_let_in, "{wanted}, {identity:?}: {welcome:?}");
            if is_let_in {
                let is_known = identity.is_some() && wanted != "none";
                let expected =
                    if is_known { &["ip:127.0.0.1", "x509:CN=good"][..] } else { &["ip:127.0.0.1"] };
                assert_eq!(
                    connection.call(&Ask::who_am_i()).identities(),
                    expected,
                    "{wanted}, {identity:?}"
                );
            }
        }
        // At the same port nobody is asked who speaks no TLS.
        assert_eq!(open(&ensemble, 1).call(&Ask::ping()).err, 0);
    }
}

#[test]
fn a_port_of_its_own_speaks_nothing_but_tls() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/CN=alice");
    let mut ports = Block::claim().unwrap();
    let port = ports.take().unwrap();
    let plan = certificates
        .lines(&certificates.file("server.pem"))
        .iter()
        .fold(Plan::members(1), |plan, line| plan.line(line))
        .line(&format!("secureClientPort={port}"))
        .line("secureClientPortAddress=127.0.0.1")
        .line("enforce.auth.enabled=true")
        .line("enforce.auth.schemes=x509");
    let plan = with_property(
        plan,
        "zookeeper.serverCnxnFactory",
        "org.apache.zookeeper.server.NettyServerCnxnFactory",
    );
    let ensemble = Ensemble::start(&plan);
    let secure = SocketAddr::from(([127, 0, 0, 1], port));

    let way = Tunnel::new(secure, &certificates.file("authority.pem"), Some(&alice));
    let mut connection = open_at(way.address);
    // The class of the scheme need not be named then.
    assert_eq!(connection.call(&Ask::create_for("/mine", ALL, "auth", "")).err, 0);
    // Four-letter words are answered here, too.
    assert_eq!(harness::ensemble::four_letter(way.address, "ruok").unwrap(), "imok");
    let conf = harness::ensemble::four_letter(way.address, "conf").unwrap();
    assert!(conf.contains(&format!("\nsecureClientPort={port}\n")), "{conf}");

    let mut plain = Connection::dial(secure).unwrap();
    assert!(plain.greet(&Greeting::new(TIMEOUT_MS)).is_err());
    assert_ne!(harness::ensemble::four_letter(secure, "ruok").ok().as_deref(), Some("imok"));
    // Whoever comes in by the other port has no certificate to show, and it is demanded here.
    assert_eq!(open(&ensemble, 1).call(&Ask::ping()).err, AUTH_REQUIRED);
}

#[test]
fn much_is_carried_and_nothing_is_held_back() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/CN=alice");
    let ensemble = Ensemble::start(&unified(1, &certificates));
    let way = tunnel(&ensemble, 1, &certificates, Some(&alice));
    let mut reader = open_at(way.address);
    let data: Vec<u8> = (0..900_000_u32).map(|byte| (byte % 251) as u8).collect();
    assert_eq!(reader.call(&Ask::create("/large", &data, PERSISTENT)).err, 0);
    for _ in 0..60 {
        reader.send(&Ask::get_data("/large", false)).unwrap();
    }
    // All of it waits for a reader that has something else to do at first.
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..60 {
        assert_eq!(reader.reply().data().0.unwrap(), data);
    }
    // What comes by itself comes at once, with nothing behind it that would push it out.
    let mut writer = open(&ensemble, 1);
    for round in 0..20 {
        assert_eq!(reader.call(&Ask::get_data("/large", true)).err, 0);
        assert_eq!(writer.call(&Ask::set_data("/large", round.to_string().as_bytes(), -1)).err, 0);
        assert_eq!(reader.event(), (3, "/large".to_owned()));
    }
    reader.hang_up();
}

#[test]
fn stores_are_read_in_each_format() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/CN=alice");
    certificates.write("password", &format!("{PASSWORD}\n"));
    let authority = certificates.file("authority.pem");
    for (store, more) in [
        (certificates.archive("server"), vec![]),
        (certificates.seal("server"), vec!["ssl.enabledProtocols=TLSv1.2".to_owned()]),
        (
            certificates.archive("server"),
            vec![
                format!("ssl.keyStore.passwordPath={}", certificates.file("password").display()),
                "ssl.keyStore.password=wrong".to_owned(),
                "ssl.ciphersuites=TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned(),
            ],
        ),
    ] {
        let lines: Vec<String> = certificates.lines(&store).into_iter().chain(more).collect();
        let plan = lines.iter().fold(Plan::members(1), |plan, line| plan.line(line));
        let plan = plan.line(X509_CLASS).line("client.portUnification=true");
        let plan = with_property(
            plan,
            "zookeeper.serverCnxnFactory",
            "org.apache.zookeeper.server.NettyServerCnxnFactory",
        );
        let ensemble = Ensemble::start(&plan);
        let way = Tunnel::new(ensemble.address(1), &authority, Some(&alice));
        let told = open_at(way.address).call(&Ask::who_am_i()).identities();
        assert_eq!(told, ["ip:127.0.0.1", "x509:CN=alice"], "{lines:?}");
    }
}

#[test]
fn what_cannot_be_had_is_said_at_the_start() {
    let certificates = Certificates::new();
    if harness::Server::under_test().is_apache() {
        return; // What ZooKeeper says is its own matter.
    }
    let good = certificates.lines(&certificates.file("server.pem"));
    let archive = certificates.archive("server");
    certificates.write("empty.pem", "");
    let with = |line: String| -> Vec<String> { good.iter().cloned().chain([line]).collect() };
    for (lines, said) in [
        (vec![], "ssl.keyStore.location"),
        (with("ssl.keyStore.location=/nowhere/server.jks".into()), "in a format that only Java reads"),
        (with("ssl.keyStore.type=BCFKS".into()), "in a format that only Java reads"),
        (with("ssl.keyStore.location=/nowhere/server.pem".into()), "open /nowhere/server.pem"),
        (
            with(format!("ssl.keyStore.location={}", certificates.file("empty.pem").display())),
            "holds no certificate",
        ),
        (with(format!("ssl.keyStore.location={}\nssl.keyStore.password=wrong", archive.display())), "open "),
        (vec![good[0].clone()], "ssl.trustStore.location"),
        (with("ssl.enabledProtocols=TLSv1.1".into()), "must name TLSv1.2 or TLSv1.3"),
        (with("ssl.ciphersuites=TLS_RSA_WITH_NULL_MD5".into()), "names none of those that are known"),
        (with("ssl.clientAuth=maybe".into()), "must be `none`, `want` or `need`"),
    ] {
        let plan = lines.iter().fold(Plan::members(1), |plan, line| plan.line(line));
        let mut ensemble = Ensemble::prepare(&plan.line("client.portUnification=true"));
        ensemble.start_member(1);
        assert!(!ensemble.await_end(1).success(), "{lines:?}");
        let log = ensemble.log(1);
        assert!(log.contains(said), "{lines:?}: `{said}` is not in\n{log}");
        assert!(!log.contains(PASSWORD), "a password is in the log");
    }
}

#[test]
fn half_a_handshake_holds_nobody_up() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/CN=alice");
    if harness::Server::under_test().is_apache() {
        return; // The bound is tried where it is ours.
    }
    let plan = unified(1, &certificates).line("netty.server.outstandingHandshake.limit=1");
    let ensemble = Ensemble::start(&plan);
    let way = tunnel(&ensemble, 1, &certificates, Some(&alice));
    let mut good = open_at(way.address);

    // While one is under way there is no place for another; those who speak no TLS come and go. Whichever of the two came
    // first has the place, so it may take more than one try.
    let half = wait::until("the half handshake had the only place", || {
        let mut half = Connection::dial(ensemble.address(1)).ok()?;
        half.write(&[0x16, 3, 1, 2, 0, 1]).ok()?;
        let mut second = Connection::dial(way.address).ok()?;
        second.greet_within(&Greeting::new(TIMEOUT_MS), Duration::from_secs(2)).err().map(|_| half)
    });
    assert_eq!(open(&ensemble, 1).call(&Ask::ping()).err, 0);
    assert_eq!(good.call(&Ask::ping()).err, 0);
    drop(half);
    wait::until("there was a place again", || {
        let mut second = Connection::dial(way.address).ok()?;
        second.greet_within(&Greeting::new(TIMEOUT_MS), Duration::from_secs(2)).ok()
    });

    for garbage in [&[0x16; 512][..], &[0x16, 3, 3, 0, 0], &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]] {
        let mut hostile = Connection::dial(ensemble.address(1)).unwrap();
        hostile.write(garbage).unwrap();
        drop(hostile);
    }
    assert_eq!(good.call(&Ask::ping()).err, 0);
}
