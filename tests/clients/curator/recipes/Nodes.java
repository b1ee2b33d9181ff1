// Recipes that keep a znode alive, or a copy of some.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

@SuppressWarnings("deprecation") // These caches are in use nevertheless.
final class Nodes {
    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // At the end the caches hold what the tree holds.
    static void caches(Stage stage) throws Exception {
        CuratorFramework writer = stage.client();
        writer.create().forPath("/cached");
        List<PathChildrenCache> children = new ArrayList<>();
        List<NodeCache> nodes = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
            CuratorFramework client = stage.client();
            client.sync().forPath("/cached");
            PathChildrenCache cache = new PathChildrenCache(client, "/cached", true);
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            children.add(cache);
            NodeCache node = new NodeCache(client, "/cached/0");
            node.start(true);
            nodes.add(node);
        }
        stage.work(() -> {
            String path = "/cached/" + ThreadLocalRandom.current().nextInt(8);
            try {
                switch (ThreadLocalRandom.current().nextInt(4)) {
                    case 0 -> writer.delete().forPath(path);
                    case 1 -> writer.create().forPath(path, text("made"));
                    default -> writer.setData().forPath(path, text("set " + stage.progress));
                }
                stage.progress.incrementAndGet();
            } catch (KeeperException.NoNodeException | KeeperException.NodeExistsException refused) {
                // There was nothing to do.
            }
        });
        stage.deaths();
        stage.join();
        if (writer.checkExists().forPath("/cached/0") == null) {
            writer.create().forPath("/cached/0", text("last"));
        }
        Map<String, String> tree = new TreeMap<>();
        for (String name : writer.getChildren().forPath("/cached")) {
            Stat stat = new Stat();
            byte[] data = writer.getData().storingStatIn(stat).forPath("/cached/" + name);
            tree.put("/cached/" + name, stat.getMzxid() + " " + Arrays.toString(data));
        }
        for (PathChildrenCache cache : children) {
            stage.until("the children were those of the tree", () -> {
                Map<String, String> held = new TreeMap<>();
                cache.getCurrentData().forEach(it -> held.put(it.getPath(), told(it)));
                return held.equals(tree);
            });
            cache.close();
        }
        for (NodeCache node : nodes) {
            stage.until("the znode was that of the tree", () ->
                    node.getCurrentData() != null && told(node.getCurrentData()).equals(tree.get("/cached/0")));
            node.close();
        }
    }

    private static String told(ChildData data) {
        return data.getStat().getMzxid() + " " + Arrays.toString(data.getData());
    }

    // It is there, whoever takes it away and whoever dies; and gone when it is closed.
    static void persistentNode(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        List<PersistentNode> nodes = new ArrayList<>();
        for (CreateMode mode : List.of(CreateMode.EPHEMERAL, CreateMode.PERSISTENT)) {
            String path = "/kept-" + mode.name().toLowerCase();
            PersistentNode node = new PersistentNode(stage.client(), mode, false, path, text("mine"));
            node.start();
            Stage.require(node.waitForInitialCreate(Stage.PATIENCE_S, TimeUnit.SECONDS), "it is never made");
            nodes.add(node);
        }
        for (int death = 0; death < Stage.DEATHS; death++) {
            for (PersistentNode node : nodes) {
                stage.until("it was there", () -> isThere(judge, node));
                long made = judge.checkExists().forPath(node.getActualPath()).getCzxid();
                judge.delete().forPath(node.getActualPath());
                stage.until("it was there anew", () -> {
                    Stat stat = judge.checkExists().forPath(node.getActualPath());
                    return stat != null && stat.getCzxid() > made && isThere(judge, node);
                });
            }
            stage.kill();
            for (PersistentNode node : nodes) {
                stage.until("it was there after a death", () -> isThere(judge, node));
            }
            stage.heal();
        }
        for (PersistentNode node : nodes) {
            String path = node.getActualPath();
            node.setData(text("yours"));
            stage.until("it held what it was given", () -> {
                judge.sync().forPath(path);
                return Arrays.equals(judge.getData().forPath(path), text("yours"));
            });
            node.close();
            stage.until("it was gone", () -> judge.checkExists().forPath(path) == null);
        }
    }

    private static boolean isThere(CuratorFramework judge, PersistentNode node) throws Exception {
        judge.sync().forPath("/");
        try {
            return Arrays.equals(judge.getData().forPath(node.getActualPath()), node.getData());
        } catch (KeeperException.NoNodeException gone) {
            return false;
        }
    }

    // It outlives its time while somebody keeps it, and not when nobody does.
    static void persistentTtlNode(Stage stage) throws Exception {
        long ttlMs = 2_000;
        CuratorFramework judge = stage.client();
        PersistentTtlNode node = new PersistentTtlNode(stage.client(), "/outlives", ttlMs, text("mine"));
        node.start();
        Stage.require(node.waitForInitialCreate(Stage.PATIENCE_S, TimeUnit.SECONDS), "it is never made");
        long made = judge.checkExists().forPath("/outlives").getCzxid();
        for (int death = 0; death < Stage.DEATHS; death++) {
            stage.kill();
            Thread.sleep(ttlMs);
            stage.heal();
        }
        judge.sync().forPath("/outlives");
        Stat stat = judge.checkExists().forPath("/outlives");
        Stage.require(stat != null && stat.getCzxid() == made, "it did not outlive its time");
        node.close();
        stage.until("it was gone", () -> judge.checkExists().forPath("/outlives") == null);
    }

    // All know all, whoever dies; who leaves is missed.
    static void groupMember(Stage stage) throws Exception {
        Map<String, GroupMember> group = new TreeMap<>();
        for (int number = 0; number < 5; number++) {
            GroupMember member = new GroupMember(stage.client(), "/group", "member-" + number, text("of " + number));
            member.start();
            group.put("member-" + number, member);
        }
        for (int death = 0; death < Stage.DEATHS; death++) {
            stage.until("all knew all", () -> knows(group));
            stage.kill();
            group.remove("member-" + death).close();
            stage.until("who left was missed", () -> knows(group));
            stage.heal();
            byte[] news = text("after death " + death);
            group.get("member-4").setThisData(news);
            stage.until("all knew what one said", () -> group.values().stream()
                    .allMatch(member -> Arrays.equals(member.getCurrentMembers().get("member-4"), news)));
        }
        group.values().forEach(GroupMember::close);
    }

    private static boolean knows(Map<String, GroupMember> group) {
        return group.values().stream().allMatch(member -> member.getCurrentMembers().keySet().equals(group.keySet()));
    }
}
