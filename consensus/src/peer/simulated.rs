//! A network that is simulated: it delays, loses, says twice and is cut, one way or both.
//!
//! What travels is what travels between real members, encoded by the same code; only TCP and HTTP/2 are left out. As with
//! these, what is on its way over one call comes in order or the call breaks, and a silent peer is given up after a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use proto::MemberId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, StdError, http};
use tonic::service::Routes;

use super::network::{Carry, Network, Request, Response, Wire};
use crate::Fault;
use crate::runtime::dice::{Dice, pass};
use crate::runtime::life::{self, Life};
use crate::runtime::watch;
use crate::runtime::witness::{self, Witness};
use crate::tasks::Tasks;

/// After how long a silence a connection is given up, as by the keep-alive of a real one.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often what waits for a way looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(7);

/// The network between all members. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Ether(Arc<Inner>);

struct Inner {
    dice: Dice,
    witness: Arc<Witness>,
    state: Mutex<State>,
    /// Counts how often connections were broken, so that whatever rests on one learns of it.
    breaks: watch::Sender<u64>,
}

struct State {
    habits: Habits,
    listening: BTreeMap<u64, (Arc<Life>, Routes)>,
    /// From whom to whom nothing comes through.
    cut: BTreeSet<(u64, u64)>,
    /// How often the connections of two members were broken.
    broken: BTreeMap<(u64, u64), u64>,
}

/// What the network does by itself.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Milliseconds that a message travels.
    pub(crate) delay: Range<u64>,
    /// Of a thousand messages, how many take much longer.
    pub(crate) late: u64,
    /// Of a thousand messages, how many are lost, with the connection that they travel on.
    pub(crate) lost: u64,
    /// Of a thousand questions, how many come twice.
    pub(crate) twice: u64,
}

impl Ether {
    pub(crate) fn new(dice: Dice, witness: Arc<Witness>, habits: Habits) -> Self {
        let state =
            State { habits, listening: BTreeMap::new(), cut: BTreeSet::new(), broken: BTreeMap::new() };
        Self(Arc::new(Inner { dice, witness, state: Mutex::new(state), breaks: watch::Sender::new(0) }))
    }

    /// The network, as one member has it.
    pub(crate) fn port(&self, member: u64) -> Arc<dyn Network> {
        Arc::new(Port { ether: self.clone(), member })
    }

    pub(crate) fn set_habits(&self, habits: Habits) {
        self.0.state.lock().habits = habits;
    }

    /// From now on nothing comes through from the first to the second of each of these.
    pub(crate) fn cut(&self, ways: impl IntoIterator<Item = (u64, u64)>) {
        let ways: BTreeSet<_> = ways.into_iter().collect();
        self.0.state.lock().cut = ways.clone();
        // Whoever hears nothing for long gives up.
        let ether = self.clone();
        tokio::spawn(async move {
            sleep(SILENCE_MAX).await;
            let still: Vec<_> = {
                let state = ether.0.state.lock();
                ways.into_iter().filter(|way| state.cut.contains(way)).collect()
            };
            still.into_iter().for_each(|(from, to)| ether.break_connections(from, to));
        });
    }

    /// A member is gone: the others are told by its machine.
    pub(crate) fn leave(&self, member: u64) {
        let others: Vec<u64> = {
            let mut state = self.0.state.lock();
            state.listening.remove(&member);
            state.listening.keys().copied().collect()
        };
        others.into_iter().for_each(|other| self.break_connections(member, other));
    }

    fn break_connections(&self, one: u64, other: u64) {
        *self.0.state.lock().broken.entry((one.min(other), one.max(other))).or_default() += 1;
        self.0.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// How often the connections of these two were broken.
    fn broken(&self, one: u64, other: u64) -> u64 {
        self.0.state.lock().broken.get(&(one.min(other), one.max(other))).copied().unwrap_or(0)
    }

    fn connection(&self, from: u64, to: u64) -> Connection {
        Connection { ether: self.clone(), from, to, number: self.broken(from, to) }
    }
}

/// One direction of a connection, for as long as that holds.
#[derive(Clone)]
struct Connection {
    ether: Ether,
    from: u64,
    to: u64,
    number: u64,
}

/// A connection has broken.
#[derive(Debug)]
struct Broken;

impl Connection {
    fn back(&self) -> Self {
        Self { from: self.to, to: self.from, ..self.clone() }
    }

    fn holds(&self) -> bool {
        self.ether.broken(self.from, self.to) == self.number
    }

    async fn until_broken(&self) {
        let mut breaks = self.ether.0.breaks.subscribe();
        while self.holds() {
            if breaks.changed().await.is_err() {
                return;
            }
        }
    }

    /// Lets something travel.
    async fn travel(&self, size: usize) -> Result<(), Broken> {
        let Habits { delay, late, lost, .. } = self.ether.0.state.lock().habits.clone();
        let dice = &self.ether.0.dice;
        let mut time = dice.millis(delay);
        if dice.chance(late) {
            time += dice.millis(20..400);
        }
        let is_lost = dice.chance(lost);
        pass(time).await;
        let witness = &self.ether.0.witness;
        if is_lost {
            witness.note("messages lost", &[self.from, self.to]);
            self.ether.break_connections(self.from, self.to);
        }
        let since = Instant::now();
        while self.holds() {
            if !self.ether.0.state.lock().cut.contains(&(self.from, self.to)) {
                witness.note("messages delivered", &[self.from, self.to, size as u64]);
                return Ok(());
            }
            if since.elapsed() > SILENCE_MAX {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(Broken)
    }

    /// Carries a body, piece by piece. What comes out ends with an error if the connection breaks.
    fn pump(self, mut body: Body, run: impl FnOnce(BoxFuture<'static, ()>)) -> Body {
        let (sender, receiver) = mpsc::channel(4);
        run(Box::pin(async move {
            let carry = async {
                while let Some(frame) = body.frame().await {
                    let size =
                        frame.as_ref().ok().and_then(|frame| frame.data_ref()).map_or(0, bytes::Bytes::len);
                    if self.travel(size).await.is_err() {
                        return;
                    }
                    let is_error = frame.is_err();
                    if sender.send(Some(frame)).await.is_err() || is_error {
                        return;
                    }
                }
                if self.travel(0).await.is_ok() {
                    let _ = sender.send(None).await;
                }
            };
            tokio::select! {
                biased;
                () = self.until_broken() => {}
                () = carry => {}
                () = sender.closed() => {}
            }
        }));
        let frames = futures_util::stream::unfold(Some(receiver), |receiver| async {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Some(frame)) => Some((frame, Some(receiver))),
                Some(None) => None,
                None => Some((Err(Status::unavailable("the connection broke")), None)),
            }
        });
        Body::new(StreamBody::new(frames.boxed()))
    }
}

/// The network, as one member has it.
struct Port {
    ether: Ether,
    member: u64,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the port of member {}", self.member)
    }
}

impl Network for Port {
    fn connect(&self, peer: MemberId, _address: &str) -> Option<Wire> {
        let (ether, from, to) = (self.ether.clone(), self.member, peer.get());
        Some(Wire(Arc::new(Way { ether, from, to })))
    }

    fn listen<'a>(
        &'a self,
        _tasks: &'a Tasks,
        _listen: &'a str,
        answers: Routes,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let life = life::current().ok_or_else(|| Fault::Other("nobody listens".to_owned()))?;
            self.ether.0.state.lock().listening.insert(self.member, (life, answers));
            Ok(())
        })
    }
}

/// From one member to another.
struct Way {
    ether: Ether,
    from: u64,
    to: u64,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the way from member {} to member {}", self.from, self.to)
    }
}

impl Carry for Way {
    fn carry(&self, request: Request) -> BoxFuture<'static, Result<Response, StdError>> {
        let there = self.ether.connection(self.from, self.to);
        let limit = request.headers().get("grpc-timeout").and_then(|limit| read_limit(limit.to_str().ok()?));
        Box::pin(async move {
            match timeout(limit.unwrap_or(Duration::MAX), call(there, request)).await {
                Ok(answer) => answer,
                Err(_) => Err("no answer in time".into()),
            }
        })
    }
}

async fn call(there: Connection, request: Request) -> Result<Response, StdError> {
    let (head, body) = request.into_parts();
    let is_stream =
        ["/Append", "/Forward", "/InstallSnapshot"].iter().any(|it| head.uri.path().ends_with(it));
    let body = if is_stream {
        let run = |pumping| drop(crate::runtime::spawn(pumping));
        there.clone().pump(body, run)
    } else {
        let bytes = body.collect().await?.to_bytes();
        let dice = &there.ether.0.dice;
        let twice = there.ether.0.state.lock().habits.twice;
        if dice.chance(twice) {
            there.ether.0.witness.note("messages doubled", &[there.from, there.to]);
            let mut again = http::Request::new(Body::new(Full::new(bytes.clone())));
            *again.uri_mut() = head.uri.clone();
            *again.headers_mut() = head.headers.clone();
            *again.method_mut() = head.method.clone();
            let (there, later) = (there.clone(), dice.millis(0..300));
            tokio::spawn(async move {
                pass(later).await;
                let _ = deliver(&there, again).await;
            });
        }
        Body::new(Full::new(bytes))
    };
    let kind = witness::bytes(head.uri.path().as_bytes());
    let request = Request::from_parts(head, body);
    there.ether.0.witness.note("calls", &[there.from, there.to, kind]);
    let back = there.back();
    let answer = tokio::select! {
        biased;
        () = there.until_broken() => return Err("the connection broke".into()),
        answer = deliver(&there, request) => answer?,
    };
    back.travel(0).await.map_err(|Broken| "the connection broke")?;
    Ok(answer)
}

/// Lets a request arrive, and returns what is answered, with a body that travels.
async fn deliver(there: &Connection, request: Request) -> Result<Response, StdError> {
    there.travel(0).await.map_err(|Broken| "the connection broke")?;
    let listening = there.ether.0.state.lock().listening.get(&there.to).cloned();
    let Some((life, mut answers)) = listening else { return Err("nobody listens there".into()) };
    let back = there.back();
    let answering = life.clone();
    let answered = life.spawn(async move {
        let response = answers.call(request).await;
        response.map(|response| {
            let (head, body) = response.into_parts();
            let body = back.pump(body, |pumping| drop(answering.spawn(pumping)));
            Response::from_parts(head, body)
        })
    });
    match answered.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_) => Err("the other end died".into()),
    }
}

/// As gRPC writes a time: a number and its unit.
fn read_limit(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "n" => Duration::from_nanos(number),
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        "S" => Duration::from_secs(number),
        "M" => Duration::from_secs(number * 60),
        "H" => Duration::from_secs(number * 3_600),
        _ => return None,
    })
}
