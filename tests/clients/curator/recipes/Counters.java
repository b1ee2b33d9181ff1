// Recipes that count, and changes that are made together or not at all.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

final class Counters {
    static final int COUNTING = 4;

    // No count that succeeded is lost, and all know the last one. (What was done and whose answer was lost is counted, too:
    // the recipe calls it a failure.)
    static void sharedCount(Stage stage) throws Exception {
        AtomicLong tried = new AtomicLong();
        List<SharedCount> counts = new ArrayList<>();
        for (int number = 0; number < COUNTING; number++) {
            SharedCount count = new SharedCount(stage.client(), "/shared-count", 0);
            count.start();
            counts.add(count);
            stage.work(() -> {
                VersionedValue<Integer> before = count.getVersionedValue();
                tried.incrementAndGet();
                if (count.trySetCount(before, before.getValue() + 1)) {
                    stage.progress.incrementAndGet();
                }
            });
        }
        stage.deaths();
        stage.join();
        CuratorFramework judge = stage.client();
        judge.sync().forPath("/shared-count");
        int last = java.nio.ByteBuffer.wrap(judge.getData().forPath("/shared-count")).getInt();
        Stage.require(last >= stage.progress.get(), last + " is less than " + stage.progress);
        Stage.require(last <= tried.get(), last + " is more than " + tried);
        stage.until("all knew the last count", () -> counts.stream().allMatch(count -> count.getCount() == last));
        for (SharedCount count : counts) {
            count.close();
        }
    }

    // Each success has a number of its own, one more than that before it; none is lost.
    static void atomicLong(Stage stage) throws Exception {
        Set<Long> numbers = ConcurrentHashMap.newKeySet();
        CuratorFramework judge = stage.client();
        for (int number = 0; number < COUNTING; number++) {
            PromotedToLock lock = PromotedToLock.builder().lockPath("/atomic-lock").retryPolicy(new RetryNTimes(100, 10)).build();
            DistributedAtomicLong atomic =
                    new DistributedAtomicLong(stage.client(), "/atomic", new RetryNTimes(2, 3), lock);
            stage.work(() -> {
                AtomicValue<Long> value = atomic.increment();
                if (value.succeeded()) {
                    Stage.require(value.postValue() == value.preValue() + 1, "an increment by more than one");
                    Stage.require(numbers.add(value.postValue()), value.postValue() + " was counted twice");
                    stage.progress.incrementAndGet();
                }
            });
        }
        stage.deaths();
        stage.join();
        judge.sync().forPath("/atomic");
        long last = new DistributedAtomicLong(judge, "/atomic", new RetryNTimes(10, 10)).get().postValue();
        Stage.require(last >= numbers.size(), last + " is less than " + numbers.size());
    }

    // Money goes from account to account: none is made, none is lost, and each transfer is done once.
    static void transactions(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        judge.create().forPath("/transfers");
        judge.create().forPath("/accounts");
        long[] begin = {100, 100, 100};
        for (int account = 0; account < begin.length; account++) {
            judge.create().forPath("/accounts/" + account, text(begin[account]));
        }
        AtomicLong[] moved = {new AtomicLong(), new AtomicLong(), new AtomicLong()};
        for (int number = 0; number < COUNTING; number++) {
            CuratorFramework client = stage.client();
            String name = "/transfers/" + number + "-";
            AtomicLong done = new AtomicLong();
            stage.work(() -> {
                int from = ThreadLocalRandom.current().nextInt(begin.length);
                int to = (from + 1) % begin.length;
                String slip = name + done.get();
                Stat fromStat = new Stat();
                Stat toStat = new Stat();
                long fromBalance = number(client.getData().storingStatIn(fromStat).forPath("/accounts/" + from));
                long toBalance = number(client.getData().storingStatIn(toStat).forPath("/accounts/" + to));
                boolean made;
                try {
                    client.transaction().forOperations(
                            client.transactionOp().create().forPath(slip),
                            client.transactionOp().setData().withVersion(fromStat.getVersion())
                                    .forPath("/accounts/" + from, text(fromBalance - 1)),
                            client.transactionOp().setData().withVersion(toStat.getVersion())
                                    .forPath("/accounts/" + to, text(toBalance + 1)),
                            client.transactionOp().check().withVersion(0).forPath("/transfers"));
                    made = true;
                } catch (KeeperException.BadVersionException | KeeperException.NodeExistsException refused) {
                    // Somebody was first; or it was done, the answer was lost, and the client asked again.
                    client.sync().forPath(slip);
                    made = client.checkExists().forPath(slip) != null;
                }
                if (made) {
                    done.incrementAndGet();
                    moved[from].decrementAndGet();
                    moved[to].incrementAndGet();
                    stage.progress.incrementAndGet();
                }
            });
        }
        stage.deaths();
        stage.join();
        judge.sync().forPath("/accounts");
        for (int account = 0; account < begin.length; account++) {
            long balance = number(judge.getData().forPath("/accounts/" + account));
            long expected = begin[account] + moved[account].get();
            Stage.require(balance == expected, "account " + account + " holds " + balance + " and not " + expected);
        }
        int slips = judge.getChildren().forPath("/transfers").size();
        Stage.require(slips == stage.progress.get(), slips + " slips of " + stage.progress + " transfers");
    }

    private static byte[] text(long number) {
        return Long.toString(number).getBytes(StandardCharsets.UTF_8);
    }

    private static long number(byte[] text) {
        return Long.parseLong(new String(text, StandardCharsets.UTF_8));
    }
}
