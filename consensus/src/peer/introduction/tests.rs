//! Who is let in.

use tonic::Code;

use super::*;

fn member(cluster: u64) -> Belonging {
    Belonging::new(ClusterId::new(cluster))
}

fn check(from: u64, to: u64, at: u64) -> Option<Code> {
    let mut introduction = Introduction::new(MemberId::new(from), MemberId::new(to), member(7));
    let request = introduction.call(Request::new(())).unwrap();
    Doorkeeper::new(MemberId::new(at), member(7)).call(request).err().map(|status| status.code())
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
    let refused = Doorkeeper::new(MemberId::new(1), member(0)).call(Request::new(())).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[test]
fn other_words_are_refused() {
    let mut introduction = Introduction::new(MemberId::new(1), MemberId::new(2), member(0));
    introduction.words = (WORDS + 1).into();
    let request = introduction.call(Request::new(())).unwrap();
    let refused = Doorkeeper::new(MemberId::new(2), member(0)).call(request).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[test]
fn who_belongs_elsewhere_stays_outside() {
    let call = |from: u64, at: u64| {
        let mut introduction = Introduction::new(MemberId::new(1), MemberId::new(2), member(from));
        let request = introduction.call(Request::new(())).unwrap();
        Doorkeeper::new(MemberId::new(2), member(at)).call(request).err()
    };
    assert!(call(7, 7).is_none());
    // Members that are new, and those that begin an ensemble.
    assert!(call(7, 0).is_none());
    assert!(call(0, 0).is_none());
    let refused = call(8, 7).unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(
        refused.message(),
        "member 2 belongs to ensemble 0000000000000007, and the caller, member 1, to ensemble 0000000000000008"
    );
    // Those who have begun another one have no name for it in the first moment.
    assert_eq!(call(0, 7).unwrap().code(), Code::PermissionDenied);
}

#[test]
fn what_stands_in_the_log_introduces_a_member_that_does_not_know_yet() {
    use openraft::entry::RaftEntry;
    let cluster = ClusterId::new(7).unwrap();
    let batch =
        crate::entry::encode_batch(1, machine::Rules::default(), vec![crate::entry::encode_name(cluster)]);
    let payload = openraft::EntryPayload::Normal(crate::types::Batch(batch));
    let entry = RaftEntry::new(crate::types::LogId::new_term_index(1, 1), payload);
    let new = member(0);
    new.look([&entry]);
    let mut introduction = Introduction::new(MemberId::new(1), MemberId::new(2), new);
    let request = introduction.call(Request::new(())).unwrap();
    assert!(Doorkeeper::new(MemberId::new(2), member(7)).call(request).is_ok());
}

#[test]
fn a_member_with_a_new_log_may_ask_what_it_has_forgotten() {
    let call = |from: u64, to: u64| {
        let mut introduction = Introduction::new(MemberId::new(1), MemberId::new(to), member(from));
        let request = introduction.call(Request::new(())).unwrap();
        Porter(Doorkeeper::new(MemberId::new(2), member(7))).call(request).err().map(|status| status.code())
    };
    assert_eq!(call(0, 2), None);
    assert_eq!(call(7, 2), None);
    assert_eq!(call(8, 2), Some(Code::PermissionDenied));
    assert_eq!(call(0, 3), Some(Code::FailedPrecondition));
}
