//! Both servers, taken through the same steps.

use std::time::Duration;

use super::exchange::Exchange;
use super::line::{Line, Said};
use super::pen::Pen;
use super::reset::{self, Broom};
use super::side::Side;
use super::step::{Ask, Manner, Step};
use super::tally::Tally;
use super::wanted::{self, Mend};
use super::watched::Watched;
use crate::{Ensemble, Plan, Server};

/// The session timeout of clients, in milliseconds: nothing is to expire.
const TIMEOUT_MS: i32 = 60_000;

/// After what time a server that serves does nothing more of itself: a second later, a leader looks once more whether its
/// members are written down, and nobody may have cleared that.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The same where only those are served who have proved who they are: whoever asked whether anybody is served could not
/// close its session, which has expired by then.
const ALONE_AFTER: Duration = Duration::from_secs(32);

/// The two servers.
#[derive(Debug)]
pub struct Pair {
    _ensembles: [Ensemble; 2],
    sides: [Side; 2],
    brooms: [Broom; 2],
    watched: Vec<Watched>,
    /// How many sessions the sequence has had.
    sessions: usize,
    /// Whether the two have gone ways of their own, and were meant to.
    has_ended: bool,
    /// Whether they serve only who has proved who it is.
    enforces: bool,
    /// Everything so far.
    pub tally: Tally,
}

/// What one server says and the other does not.
#[derive(Clone, Debug)]
pub struct Difference {
    /// At which step.
    pub step: usize,
    /// What was said there, and by whom.
    pub exchange: Exchange,
    /// What kind of difference it is: the operation, and the field.
    pub kind: String,
}

/// What was said in a step, for a report.
pub type Heard = Vec<Exchange>;

/// A server as it is to be compared: with everything switched on that a client can see.
pub fn plan(server: Server, members: usize) -> Plan {
    let mut plan = Plan::members(members)
        .line("forceSync=no")
        .line("enforceQuota=true")
        .line("extendedTypesEnabled=true")
        .line(&format!("DigestAuthenticationProvider.superDigest={}", super::vocabulary::SUPER_DIGEST))
        // What is collected when is not compared.
        .flag("-Dznode.container.checkIntervalMs=100000000");
    plan.server = server;
    plan.tick_ms = 10_000;
    plan.in_memory = true;
    plan
}

impl Pair {
    /// One member of ZooKeeper and this many of Corral, serving.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(reference: Server, members: usize) -> Self {
        Self::of([plan(reference, 1), plan(Server::Corral, members)])
    }

    /// Servers of these plans, serving.
    ///
    /// # Panics
    /// If they do not start.
    pub fn of(mut plans: [Plan; 2]) -> Self {
        plans[1].beside = true;
        let enforces = plans[1].lines.iter().any(|line| line == "enforce.auth.enabled=true");
        let ensembles = plans.each_ref().map(Ensemble::start);
        std::thread::sleep(if enforces { ALONE_AFTER } else { SETTLED_AFTER });
        let sides = ensembles.each_ref().map(|ensemble| Side::new(ensemble.addresses()));
        let brooms = sides.each_ref().map(|side| Broom::new(side.address()));
        Self {
            _ensembles: ensembles,
            sides,
            brooms,
            watched: Vec::new(),
            sessions: 0,
            has_ended: false,
            enforces,
            tally: Tally::default(),
        }
    }

    /// Takes both through a sequence, from the same beginning.
    ///
    /// # Errors
    /// The first difference that is not wanted. Then the servers are not alike, but the next sequence may begin.
    pub fn run(&mut self, steps: &[Step], mut heard: Option<&mut Vec<Heard>>) -> Result<(), Box<Difference>> {
        self.begin(clients(steps));
        for (number, step) in steps.iter().enumerate() {
            if number % 64 == 0 {
                self.brooms.iter_mut().for_each(|broom| {
                    broom.ping();
                });
            }
            let exchanges = self.take(step);
            if let Some(heard) = &mut heard {
                heard.push(exchanges.clone());
            }
            let judged = self.judge_all(number, exchanges);
            if judged.is_err() {
                self.give_up();
                return judged;
            }
            if self.has_ended {
                break;
            }
        }
        // A part of a sequence may leave somebody behind.
        self.give_up();
        self.tally.seeds += 1;
        Ok(())
    }

    fn begin(&mut self, clients: usize) {
        self.brooms.iter_mut().for_each(Broom::sweep);
        reset::level(&mut self.brooms);
        let bases = self.brooms.each_mut().map(Broom::base);
        for (side, base) in self.sides.iter_mut().zip(bases) {
            side.begin(clients, base);
        }
        self.watched = vec![Watched::default(); clients];
        self.sessions = 0;
        self.has_ended = false;
    }

    /// Ends all sessions, so that none of them expires later.
    fn give_up(&mut self) {
        let close = [Pen::default().ask(-11)];
        for side in &mut self.sides {
            for client in 0..side.clients() {
                if !side.has_session(client) {
                    continue;
                }
                side.hang_up(client);
                side.greet(client, Manner::Right, TIMEOUT_MS, 1);
                for ask in self.enforces.then(proof).iter().chain(&close) {
                    let ask = std::slice::from_ref(ask);
                    side.send(client, ask, None);
                    side.receive(client, ask, None);
                }
                side.hang_up(client);
            }
        }
    }

    fn take(&mut self, step: &Step) -> Vec<Exchange> {
        match step {
            Step::Burst { client, asks } => self.burst(*client, asks),
            Step::Lists { client, ask } => {
                let mut exchanges = Vec::new();
                if self.sides.iter().any(|side| side.has_session(*client)) {
                    exchanges = self.burst(*client, &[Pen::default().ask(-11)]);
                }
                exchanges.extend(self.burst(*client, std::slice::from_ref(ask)));
                exchanges
            }
            Step::HangUp(client) => {
                self.sides.iter_mut().for_each(|side| side.hang_up(*client));
                Vec::new()
            }
            Step::Return(client, manner) => {
                if self.is_connected(*client) || !self.sides.iter().all(|side| side.has_session(*client)) {
                    return Vec::new();
                }
                self.arrive(*client, *manner, TIMEOUT_MS)
            }
            Step::Visit(timeout) => {
                let visitor = self.visitor();
                let mut exchanges = self.arrive(visitor, Manner::Right, *timeout);
                exchanges.extend(self.burst(visitor, &[Pen::default().ask(-11)]));
                exchanges
            }
            Step::Unproved(ask) => {
                let visitor = self.visitor();
                let mut exchanges = self.greeted(visitor, Manner::Right, TIMEOUT_MS);
                exchanges.extend(self.burst(visitor, std::slice::from_ref(ask)));
                self.sides.iter_mut().for_each(|side| side.hang_up(visitor));
                exchanges.extend(self.burst(visitor, &[Pen::default().ask(-11)]));
                exchanges
            }
            Step::Noise { client, bytes } => {
                let mut exchanges = self.connected(*client);
                for side in &mut self.sides {
                    if let Some(wire) = &mut side.client(*client).wire {
                        wire.send(bytes);
                    }
                }
                exchanges.extend(self.barrier(None));
                exchanges
            }
        }
    }

    /// Whoever comes last is the visitor.
    fn visitor(&self) -> usize {
        self.watched.len() - 1
    }

    fn is_connected(&self, client: usize) -> bool {
        self.sides.iter().any(|side| side.is_connected(client))
    }

    fn burst(&mut self, client: usize, asks: &[Ask]) -> Vec<Exchange> {
        let mut exchanges = self.connected(client);
        // Behind what may end a connection nothing is sent before it has been seen whether it does.
        let barrier = self.barrier_ask();
        let may_end = self.enforces && client == self.visitor() || asks.iter().any(Ask::may_end);
        let barrier = (!may_end).then_some(&barrier);
        self.sides.iter_mut().for_each(|side| side.send(client, asks, barrier));
        let lines = self.sides.each_mut().map(|side| side.receive(client, asks, barrier));
        let mut exchange = Exchange { client, asks: asks.to_vec(), lines };
        let rest = self.barrier(barrier.map(|_| client));
        for mut further in rest {
            if further.client == client {
                for (lines, more) in exchange.lines.iter_mut().zip(&mut further.lines) {
                    lines.append(more);
                }
            } else {
                exchanges.push(further);
            }
        }
        // What a closed session leaves goes in an order that nobody promises.
        if asks.iter().any(|ask| ask.op == -11) {
            exchanges
                .iter_mut()
                .flat_map(|exchange| &mut exchange.lines)
                .for_each(|lines| sort_events(lines));
            exchange.lines.iter_mut().for_each(|lines| sort_events(lines));
            for (side, lines) in self.sides.iter_mut().zip(&exchange.lines) {
                let is_refused = lines.iter().any(|line| line.is_reply_with(-124));
                if !side.is_connected(client) && !is_refused {
                    side.forget_session(client);
                }
            }
        }
        exchanges.push(exchange);
        exchanges
    }

    /// Shows of every client but one that it has been told everything.
    fn barrier(&mut self, but: Option<usize>) -> Vec<Exchange> {
        let ask = self.barrier_ask();
        let others: Vec<usize> = (0..self.watched.len())
            .filter(|client| Some(*client) != but && self.is_connected(*client))
            .collect();
        for client in &others {
            self.sides.iter_mut().for_each(|side| side.send(*client, &[], Some(&ask)));
        }
        let receive = |client: usize| {
            let lines = self.sides.each_mut().map(|side| side.receive(client, &[], Some(&ask)));
            Exchange { client, asks: Vec::new(), lines }
        };
        others.into_iter().map(receive).collect()
    }

    fn barrier_ask(&self) -> Ask {
        let is_alone = self.sides.iter().all(|side| side.members() == 1);
        let pen = Pen::default();
        // One member says everything in order. Others must first have heard of it.
        if is_alone { Ask { xid: Some(-2), ..pen.ask(11) } } else { pen.text(Some("/")).ask(9) }
    }

    /// Gives a client a connection if it has none, and a session if that is gone.
    fn connected(&mut self, client: usize) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        for _ in 0..2 {
            if self.is_connected(client) {
                break;
            }
            exchanges.extend(self.arrive(client, Manner::Right, TIMEOUT_MS));
        }
        exchanges
    }

    /// Connects a client, which then says who it is where it must, and names its watches.
    fn arrive(&mut self, client: usize, manner: Manner, timeout_ms: i32) -> Vec<Exchange> {
        if self.is_connected(client) {
            return Vec::new();
        }
        let mut exchanges = self.greeted(client, manner, timeout_ms);
        if self.is_connected(client) && self.enforces {
            // In front of what it names, nothing else: Corral tells what was missed in front of any other answer.
            let asks = vec![proof()];
            self.sides.iter_mut().for_each(|side| side.send(client, &asks, None));
            let lines = self.sides.each_mut().map(|side| side.receive(client, &asks, None));
            exchanges.push(Exchange { client, asks, lines });
        }
        if self.is_connected(client)
            && let Some(ask) = self.watched[client].named()
        {
            exchanges.extend(self.burst(client, &[ask]));
        }
        exchanges
    }

    /// Connects a client and reads the answer to its greeting.
    fn greeted(&mut self, client: usize, manner: Manner, timeout_ms: i32) -> Vec<Exchange> {
        let returns = self.sides[0].has_session(client);
        self.sessions += 1;
        let number = self.sessions;
        let lines = self.sides.each_mut().map(|side| vec![side.greet(client, manner, timeout_ms, number)]);
        if !returns {
            self.watched[client] = Watched::default();
        }
        if manner == Manner::Right && returns {
            for side in &mut self.sides {
                if !side.is_connected(client) {
                    side.forget_session(client);
                }
            }
        }
        vec![Exchange { client, asks: Vec::new(), lines }]
    }

    /// Whether both said the same to everybody, wanted differences aside. Who had asked comes first: what is found there
    /// may concern those who only listened.
    fn judge_all(&mut self, step: usize, mut exchanges: Vec<Exchange>) -> Result<(), Box<Difference>> {
        exchanges.sort_by_key(|exchange| exchange.asks.is_empty());
        for at in 0..exchanges.len() {
            if self.has_ended {
                break;
            }
            for (side, hole) in self.judge(step, exchanges[at].clone())? {
                let rest = exchanges[at + 1..].iter_mut();
                rest.for_each(|exchange| wanted::leave_out(&mut exchange.lines[side], hole));
            }
        }
        Ok(())
    }

    /// Whether both said the same, wanted differences aside. Returns the positions that are not to be counted any more,
    /// each with the server that has it.
    fn judge(&mut self, step: usize, mut exchange: Exchange) -> Result<Vec<(usize, i64)>, Box<Difference>> {
        let heard = exchange.clone();
        let used = wanted::take_out(&mut exchange);
        let [theirs, ours] = &exchange.lines;
        let silent = ours.iter().any(|line| line.said == Said::Silence);
        if theirs != ours || silent {
            let kind = exchange.kind();
            return Err(Box::new(Difference { step, exchange: heard, kind }));
        }
        self.tally.count(&exchange.asks, theirs);
        self.watched[exchange.client].learn(&exchange.asks, theirs);
        let mut holes = Vec::new();
        for (number, mend) in used {
            *self.tally.wanted.entry(number).or_default() += 1;
            match mend {
                Mend::Nothing => {}
                Mend::HangUp => holes.extend(self.hang_up(exchange.client)),
                Mend::End => self.has_ended = true,
                Mend::Unwatch(path) => self.unwatch(exchange.client, &path),
                Mend::Hole(hole) => {
                    let position = self.sides[1].position(hole);
                    self.sides[1].leave_out(1, position);
                    holes.push((1, hole));
                }
            }
        }
        Ok(holes)
    }

    /// Hangs up on both. One of them may have taken positions for what was asked last: those are returned.
    fn hang_up(&mut self, client: usize) -> Vec<(usize, i64)> {
        self.sides.iter_mut().for_each(|side| side.hang_up(client));
        let zxids = self.brooms.each_mut().map(Broom::ping);
        let told = [0, 1].map(|at| self.sides[at].told(zxids[at]));
        let mut holes = Vec::new();
        for at in [0, 1] {
            let more = told[at] - told[1 - at];
            if more > 0 {
                self.sides[at].leave_out(more, zxids[at]);
                // One behind the other, each as it is told when those before it are no longer counted.
                holes.extend((0..more).map(|_| (at, told[at] - more + 1)));
            }
        }
        holes
    }

    /// Takes a one-shot watch on data away on both, without comparing what they say: it is spent on one of them.
    fn unwatch(&mut self, client: usize, path: &str) {
        let ask = [Pen::default().text(Some(path)).int(2).ask(18)];
        for side in &mut self.sides {
            side.send(client, &ask, None);
            side.receive(client, &ask, None);
        }
        self.watched[client].forget(path);
    }
}

/// What a client proves itself with.
fn proof() -> Ask {
    Pen::default().int(0).text(Some("digest")).buffer(Some(super::vocabulary::EVERYBODY.as_bytes())).ask(100)
}

/// How many clients take part in a sequence, visitors included.
fn clients(steps: &[Step]) -> usize {
    let named = steps.iter().map(|step| match step {
        Step::Burst { client, .. } | Step::Noise { client, .. } | Step::Lists { client, .. } => *client,
        Step::HangUp(client) | Step::Return(client, _) => *client,
        Step::Visit(_) | Step::Unproved(_) => 0,
    });
    named.max().unwrap_or_default() + 2
}

/// Sorts notifications that stand side by side and are of the same transaction.
fn sort_events(lines: &mut [Line]) {
    let is_one = |a: &Line, b: &Line| {
        a.said == Said::Event && b.said == Said::Event && a.field("zxid") == b.field("zxid")
    };
    for group in lines.chunk_by_mut(is_one) {
        group.sort_by(|a, b| a.fields.cmp(&b.fields));
    }
}
