//! A time in which a member serves nothing but reads, and the sessions that begin in it.
use machine::command::PASSWORD_BYTES;
use proto::SessionId;
use subtle::ConstantTimeEq;

/// Such a time.
///
/// Its sessions are known to this member alone. Nothing of them outlives a connection, neither an ephemeral nor a watch, so
/// that none of them need be kept: whoever names a number that was given, with the password of the time, comes back to
/// it.
#[derive(Debug)]
pub(super) struct ReadOnly {
    /// Which one.
    time: u32,
    password: [u8; PASSWORD_BYTES],
    /// The number that was given last; 0 if none was.
    last: u32,
}

impl ReadOnly {
    /// A time that begins, told apart from others by both.
    pub(super) const fn begin(time: u32, password: [u8; PASSWORD_BYTES]) -> Self {
        Self { time, password, last: 0 }
    }

    /// A new session.
    pub(super) const fn open(&mut self) -> SessionId {
        self.last = self.last.saturating_add(1);
        SessionId::read_only(self.time, self.last)
    }

    /// Whether a session began in this time, and this is its password.
    pub(super) fn knows(&self, session: SessionId, password: &[u8]) -> bool {
        let given = SessionId::read_only(self.time, 1)..=SessionId::read_only(self.time, self.last);
        given.contains(&session) && bool::from(self.password.ct_eq(password))
    }

    /// What all sessions of this time have for a password.
    pub(super) const fn password(&self) -> [u8; PASSWORD_BYTES] {
        self.password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_in_its_own_time() {
        let mut now = ReadOnly::begin(7, [1; PASSWORD_BYTES]);
        let unborn = SessionId::read_only(7, 1);
        assert!(!now.knows(unborn, &[1; PASSWORD_BYTES]));
        let (first, second) = (now.open(), now.open());
        assert_ne!(first, second);
        assert!(now.knows(first, &[1; PASSWORD_BYTES]) && now.knows(second, &[1; PASSWORD_BYTES]));
        assert!(!now.knows(first, &[2; PASSWORD_BYTES]) && !now.knows(first, &[]));
        let mut later = ReadOnly::begin(8, [1; PASSWORD_BYTES]);
        later.open();
        assert!(!later.knows(first, &[1; PASSWORD_BYTES]));
    }
}
