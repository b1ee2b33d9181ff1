//! What clients of a round ask for: a seeded mix over few znodes, so that they meet.

use fastrand::Rng;

use super::history::{Answer, Reply, Request, Stay};

/// How many znodes there are of each kind.
const ZNODES: usize = 5;

/// How many sequential znodes a client leaves behind before it deletes the oldest.
const LEFT_MAX: usize = 6;

/// What the requests of one session are drawn from.
#[derive(Debug)]
pub struct Workload {
    root: String,
    /// What no other session puts in front of its data.
    mark: String,
    drawn: u64,
    /// Versions that it was told, which may have passed.
    versions: Vec<(String, i32)>,
    /// Sequential znodes that it made.
    left: Vec<String>,
}

/// The znodes that are there from the beginning to the end.
pub fn lasting(root: &str) -> Vec<Request> {
    let mut paths = vec![root.to_owned()];
    paths.extend(["n", "d", "e", "k"].map(|name| format!("{root}/{name}")));
    paths.extend(["p0", "p1"].map(|name| format!("{root}/{name}")));
    let create = |path: String| Request::Create {
        data: format!("first of {path}"),
        path,
        stay: Stay::Persistent,
        sequential: false,
        with_stat: false,
    };
    paths.into_iter().map(create).collect()
}

impl Workload {
    /// Of one session; no other has the same number.
    pub fn new(root: &str, number: u64) -> Self {
        let (versions, left) = (Vec::new(), Vec::new());
        Self { root: root.to_owned(), mark: format!("s{number}"), drawn: 0, versions, left }
    }

    /// Up to four requests that go out at once.
    pub fn draw(&mut self, rng: &mut Rng) -> Vec<Request> {
        if rng.u8(..8) == 0 {
            let path = self.some(rng);
            return vec![Request::Sync(path.clone()), Request::GetData(path)];
        }
        let burst = if rng.bool() { 1 } else { rng.usize(1..=4) };
        (0..burst).map(|_| self.one(rng)).collect()
    }

    /// Takes note of what was told.
    pub fn learn(&mut self, requests: &[Request], replies: &[Option<Reply>]) {
        for (request, reply) in requests.iter().zip(replies) {
            let Some(Ok(answer)) = reply.as_ref().map(|reply| &reply.told) else { continue };
            match (request, answer) {
                (Request::Create { sequential: true, .. }, Answer::Created(path, _)) => {
                    self.left.push(path.clone());
                }
                // Some left theirs behind.
                (Request::Children(path), Answer::Children(names, _)) if path.ends_with("/d") => {
                    let oldest = names.iter().take(names.len().saturating_sub(LEFT_MAX * 8));
                    self.left.extend(oldest.take(3).map(|name| format!("{path}/{name}")));
                }
                (_, Answer::Data(_, stat) | Answer::Stat(stat)) => {
                    // The pair is written by multis alone.
                    if let Some(path) = request.path().filter(|path| path.matches('/').count() > 2) {
                        self.versions.push((path.to_owned(), stat.version));
                    }
                }
                _ => {}
            }
        }
        let surplus = self.versions.len().saturating_sub(8);
        self.versions.drain(..surplus);
    }

    fn one(&mut self, rng: &mut Rng) -> Request {
        if self.left.len() > LEFT_MAX {
            return Request::Delete { path: self.left.remove(0), version: -1 };
        }
        match rng.u32(..100) {
            0..22 => self.set(rng),
            22..34 => self.create(rng),
            34..42 => Request::Delete { path: self.passing(rng), version: -1 },
            42..50 => self.sequential(rng),
            50..62 => self.multi(rng),
            62..78 => Request::GetData(self.some(rng)),
            78..88 => Request::Exists(self.some(rng)),
            _ => {
                let name = *rng.choice(&["n", "d", "e", "k", "k/0", "k/1"]).unwrap_or(&"n");
                Request::Children(format!("{}/{name}", self.root))
            }
        }
    }

    fn data(&mut self, rng: &mut Rng) -> String {
        self.drawn += 1;
        format!("{}-{}{}", self.mark, self.drawn, ".".repeat(rng.usize(..20)))
    }

    fn set(&mut self, rng: &mut Rng) -> Request {
        let data = self.data(rng);
        match self.versions.pop() {
            Some((path, version)) if rng.u8(..3) == 0 => Request::SetData { path, data, version },
            _ => Request::SetData { path: self.passing(rng), data, version: -1 },
        }
    }

    fn create(&mut self, rng: &mut Rng) -> Request {
        let (path, data) = (self.passing(rng), self.data(rng));
        let stay = match path.rsplit_once('/') {
            Some((above, _)) if above.ends_with("/e") => Stay::Ephemeral,
            Some((above, _)) if above.ends_with("/k") => Stay::Container,
            _ => Stay::Persistent,
        };
        Request::Create { path, data, stay, sequential: false, with_stat: rng.bool() }
    }

    fn sequential(&mut self, rng: &mut Rng) -> Request {
        let path = format!("{}/d/q-", self.root);
        let stay = if rng.u8(..4) == 0 { Stay::Ephemeral } else { Stay::Persistent };
        Request::Create { path, data: self.data(rng), stay, sequential: true, with_stat: rng.bool() }
    }

    fn multi(&mut self, rng: &mut Rng) -> Request {
        let data = self.data(rng);
        let set = |path: String, data: &String| Request::SetData { path, data: data.clone(), version: -1 };
        let mut parts = match rng.u8(..3) {
            0 => vec![self.create(rng), set(self.passing(rng), &data)],
            // Two that are always written together: who sees one sees the other.
            _ => ["p0", "p1"].map(|name| set(format!("{}/{name}", self.root), &data)).to_vec(),
        };
        if let Some((path, version)) = self.versions.pop().filter(|_| rng.u8(..3) == 0) {
            parts.insert(0, Request::Check { path, version });
        }
        Request::Multi(parts)
    }

    /// A znode that may be there.
    fn some(&mut self, rng: &mut Rng) -> String {
        match rng.u8(..8) {
            0..3 => format!("{}/p{}", self.root, rng.usize(..2)),
            _ => self.passing(rng),
        }
    }

    /// One that comes and goes.
    fn passing(&mut self, rng: &mut Rng) -> String {
        let (root, number) = (&self.root, rng.usize(..ZNODES));
        match rng.u8(..8) {
            0..4 => format!("{root}/n/{number}"),
            4..6 => format!("{root}/e/{number}"),
            6 => format!("{root}/k/{}", number % 2),
            _ => format!("{root}/k/{}/{number}", number % 2),
        }
    }
}
