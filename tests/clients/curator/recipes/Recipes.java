// Curator's recipes, one after the other's name, while whoever runs this kills the leader:
//
//     java Recipes HOST:PORT,HOST:PORT,HOST:PORT RECIPE
//
// Each recipe asserts its own promise. A line on standard output is a wish; it goes on when it reads a line. It ends with
// `good`.

import java.io.PrintStream;
import java.util.Map;

public final class Recipes {
    interface Recipe {
        void play(Stage stage) throws Exception;
    }

    static final Map<String, Recipe> RECIPES = Map.ofEntries(
            Map.entry("leader-latch", Leaders::latch),
            Map.entry("leader-selector", Leaders::selector),
            Map.entry("mutex", Locks::mutex),
            Map.entry("read-write-lock", Locks::readWriteLock),
            Map.entry("semaphore", Locks::semaphore),
            Map.entry("multi-lock", Locks::multiLock),
            Map.entry("barrier", Barriers::barrier),
            Map.entry("double-barrier", Barriers::doubleBarrier),
            Map.entry("shared-count", Counters::sharedCount),
            Map.entry("atomic-long", Counters::atomicLong),
            Map.entry("transactions", Counters::transactions),
            Map.entry("queue", Queues::queue),
            Map.entry("simple-queue", Queues::simpleQueue),
            Map.entry("priority-queue", Queues::priorityQueue),
            Map.entry("delay-queue", Queues::delayQueue),
            Map.entry("id-queue", Queues::idQueue),
            Map.entry("children-and-node-cache", Nodes::caches),
            Map.entry("persistent-node", Nodes::persistentNode),
            Map.entry("persistent-ttl-node", Nodes::persistentTtlNode),
            Map.entry("group-member", Nodes::groupMember));

    public static void main(String[] arguments) throws Exception {
        Recipe recipe = RECIPES.get(arguments[1]);
        if (recipe == null) {
            throw new IllegalArgumentException("no recipe `" + arguments[1] + "`");
        }
        // What anybody logs goes elsewhere.
        PrintStream words = System.out;
        System.setOut(System.err);
        // Threads of a recipe that failed must not keep the program.
        int status = 1;
        try (Stage stage = new Stage(arguments[0], words)) {
            recipe.play(stage);
            stage.check();
            words.println("good");
            status = 0;
        } catch (Throwable failure) {
            failure.printStackTrace();
        }
        words.flush();
        Runtime.getRuntime().halt(status);
    }
}
