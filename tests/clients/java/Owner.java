// Says who it is to the servers, and makes a znode of its own; what it proves by is in the properties of the machine.
// java Owner.java <servers> <path>

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Stat;

public class Owner {
    public static void main(String[] arguments) throws Exception {
        CountDownLatch settled = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(arguments[0], 20_000, event -> {
            switch (event.getState()) {
                case SyncConnected, SaslAuthenticated, AuthFailed -> {
                    System.out.println(event.getState());
                    if (event.getState() != KeeperState.SyncConnected || arguments.length > 2) {
                        settled.countDown();
                    }
                }
                default -> { }
            }
        });
        if (!settled.await(30, TimeUnit.SECONDS)) {
            System.out.println("never connected");
            System.exit(1);
        }
        if (!client.getState().isAlive()) {
            return;
        }
        try {
            for (ClientInfo who : client.whoAmI()) {
                System.out.println("am " + who.getAuthScheme() + ":" + who.getUser());
            }
            client.create(arguments[1], new byte[0], ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            client.setData(arguments[1], "mine".getBytes(), -1);
            for (ACL line : client.getACL(arguments[1], new Stat())) {
                System.out.println("owned by " + line.getId().getScheme() + ":" + line.getId().getId());
            }
        } catch (KeeperException refused) {
            System.out.println("refused " + refused.code());
        }
        client.close();
    }
}
