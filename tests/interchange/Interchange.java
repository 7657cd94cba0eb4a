import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;

/**
 * What a broker keeps, written and told: java Interchange BOOTSTRAP write | secure | append | tell | tell-security.
 *
 * What is told is one line for each thing, in an order of its own, so that two tellings can be compared.
 */
public class Interchange {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final Map<String, String> KEPT = Map.of("retention.ms", "-1");
    static String bootstrap;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        switch (arguments[1]) {
            case "write" -> write();
            case "secure" -> secure();
            case "append" -> append();
            case "tell" -> tell();
            case "tell-security" -> tellSecurity();
            default -> throw new IllegalArgumentException(arguments[1]);
        }
        // A transaction may be open, and stays open.
        Runtime.getRuntime().halt(0);
    }

    static Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    static Map<String, String> and(String... more) {
        Map<String, String> configs = new HashMap<>(KEPT);
        for (int i = 0; i < more.length; i += 2) configs.put(more[i], more[i + 1]);
        return configs;
    }

    static Producer<byte[], byte[]> producer(Map<String, Object> options) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"));
        settings.putAll(options);
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, String key, String value, Header... headers) {
        return new ProducerRecord<>(topic, partition, null, bytes(key), bytes(value), List.of(headers));
    }

    static void write() throws Exception {
        try (Admin admin = admin()) {
            List<NewTopic> topics = new ArrayList<>();
            for (String codec : CODECS) topics.add(new NewTopic("codec-" + codec, 2, (short) 1).configs(KEPT));
            topics.add(new NewTopic("segments", 1, (short) 1).configs(and("segment.bytes", "1048576")));
            topics.add(new NewTopic("compacted", 1, (short) 1).configs(and(
                "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")));
            topics.add(new NewTopic("transactional", 1, (short) 1).configs(KEPT));
            topics.add(new NewTopic("configured", 1, (short) 1).configs(KEPT));
            topics.add(new NewTopic("grown", 1, (short) 1).configs(KEPT));
            topics.add(new NewTopic("doomed", 1, (short) 1).configs(KEPT));
            admin.createTopics(topics).all().get();
            admin.createPartitions(Map.of("grown", NewPartitions.increaseTo(3))).all().get();
            admin.deleteTopics(List.of("doomed")).all().get();
            ConfigResource configured = new ConfigResource(ConfigResource.Type.TOPIC, "configured");
            ConfigResource brokers = new ConfigResource(ConfigResource.Type.BROKER, "");
            admin.incrementalAlterConfigs(Map.of(
                configured, List.of(
                    new AlterConfigOp(new ConfigEntry("max.message.bytes", "54321"), AlterConfigOp.OpType.SET),
                    new AlterConfigOp(new ConfigEntry("compression.type", "gzip"), AlterConfigOp.OpType.SET)),
                brokers, List.of(new AlterConfigOp(new ConfigEntry("log.retention.ms", "987654321"), AlterConfigOp.OpType.SET))
            )).all().get();
        }
        for (String codec : CODECS) {
            try (Producer<byte[], byte[]> producer = producer(Map.of("compression.type", codec, "linger.ms", 20))) {
                for (int i = 0; i < 200; i++) {
                    producer.send(record("codec-" + codec, i % 2, "k" + i, "v" + i, new RecordHeader("n", bytes("" + i)), new RecordHeader("none", null)));
                }
                producer.send(record("codec-" + codec, 0, null, null));
                producer.send(record("codec-" + codec, 1, "", ""));
            }
        }
        fill("segments", 4000);
        compact("first");
        transactions();
        commit("interchange-group", "codec-none", 17);
    }

    /** About a kilobyte each. */
    static void fill(String topic, int count) {
        String value = "x".repeat(1000);
        try (Producer<byte[], byte[]> producer = producer(Map.of("linger.ms", 5))) {
            for (int i = 0; i < count; i++) producer.send(record(topic, 0, "k" + i, i + value));
        }
    }

    /** Each key is overwritten many times, in several segments. */
    static void compact(String round) throws Exception {
        for (int pass = 0; pass < 4; pass++) {
            try (Producer<byte[], byte[]> producer = producer(Map.of())) {
                for (int key = 0; key < 20; key++) producer.send(record("compacted", 0, "key" + key, round + " " + pass));
                producer.send(record("compacted", 0, "gone" + pass, "soon"));
                producer.send(record("compacted", 0, "gone" + pass, null));
            }
            Thread.sleep(150);
        }
    }

    static void transactions() throws Exception {
        try (Producer<byte[], byte[]> producer = producer(Map.of("transactional.id", "ended"))) {
            producer.initTransactions();
            for (String end : List.of("committed", "aborted", "committed again")) {
                producer.beginTransaction();
                for (int i = 0; i < 3; i++) producer.send(record("transactional", 0, end, "" + i));
                producer.sendOffsetsToTransaction(
                    Map.of(new TopicPartition("codec-gzip", 0), new OffsetAndMetadata(end.length())),
                    new ConsumerGroupMetadata("transactional-group"));
                if (end.equals("aborted")) producer.abortTransaction(); else producer.commitTransaction();
            }
        }
        Producer<byte[], byte[]> open = producer(Map.of("transactional.id", "open", "transaction.timeout.ms", 900000));
        open.initTransactions();
        open.beginTransaction();
        open.send(record("transactional", 0, "open", "0")).get();
        open.flush();
    }

    static void commit(String group, String topic, long offset) throws Exception {
        try (Admin admin = admin()) {
            admin.alterConsumerGroupOffsets(group, Map.of(
                new TopicPartition(topic, 0), new OffsetAndMetadata(offset, "seen"),
                new TopicPartition(topic, 1), new OffsetAndMetadata(offset + 1))).all().get();
        }
    }

    static void secure() throws Exception {
        try (Admin admin = admin()) {
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                "alice", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), bytes("secret"), bytes("salt")))).all().get();
            admin.createAcls(List.of(new AclBinding(
                new ResourcePattern(ResourceType.TOPIC, "codec-", PatternType.PREFIXED),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW)))).all().get();
            admin.alterClientQuotas(List.of(new ClientQuotaAlteration(
                new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, "alice")),
                List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", 12345.0))))).all().get();
        }
    }

    static void append() throws Exception {
        for (String codec : CODECS) {
            try (Producer<byte[], byte[]> producer = producer(Map.of("compression.type", codec))) {
                for (int i = 0; i < 50; i++) producer.send(record("codec-" + codec, i % 2, "later" + i, "v" + i));
            }
        }
        fill("segments", 3000);
        compact("second");
        commit("interchange-group", "codec-none", 29);
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic("newcomer", 2, (short) 1).configs(KEPT))).all().get();
            admin.createPartitions(Map.of("grown", NewPartitions.increaseTo(4))).all().get();
            ConfigResource configured = new ConfigResource(ConfigResource.Type.TOPIC, "configured");
            admin.incrementalAlterConfigs(Map.of(configured, List.of(
                new AlterConfigOp(new ConfigEntry("max.message.bytes", ""), AlterConfigOp.OpType.DELETE),
                new AlterConfigOp(new ConfigEntry("min.insync.replicas", "1"), AlterConfigOp.OpType.SET)))).all().get();
        }
        fill("newcomer", 10);
    }

    static String text(byte[] bytes) {
        return bytes == null ? "null" : "'" + new String(bytes, StandardCharsets.UTF_8) + "'";
    }

    static void tell() throws Exception {
        try (Admin admin = admin()) {
            Map<String, TopicDescription> topics = new TreeMap<>(
                admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get());
            for (TopicDescription topic : topics.values()) {
                System.out.println("topic " + topic.name() + " " + topic.topicId() + " of " + topic.partitions().size());
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic.name());
                tellConfigs(admin, resource, ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
                for (String isolation : List.of("read_uncommitted", "read_committed")) {
                    // What is compacted away is told by the keys that are left.
                    for (TopicPartitionInfo partition : topic.partitions()) {
                        tellRecords(new TopicPartition(topic.name(), partition.partition()), isolation);
                    }
                }
            }
            tellConfigs(admin, new ConfigResource(ConfigResource.Type.BROKER, ""), ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG);
            for (String group : admin.listGroups().all().get().stream().map(GroupListing::groupId).sorted().toList()) {
                Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
                offsets.entrySet().stream().map(entry -> "group " + group + " " + entry.getKey() + " at " + entry.getValue().offset()
                    + " '" + entry.getValue().metadata() + "'").sorted().forEach(System.out::println);
            }
        }
    }

    static void tellConfigs(Admin admin, ConfigResource resource, ConfigEntry.ConfigSource source) throws Exception {
        admin.describeConfigs(List.of(resource)).all().get().get(resource).entries().stream()
            .filter(entry -> entry.source() == source)
            .map(entry -> "config " + resource.name() + " " + entry.name() + "=" + entry.value())
            .sorted().forEach(System.out::println);
    }

    /** `__consumer_offsets` and other internal topics are told by what they mean. */
    static void tellRecords(TopicPartition partition, String isolation) {
        if (partition.topic().startsWith("__")) return;
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation,
            "enable.auto.commit", "false", "auto.offset.reset", "earliest");
        try (Consumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            boolean compacted = partition.topic().equals("compacted");
            System.out.println("partition " + partition + " " + isolation + " to " + end);
            Map<String, String> last = new TreeMap<>();
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    String headers = Arrays.stream(record.headers().toArray())
                        .map(header -> header.key() + "=" + text(header.value())).collect(Collectors.joining(","));
                    String value = record.value() != null && record.value().length > 100 ? "#" + Arrays.hashCode(record.value()) : text(record.value());
                    String line = text(record.key()) + " " + value + " " + record.timestampType() + " " + record.timestamp() + " [" + headers + "]";
                    if (compacted) last.put(text(record.key()), line);
                    else System.out.println("record " + partition + " @" + record.offset() + " epoch " + record.leaderEpoch().orElse(-1) + " " + line);
                }
            }
            last.values().stream().filter(line -> !line.contains("'gone")).forEach(line -> System.out.println("last " + partition + " " + line));
        }
    }

    static void tellSecurity() throws Exception {
        try (Admin admin = admin()) {
            admin.describeUserScramCredentials().all().get().values().forEach(System.out::println);
            admin.describeAcls(AclBindingFilter.ANY).values().get().forEach(System.out::println);
            admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().forEach((entity, quota) -> System.out.println(entity + " " + quota));
        }
    }
}
