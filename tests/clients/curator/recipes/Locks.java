// Recipes that let in only so many at a time.

import java.util.Collection;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.zookeeper.data.Stat;

final class Locks {
    static final int CONTENDERS = 4;

    private static void acquire(InterProcessLock lock) throws Exception {
        Stage.require(lock.acquire(Stage.PATIENCE_S, TimeUnit.SECONDS), "a lock is never free");
    }

    // Curator makes such a node as a container, which may be collected as soon as nobody is in it.
    private static boolean isEmpty(CuratorFramework judge, String path) throws Exception {
        Stat stat = judge.checkExists().forPath(path);
        return stat == null || stat.getNumChildren() == 0;
    }

    // One at a time, in this process and by the number in the fence; each raise counts.
    static void mutex(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        Fence fence = new Fence(judge, "/mutex-fence");
        Stage.Room room = new Stage.Room(1);
        for (int number = 0; number < CONTENDERS; number++) {
            CuratorFramework client = stage.client();
            InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
            stage.work(() -> {
                acquire(mutex);
                // It is reentrant.
                acquire(mutex);
                room.enter();
                fence.raise(client);
                room.leave();
                stage.progress.incrementAndGet();
                mutex.release();
                mutex.release();
            });
        }
        stage.deaths();
        stage.join();
        Stage.require(fence.number(judge) == stage.progress.get(), "a raise was lost, or done twice");
        stage.until("the lock was free", () -> isEmpty(judge, "/mutex"));
    }

    // A writer is alone; readers are together.
    static void readWriteLock(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        Fence fence = new Fence(judge, "/write-fence");
        Stage.Room writing = new Stage.Room(1);
        Stage.Room reading = new Stage.Room(CONTENDERS);
        InterProcessLock one = new InterProcessReadWriteLock(judge, "/read-write").readLock();
        InterProcessLock other = new InterProcessReadWriteLock(stage.client(), "/read-write").readLock();
        acquire(one);
        acquire(other);
        one.release();
        other.release();
        AtomicLong written = new AtomicLong();
        for (int number = 0; number < CONTENDERS; number++) {
            CuratorFramework client = stage.client();
            InterProcessReadWriteLock lock = new InterProcessReadWriteLock(client, "/read-write");
            stage.work(() -> {
                acquire(lock.readLock());
                reading.enter();
                Stage.require(writing.now() == 0, "read and written at a time");
                long before = fence.number(client);
                stage.progress.incrementAndGet();
                Stage.require(fence.number(client) == before, "written while it was read");
                reading.leave();
                lock.readLock().release();
            });
        }
        for (int number = 0; number < 2; number++) {
            CuratorFramework client = stage.client();
            InterProcessReadWriteLock lock = new InterProcessReadWriteLock(client, "/read-write");
            stage.work(() -> {
                acquire(lock.writeLock());
                writing.enter();
                Stage.require(reading.now() == 0, "written and read at a time");
                fence.raise(client);
                written.incrementAndGet();
                writing.leave();
                // Whoever writes may go on as a reader without letting another writer in.
                acquire(lock.readLock());
                lock.writeLock().release();
                Stage.require(writing.now() == 0, "a writer came in front of who went on reading");
                lock.readLock().release();
            });
        }
        stage.deaths();
        stage.join();
        Stage.require(written.get() > 0 && fence.number(judge) == written.get(), "a raise was lost, or done twice");
    }

    // As many as there are leases, and not one more.
    static void semaphore(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        Stage.Room room = new Stage.Room(2);
        InterProcessSemaphoreV2 both = new InterProcessSemaphoreV2(judge, "/semaphore", 2);
        Collection<Lease> leases = both.acquire(2);
        Stage.require(both.acquire(0, TimeUnit.SECONDS) == null, "a third lease of two");
        both.returnAll(leases);
        for (int number = 0; number < CONTENDERS; number++) {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(stage.client(), "/semaphore", 2);
            stage.work(() -> {
                Lease lease = semaphore.acquire(Stage.PATIENCE_S, TimeUnit.SECONDS);
                Stage.require(lease != null, "no lease to be had");
                room.enter();
                stage.progress.incrementAndGet();
                Thread.sleep(5);
                room.leave();
                semaphore.returnLease(lease);
            });
        }
        stage.deaths();
        stage.join();
        stage.until("all leases were back", () -> isEmpty(judge, "/semaphore/leases"));
    }

    // Two locks as one, the second of them a mutex that any thread may release.
    static void multiLock(Stage stage) throws Exception {
        CuratorFramework judge = stage.client();
        Fence fence = new Fence(judge, "/multi-fence");
        Stage.Room room = new Stage.Room(1);
        for (int number = 0; number < CONTENDERS - 1; number++) {
            CuratorFramework client = stage.client();
            InterProcessMultiLock locks = new InterProcessMultiLock(List.of(
                    new InterProcessMutex(client, "/multi-one"), new InterProcessSemaphoreMutex(client, "/multi-two")));
            stage.work(() -> {
                acquire(locks);
                room.enter();
                fence.raise(client);
                room.leave();
                stage.progress.incrementAndGet();
                locks.release();
            });
        }
        stage.deaths();
        stage.join();
        Stage.require(fence.number(judge) == stage.progress.get(), "a raise was lost, or done twice");
    }
}
