// Recipes that let nobody through before all may go.

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;

final class Barriers {
    static final int WAITERS = 4;

    // Nobody passes while it is closed; everybody when it is not.
    static void barrier(Stage stage) throws Exception {
        DistributedBarrier gate = new DistributedBarrier(stage.client(), "/barrier");
        CuratorFramework[] clients = new CuratorFramework[WAITERS];
        for (int number = 0; number < WAITERS; number++) {
            clients[number] = stage.client();
        }
        for (int death = 0; death < Stage.DEATHS; death++) {
            gate.setBarrier();
            AtomicInteger passed = new AtomicInteger();
            for (CuratorFramework client : clients) {
                client.sync().forPath("/barrier");
                DistributedBarrier barrier = new DistributedBarrier(client, "/barrier");
                stage.once(() -> {
                    barrier.waitOnBarrier();
                    passed.incrementAndGet();
                });
            }
            stage.kill();
            // Behind a write of the same ensemble, which goes on.
            clients[0].setData().forPath("/barrier", new byte[] {1});
            Stage.require(passed.get() == 0, "somebody passed a closed barrier");
            gate.removeBarrier();
            stage.until("all had passed", () -> passed.get() == WAITERS);
            stage.join();
            stage.heal();
        }
    }

    // Nobody is in before all have come, and nobody is out before all go. (Whoever waits at the door when its own connection breaks
    // is turned away by the recipe itself: so the leader dies when nobody waits.)
    static void doubleBarrier(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        judge.create().forPath("/written");
        CuratorFramework[] clients = new CuratorFramework[WAITERS];
        for (int number = 0; number < WAITERS; number++) {
            clients[number] = stage.client();
        }
        for (int death = 0; death < Stage.DEATHS; death++) {
            String path = "/double-barrier-" + death;
            CountDownLatch goOn = new CountDownLatch(1);
            AtomicInteger entered = new AtomicInteger();
            AtomicInteger leaving = new AtomicInteger();
            AtomicInteger left = new AtomicInteger();
            for (int number = 0; number < WAITERS; number++) {
                int place = number;
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(clients[number], path, WAITERS);
                stage.once(() -> {
                    if (place == WAITERS - 1) {
                        stage.until("the others stood at the door", () -> {
                            judge.sync().forPath("/");
                            return judge.checkExists().forPath(path) != null
                                    && judge.getChildren().forPath(path).size() == WAITERS - 1;
                        });
                        Stage.require(entered.get() == 0, "somebody is in before all have come");
                    }
                    barrier.enter();
                    entered.incrementAndGet();
                    goOn.await();
                    leaving.incrementAndGet();
                    barrier.leave();
                    Stage.require(leaving.get() == WAITERS, "somebody is out before all go");
                    left.incrementAndGet();
                });
            }
            stage.until("all were in", () -> entered.get() == WAITERS);
            stage.kill();
            for (CuratorFramework client : clients) {
                client.setData().forPath("/written", new byte[] {1});
            }
            judge.sync().forPath("/");
            // The room is as full as it was: with those inside there is what says that it is open.
            Stage.require(judge.getChildren().forPath(path).size() == WAITERS + 1, "somebody is out before all go");
            goOn.countDown();
            stage.until("all were out", () -> left.get() == WAITERS);
            stage.join();
            stage.heal();
        }
    }
}
