//! Whether the members have the same state, by their own account.

use std::net::SocketAddr;
use std::process::Command;

use super::Ensemble;
use crate::corral;

/// How often members are asked that were not all to be heard.
const TIMES: usize = 5;

/// What `corral digest` ends with where not all members could be compared.
const UNKNOWN: i32 = 3;

impl Ensemble {
    /// Where a member's `AdminServer` listens, if the ensemble has [such](crate::Plan::admin).
    pub fn admin(&self, id: usize) -> Option<SocketAddr> {
        self.members[id - 1].admin
    }

    /// Lets all members that run, a keeper too, add up their states at one place of the log (`corral digest`).
    ///
    /// # Errors
    /// If they differ, or are not all heard although they are asked several times: in the command's words.
    pub fn have_one_digest(&self) -> Result<(), String> {
        let servers: Vec<_> =
            self.members.iter().filter_map(|member| member.admin).map(|it| it.to_string()).collect();
        let mut said = "no member has an AdminServer".to_owned();
        for _ in 0..TIMES {
            let mut command = Command::new(corral().map_err(|error| format!("{error:#}"))?);
            command.args(["digest", "--server", &servers.join(",")]);
            let output = command.output().map_err(|error| format!("run corral digest: {error}"))?;
            if output.status.success() {
                return Ok(());
            }
            said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
            if output.status.code() != Some(UNKNOWN) {
                break;
            }
        }
        Err(said)
    }
}
