// Recipes that hand on what was put in.
//
// A put whose answer is lost is asked for again and may be there twice: the recipes say so. So what is put while leaders die
// is counted as a set; what is put in peace, exactly.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBase;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

final class Queues {
    static final int IN_PEACE = 60;

    private static final class Text implements QueueSerializer<String> {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }

    // Keeps what it is handed, in order.
    private static class Kept implements QueueConsumer<String> {
        final List<String> items = new CopyOnWriteArrayList<>();
        // What was handed on before the first consumer went.
        final List<String> first = new CopyOnWriteArrayList<>();
        final AtomicBoolean nexts = new AtomicBoolean();

        @Override
        public void consumeMessage(String item) {
            items.add(item);
            if (!nexts.get()) {
                first.add(item);
            }
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {}

        boolean has(Set<String> wanted) {
            return new HashSet<>(items).containsAll(wanted);
        }
    }

    // Goes on only as far as it is let.
    private static final class Portioned extends Kept {
        private final Stage stage;

        Portioned(Stage stage) {
            this.stage = stage;
        }

        @Override
        public void consumeMessage(String item) {
            stage.portions.acquireUninterruptibly();
            super.consumeMessage(item);
            stage.progress.incrementAndGet();
        }
    }

    private static QueueBuilder<String> builder(CuratorFramework client, QueueConsumer<String> consumer, String path) {
        // With a lock nothing is taken out before it has been handled.
        return QueueBuilder.builder(client, consumer, new Text(), path).lockPath(path + "-locks");
    }

    // What the consumer has left is handed to the next one. (An item whose lock the consumer asked for twice, because the first
    // answer was lost, it takes for another's: it stands there until the consumer's session ends.)
    private static void handOn(Stage stage, CuratorFramework consumers, Callable<QueueBase<String>> next, Kept kept, Set<String> put)
            throws Exception {
        stage.portions.release(Integer.MAX_VALUE / 2);
        consumers.close();
        kept.nexts.set(true);
        QueueBase<String> consumer = next.call();
        consumer.start();
        stage.until("nothing was lost", () -> kept.has(put));
        consumer.close();
    }

    private static String name(String kind, int number) {
        return String.format("%s-%05d", kind, number);
    }

    // In peace in order and once; while leaders die nothing is lost.
    static void queue(Stage stage) throws Exception {
        Kept kept = new Kept();
        List<String> inOrder = new ArrayList<>();
        DistributedQueue<String> producer = builder(stage.client(), null, "/queue").buildQueue();
        CuratorFramework consumers = stage.client();
        DistributedQueue<String> consumer = builder(consumers, kept, "/queue").buildQueue();
        producer.start();
        consumer.start();
        for (int number = 0; number < IN_PEACE; number++) {
            inOrder.add(name("peace", number));
            producer.put(name("peace", number));
        }
        stage.until("all was handed on in peace", () -> kept.items.size() >= IN_PEACE);
        Stage.require(kept.items.equals(inOrder), "not in order, or not once: " + kept.items);

        Set<String> put = new HashSet<>();
        AtomicInteger number = new AtomicInteger();
        stage.work(() -> {
            String item = name("war", number.getAndIncrement());
            producer.put(item);
            put.add(item);
            stage.progress.incrementAndGet();
            Thread.sleep(5);
        });
        stage.deaths();
        stage.join();
        Stage.require(producer.flushPuts(Stage.PATIENCE_S, TimeUnit.SECONDS), "something is never put");
        handOn(stage, consumers, () -> builder(stage.client(), kept, "/queue").buildQueue(), kept, put);
        producer.close();
    }

    // In peace in order and once; while leaders die nothing is handed on that was not put, and at the end nothing is left. (An
    // item whose deletion is asked for again is lost with the answer: at most one with each death.)
    static void simpleQueue(Stage stage) throws Exception {
        SimpleDistributedQueue producer = new SimpleDistributedQueue(stage.client(), "/simple-queue");
        SimpleDistributedQueue consumer = new SimpleDistributedQueue(stage.client(), "/simple-queue");
        for (int number = 0; number < IN_PEACE; number++) {
            Stage.require(producer.offer(name("peace", number).getBytes(StandardCharsets.UTF_8)), "not put");
        }
        for (int number = 0; number < IN_PEACE; number++) {
            String item = new String(consumer.take(), StandardCharsets.UTF_8);
            Stage.require(item.equals(name("peace", number)), item + " in place of number " + number);
        }
        Stage.require(consumer.poll() == null, "more was handed on than was put");

        Set<String> put = new HashSet<>();
        List<String> taken = new CopyOnWriteArrayList<>();
        AtomicInteger number = new AtomicInteger();
        stage.work(() -> {
            String item = name("war", number.getAndIncrement());
            put.add(item);
            producer.offer(item.getBytes(StandardCharsets.UTF_8));
            Thread.sleep(5);
        });
        stage.work(() -> {
            byte[] item = consumer.poll(100, TimeUnit.MILLISECONDS);
            if (item != null) {
                taken.add(new String(item, StandardCharsets.UTF_8));
                stage.progress.incrementAndGet();
            }
        });
        stage.deaths();
        stage.join();
        for (byte[] item = consumer.poll(); item != null; item = consumer.poll()) {
            taken.add(new String(item, StandardCharsets.UTF_8));
        }
        Stage.require(put.containsAll(taken), "something was handed on that nobody put");
        Set<String> missing = new HashSet<>(put);
        missing.removeAll(taken);
        Stage.require(missing.size() <= Stage.DEATHS, "lost: " + missing);
    }

    // What is there already is handed on by priority, whoever dies meanwhile.
    static void priorityQueue(Stage stage) throws Exception {
        Set<String> put = new HashSet<>();
        DistributedPriorityQueue<String> producer = builder(stage.client(), null, "/priority-queue").buildPriorityQueue(0);
        producer.start();
        for (int number = 0; number < IN_PEACE; number++) {
            int priority = number * 37 % IN_PEACE;
            put.add(name("priority", priority));
            producer.put(name("priority", priority), priority);
        }
        Stage.require(producer.flushPuts(Stage.PATIENCE_S, TimeUnit.SECONDS), "something is never put");
        Kept kept = new Portioned(stage);
        CuratorFramework consumers = stage.client();
        DistributedPriorityQueue<String> consumer = builder(consumers, kept, "/priority-queue").buildPriorityQueue(0);
        consumer.start();
        stage.deaths();
        handOn(stage, consumers, () -> builder(stage.client(), kept, "/priority-queue").buildPriorityQueue(0), kept, put);
        List<String> handed = kept.first.stream().distinct().toList();
        Stage.require(handed.equals(handed.stream().sorted().toList()), "not by priority: " + handed);
        Stage.require(handed.size() >= 2 * Stage.DEATHS * Stage.STEPS, "hardly anything was handed on: " + handed);
        producer.close();
    }

    // Nothing is handed on before its time, and nothing is lost.
    static void delayQueue(Stage stage) throws Exception {
        Set<String> put = new HashSet<>();
        List<String> early = new CopyOnWriteArrayList<>();
        Kept kept = new Kept() {
            @Override
            public void consumeMessage(String item) {
                long due = Long.parseLong(item.substring(item.indexOf(' ') + 1));
                if (System.currentTimeMillis() < due) {
                    // Written down, because what is thrown here is only logged.
                    early.add(item);
                }
                super.consumeMessage(item);
                stage.progress.incrementAndGet();
            }
        };
        DistributedDelayQueue<String> producer = builder(stage.client(), null, "/delay-queue").buildDelayQueue();
        CuratorFramework consumers = stage.client();
        DistributedDelayQueue<String> consumer = builder(consumers, kept, "/delay-queue").buildDelayQueue();
        producer.start();
        consumer.start();
        AtomicInteger number = new AtomicInteger();
        stage.work(() -> {
            long due = System.currentTimeMillis() + 50 + number.get() * 13 % 200;
            String item = name("delayed", number.getAndIncrement()) + " " + due;
            producer.put(item, due);
            put.add(item);
            Thread.sleep(10);
        });
        stage.deaths();
        stage.join();
        Stage.require(producer.flushPuts(Stage.PATIENCE_S, TimeUnit.SECONDS), "something is never put");
        handOn(stage, consumers, () -> builder(stage.client(), kept, "/delay-queue").buildDelayQueue(), kept, put);
        Stage.require(early.isEmpty(), "handed on too early: " + early);
        producer.close();
    }

    // What is taken out by its id is not handed on; the rest is.
    static void idQueue(Stage stage) throws Exception {
        Set<String> stay = new HashSet<>();
        DistributedIdQueue<String> producer = builder(stage.client(), null, "/id-queue").buildIdQueue();
        producer.start();
        for (int number = 0; number < IN_PEACE; number++) {
            producer.put(name("id", number), "id" + number);
            stay.add(name("id", number));
        }
        Stage.require(producer.flushPuts(Stage.PATIENCE_S, TimeUnit.SECONDS), "something is never put");
        for (int number = 0; number < IN_PEACE; number += 3) {
            Stage.require(producer.remove("id" + number) == 1, number + " was not there once");
            stay.remove(name("id", number));
        }
        Stage.require(producer.remove("id0") == 0, "removed twice");
        Kept kept = new Portioned(stage);
        CuratorFramework consumers = stage.client();
        DistributedIdQueue<String> consumer = builder(consumers, kept, "/id-queue").buildIdQueue();
        consumer.start();
        stage.deaths();
        handOn(stage, consumers, () -> builder(stage.client(), kept, "/id-queue").buildIdQueue(), kept, stay);
        Stage.require(stay.containsAll(kept.items), "something was handed on that had been taken out");
        producer.close();
    }
}
