//! The clients of a simulation, the members that serve them, and what came of it.

use std::sync::{Arc, Mutex};

use consensus::simulation::{Guests, Surroundings, Tenancy};
use consensus::{Consensus, Observer};
use futures_util::future::BoxFuture;
use harness::auditor::history::{Fault, History, Log, Millis};
use harness::auditor::paths::{PathId, Paths};
use harness::auditor::verdict::judge;
use proto::MemberId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::{Client, Scene};
use super::house::House;
use super::record::{Record, Recorder};

/// The znodes, parents first.
const ZNODES: [&str; 7] = ["/w", "/w/a", "/w/b", "/w/a/x", "/w/a/y", "/w/b/x", "/v"];

/// How long a member that was killed may be away, and the others be busy with that.
const TROUBLE_MS: Millis = 3_000;

/// All guests of one simulation.
pub(crate) struct Party {
    house: Arc<House>,
    record: Arc<Record>,
    znodes: Vec<PathId>,
    end: watch::Sender<i64>,
    is_deaf: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    surroundings: Option<Surroundings>,
    clients: Vec<JoinHandle<Vec<Log>>>,
    kills: Vec<Fault>,
}

impl Party {
    pub(crate) fn new(is_deaf: bool) -> Self {
        let mut paths = Paths::default();
        let znodes = ZNODES.map(|name| paths.add(name)).to_vec();
        let (end, _) = watch::channel(0);
        let record = Arc::new(Record::new(paths));
        Self { house: Arc::default(), record, znodes, end, is_deaf, state: Arc::default() }
    }
}

impl Guests for Party {
    fn begins(&self, member: MemberId, boot: u64) -> Arc<dyn Observer> {
        Arc::new(Recorder { record: self.record.clone(), member: self.house.prepare(member, boot) })
    }

    fn takes_part(&self, life: Tenancy, consensus: Consensus) {
        self.house.open(life, consensus);
    }

    fn leaves(&self, member: MemberId) -> BoxFuture<'static, ()> {
        Box::pin(self.house.clone().leave(member))
    }

    fn is_gone(&self, member: MemberId) {
        self.house.close(member);
        let mut state = self.state.lock().unwrap();
        if let Some(now) = state.surroundings.as_ref().map(Surroundings::now) {
            let from = Millis::try_from(now).unwrap();
            let member = usize::try_from(member.get()).unwrap();
            state.kills.push(Fault { member, is_kill: true, from, until: from + TROUBLE_MS });
        }
    }

    fn come(&self, surroundings: Surroundings) {
        let scene = Arc::new(Scene {
            surroundings: surroundings.clone(),
            house: self.house.clone(),
            record: self.record.clone(),
            znodes: self.znodes.clone(),
            end: self.end.subscribe(),
            is_deaf: self.is_deaf,
        });
        let clients = surroundings.dice().within(2..6);
        let mut state = self.state.lock().unwrap();
        state.clients =
            (0..clients).map(|number| tokio::spawn(Client::new(scene.clone(), number).run())).collect();
        state.surroundings = Some(surroundings);
    }

    fn conclude(&self) -> BoxFuture<'static, ()> {
        let (surroundings, clients, kills) = {
            let mut state = self.state.lock().unwrap();
            let surroundings = state.surroundings.clone().expect("clients have come");
            (surroundings, std::mem::take(&mut state.clients), std::mem::take(&mut state.kills))
        };
        let last = self.record.changes().last().map_or(1, |last| last.zxid);
        let record = self.record.clone();
        let calm = Millis::try_from(surroundings.now()).unwrap();
        // Until then somebody may have stood still or been cut off, without being killed.
        let trouble = Fault { member: 0, is_kill: false, from: 0, until: calm };
        self.end.send_replace(last);
        Box::pin(async move {
            let mut history = History { faults: vec![trouble], ..History::default() };
            history.faults.extend(kills);
            for client in clients {
                match client.await {
                    Ok(logs) => history.sessions.extend(logs),
                    Err(error) => surroundings.broken(&format!("a client panicked: {error}")),
                }
            }
            history.changes = record.changes();
            let verdict = judge(record.paths(), &history);
            if let Some(first) = verdict.violations.first() {
                let count = verdict.violations.len();
                surroundings.broken(&format!("{count} violations: {:?}: {}", first.wrong, first.text));
            }
        })
    }
}
