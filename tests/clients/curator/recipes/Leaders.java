// Recipes that choose one of many.

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

final class Leaders {
    // Never two lead; after each death exactly one does, and all know who; whoever leaves is followed by another.
    static void latch(Stage stage) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int number = 0; number < 5; number++) {
            LeaderLatch latch = new LeaderLatch(stage.client(), "/latch", "contender-" + number);
            latch.start();
            latches.add(latch);
        }
        List<LeaderLatch> all = List.copyOf(latches);
        stage.work(() -> {
            for (LeaderLatch one : all) {
                for (LeaderLatch other : all) {
                    // Looked at twice: leadership may pass from one to the other in between.
                    boolean both = one != other && one.hasLeadership() && other.hasLeadership() && one.hasLeadership();
                    Stage.require(!both, one.getId() + " and " + other.getId() + " both lead");
                }
            }
            stage.progress.incrementAndGet();
        });
        Set<String> led = new HashSet<>();
        for (int death = 0; death < Stage.DEATHS; death++) {
            LeaderLatch leader = agreed(stage, latches);
            led.add(leader.getId());
            stage.kill();
            agreed(stage, latches);
            stage.heal();
            LeaderLatch resigns = agreed(stage, latches);
            led.add(resigns.getId());
            resigns.close();
            latches.remove(resigns);
            LeaderLatch successor = agreed(stage, latches);
            Stage.require(successor != resigns, "who left leads");
            led.add(successor.getId());
        }
        stage.join();
        Stage.require(led.size() > Stage.DEATHS, "only these have led: " + led);
        for (LeaderLatch latch : latches) {
            latch.close();
        }
    }

    private static LeaderLatch agreed(Stage stage, List<LeaderLatch> latches) throws Exception {
        LeaderLatch[] agreed = new LeaderLatch[1];
        stage.until("one led and all knew it", () -> {
            List<LeaderLatch> leaders = latches.stream().filter(LeaderLatch::hasLeadership).toList();
            if (leaders.size() != 1) {
                return false;
            }
            agreed[0] = leaders.get(0);
            for (LeaderLatch latch : latches) {
                if (!latch.getLeader().getId().equals(agreed[0].getId())) {
                    return false;
                }
            }
            return agreed[0].hasLeadership();
        });
        return agreed[0];
    }

    // Never two are in office, and everybody has been.
    static void selector(Stage stage) throws Exception {
        Stage.Room office = new Stage.Room(1);
        Set<String> led = ConcurrentHashMap.newKeySet();
        List<LeaderSelector> selectors = new ArrayList<>();
        for (int number = 0; number < 4; number++) {
            String name = "candidate-" + number;
            LeaderSelector selector =
                    new LeaderSelector(stage.client(), "/selector", new LeaderSelectorListenerAdapter() {
                        @Override
                        public void takeLeadership(CuratorFramework client) throws Exception {
                            office.enter();
                            try {
                                led.add(name);
                                stage.progress.incrementAndGet();
                                Thread.sleep(20);
                            } finally {
                                office.leave();
                            }
                        }
                    });
            selector.setId(name);
            selector.autoRequeue();
            selector.start();
            selectors.add(selector);
        }
        // What is thrown in there is only logged: the room remembers how many there were.
        stage.deaths();
        stage.until("everybody had led", () -> led.size() == selectors.size());
        stage.until("all stood for election", () -> selectors.get(0).getParticipants().size() == selectors.size());
        selectors.forEach(LeaderSelector::close);
        Stage.require(office.most.get() == 1, office.most + " were in office at a time");
    }
}
