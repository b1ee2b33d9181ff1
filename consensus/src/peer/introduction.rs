//! Who calls, and whom he means: the metadata of every call between members.

use proto::MemberId;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The version of the words between members. A member refuses what it may not understand.
const WORDS: u64 = 1;

const WORDS_KEY: &str = "corral-words";
const FROM_KEY: &str = "corral-from";
const TO_KEY: &str = "corral-to";

/// Introduces a member to another in each call.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    words: MetadataValue<Ascii>,
    from: MetadataValue<Ascii>,
    to: MetadataValue<Ascii>,
}

impl Introduction {
    /// Introduces `from`, and says that `to` is meant.
    pub(crate) fn new(from: MemberId, to: MemberId) -> Self {
        Self { words: WORDS.into(), from: from.get().into(), to: to.get().into() }
    }
}

impl Interceptor for Introduction {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(WORDS_KEY, self.words.clone());
        metadata.insert(FROM_KEY, self.from.clone());
        metadata.insert(TO_KEY, self.to.clone());
        Ok(request)
    }
}

/// Refuses whoever means another member. An address that leads to the wrong member, or back to the caller, would
/// make two voices of one, and so a quorum of less than a majority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doorkeeper {
    member: MemberId,
}

impl Doorkeeper {
    /// Keeps the door of `member`.
    pub(crate) fn new(member: MemberId) -> Self {
        Self { member }
    }
}

impl Interceptor for Doorkeeper {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata();
        let words = number(metadata, WORDS_KEY)?;
        if words != WORDS {
            return Err(Status::unimplemented(format!("speaks version {words} of these words, not {WORDS}")));
        }
        let (from, to) = (number(metadata, FROM_KEY)?, number(metadata, TO_KEY)?);
        let member = self.member.get();
        if to != member {
            return Err(Status::failed_precondition(format!("member {to} was meant, and this is {member}")));
        }
        if from == member {
            return Err(Status::failed_precondition(format!("member {from} cannot be called by itself")));
        }
        Ok(request)
    }
}

fn number(metadata: &MetadataMap, key: &'static str) -> Result<u64, Status> {
    let value = metadata.get(key).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Status::failed_precondition(format!("no number in {key}")))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn check(from: u64, to: u64, at: u64) -> Option<Code> {
        let mut introduction = Introduction::new(MemberId::new(from), MemberId::new(to));
        let request = introduction.call(Request::new(())).unwrap();
        Doorkeeper::new(MemberId::new(at)).call(request).err().map(|status| status.code())
    }

    #[test]
    fn only_who_means_this_member_is_let_in() {
        assert_eq!(check(1, 2, 2), None);
        assert_eq!(check(1, 3, 2), Some(Code::FailedPrecondition));
    }

    #[test]
    fn nobody_talks_to_himself() {
        assert_eq!(check(2, 2, 2), Some(Code::FailedPrecondition));
    }

    #[test]
    fn who_does_not_say_who_he_is_stays_outside() {
        let refused = Doorkeeper::new(MemberId::new(1)).call(Request::new(())).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }

    #[test]
    fn other_words_are_refused() {
        let mut introduction = Introduction::new(MemberId::new(1), MemberId::new(2));
        introduction.words = (WORDS + 1).into();
        let request = introduction.call(Request::new(())).unwrap();
        let refused = Doorkeeper::new(MemberId::new(2)).call(request).unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
    }
}
