//! How often clients may greet: a bucket of tokens, with a chance of being turned away (PROTOCOL, section "Limits and
//! throttling").
//!
//! Pure: time and chance are handed in.
use std::time::Instant;

use crate::config::GreetingThrottle;

/// A bucket of tokens.
#[derive(Debug)]
pub(super) struct Door {
    config: GreetingThrottle,
    tokens: u32,
    filled: Instant,
    /// The chance of being turned away, from 0 to 1.
    drop: f64,
    frozen: Instant,
}

/// What became of a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It goes on.
    Open,
    /// It is turned away, by chance or for want of tokens.
    Closed,
}

impl Door {
    /// A full one.
    pub(super) fn new(config: GreetingThrottle, now: Instant) -> Self {
        Self { config, tokens: config.tokens, filled: now, drop: 0.0, frozen: now }
    }

    /// Somebody greets: with a session, or without. `chance` is a number from 0 to 1, not 1 itself.
    pub(super) fn greet(&mut self, has_session: bool, now: Instant, chance: f64) -> Entry {
        self.fill(now);
        let GreetingThrottle { open_weight, renew_weight, .. } = self.config;
        let wanted = if has_session { renew_weight } else { open_weight };
        if self.is_unlucky(now, chance) || wanted > self.tokens {
            return Entry::Closed;
        }
        self.tokens -= wanted;
        Entry::Open
    }

    /// Tokens that are gone.
    pub(super) const fn missing(&self) -> u32 {
        self.config.tokens - self.tokens
    }

    fn fill(&mut self, now: Instant) {
        let GreetingThrottle { tokens, fill_time, fill_count, .. } = self.config;
        let since = now.saturating_duration_since(self.filled);
        if since > fill_time {
            let times = since.as_nanos() * u128::from(fill_count) / fill_time.as_nanos().max(1);
            let brought = u32::try_from(times).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(brought).min(tokens);
            self.filled = now;
        }
    }

    fn is_unlucky(&mut self, now: Instant, chance: f64) -> bool {
        let Some(freeze_time) = self.config.freeze_time else { return false };
        if now.saturating_duration_since(self.frozen) > freeze_time {
            let calm = (f64::from(self.config.tokens) * self.config.decrease_ratio).round();
            if self.tokens == 0 {
                self.drop = (self.drop + self.config.drop_increase).min(1.0);
            } else if f64::from(self.missing()) <= calm {
                self.drop = (self.drop - self.config.drop_decrease).max(0.0);
            }
            self.frozen = now;
        }
        chance < self.drop
    }

    /// The chance of being turned away, from 0 to 1.
    pub(super) const fn drop_chance(&self) -> f64 {
        self.drop
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CONFIG: GreetingThrottle = GreetingThrottle {
        tokens: 4,
        fill_time: Duration::from_millis(100),
        fill_count: 2,
        freeze_time: None,
        drop_increase: 0.5,
        drop_decrease: 0.25,
        decrease_ratio: 0.5,
        open_weight: 1,
        renew_weight: 1,
    };

    /// Who greets at which millisecond, and whether the door is open: `o` opens a session, `r` comes back to one.
    #[track_caller]
    fn check(config: GreetingThrottle, chance: f64, greetings: &[(u64, char, Entry)]) -> Door {
        let start = Instant::now();
        let mut door = Door::new(config, start);
        for (at, who, expected) in greetings {
            let now = start + Duration::from_millis(*at);
            assert_eq!(door.greet(*who == 'r', now, chance), *expected, "{who} at {at} ms");
        }
        door
    }

    use Entry::{Closed, Open};

    #[test]
    fn tokens_go_and_come_back() {
        let rows = [
            (0, 'o', Open),
            (0, 'r', Open),
            (0, 'o', Open),
            (0, 'o', Open),
            (0, 'o', Closed),
            // Nothing is brought back until the whole time is over.
            (100, 'o', Closed),
            (101, 'o', Open),
            (102, 'o', Open),
            (103, 'o', Closed),
        ];
        assert_eq!(check(CONFIG, 0.0, &rows).missing(), 4);
        // No more comes back than there is room for.
        let rows = [(10_000, 'o', Open), (10_000, 'o', Open)];
        assert_eq!(check(CONFIG, 0.0, &rows).missing(), 2);
    }

    #[test]
    fn who_opens_a_session_may_take_more_than_who_comes_back() {
        let config = GreetingThrottle { open_weight: 3, renew_weight: 2, ..CONFIG };
        let door =
            check(config, 0.0, &[(0, 'o', Open), (0, 'r', Closed), (0, 'o', Closed), (101, 'r', Open)]);
        assert_eq!(door.missing(), 3);
    }

    #[test]
    fn an_empty_bucket_makes_greetings_unlucky_and_a_full_one_lucky_again() {
        let freeze_time = Some(Duration::from_millis(10));
        let config = GreetingThrottle { freeze_time, fill_time: Duration::from_secs(1), ..CONFIG };
        let empty = [(0, 'o', Open), (0, 'o', Open), (0, 'o', Open), (0, 'o', Open)];
        let door = check(config, 0.9, &[&empty[..], &[(11, 'o', Closed), (12, 'o', Closed)]].concat());
        assert!((door.drop_chance() - 0.5).abs() < f64::EPSILON, "{}", door.drop_chance());
        // Though there are tokens again.
        let unlucky = [&empty[..], &[(11, 'o', Closed), (22, 'o', Closed), (1_012, 'o', Closed)]].concat();
        let door = check(config, 0.7, &unlucky);
        assert!((door.drop_chance() - 0.75).abs() < f64::EPSILON, "{}", door.drop_chance());
        let lucky = [&unlucky[..], &[(1_023, 'o', Open)]].concat();
        check(config, 0.7, &lucky);
    }

    #[test]
    fn without_a_time_to_freeze_there_is_no_chance() {
        let door = check(GreetingThrottle { tokens: 1, ..CONFIG }, 0.0, &[(0, 'o', Open), (50, 'o', Closed)]);
        assert!(door.drop_chance().abs() < f64::EPSILON);
    }
}
