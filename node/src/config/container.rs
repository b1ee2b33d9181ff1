//! The environment variables of ZooKeeper's container image, as a `zoo.cfg`.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{ConfigError, Loaded, Surroundings, flags, load_text};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the configuration of a container: a `zoo.cfg` that was put into its folder, or else what the environment
/// says. What is made of the environment is not written to that folder: it would win over the environment the
/// next time.
///
/// # Errors
/// Names file and line of what cannot be had.
pub fn load(environment: Environment<'_>, around: &dyn Surroundings) -> Result<Loaded, ConfigError> {
    let file = Path::new(&variable(environment, "ZOO_CONF_DIR", "/conf")).join("zoo.cfg");
    match around.read(&file) {
        Ok(text) => load_text(&text, &file, flags(environment), around),
        Err(_) => {
            let text = zoo_cfg(environment);
            load_text(&text, Path::new("zoo.cfg from the environment"), flags(environment), around)
        }
    }
}

/// Where a container's `myid` lies, and what stands in it if there is none.
pub fn myid(environment: Environment<'_>) -> (PathBuf, String) {
    let folder = PathBuf::from(variable(environment, "ZOO_DATA_DIR", "/data"));
    (folder.join("myid"), format!("{}\n", variable(environment, "ZOO_MY_ID", "1").trim()))
}

/// The `zoo.cfg` that the environment stands for.
pub fn zoo_cfg(environment: Environment<'_>) -> String {
    let mut text = String::new();
    for (key, name, default) in [
        ("dataDir", "ZOO_DATA_DIR", "/data"),
        ("dataLogDir", "ZOO_DATA_LOG_DIR", "/datalog"),
        ("tickTime", "ZOO_TICK_TIME", "2000"),
        ("initLimit", "ZOO_INIT_LIMIT", "5"),
        ("syncLimit", "ZOO_SYNC_LIMIT", "2"),
        ("autopurge.snapRetainCount", "ZOO_AUTOPURGE_SNAPRETAINCOUNT", "3"),
        ("autopurge.purgeInterval", "ZOO_AUTOPURGE_PURGEINTERVAL", "0"),
        ("maxClientCnxns", "ZOO_MAX_CLIENT_CNXNS", "60"),
        ("standaloneEnabled", "ZOO_STANDALONE_ENABLED", "true"),
        ("admin.enableServer", "ZOO_ADMINSERVER_ENABLED", "true"),
    ] {
        line(&mut text, &format!("{key}={}", variable(environment, name, default)));
    }
    let servers = variable(environment, "ZOO_SERVERS", "server.1=localhost:2888:3888;2181");
    let extra = variable(environment, "ZOO_CFG_EXTRA", "");
    for server in servers.split_whitespace() {
        line(&mut text, server);
    }
    if let Some(words) = environment("ZOO_4LW_COMMANDS_WHITELIST").filter(|words| !words.is_empty()) {
        line(&mut text, &format!("4lw.commands.whitelist={words}"));
    }
    for entry in extra.split_whitespace() {
        line(&mut text, entry);
    }
    // Server lines of images before 3.5 name no client port, and the image's port was always this one.
    if !servers.contains(';') && !extra.split_whitespace().any(|entry| entry.starts_with("clientPort=")) {
        line(&mut text, "clientPort=2181");
    }
    text
}

fn variable(environment: Environment<'_>, name: &str, default: &str) -> String {
    environment(name).filter(|value| !value.trim().is_empty()).unwrap_or_else(|| default.to_owned())
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)]) -> String {
        zoo_cfg(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_variables_it_stands_alone() {
        insta::assert_snapshot!(check(&[]));
    }

    #[test]
    fn a_compose_file_for_zookeeper_makes_an_ensemble() {
        insta::assert_snapshot!(check(&[
            ("ZOO_MY_ID", "2"),
            (
                "ZOO_SERVERS",
                "server.1=zoo1:2888:3888;2181 server.2=zoo2:2888:3888;2181 server.3=zoo3:2888:3888;2181"
            ),
            ("ZOO_TICK_TIME", "1000"),
            ("ZOO_STANDALONE_ENABLED", "false"),
            ("ZOO_4LW_COMMANDS_WHITELIST", "srvr, ruok"),
            ("ZOO_CFG_EXTRA", "maxSessionTimeout=60000 skipACL=yes"),
            ("ZOO_MAX_CLIENT_CNXNS", ""),
        ]));
    }

    #[test]
    fn server_lines_of_old_images_get_the_old_port() {
        let text = check(&[("ZOO_SERVERS", "server.1=zoo1:2888:3888 server.2=zoo2:2888:3888")]);
        assert!(text.ends_with("\nclientPort=2181\n"), "{text}");
    }

    #[test]
    fn flags_for_java_are_passed_over_and_ours_are_taken() {
        let environment = |name: &str| match name {
            "JVMFLAGS" => Some("-Xmx1g -Dcom.sun.management.jmxremote -Dzookeeper.skipACL=yes".to_owned()),
            "SERVER_JVMFLAGS" => Some("-Djute.maxbuffer=2000000".to_owned()),
            _ => None,
        };
        let keys: Vec<String> = flags(&environment).into_iter().map(|flag| flag.key).collect();
        assert_eq!(keys, ["jute.maxbuffer", "zookeeper.skipACL"]);
    }
}
