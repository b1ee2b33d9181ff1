//! A whole ensemble on this machine, for a first look: its members are processes of their own.
// Layers, lowest first.
mod child;
mod plan;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ask::ask;
use super::terminal::{complain, say};
use super::{FAILED, MISCONFIGURED, small_runtime};
use child::{Child, Ending};
pub(super) use plan::Plan;

/// How often members are asked who leads: often until somebody does, seldom later.
const ASK_EVERY_AT_FIRST: Duration = Duration::from_millis(100);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long a member may take to answer.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// Without a leader for so long at the start, we say where to look.
const LEADER_WAIT: Duration = Duration::from_secs(15);

/// Without a leader for so long later, we say so. An election is shorter.
const LEADERLESS_WAIT: Duration = Duration::from_secs(2);

/// Runs the ensemble until it is told to end.
pub(super) fn run(plan: &Plan) -> ExitCode {
    let members = match plan.prepare() {
        Ok(members) => members,
        Err(message) => {
            complain(message);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    runtime.block_on(async {
        let (Ok(terminate), Ok(interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            complain("signals cannot be listened to");
            return ExitCode::from(FAILED);
        };
        let mut children = Vec::new();
        for member in members {
            match Child::start(member) {
                Ok(child) => children.push(child),
                Err(error) => {
                    complain(format_args!("start a member: {error}"));
                    end(children).await;
                    return ExitCode::from(FAILED);
                }
            }
        }
        let now = Instant::now();
        Ensemble { plan, children, leader: None, leader_seen: now, started: now, greeted: false }
            .watch(terminate, interrupt)
            .await
    })
}

struct Ensemble<'a> {
    plan: &'a Plan,
    children: Vec<Child>,
    /// Who is known to lead, and when that was seen last.
    leader: Option<u64>,
    leader_seen: Instant,
    started: Instant,
    greeted: bool,
}

impl Ensemble<'_> {
    /// Says what happens, until somebody ends it.
    async fn watch(mut self, mut terminate: Signal, mut interrupt: Signal) -> ExitCode {
        say(format_args!("{} members are starting in {}", self.children.len(), self.plan.dir.display()));
        let mut warned = false;
        let code = loop {
            let pause = if self.leader.is_some() { ASK_EVERY } else { ASK_EVERY_AT_FIRST };
            tokio::select! {
                _ = terminate.recv() => break ExitCode::SUCCESS,
                _ = interrupt.recv() => break ExitCode::SUCCESS,
                () = tokio::time::sleep(pause) => {}
            }
            if let Some(code) = self.bury_the_dead() {
                break code;
            }
            self.look_for_leader().await;
            if !self.greeted && !warned && self.started.elapsed() > LEADER_WAIT {
                warned = true;
                let seconds = self.started.elapsed().as_secs();
                say(format_args!(
                    "nobody leads after {seconds} s; the logs in {} may tell why",
                    self.plan.logs()
                ));
            }
        };
        if code == ExitCode::SUCCESS {
            say("ending");
        }
        end(self.children).await;
        if code == ExitCode::SUCCESS {
            say("goodbye");
        }
        code
    }

    /// Says who has ended. An ensemble that loses a member while it starts, or all of them, has failed.
    fn bury_the_dead(&mut self) -> Option<ExitCode> {
        for child in &mut self.children {
            let Some(Ending { how, last_words }) = child.ended() else { continue };
            let member = child.member();
            say(format_args!(
                "member {} has ended ({how}); the last lines of {}:",
                member.id,
                member.log.display()
            ));
            for line in last_words {
                say(format_args!("    {line}"));
            }
            if self.greeted {
                say(format_args!("start it again with: corral serve {}", member.zoo_cfg.display()));
            } else {
                return Some(ExitCode::from(FAILED));
            }
        }
        let all_gone = self.children.iter().all(|child| !child.lives());
        all_gone.then(|| ExitCode::from(FAILED))
    }

    /// Asks every member whether it leads, and says so if that is news.
    async fn look_for_leader(&mut self) {
        let mut leader = None;
        // A member that was started again by hand is asked too.
        for child in &self.children {
            let member = child.member();
            let answer = ask("srvr", &member.client_address(), ANSWER_WAIT).await.unwrap_or_default();
            if answer.lines().any(|line| matches!(line, "Mode: leader" | "Mode: standalone")) {
                leader = Some(member.id);
                break;
            }
        }
        match leader {
            Some(id) => {
                if !self.greeted {
                    self.greet(id);
                } else if leader != self.leader {
                    say(format_args!("member {id} leads"));
                }
                self.leader = leader;
                self.leader_seen = Instant::now();
            }
            None if self.leader.is_some() && self.leader_seen.elapsed() > LEADERLESS_WAIT => {
                say("nobody leads");
                self.leader = None;
            }
            None => {}
        }
    }

    fn greet(&mut self, leader: u64) {
        self.greeted = true;
        let connect = self.plan.connect_string();
        say(format_args!(
            "member {leader} leads, {:.1} s after the start",
            self.started.elapsed().as_secs_f64()
        ));
        say("");
        say(format_args!("  connect string  {connect}"));
        say(format_args!("  try             zkCli.sh -server {connect}"));
        match self.children.first().and_then(|child| child.member().admin_port) {
            Some(port) => say(format_args!("  operators       http://127.0.0.1:{port}/commands")),
            None => say("  operators       none: their ports are taken; --admin-port chooses others"),
        }
        say(format_args!("  data            {}", self.plan.data()));
        say(format_args!("  logs            {}", self.plan.logs()));
        say("  end             Ctrl-C");
        say("");
    }
}

/// Ends all members, and waits until they have gone.
async fn end(mut children: Vec<Child>) {
    for child in &children {
        child.terminate();
    }
    for child in &mut children {
        child.gone().await;
    }
}
