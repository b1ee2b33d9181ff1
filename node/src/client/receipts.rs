//! What a client has surely received.
//!
//! The protocol has no word for it. But a client that hears nothing for two thirds of its timeout hangs up, and what
//! it receives it receives in order. So if it still speaks one timeout after something was handed to its socket, that
//! has arrived.
//!
//! Pure: it is handed the time.
use std::time::{Duration, Instant};

use proto::Zxid;

/// What is known to have arrived, of one connection.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// The newest world that a reply has shown.
    replied: Zxid,
    /// Notifications went out since the last sample.
    told: bool,
    /// A moment at which everything was handed to the socket, and the newest world shown until then.
    sample: Option<(Instant, Zxid)>,
}

impl Receipts {
    /// A reply was encoded. Notifications of everything up to its zxid stand in front of it.
    pub(super) fn replied(&mut self, zxid: Zxid) {
        self.replied = self.replied.max(zxid);
    }

    /// A notification was encoded: only then is it worth knowing what arrived.
    pub(super) const fn told(&mut self) {
        self.told = true;
    }

    /// The client said something `now`; `is_out` says whether all that was encoded is with the socket. Returns what has
    /// become certain.
    pub(super) fn heard(&mut self, now: Instant, timeout: Duration, is_out: bool) -> Option<Zxid> {
        match self.sample {
            Some((at, zxid)) if now.saturating_duration_since(at) >= timeout => {
                self.sample = None;
                Some(zxid)
            }
            None if self.told && is_out => {
                self.told = false;
                self.sample = Some((now, self.replied));
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(6);

    #[test]
    fn what_was_out_one_timeout_before_the_client_spoke_has_arrived() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut receipts = Receipts::default();
        receipts.replied(Zxid::new(5));
        assert_eq!(receipts.heard(at(0), TIMEOUT, true), None, "nothing was told");
        receipts.told();
        receipts.replied(Zxid::new(7));
        receipts.replied(Zxid::ZERO);
        assert_eq!(receipts.heard(at(1), TIMEOUT, false), None, "the socket has not taken it");
        assert_eq!(receipts.heard(at(2), TIMEOUT, true), None);
        receipts.told();
        receipts.replied(Zxid::new(9));
        assert_eq!(receipts.heard(at(7), TIMEOUT, true), None);
        assert_eq!(receipts.heard(at(8), TIMEOUT, true), Some(Zxid::new(7)));
        assert_eq!(receipts.heard(at(9), TIMEOUT, true), None, "the next sample");
        assert_eq!(receipts.heard(at(15), TIMEOUT, true), Some(Zxid::new(9)));
        assert_eq!(receipts.heard(at(90), TIMEOUT, true), None, "nothing was told since");
    }
}
