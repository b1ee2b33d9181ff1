// A number in a znode that only one at a time may raise. Each raises it from what it read, on the condition that nobody else
// did so in between: whoever finds that somebody did was not alone.

import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.apache.curator.framework.CuratorFramework;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;

final class Fence {
    private final String path;

    Fence(CuratorFramework client, String path) throws Exception {
        this.path = path;
        client.create().forPath(path, "0 nobody".getBytes(StandardCharsets.UTF_8));
    }

    void raise(CuratorFramework client) throws Exception {
        // The member that is asked may be behind the one that the last of us asked.
        client.sync().forPath(path);
        Stat stat = new Stat();
        long number = number(client.getData().storingStatIn(stat).forPath(path));
        String mine = (number + 1) + " " + UUID.randomUUID();
        try {
            client.setData().withVersion(stat.getVersion()).forPath(path, mine.getBytes(StandardCharsets.UTF_8));
        } catch (KeeperException.BadVersionException refused) {
            // It may have been done and the answer lost; then the client asked again.
            client.sync().forPath(path);
            String found = new String(client.getData().forPath(path), StandardCharsets.UTF_8);
            Stage.require(found.equals(mine), "not alone: found " + found + " and not " + mine);
        }
    }

    long number(CuratorFramework client) throws Exception {
        client.sync().forPath(path);
        return number(client.getData().forPath(path));
    }

    private static long number(byte[] data) {
        return Long.parseLong(new String(data, StandardCharsets.UTF_8).split(" ")[0]);
    }
}
