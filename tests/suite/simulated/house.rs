//! The members that live, as their clients find them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consensus::simulation::Tenancy;
use consensus::{Consensus, Observer};
use node::config::{self, Surroundings};
use node::simulated::{Prepared, Simulated};
use proto::MemberId;
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

/// Bytes that a stream holds in each direction while nobody reads.
const STREAM_BYTES: usize = 16 << 10;

/// More members than any simulation has.
const MEMBERS_MAX: u64 = 9;

/// All members that live.
#[derive(Default)]
pub(crate) struct House {
    floors: Mutex<BTreeMap<u64, Floor>>,
}

/// What a member's life has of this.
enum Floor {
    /// It does not take part yet.
    Prepared(u64, Prepared),
    Open(Tenancy, Simulated, Arc<()>),
}

impl House {
    /// A member begins a life; who is to be told what it applies.
    pub(crate) fn prepare(&self, member: MemberId, boot: u64) -> Arc<dyn Observer> {
        let mut loaded = config::load(Path::new("zoo.cfg"), &Text(member)).unwrap();
        loaded.config.consensus.boot = boot;
        let prepared = Prepared::new(loaded.config);
        let observer = prepared.observer();
        self.floors.lock().unwrap().insert(member.get(), Floor::Prepared(boot, prepared));
        observer
    }

    /// It takes part from now on.
    pub(crate) fn open(&self, life: Tenancy, consensus: Consensus) {
        let mut floors = self.floors.lock().unwrap();
        let member = life.member().get();
        match floors.remove(&member) {
            Some(Floor::Prepared(boot, prepared)) if boot == life.boot() => {
                let (simulated, going_on) = prepared.join(consensus);
                drop(life.spawn(going_on));
                floors.insert(member, Floor::Open(life, simulated, Arc::new(())));
            }
            Some(other) => drop(floors.insert(member, other)),
            None => {}
        }
    }

    /// It is no more.
    pub(crate) fn close(&self, member: MemberId) {
        self.floors.lock().unwrap().remove(&member.get());
    }

    /// It lets nobody in any more. Returns when its clients are gone.
    pub(crate) async fn leave(self: Arc<Self>, member: MemberId) {
        let (simulated, guests) = match self.floors.lock().unwrap().get(&member.get()) {
            Some(Floor::Open(_, simulated, guests)) => (simulated.clone(), guests.clone()),
            _ => return,
        };
        simulated.end();
        let until = Instant::now() + Simulated::PATIENCE;
        // One is of the floor, and one is here.
        while Arc::strong_count(&guests) > 2 {
            if Instant::now() > until {
                simulated.hang_up();
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// A stream to a member, if it is there.
    pub(crate) fn dial(&self, member: u64) -> Option<DuplexStream> {
        let floors = self.floors.lock().unwrap();
        let Some(Floor::Open(life, simulated, guests)) = floors.get(&member) else { return None };
        let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
        let (simulated, guest) = (simulated.clone(), guests.clone());
        drop(life.spawn(async move {
            let why = simulated.serve(theirs).await;
            drop(guest);
            assert_ne!(why, "a write was answered out of turn");
        }));
        Some(ours)
    }
}

/// A member's configuration file, and nothing else.
struct Text(MemberId);

impl Surroundings for Text {
    fn read(&self, file: &Path) -> io::Result<String> {
        if file.ends_with("myid") {
            return Ok(self.0.get().to_string());
        }
        let mut text =
            "tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir=/simulated\nclientPort=2181\n".to_owned();
        text += "admin.enableServer=false\n";
        for member in 1..=MEMBERS_MAX {
            text += &format!("server.{member}=member{member}:2888:3888\n");
        }
        Ok(text)
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn is_own(&self, _: &str) -> bool {
        true
    }
}
