//! Curator's recipes, each while the leader is killed and started again: each keeps its own promise.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::{Ensemble, java_class_path, scratch};

use crate::program::{Program, heal, kill_the_leader, of_all_kinds, sources};

/// One test for each, by the name that `Recipes.java` knows it by.
macro_rules! recipes {
    ($($test:ident: $recipe:literal,)*) => {
        $(
            #[test]
            fn $test() {
                play($recipe);
            }
        )*
    };
}

recipes! {
    curators_leader_latch_has_one_leader: "leader-latch",
    curators_leader_selector_has_one_in_office: "leader-selector",
    curators_mutex_lets_one_in: "mutex",
    curators_read_write_lock_keeps_readers_from_writers: "read-write-lock",
    curators_semaphore_gives_so_many_leases: "semaphore",
    curators_multi_lock_lets_one_in: "multi-lock",
    curators_barrier_holds_until_it_is_removed: "barrier",
    curators_double_barrier_holds_until_all_have_come: "double-barrier",
    curators_shared_count_loses_nothing: "shared-count",
    curators_atomic_long_counts_nothing_twice: "atomic-long",
    curators_transactions_are_done_whole_and_once: "transactions",
    curators_queue_loses_nothing: "queue",
    curators_simple_queue_hands_on_what_was_put: "simple-queue",
    curators_priority_queue_goes_by_priority: "priority-queue",
    curators_delay_queue_is_never_early: "delay-queue",
    curators_id_queue_gives_back_by_id: "id-queue",
    curators_older_caches_hold_what_the_tree_holds: "children-and-node-cache",
    curators_persistent_node_is_there: "persistent-node",
    curators_persistent_ttl_node_outlives_its_time: "persistent-ttl-node",
    curators_group_members_know_each_other: "group-member",
}

#[track_caller]
fn play(recipe: &str) {
    let classes = classes();
    let mut ensemble = Ensemble::start(&of_all_kinds(500));
    let class_path = format!("{}:{}", classes.display(), java_class_path().unwrap());
    let mut program = Program::start(
        Command::new("java")
            .args(["-Xmx256m", "-cp", &class_path, "Recipes"])
            .args([&ensemble.connect_string(), recipe]),
    );
    let (mut killed, mut deaths, mut good) = (Vec::new(), 0, false);
    while let Some(line) = program.line() {
        match line.as_str() {
            "good" => good = true,
            "kill the leader" => {
                kill_the_leader(&mut ensemble, &mut killed);
                deaths += 1;
            }
            "heal" => heal(&mut ensemble, &mut killed),
            other => panic!("the recipe says `{other}`"),
        }
        program.answer("done");
    }
    let status = program.wait();
    assert!(good && status.success(), "{recipe} does not keep its promise ({status}); see above");
    assert!(deaths >= 3, "only {deaths} leaders died");
}

/// The recipes, compiled once in each run of the tests.
fn classes() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/curator/recipes");
        let classes = scratch().join("recipes");
        // Two test runs at once must not write the same files.
        let turn = File::create(scratch().join("recipes.lock")).unwrap();
        turn.lock().unwrap();
        let status = Command::new("javac")
            .args([
                "-Xlint:all,-processing,-classfile,-path",
                "-Werror",
                "-cp",
                &java_class_path().unwrap(),
                "-d",
            ])
            .arg(&classes)
            .args(sources(&folder, "java"))
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the recipes do not compile: `apt-get install default-jdk-headless`"
        );
        classes
    })
}
