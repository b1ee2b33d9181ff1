//! Who clients prove to be, and what that lets them do.
//!
//! All of it but TLS, and what is said to be otherwise, runs against Apache ZooKeeper 3.9 as well:
//! `CORRAL_TEST_SERVER=apache-3.9`. The jars that it is started from cannot speak TLS.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something should be has failed")]

#[path = "auth/acls.rs"]
mod acls;
#[path = "auth/digest_md5.rs"]
mod digest_md5;
#[path = "auth/enforced.rs"]
mod enforced;
#[path = "auth/sasl.rs"]
mod sasl;
#[path = "auth/tls.rs"]
mod tls;
#[path = "auth/tunnel.rs"]
mod tunnel;

use std::io::Write;

use harness::{Connection, Ensemble, Plan, scratch};
use tempfile::NamedTempFile;

const TIMEOUT_MS: i32 = 10_000;

const NO_AUTH: i32 = -102;
const INVALID_ACL: i32 = -114;
const AUTH_FAILED: i32 = -115;
const AUTH_REQUIRED: i32 = -124;

const ALL: i32 = 31;
const READ: i32 = 1;

/// Names ZooKeeper's class for a scheme, without which ACLs may not name it.
const SASL_CLASS: &str = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider";

#[track_caller]
fn open(ensemble: &Ensemble, member: usize) -> Connection {
    Connection::open(ensemble.address(member), TIMEOUT_MS).0
}

/// A plan with users, and the file that names them, which must live as long as the ensemble.
fn with_users(members: usize) -> (Plan, NamedTempFile) {
    let mut jaas = tempfile::Builder::new().prefix("jaas-").tempfile_in(scratch()).unwrap();
    jaas.write_all(
        b"/* Users of the\n   servers */\n\
        Server {\n\
            // one module\n\
            org.apache.zookeeper.server.auth.DigestLoginModule required\n\
                user_bob=\"bobsecret\"\n\
                user_eve=\"evesecret\" user_super=\"supersecret\";\n\
            // and another\n\
            org.apache.zookeeper.server.auth.DigestLoginModule required\n\
                \"user_two words\"=\"a \\\"quoted\\\" secret\" user_plain=plainsecret;\n\
        };\n\
        Client {\n\
            org.apache.zookeeper.server.auth.DigestLoginModule required username=\"bob\" password=\"bobsecret\";\n\
        };\n",
    )
    .unwrap();
    let plan = Plan::members(members).line(SASL_CLASS);
    (with_property(plan, "java.security.auth.login.config", &jaas.path().display().to_string()), jaas)
}

/// The plan with what ZooKeeper takes for a property of the Java machine alone, and Corral as a line of `zoo.cfg` too.
fn with_property(mut plan: Plan, name: &str, value: &str) -> Plan {
    if plan.server.is_apache() {
        plan.flags.push(format!("-D{name}={value}"));
        plan
    } else {
        plan.line(&format!("{name}={value}"))
    }
}
