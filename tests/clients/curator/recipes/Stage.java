// Clients, threads, and the words with whoever kills members: what every recipe needs.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;

final class Stage implements AutoCloseable {
    static final int PATIENCE_S = 60;
    static final int DEATHS = 3;
    // What is done at least before a death, and again behind it.
    static final int STEPS = 5;
    static final int SESSION_TIMEOUT_MS = 40_000;

    interface Work {
        void run() throws Exception;
    }

    // What was done so far, by whatever measure: so that a leader dies in the middle of it.
    final AtomicLong progress = new AtomicLong();
    // Leave to do so much more: for work that would be done before the last leader died.
    final Semaphore portions = new Semaphore(0);
    private volatile boolean over;

    private final String members;
    private final PrintStream words;
    private final List<CuratorFramework> clients = new CopyOnWriteArrayList<>();
    private final List<Throwable> failures = new CopyOnWriteArrayList<>();
    private final List<Thread> crew = new ArrayList<>();
    private final BufferedReader answers = new BufferedReader(new InputStreamReader(System.in));

    Stage(String members, PrintStream words) {
        this.members = members;
        this.words = words;
    }

    // A client that asks again and again, and never loses its session.
    CuratorFramework client() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(members)
                .sessionTimeoutMs(SESSION_TIMEOUT_MS)
                .connectionTimeoutMs(15_000)
                .retryPolicy(new RetryForever(50))
                .build();
        client.getConnectionStateListenable().addListener((it, state) -> {
            if (state == ConnectionState.LOST) {
                failures.add(new AssertionError("a session was lost"));
            }
        });
        clients.add(client);
        client.start();
        if (!client.blockUntilConnected(PATIENCE_S, TimeUnit.SECONDS)) {
            throw new AssertionError("no connection");
        }
        return client;
    }

    // Does it over and over, on a thread of its own, until all is over.
    void work(Work work) {
        once(() -> {
            while (!over) {
                work.run();
            }
        });
    }

    // Does it once, on a thread of its own.
    Thread once(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Throwable failure) {
                failures.add(failure);
            }
        });
        thread.setDaemon(true);
        crew.add(thread);
        thread.start();
        return thread;
    }

    // The leader dies, three times, in the middle of the work; and the work goes on.
    void deaths() throws Exception {
        for (int death = 0; death < DEATHS; death++) {
            advance("before the leader died");
            kill();
            advance("after the leader died");
            heal();
        }
    }

    void kill() throws Exception {
        ask("kill the leader");
    }

    void heal() throws Exception {
        ask("heal");
    }

    private void advance(String when) throws Exception {
        long goal = progress.get() + STEPS;
        portions.release(STEPS);
        until("work went on " + when, () -> progress.get() >= goal);
    }

    // No work is begun any more; what was begun is ended.
    void join() throws Exception {
        over = true;
        for (Thread thread : crew) {
            thread.join(TimeUnit.SECONDS.toMillis(PATIENCE_S));
            if (thread.isAlive()) {
                AssertionError failure = new AssertionError("somebody works for ever");
                failure.setStackTrace(thread.getStackTrace());
                throw failure;
            }
        }
        crew.clear();
        check();
        over = false;
    }

    void until(String what, Callable<Boolean> probe) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        while (!probe.call()) {
            check();
            if (System.nanoTime() > end) {
                throw new AssertionError("waited in vain until " + what);
            }
            Thread.sleep(10);
        }
        check();
    }

    void check() throws Exception {
        if (!failures.isEmpty()) {
            throw new AssertionError("a recipe does not keep its promise", failures.get(0));
        }
    }

    private void ask(String wish) throws IOException {
        words.println(wish);
        words.flush();
        if (answers.readLine() == null) {
            throw new IOException("nobody is there to answer");
        }
    }

    @Override
    public void close() {
        clients.forEach(CuratorFramework::close);
    }

    static void require(boolean promise, String otherwise) {
        if (!promise) {
            throw new AssertionError(otherwise);
        }
    }

    // How many may be at one place at a time.
    static final class Room {
        private final AtomicInteger inside = new AtomicInteger();
        final AtomicInteger most = new AtomicInteger();
        private final int max;

        Room(int max) {
            this.max = max;
        }

        void enter() {
            int now = inside.incrementAndGet();
            most.accumulateAndGet(now, Math::max);
            require(now <= max, now + " at a place for " + max);
        }

        void leave() {
            inside.decrementAndGet();
        }

        int now() {
            return inside.get();
        }
    }
}
