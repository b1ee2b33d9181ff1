//! What may live on top of simulated members: sessions of clients that speak their protocol, with whoever serves them.
//!
//! The simulation of this crate alone has clients that propose and read. Whoever has more of a server brings it as guests:
//! each member's life has one part of them, which ends with it, and what they know of their own promises they say at the end.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use machine::{Applied, Machine};
use proto::MemberId;
use tokio::task::JoinHandle;

use super::world::World;
use crate::runtime::dice::Dice;
use crate::runtime::life::Life;
use crate::{Amount, Consensus, Observer};

/// What lives on top of the members of one simulation.
pub trait Guests: Send + Sync {
    /// A member begins a life, and this is who is told of what it applies.
    fn begins(&self, member: MemberId, boot: u64) -> Arc<dyn Observer>;

    /// It takes part in the ensemble.
    fn takes_part(&self, life: Tenancy, consensus: Consensus);

    /// It leaves in order: returns when its clients are gone.
    fn leaves(&self, member: MemberId) -> BoxFuture<'static, ()>;

    /// It is no more.
    fn is_gone(&self, member: MemberId);

    /// The ensemble has begun: clients may come.
    fn come(&self, surroundings: Surroundings);

    /// There is no trouble any more, and everybody serves. Returns when all clients have seen all that there is to see.
    fn conclude(&self) -> BoxFuture<'static, ()>;
}

/// A member's life.
#[derive(Clone)]
pub struct Tenancy {
    life: Arc<Life>,
    boot: u64,
}

impl Tenancy {
    pub(super) fn new(life: Arc<Life>, boot: u64) -> Self {
        Self { life, boot }
    }

    /// Whose life it is.
    pub fn member(&self) -> MemberId {
        MemberId::new(self.life.member)
    }

    /// Which of its lives.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Starts a task that ends with this life, and stands still with it.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.life.spawn(task)
    }
}

/// What guests know of the simulation they are in.
#[derive(Clone)]
pub struct Surroundings {
    world: Arc<World>,
}

impl Surroundings {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Random choices that are the same for the same seed.
    pub fn dice(&self) -> Dice {
        Dice::new(self.world.dice.number())
    }

    /// How many members there may be: their numbers begin with one.
    pub fn size(&self) -> u64 {
        self.world.size
    }

    /// Milliseconds since the simulation began.
    pub fn now(&self) -> u64 {
        self.world.witness.now()
    }

    /// Notes that something happened: it must be the same for the same seed.
    pub fn note(&self, what: &'static str, numbers: &[u64]) {
        self.world.witness.note(what, numbers);
    }

    /// A promise is broken. The first one counts.
    pub fn broken(&self, how: &str) {
        self.world.witness.broken(how);
    }

    /// Whether a promise was broken: there is no use in going on.
    pub fn is_broken(&self) -> bool {
        self.world.witness.is_broken()
    }
}

/// Nobody besides the clients of this crate.
pub(crate) struct Nobody;

impl Guests for Nobody {
    fn begins(&self, _: MemberId, _: u64) -> Arc<dyn Observer> {
        Arc::new(Self)
    }

    fn takes_part(&self, _: Tenancy, _: Consensus) {}

    fn leaves(&self, _: MemberId) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn is_gone(&self, _: MemberId) {}

    fn come(&self, _: Surroundings) {}

    fn conclude(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Observer for Nobody {
    fn applied(&self, _: &Machine, _: &Applied) {}

    fn replaced(&self, _: &Machine, _: &Machine) {}

    fn measured(&self, _: Amount) {}
}
