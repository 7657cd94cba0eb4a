import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.*;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * What Apache Kafka's cleaner does to logs.
 *
 * Every argument but the first is a directory. It holds the log's directory `topic-0`, `topic.properties` with the topic's configuration, and `rounds`, a
 * line for each cleaning: the wall clock in ms and the number of slots of the offset map. With `clean` the log is compacted in each
 * round. After the round N it is closed and
 * copied to `after-N`, and a line of numbers is printed that says what was there to be cleaned and how far it came:
 * first dirty offset, first uncleanable offset, clean and cleanable bytes, delay past max.compaction.lag.ms, next dirty offset.
 * With `open` the log is opened as after a crash, and closed.
 *
 * Run: java -cp 'kafka/libs/*' CleanerPeer.java clean|open DIRECTORY...
 */
public class CleanerPeer {
    /** All files are this old, so that a segment without records has an age that is known. */
    static final long MODIFIED_MS = 1_000;
    static final double LOAD_FACTOR = 0.75;

    public static void main(String[] arguments) throws Exception {
        List<Path> directories = Arrays.stream(arguments).skip(1).map(Path::of).toList();
        if (arguments[0].equals("open")) {
            // Opening after a crash is waiting for the disk, mostly.
            ExecutorService threads = Executors.newFixedThreadPool(16);
            List<Future<?>> opened = new ArrayList<>();
            for (Path directory : directories)
                opened.add(threads.submit(() -> {
                    open(directory, 0, false, new FixedTime(MODIFIED_MS)).close();
                    return null;
                }));
            for (Future<?> one : opened) one.get();
            threads.shutdown();
            return;
        }
        for (Path directory : directories) {
            Optional<Long> checkpoint = Optional.empty();
            int round = 0;
            for (String line : Files.readAllLines(directory.resolve("rounds"))) {
                String[] words = line.split(" ");
                long next = clean(directory, checkpoint, Long.parseLong(words[0]), Integer.parseInt(words[1]));
                checkpoint = Optional.of(next);
                copy(directory.resolve("topic-0"), directory.resolve("after-" + round++));
            }
        }
    }

    static long clean(Path directory, Optional<Long> checkpoint, long now, int slots) throws Exception {
        FixedTime time = new FixedTime(now);
        UnifiedLog log = open(directory, Long.MAX_VALUE, true, time);
        log.updateHighWatermark(log.logEndOffset());
        Object offsets = call("cleanableOffsets", log, checkpoint, now);
        long first = component(offsets, "firstDirtyOffset");
        long delay = (Long) call("maxCompactionDelay", log, first, now);
        LogToClean found = new LogToClean(log, first, component(offsets, "firstUncleanableDirtyOffset"), delay > 0);
        long next = first;
        if (found.cleanableBytes() > 0) {
            Throttler throttler = new Throttler(Double.MAX_VALUE, 300, "cleaner-io", "bytes", time);
            Cleaner cleaner = new Cleaner(0, new SkimpyOffsetMap(slots * 24), 16_384, 1 << 20, LOAD_FACTOR, throttler, time, partition -> { });
            next = cleaner.doClean(found, now).getKey();
        }
        System.out.println(String.join(" ", directory.getFileName().toString(), "" + first, "" + found.firstUncleanableOffset(),
            "" + found.cleanBytes(), "" + found.cleanableBytes(), "" + delay, "" + next));
        log.close();
        return next;
    }

    static UnifiedLog open(Path directory, long recoveryPoint, boolean wasClosed, Time time) throws Exception {
        File dir = directory.resolve("topic-0").toFile();
        for (File file : dir.listFiles()) file.setLastModified(MODIFIED_MS);
        Properties properties = new Properties();
        try (var in = Files.newInputStream(directory.resolve("topic.properties"))) {
            properties.load(in);
        }
        return UnifiedLog.create(dir, new LogConfig(properties), 0, recoveryPoint, new NoScheduler(), new BrokerTopicStats(), time,
            3_600_000, new ProducerStateManagerConfig(Integer.MAX_VALUE, false), 600_000, new LogDirFailureChannel(10), wasClosed,
            Optional.empty());
    }

    /** Calls a static method of the cleaner's manager that only its package may call. */
    static Object call(String name, Object... arguments) throws Exception {
        for (Method method : LogCleanerManager.class.getDeclaredMethods())
            if (method.getName().equals(name)) {
                method.setAccessible(true);
                return method.invoke(null, arguments);
            }
        throw new NoSuchMethodException(name);
    }

    static long component(Object record, String name) throws Exception {
        Method method = record.getClass().getDeclaredMethod(name);
        method.setAccessible(true);
        return (Long) method.invoke(record);
    }

    static void copy(Path from, Path to) throws IOException {
        Files.createDirectory(to);
        for (File file : from.toFile().listFiles())
            if (!file.getName().endsWith(".deleted")) Files.copy(file.toPath(), to.resolve(file.getName()));
    }

    /** A clock that stands still. */
    record FixedTime(long now) implements Time {
        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1_000_000; }
        public void sleep(long ms) { }
        public void waitObject(Object object, Supplier<Boolean> condition, long deadline) { }
    }

    /** Nothing happens later. */
    static class NoScheduler implements Scheduler {
        public void startup() { }
        public void shutdown() { }
        public ScheduledFuture<?> schedule(String name, Runnable task, long delayMs, long periodMs) {
            Class<?>[] future = { ScheduledFuture.class };
            return (ScheduledFuture<?>) Proxy.newProxyInstance(CleanerPeer.class.getClassLoader(), future,
                (self, method, arguments) -> method.getReturnType() == boolean.class ? Boolean.FALSE : null);
        }
        public void resizeThreadPool(int threads) { }
    }
}
