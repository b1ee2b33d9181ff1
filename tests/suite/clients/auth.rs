//! kazoo and the Java client of ZooKeeper 3.9.5, which prove who they are by SASL and by certificates.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::certificates::Certificates;
use harness::{Ensemble, Plan, java_class_path, scratch};
use tempfile::NamedTempFile;

use crate::kazoo::python_with_kazoo;

/// What a client says, line by line.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn clients() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

fn kazoo(ensemble: &Ensemble, arguments: &[&str]) -> Command {
    let mut command = Command::new(python_with_kazoo());
    command.arg(clients().join("kazoo/auth.py")).arg(ensemble.connect_string()).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn java(class_path: &str, properties: &[String], arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-cp", class_path]).args(properties);
    command.arg(clients().join("java/Owner.java")).args(arguments);
    command
}

fn file(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().prefix("jaas-").tempfile_in(scratch()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn module(options: &str) -> String {
    format!("org.apache.zookeeper.server.auth.DigestLoginModule required {options};")
}

#[test]
fn passwords_are_proved_by_sasl() {
    let users = file(&format!("Server {{ {} }};", module("user_bob=\"bobsecret\" user_eve=\"evesecret\"")));
    let plan = Plan::members(3)
        .line(&format!("java.security.auth.login.config={}", users.path().display()))
        .line("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider");
    let ensemble = Ensemble::start(&plan);
    assert_eq!(said(&mut kazoo(&ensemble, &["/kazoo", "sasl", "bob", "bobsecret"])), "owned by sasl:bob\n");
    assert_eq!(said(&mut kazoo(&ensemble, &["/no", "sasl", "bob", "evesecret"])), "refused\n");

    for (user, password, expected) in [
        (
            "eve",
            "evesecret",
            "SyncConnected\nSaslAuthenticated\nam ip:127.0.0.1\nam sasl:eve\nowned by sasl:eve\n",
        ),
        ("eve", "bobsecret", "SyncConnected\nAuthFailed\n"),
    ] {
        let login = file(&format!(
            "Client {{ {} }};",
            module(&format!("username=\"{user}\" password=\"{password}\""))
        ));
        let properties = [
            format!("-Djava.security.auth.login.config={}", login.path().display()),
            // Since 3.9.4 the Java client does not ask for DIGEST-MD5 otherwise.
            "-Dzookeeper.fips-mode=false".to_owned(),
            // What is refused is logged as an error, to the same output as what the program says.
            "-Dorg.apache.logging.log4j.level=OFF".to_owned(),
        ];
        let mut command =
            java(&java_class_path().unwrap(), &properties, &[&ensemble.connect_string(), "/java"]);
        assert_eq!(said(&mut command), expected, "{user} {password}");
    }
}

#[test]
fn certificates_are_shown_over_tls() {
    let certificates = Certificates::new();
    let alice = certificates.issue("alice", "/C=DE/O=Example, Inc./CN=alice");
    let (authority, name) = (certificates.file("authority.pem"), "x509:CN=alice,O=Example\\, Inc.,C=DE");
    let plan = certificates
        .lines(&certificates.file("server.pem"))
        .iter()
        .fold(Plan::members(3), |plan, line| plan.line(line))
        .line("client.portUnification=true")
        .line("authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider");
    let ensemble = Ensemble::start(&plan);
    let shown = [authority.to_str().unwrap(), alice.to_str().unwrap()];
    let told = said(&mut kazoo(&ensemble, &["/kazoo", "tls", shown[0], shown[1]]));
    assert_eq!(told, format!("owned by {name}\n"));

    let properties = [
        "-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty".to_owned(),
        "-Dzookeeper.client.secure=true".to_owned(),
        format!("-Dzookeeper.ssl.trustStore.location={}", shown[0]),
        format!("-Dzookeeper.ssl.keyStore.location={}", shown[1]),
    ];
    let arguments = [&ensemble.connect_string(), "/java", "without SASL"];
    let told = said(&mut java(&class_path_with_netty(), &properties, &arguments));
    // A set, in whatever order.
    for line in
        ["SyncConnected\n", "am ip:127.0.0.1\n", &format!("am {name}\n"), &format!("owned by {name}\n")]
    {
        assert!(told.contains(line), "`{line}` is not in\n{told}");
    }
}

/// The jars of 3.9.5, with Debian's Netty in the place of the one that comes with them: that one has not all the classes
/// that the client loads when it speaks TLS.
fn class_path_with_netty() -> String {
    let folder = java_class_path().unwrap();
    let folder = Path::new(folder.trim_end_matches('*'));
    let mut jars: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|jar| !jar.contains("netty"))
        .collect();
    let parts = [
        "buffer",
        "common",
        "codec",
        "handler",
        "resolver",
        "transport",
        "transport-native-epoll",
        "transport-native-unix-common",
    ];
    for part in parts {
        let jar = format!("/usr/share/java/netty-{part}.jar");
        assert!(Path::new(&jar).exists(), "no {jar}: `apt-get install zookeeper libnetty-java`");
        jars.push(jar);
    }
    jars.join(":")
}
