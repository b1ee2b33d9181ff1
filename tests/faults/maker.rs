//! One kind of trouble after the other, until it is time to stop.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::act::act;
use super::kind::Kind;
use crate::Ensemble;

/// Trouble that was made.
#[derive(Clone, Debug)]
pub struct Done {
    /// Of which kind.
    pub kind: Kind,
    /// To whom, in words.
    pub what: String,
    /// When it began, since the first.
    pub at: Duration,
    /// How long it took until all members served again.
    pub took: Duration,
}

/// Makes trouble of these kinds, in turns that the seed shuffles, for `time`, and leaves all members serving. What is
/// done is handed to `tell` when it begins to be over.
///
/// # Panics
/// If the members do not serve within the tests' patience when nothing is wrong any more.
pub fn make(
    ensemble: &mut Ensemble,
    kinds: &[Kind],
    rng: &mut Rng,
    time: Duration,
    mut tell: impl FnMut(&Done),
) -> Vec<Done> {
    let (began, mut done, mut turns) = (Instant::now(), Vec::new(), Vec::new());
    while began.elapsed() < time {
        let rest = Duration::from_millis(rng.u64(50..1_500));
        std::thread::sleep(rest.min(time.saturating_sub(began.elapsed())));
        if turns.is_empty() {
            turns = kinds.to_vec();
            rng.shuffle(&mut turns);
        }
        let Some(kind) = turns.pop() else { continue };
        let at = began.elapsed();
        let mut what = act(kind, ensemble, rng);
        // Now and then the next one comes before all have come to terms with this one.
        if rng.u8(..5) == 0 && !matches!(kind, Kind::Rolling | Kind::KillAll) {
            what = format!("{what}; and at once {} {}", Kind::Kill, act(Kind::Kill, ensemble, rng));
        }
        ensemble.wait_until_serving();
        let one = Done { kind, what, at, took: began.elapsed().saturating_sub(at) };
        tell(&one);
        done.push(one);
    }
    done
}
