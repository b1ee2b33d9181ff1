// Caches of one subtree, by Curator and by hand, for whoever asks on standard input what they hold.
//
//     java Caches.java HOST:PORT,HOST:PORT,HOST:PORT ROOT
//
// `homes` is answered with the member that each client is connected to, `events` with what the client by hand was told
// in order, `caches` with everything that each cache holds. Each answer ends with a line that holds a dot.
//
// Curator's caches read everything again when they hear that a connection was lost and is back. So there is a second
// set of them that never hears it, and knows only what their watches tell. The client by hand reads nothing but the
// znode that an event names.

import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.listen.UnaryListenerManager;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.state.ConnectionStateListener;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

@SuppressWarnings("deprecation") // TreeCache is in use nevertheless.
public final class Caches {
    static final int SESSION_TIMEOUT_MS = 40_000;

    public static void main(String[] arguments) throws Exception {
        String members = arguments[0];
        String root = arguments[1];
        Mirror mirror = new Mirror(members, root);
        Curator usual = new Curator(members, root, false);
        Curator deaf = new Curator(members, root, true);
        System.out.println("ready");
        Scanner questions = new Scanner(System.in);
        while (questions.hasNextLine()) {
            String question = questions.nextLine();
            switch (question) {
                case "homes" -> {
                    System.out.println("mirror " + mirror.client.home());
                    System.out.println("usual " + usual.home());
                    System.out.println("deaf " + deaf.home());
                }
                case "events" -> mirror.printEvents();
                case "caches" -> {
                    mirror.print();
                    usual.print("usual");
                    deaf.print("deaf");
                }
                default -> throw new IllegalArgumentException(question);
            }
            System.out.println(".");
        }
        System.exit(0);
    }

    static void print(String cache, String path, Stat stat, byte[] data) {
        String text = new String(data, StandardCharsets.UTF_8);
        System.out.printf("%s %s %d %d %s%n", cache, path, stat.getMzxid(), stat.getVersion(), text);
    }

    // ZooKeeper's own client, which says where it is connected and ends everything when its session ends.
    static final class Client extends ZooKeeper {
        Client(String members, Watcher watcher) throws Exception {
            super(members, SESSION_TIMEOUT_MS, event -> {
                if (event.getState() == KeeperState.Expired) {
                    System.err.println("a session was lost");
                    Runtime.getRuntime().halt(1);
                }
                watcher.process(event);
            });
        }

        // Nothing while there is no connection.
        String home() {
            return testableRemoteSocketAddress() instanceof InetSocketAddress address
                    ? address.getAddress().getHostAddress() + ":" + address.getPort()
                    : "";
        }
    }

    // A map of the subtree, made of one persistent recursive watch. All of it happens on the client's one thread for
    // events and answers; what is asked from outside takes the lock.
    static final class Mirror implements Watcher {
        final Client client;
        private final List<WatchedEvent> events = new ArrayList<>();
        private final Map<String, ChildData> znodes = new TreeMap<>();

        Mirror(String members, String root) throws Exception {
            client = new Client(members, event -> {});
            client.addWatch(root, this, AddWatchMode.PERSISTENT_RECURSIVE);
            // There is nothing below it yet.
            read(root);
        }

        @Override
        public synchronized void process(WatchedEvent event) {
            if (event.getType() == EventType.None) {
                return;
            }
            events.add(event);
            if (event.getType() == EventType.NodeDeleted) {
                znodes.remove(event.getPath());
            } else {
                read(event.getPath());
            }
        }

        private void read(String path) {
            client.getData(path, false, this::answered, null);
        }

        private synchronized void answered(int result, String path, Object context, byte[] data, Stat stat) {
            switch (Code.get(result)) {
                case OK -> znodes.put(path, new ChildData(path, stat, data));
                case NONODE -> znodes.remove(path);
                // This one question was lost, and is asked again.
                case CONNECTIONLOSS -> read(path);
                default -> throw new IllegalStateException(path + ": " + Code.get(result));
            }
        }

        synchronized void printEvents() {
            for (WatchedEvent event : events) {
                System.out.println(event.getZxid() + " " + event.getType().getIntValue() + " " + event.getPath());
            }
        }

        synchronized void print() {
            znodes.values().forEach(it -> Caches.print("mirror", it.getPath(), it.getStat(), it.getData()));
        }
    }

    // One client of Curator's with its caches.
    static final class Curator {
        private final CuratorFramework client;
        private final String root;
        private final TreeCache tree;
        private final CuratorCache cache;
        private final CuratorCache bridge;

        Curator(String members, String root, boolean deaf) throws Exception {
            this.root = root;
            CuratorFrameworkFactory.Builder builder = CuratorFrameworkFactory.builder()
                    .connectString(members)
                    .sessionTimeoutMs(SESSION_TIMEOUT_MS)
                    .connectionTimeoutMs(SESSION_TIMEOUT_MS)
                    .retryPolicy(new RetryForever(50))
                    .ensembleTracker(false)
                    .zookeeperFactory((at, timeout, watcher, readOnly) -> new Client(at, watcher));
            if (deaf) {
                builder.connectionStateListenerManagerFactory(it -> new Nobody());
            }
            client = builder.build();
            client.start();
            if (!client.blockUntilConnected(SESSION_TIMEOUT_MS, TimeUnit.MILLISECONDS)) {
                throw new IllegalStateException("Curator does not connect");
            }
            tree = TreeCache.newBuilder(client, root).build().start();
            cache = CuratorCache.build(client, root);
            cache.start();
            bridge = CuratorCache.bridgeBuilder(client, root).build();
            bridge.start();
        }

        String home() throws Exception {
            return ((Client) client.getZookeeperClient().getZooKeeper()).home();
        }

        void print(String name) {
            printBelow(name + "-tree", tree.getCurrentData(root));
            cache.stream().forEach(it -> print(name + "-cache", it));
            bridge.stream().forEach(it -> print(name + "-bridge", it));
        }

        // TreeCache has an iterator, which stumbles over what changes meanwhile.
        private void printBelow(String cache, ChildData it) {
            if (it != null) {
                print(cache, it);
                Map<String, ChildData> children = tree.getCurrentChildren(it.getPath());
                if (children != null) {
                    children.values().forEach(child -> printBelow(cache, child));
                }
            }
        }

        private static void print(String cache, ChildData it) {
            Caches.print(cache, it.getPath(), it.getStat(), it.getData());
        }
    }

    // Takes in whoever wants to hear of lost connections, and tells them nothing.
    static final class Nobody implements UnaryListenerManager<ConnectionStateListener> {
        @Override
        public void addListener(ConnectionStateListener listener) {}

        @Override
        public void addListener(ConnectionStateListener listener, Executor executor) {}

        @Override
        public void removeListener(ConnectionStateListener listener) {}

        @Override
        public void clear() {}

        @Override
        public int size() {
            return 0;
        }

        @Override
        public void forEach(Consumer<ConnectionStateListener> told) {}
    }
}
