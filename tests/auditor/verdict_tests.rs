//! What the verdict says of histories that are made up.

use proto::EventKind::{self, ChildrenChanged, Created, DataChanged, Deleted};

use super::history::{Change, Deed, Fault, Habit, History, Log, Millis, Moment, Watch};
use super::paths::{PathId, Paths};
use super::verdict::{Verdict, Wrong, judge};

const NOTHING: &[Wrong] = &[];

/// `/a`, `/a/b` and `/a/c`, and one session. Its time goes on by a second with every connection and every wait.
struct Story {
    paths: Paths,
    history: History,
    log: Log,
    now: Millis,
}

impl Story {
    fn new(habit: Habit) -> Self {
        let mut paths = Paths::default();
        for path in ["/a", "/a/b", "/a/c"] {
            paths.add(path);
        }
        let log = Log { session: 1, habit, moments: Vec::new(), violations: Vec::new() };
        Self { paths, history: History::default(), log, now: 0 }.connected(0)
    }

    fn path(&self, path: &str) -> PathId {
        self.paths.find(path).unwrap()
    }

    fn changed(mut self, zxid: i64, path: &str, deed: Deed) -> Self {
        self.history.changes.push(Change { zxid, path: self.path(path), deed });
        self
    }

    fn created(self, zxid: i64, path: &str) -> Self {
        self.changed(zxid, path, Deed::Created)
    }

    fn deleted(self, zxid: i64, path: &str) -> Self {
        self.changed(zxid, path, Deed::Deleted)
    }

    fn written(self, zxid: i64, path: &str) -> Self {
        self.changed(zxid, path, Deed::Written)
    }

    fn saw(mut self, moment: Moment) -> Self {
        self.log.moments.push(moment);
        self
    }

    fn connected(mut self, seen: i64) -> Self {
        self.now += 1_000;
        let at = self.now;
        self.saw(Moment::Connected { member: 1, seen, at })
    }

    fn broke(self) -> Self {
        let at = self.now;
        self.saw(Moment::Broke { at })
    }

    fn replied(self, zxid: i64) -> Self {
        self.saw(Moment::Replied { zxid, op: 0, at: 0 })
    }

    fn waited(mut self, time: Millis) -> Self {
        self.now += time;
        self
    }

    fn armed(self, zxid: i64, watch: Watch, path: &str) -> Self {
        let (path, at) = (self.path(path), self.now);
        self.saw(Moment::Arming(watch, path)).replied(zxid).saw(Moment::Armed { watch, path, zxid, at })
    }

    fn removed(self, zxid: i64, watch: Watch, path: &str) -> Self {
        let (path, at) = (self.path(path), self.now);
        self.saw(Moment::Removing(watch, path)).replied(zxid).saw(Moment::Removed { watch, path, zxid, at })
    }

    fn told(self, zxid: i64, kind: EventKind, path: &str) -> Self {
        let path = self.path(path);
        let at = self.now;
        self.saw(Moment::Told { zxid, kind, path, at })
    }

    fn killed(mut self) -> Self {
        let from = self.now;
        self.history.faults.push(Fault { member: 1, is_kill: true, from, until: from + 700 });
        self
    }

    fn judged(mut self) -> Verdict {
        self.history.sessions.push(self.log);
        judge(&self.paths, &self.history)
    }

    #[track_caller]
    fn check(self, due: u64, wrong: &[Wrong]) -> Verdict {
        let verdict = self.judged();
        let found: Vec<Wrong> = verdict.violations.iter().map(|violation| violation.wrong).collect();
        assert_eq!(found, wrong, "{verdict:#?}");
        assert_eq!(verdict.tally.total().due, due, "{verdict:#?}");
        verdict
    }
}

fn sends_watches() -> Story {
    Story::new(Habit::SetWatches2)
}

#[test]
fn a_one_shot_watch_is_owed_the_first_change_after_it_was_set() {
    let story = || sends_watches().written(3, "/a/b").written(7, "/a/b").deleted(8, "/a/b");
    let watched = || story().armed(5, Watch::Data, "/a/b");
    watched().told(7, DataChanged, "/a/b").replied(9).check(1, NOTHING);
    watched().replied(9).check(1, &[Wrong::Lost]);
    watched().replied(6).check(0, NOTHING);
    watched().told(7, DataChanged, "/a/b").told(8, Deleted, "/a/b").replied(9).check(1, &[Wrong::Unowed]);
    watched().told(8, Deleted, "/a/b").replied(9).check(1, &[Wrong::Distorted]);
    watched().told(7, Deleted, "/a/b").replied(9).check(1, &[Wrong::Distorted]);
    watched().told(3, DataChanged, "/a/b").replied(9).check(1, &[Wrong::Unowed, Wrong::Lost]);
}

#[test]
fn a_watch_on_what_is_not_there_is_owed_the_creation_even_if_it_is_gone_again() {
    let story = || {
        let story = sends_watches().created(6, "/a/b").deleted(7, "/a/b").armed(5, Watch::Exist, "/a/b");
        story.broke().connected(5)
    };
    story().told(6, Created, "/a/b").replied(9).check(1, NOTHING);
    story().replied(9).check(1, &[Wrong::Lost]);
}

#[test]
fn a_child_watch_is_owed_births_deaths_and_the_end_of_the_parent() {
    let story = |deed: fn(Story) -> Story| deed(sends_watches()).armed(5, Watch::Child, "/a");
    story(|it| it.written(6, "/a").written(7, "/a/b")).replied(9).check(0, NOTHING);
    story(|it| it.created(6, "/a/b")).told(6, ChildrenChanged, "/a").replied(9).check(1, NOTHING);
    story(|it| it.deleted(6, "/a/b")).told(6, ChildrenChanged, "/a").replied(9).check(1, NOTHING);
    story(|it| it.deleted(6, "/a").created(7, "/a")).told(6, Deleted, "/a").replied(9).check(1, NOTHING);
}

#[test]
fn persistent_watches_are_owed_everything_until_they_are_taken_away() {
    let story = || sends_watches().created(6, "/a/b").written(7, "/a/b").deleted(8, "/a/b").written(9, "/a");
    let persistent = || story().armed(5, Watch::Persistent, "/a");
    let told = persistent().told(6, ChildrenChanged, "/a").told(8, ChildrenChanged, "/a");
    told.told(9, DataChanged, "/a").replied(9).check(3, NOTHING);
    persistent()
        .told(6, ChildrenChanged, "/a")
        .removed(7, Watch::Persistent, "/a")
        .replied(9)
        .check(1, NOTHING);
    let told = persistent().told(6, ChildrenChanged, "/a").removed(7, Watch::Persistent, "/a");
    told.told(8, ChildrenChanged, "/a").replied(9).check(1, &[Wrong::Unowed]);
    let recursive = || story().armed(5, Watch::Recursive, "/a").told(6, Created, "/a/b");
    let told = recursive().told(7, DataChanged, "/a/b").told(8, Deleted, "/a/b");
    told.told(9, DataChanged, "/a").replied(9).check(4, NOTHING);
    recursive().replied(9).check(4, &[Wrong::Lost; 3]);
}

#[test]
fn what_several_watches_are_owed_is_told_once() {
    let story = || {
        let story = sends_watches().deleted(6, "/a/b").armed(4, Watch::Data, "/a/b");
        story.armed(4, Watch::Child, "/a/b").armed(5, Watch::Recursive, "/a")
    };
    story().told(6, Deleted, "/a/b").replied(9).check(1, NOTHING);
    story().told(6, Deleted, "/a/b").told(6, Deleted, "/a/b").replied(9).check(1, &[Wrong::Repeated]);
    // Two children that one transaction makes are told one by one.
    let twins = || sends_watches().created(6, "/a/b").created(6, "/a/c").armed(5, Watch::Persistent, "/a");
    twins().told(6, ChildrenChanged, "/a").told(6, ChildrenChanged, "/a").replied(9).check(2, NOTHING);
    twins().told(6, ChildrenChanged, "/a").replied(9).check(2, &[Wrong::Lost]);
}

#[test]
fn an_event_stands_in_front_of_what_shows_its_change_and_of_later_events() {
    let story = || sends_watches().written(6, "/a/b").written(7, "/a/b").armed(5, Watch::Persistent, "/a/b");
    story()
        .replied(6)
        .told(6, DataChanged, "/a/b")
        .told(7, DataChanged, "/a/b")
        .replied(9)
        .check(2, &[Wrong::Behind]);
    story()
        .told(7, DataChanged, "/a/b")
        .told(6, DataChanged, "/a/b")
        .replied(9)
        .check(2, &[Wrong::Disordered]);
    story()
        .told(6, DataChanged, "/a/b")
        .told(7, DataChanged, "/a/b")
        .replied(9)
        .replied(8)
        .check(2, &[Wrong::Backwards]);
}

#[test]
fn what_a_client_lists_late_may_come_behind_what_the_members_knew() {
    let story = |wait| {
        let story = sends_watches().written(6, "/a/b").written(7, "/a").armed(5, Watch::Persistent, "/a");
        story.armed(5, Watch::Data, "/a/b").broke().connected(5).waited(wait).told(7, DataChanged, "/a")
    };
    let verdict = story(200).told(6, DataChanged, "/a/b").replied(9).check(2, NOTHING);
    assert_eq!(verdict.tally.total().late, 1);
    story(199).told(6, DataChanged, "/a/b").replied(9).check(2, &[Wrong::Disordered]);
    story(200)
        .replied(6)
        .told(7, DataChanged, "/a")
        .told(6, DataChanged, "/a/b")
        .check(1, &[Wrong::Repeated, Wrong::Behind]);
}

#[test]
fn what_was_told_may_come_again_if_it_was_not_seen_to_be_known() {
    let told =
        || sends_watches().written(6, "/a").armed(5, Watch::Persistent, "/a").told(6, DataChanged, "/a");
    let verdict = told().broke().connected(5).told(6, DataChanged, "/a").replied(9).check(1, NOTHING);
    assert!(verdict.tally.to_string().contains("1 of them told again"), "{}", verdict.tally);
    told().replied(6).broke().connected(6).told(6, DataChanged, "/a").replied(9).check(1, &[Wrong::Repeated]);
    told().replied(6).told(6, DataChanged, "/a").replied(9).check(1, &[Wrong::Repeated]);
}

#[test]
fn what_is_not_known_to_be_set_or_taken_away_may_tell_or_not() {
    let path = |story: &Story| story.path("/a");
    let asked = || {
        let story = sends_watches().written(6, "/a").written(8, "/a").replied(5);
        let path = path(&story);
        story.saw(Moment::Arming(Watch::Data, path)).broke().connected(5)
    };
    asked().replied(9).check(0, NOTHING);
    asked().told(6, DataChanged, "/a").replied(9).check(0, NOTHING);
    // Once it is known to be set, everything is owed.
    asked().armed(7, Watch::Data, "/a").replied(9).check(1, &[Wrong::Lost]);
    asked()
        .told(6, DataChanged, "/a")
        .armed(7, Watch::Data, "/a")
        .told(8, DataChanged, "/a")
        .replied(9)
        .check(1, NOTHING);

    let leaving = || {
        let story = sends_watches().written(6, "/a").written(8, "/a").armed(5, Watch::Persistent, "/a");
        let path = path(&story);
        story.saw(Moment::Removing(Watch::Persistent, path)).broke().connected(5)
    };
    leaving().replied(9).check(0, NOTHING);
    leaving().told(6, DataChanged, "/a").replied(9).check(0, NOTHING);
    leaving()
        .removed(7, Watch::Persistent, "/a")
        .told(8, DataChanged, "/a")
        .replied(9)
        .check(0, &[Wrong::Unowed]);
}

#[test]
fn who_says_nothing_may_miss_what_only_a_dead_member_knew() {
    let story = |habit| Story::new(habit).written(6, "/a").armed(5, Watch::Data, "/a");
    let lost = |story: Story| story.killed().waited(100).broke().connected(5).replied(9);
    let verdict = lost(story(Habit::Nothing).waited(200)).check(1, NOTHING);
    assert_eq!((verdict.tally.total().unreported, verdict.tally.total().lost), (1, 0));
    // It had the time to tell the others.
    lost(story(Habit::Nothing).waited(2_000)).check(1, &[Wrong::Lost]);
    // It must have told the others before the write.
    lost(story(Habit::Nothing).saw(Moment::Wrote)).check(1, &[Wrong::Lost]);
    // The client has told its watches itself.
    lost(story(Habit::SetWatches2)).check(1, &[Wrong::Lost]);
    // It did not die.
    story(Habit::Nothing).broke().connected(5).replied(9).check(1, &[Wrong::Lost]);
    let late = |story: Story| story.broke().connected(5).replied(9).told(6, DataChanged, "/a");
    let verdict = late(story(Habit::Nothing)).check(1, NOTHING);
    assert_eq!(verdict.tally.total().late, 1);
    late(story(Habit::Nothing).waited(2_000)).check(1, &[Wrong::Behind]);
    late(story(Habit::SetWatches2)).check(1, &[Wrong::Behind]);
}

#[test]
fn what_was_told_to_one_watch_may_be_told_late_to_another_that_became_known_late() {
    let story = |habit| {
        let story = Story::new(habit).written(6, "/a").armed(3, Watch::Recursive, "/a").waited(2_000);
        let story =
            story.armed(5, Watch::Data, "/a").broke().connected(5).told(6, DataChanged, "/a").replied(7);
        story.broke().connected(7).told(6, DataChanged, "/a")
    };
    let verdict = story(Habit::Nothing).replied(9).check(1, NOTHING);
    assert_eq!(verdict.tally.total().late, 1);
    story(Habit::Nothing).told(6, DataChanged, "/a").replied(9).check(1, &[Wrong::Repeated]);
    // Who names its watches hears of it at once, and may hear of it again only when it has gone on.
    let named = || {
        let story = sends_watches().written(6, "/a").armed(5, Watch::Data, "/a").broke().connected(5);
        story.told(6, DataChanged, "/a").replied(7)
    };
    named().told(6, DataChanged, "/a").replied(9).check(1, &[Wrong::Repeated]);
    named().broke().connected(7).told(6, DataChanged, "/a").replied(9).check(1, NOTHING);
}

#[test]
fn who_sets_a_watch_anew_before_it_is_reported_may_miss_what_came_between() {
    let story = |wait| {
        let story =
            Story::new(Habit::Nothing).written(6, "/a").armed(5, Watch::Data, "/a").broke().connected(5);
        story.waited(wait).armed(7, Watch::Data, "/a")
    };
    // A second has gone by with the new connection.
    story(0).replied(9).check(1, &[Wrong::Lost]);
    let mut frozen = story(0);
    frozen.history.faults.push(Fault { member: 1, is_kill: false, from: 900, until: 1_500 });
    let verdict = frozen.replied(9).check(1, NOTHING);
    assert_eq!((verdict.tally.total().outrun, verdict.tally.total().lost), (1, 0));
}

#[test]
fn who_takes_a_watch_away_before_it_is_reported_may_miss_what_came_before() {
    let story = || {
        let story =
            Story::new(Habit::Nothing).written(6, "/a").armed(5, Watch::Data, "/a").broke().connected(5);
        story.removed(7, Watch::Data, "/a").replied(9)
    };
    story().check(1, &[Wrong::Lost]);
    let mut frozen = story();
    frozen.history.faults.push(Fault { member: 1, is_kill: false, from: 900, until: 1_500 });
    assert_eq!(frozen.check(1, NOTHING).tally.total().outrun, 1);
}

#[test]
fn who_goes_on_before_a_watch_is_reported_may_miss_what_came_between() {
    let story = |wait| {
        let story = Story::new(Habit::Nothing).written(6, "/a").armed(5, Watch::Data, "/a").broke();
        story.connected(5).waited(wait).broke().connected(7)
    };
    story(0).replied(9).check(1, &[Wrong::Lost]);
    let mut frozen = story(0);
    frozen.history.faults.push(Fault { member: 1, is_kill: false, from: 900, until: 1_500 });
    let verdict = frozen.replied(9).check(1, NOTHING);
    assert_eq!((verdict.tally.total().outrun, verdict.tally.total().lost), (1, 0));
}

#[test]
fn a_removal_that_is_answered_outlives_the_member() {
    let story = sends_watches().written(7, "/a").written(9, "/a").armed(5, Watch::Persistent, "/a");
    let story = story.waited(5_000).removed(6, Watch::Persistent, "/a").killed().broke().connected(6);
    story.told(7, DataChanged, "/a").replied(9).check(0, &[Wrong::Unowed]);
}

#[test]
fn events_without_a_zxid_are_taken_for_the_first_that_they_can_be() {
    let story = || sends_watches().deleted(6, "/a/b").created(7, "/a/b").armed(5, Watch::Data, "/a/b");
    let back = || story().broke().connected(5);
    back().told(-1, Deleted, "/a/b").replied(9).check(1, NOTHING);
    let verdict = back().told(-1, DataChanged, "/a/b").replied(9).check(1, &[Wrong::Distorted]);
    assert_eq!((verdict.tally.total().distorted, verdict.tally.total().lost), (1, 0));
    back().told(-1, Created, "/a").replied(9).check(1, &[Wrong::Unowed, Wrong::Lost]);
    let again = story().told(6, Deleted, "/a/b").broke().connected(5).told(-1, Deleted, "/a/b");
    again.replied(9).check(1, NOTHING);
}
