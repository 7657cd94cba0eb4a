import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.examples.wordcount.WordCountDemo;

/**
 * Kafka Streams' own demo, as its class comes: java WordCount BOOTSTRAP STATE_DIR COUNT_BEFORE
 *
 * What is sent is counted on top of what an earlier life of the program has counted, whose state is in the changelog only.
 */
public class WordCount {
    static final Duration WAIT = Duration.ofSeconds(60);
    static final String INPUT = "streams-plaintext-input", OUTPUT = "streams-wordcount-output";
    static final String STORE = "streams-wordcount-KSTREAM-AGGREGATE-STATE-STORE-0000000003-";
    static final int PARTITIONS = 3, LINES = 300;

    public static void main(String[] arguments) {
        int code = 1;
        try {
            run(arguments);
            code = 0;
        } catch (Throwable error) {
            error.printStackTrace();
        }
        // Whatever threads go on, the demo is closed by its hook.
        System.exit(code);
    }

    static void run(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        long before = Long.parseLong(arguments[2]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            create(admin, INPUT, PARTITIONS);
            create(admin, OUTPUT, 1);
            Path settings = Files.createTempFile("wordcount", ".properties");
            Files.writeString(settings, String.join("\n",
                "bootstrap.servers=" + bootstrap, "state.dir=" + arguments[1], "num.stream.threads=2",
                "commit.interval.ms=200", "repartition.purge.interval.ms=500", "metadata.max.age.ms=2000",
                // A Streams that ends does not leave its group: the next one waits for so long.
                "session.timeout.ms=6000", "heartbeat.interval.ms=1000"));
            Thread demo = new Thread(() -> {
                try {
                    WordCountDemo.main(new String[] {settings.toString()});
                } catch (Exception error) {
                    throw new AssertionError(error);
                }
            });
            demo.setDaemon(true);
            demo.start();

            Properties producing = new Properties();
            producing.put("bootstrap.servers", bootstrap);
            try (Producer<String, String> producer = new KafkaProducer<>(producing, new StringSerializer(), new StringSerializer())) {
                for (int n = 0; n < LINES; n++)
                    producer.send(new ProducerRecord<>(INPUT, n % PARTITIONS, null, "all streams lead to Kafka " + (n % 10)));
            }
            Map<String, Long> expected = new TreeMap<>();
            for (String word : "all streams lead to kafka".split(" ")) expected.put(word, before + LINES);
            for (int n = 0; n < 10; n++) expected.put("" + n, before / 10 + LINES / 10);
            counted(bootstrap, expected);

            // The internal topics are as Streams asks for them.
            same(Map.of("cleanup.policy", "compact"), configs(admin, STORE + "changelog", "cleanup.policy"));
            same(Map.of("cleanup.policy", "delete", "retention.ms", "-1"), configs(admin, STORE + "repartition", "cleanup.policy", "retention.ms"));
            for (String topic : List.of(STORE + "changelog", STORE + "repartition"))
                same(PARTITIONS, admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            // Everything is committed, and what has been repartitioned is deleted.
            until("all offsets are committed", () -> {
                Map<TopicPartition, Long> ends = offsets(admin, OffsetSpec.latest(), INPUT, STORE + "repartition");
                Map<TopicPartition, Long> committed = new HashMap<>();
                admin.listConsumerGroupOffsets("streams-wordcount").partitionsToOffsetAndMetadata().get()
                    .forEach((partition, offset) -> committed.put(partition, offset.offset()));
                ends.values().removeIf(end -> end == 0);
                return committed.equals(ends);
            });
            until("repartitioned records are deleted", () -> offsets(admin, OffsetSpec.earliest(), STORE + "repartition")
                .equals(offsets(admin, OffsetSpec.latest(), STORE + "repartition")));
            ConsumerGroupDescription group = admin.describeConsumerGroups(List.of("streams-wordcount")).all().get().get("streams-wordcount");
            same(2, group.members().size());
            same("stream", group.partitionAssignor());
        }
    }

    /** The last count of each word. */
    static void counted(String bootstrap, Map<String, Long> expected) throws Exception {
        Map<String, Object> consuming = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest");
        try (Consumer<String, Long> consumer = new KafkaConsumer<>(consuming, new StringDeserializer(), new LongDeserializer())) {
            consumer.assign(List.of(new TopicPartition(OUTPUT, 0)));
            Map<String, Long> counts = new TreeMap<>();
            until("counts " + expected, () -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> counts.put(record.key(), record.value()));
                return counts.equals(expected);
            }, counts);
        }
    }

    static void create(Admin admin, String topic, int partitions) throws Exception {
        try {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        } catch (ExecutionException error) {
            check(error.getCause() instanceof TopicExistsException, error);
        }
    }

    static Map<String, String> configs(Admin admin, String topic, String... keys) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        return Arrays.stream(keys).collect(Collectors.toMap(key -> key, key -> config.get(key).value()));
    }

    static Map<TopicPartition, Long> offsets(Admin admin, OffsetSpec spec, String... topics) throws Exception {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (String topic : topics)
            for (int partition = 0; partition < PARTITIONS; partition++) asked.put(new TopicPartition(topic, partition), spec);
        Map<TopicPartition, Long> offsets = new HashMap<>();
        admin.listOffsets(asked).all().get().forEach((partition, found) -> offsets.put(partition, found.offset()));
        return offsets;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void until(String what, Condition condition, Object... seen) throws Exception {
        long end = System.nanoTime() + WAIT.toNanos();
        while (!condition.holds()) {
            check(System.nanoTime() < end, "not in time: " + what + "; seen: " + Arrays.toString(seen));
            Thread.sleep(20);
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(String.valueOf(what));
    }

    static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + ", found " + found);
    }
}
