//! The wall clock, read in one place and never backwards.

use std::time::{SystemTime, UNIX_EPOCH};

use machine::Millis;

/// Stamps what enters the log. Each leader has its own, and the world ignores a time that lies behind its last.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Millis,
}

impl Clock {
    /// Milliseconds since the epoch, or what was said last if the clock was set back since.
    pub(crate) fn stamp(&mut self) -> Millis {
        self.advance(wall())
    }

    fn advance(&mut self, wall: Millis) -> Millis {
        self.last = self.last.max(wall);
        self.last
    }
}

/// What the clock on the wall says, in milliseconds since the epoch: for people, and for stamps.
#[expect(clippy::disallowed_methods, reason = "this is the one place where wall time is read")]
pub fn wall() -> Millis {
    #[cfg(any(test, simulation))]
    if let Some(life) = crate::runtime::life::current() {
        return life.wall();
    }
    // A clock before 1970 is as good as none: the world's own time then stands still.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_not_followed() {
        let mut clock = Clock::default();
        assert_eq!(clock.advance(1_000), 1_000);
        assert_eq!(clock.advance(400), 1_000);
        assert_eq!(clock.advance(1_001), 1_001);
    }

    #[test]
    fn wall_time_is_milliseconds_since_the_epoch() {
        let year_2024: Millis = 1_704_067_200_000;
        assert!(Clock::default().stamp() > year_2024);
    }
}
