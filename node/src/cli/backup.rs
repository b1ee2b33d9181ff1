//! Takes a backup of an ensemble that runs, and makes a new one out of it.
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use consensus::offline::{self, BackupInWords, Manner, Restored};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use indicatif::{ProgressBar, ProgressStyle};
use proto::Zxid;

use super::http::{get, with_admin_port};
use super::recover::configuration;
use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED, small_runtime};

/// From whom, and whereto.
#[derive(Debug, Args)]
#[command(after_help = "\
The backup is what the member has applied when it is asked, and that is at least what was acknowledged anywhere by then. Without
a leader nobody can say what that is, and there is no backup: `--stale` takes what the member has all the same, and the backup
says for ever that it may lack something. It holds everything, whatever ACLs say, and the passwords of sessions; so only those may take it who may
do everything at `/`, and the file is readable for its owner only. When it has come, it is read again and held against its
checksum and its digest.")]
pub(super) struct Backup {
    /// Where it is written; nothing may be there
    file: PathBuf,

    /// The AdminServer of any member
    #[arg(long, default_value = "127.0.0.1:8080")]
    server: String,

    /// Who asks, as scheme:credentials, or else what CORRAL_AUTH says; without it, whoever calls from this address
    #[arg(long)]
    auth: Option<String>,

    /// Also if there is no leader: what was acknowledged may be missing then, and the backup says so
    #[arg(long)]
    stale: bool,

    /// The path of its commands, if it is another: `admin.commandURL`
    #[arg(long, default_value = "/commands")]
    url: String,
}

/// Which backup, and for whom.
#[derive(Debug, Args)]
#[command(after_help = "\
Run it on every member of the new ensemble, with the same backup and the same options, before one of them is started; or on most of
them, and the rest, with empty folders, is filled by these. It prints the digest of what it has written: it must be the same on all.
All sessions are over, with their ephemerals and watches. Zxids go on in the next epoch, so that clients of the old ensemble
are never taken back. Members that were restored otherwise refuse each other.")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,

    /// The member's configuration; without it, the environment variables of ZooKeeper's container image
    zoo_cfg: Option<PathBuf>,

    /// Only look whether it is whole, and say what is in it
    #[arg(long)]
    check: bool,

    /// Move aside what the member has. Nothing is deleted
    #[arg(long, conflicts_with = "check")]
    replace: bool,

    /// A zxid that clients may have seen, though it is not in the backup, such as 0x1700000003: all that are given from now
    /// on are higher. The same on all members
    #[arg(long, conflicts_with = "check", value_parser = zxid)]
    zxids_above: Option<Zxid>,
}

fn zxid(text: &str) -> Result<Zxid, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map(Zxid::new).map_err(|_| "it is a hexadecimal number".to_owned())
}

/// Takes a backup, and says what is in it.
pub(super) fn backup(wanted: &Backup) -> ExitCode {
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    // Beside it until it is known to be whole, so that what has the name is a backup.
    let draft = PathBuf::from(format!("{}.part", wanted.file.display()));
    let taken = runtime.block_on(fetch(wanted, &draft)).and_then(|()| {
        let backup = offline::check_backup(&draft)?;
        fs::rename(&draft, &wanted.file)?;
        Ok(backup)
    });
    match taken {
        Ok(backup) => {
            tell(&backup);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

async fn fetch(wanted: &Backup, draft: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!wanted.file.exists(), "{} is there already", wanted.file.display());
    // A secret on a command line can be read by everybody on this machine.
    let auth = wanted.auth.clone().or_else(|| std::env::var("CORRAL_AUTH").ok()).unwrap_or_default();
    let authorization = match auth.split_once(':') {
        Some((scheme, credentials)) => format!("{scheme} {credentials}"),
        None if auth.is_empty() => "ip".to_owned(),
        None => anyhow::bail!("`--auth` is not scheme:credentials"),
    };
    let address = with_admin_port(&wanted.server);
    let stale = if wanted.stale { "&stale=true" } else { "" };
    let path = format!("{}/snapshot?streaming=true{stale}", wanted.url);
    let response = get(&address, &path, Some(&authorization)).await.with_context(|| address.clone())?;
    let status = response.status();
    let length = response.headers().get(hyper::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let is_backup = response.headers().get(hyper::header::CONTENT_TYPE).is_some_and(|kind| kind == STREAM);
    let mut body = response.into_body();
    if status != StatusCode::OK || !is_backup {
        let answer = body.collect().await?.to_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let why = answer["error"].as_str().unwrap_or("no backup");
        anyhow::bail!("{address} answers {status}: {why}");
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(draft)
        .with_context(|| format!("write {}", draft.display()))?;
    let bar = ProgressBar::new(length.unwrap_or_default()).with_style(style());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        file.write_all(&data).with_context(|| format!("write {}", draft.display()))?;
        bar.inc(data.len() as u64);
    }
    bar.finish_and_clear();
    file.sync_all().with_context(|| format!("sync {}", draft.display()))?;
    let parent = draft.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// What the AdminServer calls a backup.
const STREAM: &str = "application/octet-stream";

/// Only seen in a terminal.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Restores one, or looks at it.
pub(super) fn restore(wanted: &Restore) -> ExitCode {
    if wanted.check {
        return match offline::check_backup(&wanted.file) {
            Ok(backup) => {
                tell(&backup);
                ExitCode::SUCCESS
            }
            Err(fault) => {
                complain(fault);
                ExitCode::from(FAILED)
            }
        };
    }
    let config = match configuration(wanted.zoo_cfg.as_ref()) {
        Ok(loaded) => loaded.config.consensus,
        Err(error) => {
            complain(error);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let manner = Manner { replace: wanted.replace, seen: wanted.zxids_above.unwrap_or_default() };
    match offline::restore(&wanted.file, &config, manner) {
        Ok(restored) => {
            tell_restored(config.member.get(), &restored);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            complain(fault);
            ExitCode::from(FAILED)
        }
    }
}

fn tell(backup: &BackupInWords) {
    let BackupInWords { cluster, member, time, at, zxid, digest, znodes, stale } = backup;
    let of = cluster.map_or_else(|| "that has no name".to_owned(), |cluster| cluster.to_string());
    say(format_args!("backup      of ensemble {of}, from member {member}, taken at {}", date(*time)));
    say(format_args!("holds       {znodes} znodes up to {at}, zxid {zxid}"));
    say(format_args!("digest      {digest:016x}, as it should be"));
    if *stale {
        say(format_args!("STALE       no leader was there: what was acknowledged before may be missing"));
    }
}

fn tell_restored(member: u64, restored: &Restored) {
    let Restored { backup, cluster, zxid, digest, znodes, sessions, aside } = restored;
    tell(backup);
    for folder in aside {
        say(format_args!("moved aside {}", folder.display()));
    }
    say(format_args!("member {member} is one of ensemble {cluster} now, with {znodes} znodes"));
    say(format_args!("{sessions} sessions have ended; zxids go on behind {zxid}"));
    say(format_args!(
        "restored    digest {digest:016x}, read from the disk again: it must be the same on all members"
    ));
}

fn date(time_ms: i64) -> String {
    let time = u64::try_from(time_ms).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zxids_are_written_as_they_are_told() {
        assert_eq!(zxid("0x1f"), Ok(Zxid::new(0x1f)));
        assert_eq!(zxid("1f"), Ok(Zxid::new(0x1f)));
        assert!(zxid("thirty").is_err());
    }
}
