import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** Apache Kafka's Java client against a broker: java Clients BOOTSTRAP SCENARIO */
public class Clients {
    static final Duration WAIT = Duration.ofSeconds(20);
    static String bootstrap;

    interface Scenario {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        Map<String, Scenario> scenarios = Map.of(
            "idempotent_producer", Clients::idempotentProducer,
            "compressions", Clients::compressions,
            "groups_of_each_assignor", Clients::groupsOfEachAssignor,
            "static_membership", Clients::staticMembership,
            "commit_metadata_and_resume", Clients::commitMetadataAndResume,
            "seek_and_times", Clients::seekAndTimes,
            "max_bytes_and_pause", Clients::maxBytesAndPause,
            "topic_administration", Clients::topicAdministration,
            "config_administration", Clients::configAdministration,
            "group_administration", Clients::groupAdministration);
        Map<String, Scenario> more = Map.of(
            "delete_records", Clients::deleteRecords,
            "cluster_description", Clients::clusterDescription,
            "refusals", Clients::refusals);
        Scenario scenario = scenarios.getOrDefault(arguments[1], more.get(arguments[1]));
        scenario.run();
        System.out.println("passed " + arguments[1]);
        System.exit(0);
    }

    // What the scenarios share.

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(String.valueOf(what));
    }

    static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + ", found " + found);
    }

    static void until(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + WAIT.toNanos();
        while (!condition.getAsBoolean()) check(System.nanoTime() < end, "not in time: " + what);
    }

    static Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    static void create(String name, int partitions) throws Exception {
        create(name, partitions, Map.of());
    }

    static void create(String name, int partitions, Map<String, String> configs) throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get();
        }
    }

    static Producer<String, String> producer(Map<String, Object> options) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"));
        settings.putAll(options);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, Map<String, Object> options) {
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "enable.auto.commit", false,
            "heartbeat.interval.ms", 200));
        if (group != null) settings.put("group.id", group);
        settings.putAll(options);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static void fill(String topic, int partitions, int count) {
        try (Producer<String, String> producer = producer(Map.of())) {
            for (int n = 0; n < count; n++)
                producer.send(new ProducerRecord<>(topic, n % partitions, 1_700_000_000_000L + n * 1000L, "k" + n, "v" + n));
        }
    }

    static List<ConsumerRecord<String, String>> read(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        until(count + " records", () -> {
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            return records.size() >= count;
        });
        same(count, records.size());
        return records;
    }

    static <E extends Throwable> void refused(Class<E> expected, KafkaFuture<?> future) throws Exception {
        try {
            future.get();
        } catch (ExecutionException error) {
            check(expected.isInstance(error.getCause()), error.getCause());
            return;
        }
        throw new AssertionError("not refused: " + expected.getSimpleName());
    }

    // The scenarios.

    static void idempotentProducer() throws Exception {
        create("jv-idempotent", 1);
        try (Producer<String, String> producer = producer(Map.of("enable.idempotence", true, "batch.size", 500, "linger.ms", 0))) {
            List<java.util.concurrent.Future<RecordMetadata>> sent = new ArrayList<>();
            for (int n = 0; n < 2000; n++)
                sent.add(producer.send(new ProducerRecord<>("jv-idempotent", null, "k" + n, "v" + n,
                    List.of(new RecordHeader("n", String.valueOf(n).getBytes())))));
            for (int n = 0; n < 2000; n++) same((long) n, sent.get(n).get().offset());
        }
        try (KafkaConsumer<String, String> consumer = consumer("jv-idempotent-g", Map.of())) {
            consumer.subscribe(List.of("jv-idempotent"));
            for (ConsumerRecord<String, String> record : read(consumer, 2000)) {
                same("v" + record.offset(), record.value());
                same("k" + record.offset(), record.key());
                same(String.valueOf(record.offset()), new String(record.headers().lastHeader("n").value()));
            }
        }
    }

    static void compressions() throws Exception {
        for (String type : List.of("gzip", "snappy", "lz4", "zstd")) {
            for (String onBroker : List.of("producer", "gzip", "zstd")) {
                String topic = "jv-" + type + "-" + onBroker;
                create(topic, 1, Map.of("compression.type", onBroker));
                try (Producer<String, String> producer = producer(Map.of("compression.type", type, "linger.ms", 50))) {
                    for (int n = 0; n < 200; n++) producer.send(new ProducerRecord<>(topic, "a value that repeats itself ".repeat(5) + n));
                }
                try (KafkaConsumer<String, String> consumer = consumer(null, Map.of())) {
                    consumer.assign(List.of(new TopicPartition(topic, 0)));
                    for (ConsumerRecord<String, String> record : read(consumer, 200))
                        same("a value that repeats itself ".repeat(5) + record.offset(), record.value());
                }
            }
        }
    }

    static void groupsOfEachAssignor() throws Exception {
        for (Class<?> assignor : List.of(RangeAssignor.class, RoundRobinAssignor.class, StickyAssignor.class, CooperativeStickyAssignor.class)) {
            String topic = "jv-group-" + assignor.getSimpleName();
            create(topic, 4);
            Map<String, Object> options = Map.of("partition.assignment.strategy", assignor.getName());
            try (KafkaConsumer<String, String> first = consumer(topic + "-g", options)) {
                first.subscribe(List.of(topic));
                until("all for the first", () -> {
                    first.poll(Duration.ofMillis(50));
                    return first.assignment().size() == 4;
                });
                KafkaConsumer<String, String> second = consumer(topic + "-g", options);
                second.subscribe(List.of(topic));
                until("two each", () -> {
                    first.poll(Duration.ofMillis(50));
                    second.poll(Duration.ofMillis(50));
                    return first.assignment().size() == 2 && second.assignment().size() == 2;
                });
                check(Collections.disjoint(first.assignment(), second.assignment()), "shared partitions");
                second.close();
                until("all for the first again", () -> {
                    first.poll(Duration.ofMillis(50));
                    return first.assignment().size() == 4;
                });
                fill(topic, 4, 40);
                read(first, 40);
                first.commitSync();
            }
        }
    }

    static void staticMembership() throws Exception {
        create("jv-static", 2);
        Map<String, Object> options = Map.of("group.instance.id", "one");
        KafkaConsumer<String, String> first = consumer("jv-static-g", options);
        first.subscribe(List.of("jv-static"));
        until("assigned", () -> {
            first.poll(Duration.ofMillis(50));
            return first.assignment().size() == 2;
        });
        int generation = first.groupMetadata().generationId();
        first.close();
        // A static member that comes back within its session gets its partitions without a rebalance.
        try (KafkaConsumer<String, String> again = consumer("jv-static-g", options)) {
            again.subscribe(List.of("jv-static"));
            until("assigned again", () -> {
                again.poll(Duration.ofMillis(50));
                return again.assignment().size() == 2;
            });
            same(generation, again.groupMetadata().generationId());
            try (Admin admin = admin()) {
                MemberDescription member = admin.describeConsumerGroups(List.of("jv-static-g")).all().get().get("jv-static-g").members().iterator().next();
                same(Optional.of("one"), member.groupInstanceId());
            }
        }
        try (Admin admin = admin()) {
            admin.removeMembersFromConsumerGroup("jv-static-g", new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("one")))).all().get();
            same(GroupState.EMPTY, admin.describeConsumerGroups(List.of("jv-static-g")).all().get().get("jv-static-g").groupState());
        }
    }

    static void commitMetadataAndResume() throws Exception {
        create("jv-commit", 1);
        fill("jv-commit", 1, 10);
        TopicPartition partition = new TopicPartition("jv-commit", 0);
        try (KafkaConsumer<String, String> consumer = consumer("jv-commit-g", Map.of())) {
            consumer.subscribe(List.of("jv-commit"));
            read(consumer, 10);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(4, Optional.of(0), "a note")));
        }
        try (KafkaConsumer<String, String> consumer = consumer("jv-commit-g", Map.of())) {
            OffsetAndMetadata found = consumer.committed(Set.of(partition)).get(partition);
            same(4L, found.offset());
            same("a note", found.metadata());
            same(Optional.of(0), found.leaderEpoch());
            consumer.subscribe(List.of("jv-commit"));
            same(4L, read(consumer, 6).get(0).offset());
        }
    }

    static void seekAndTimes() throws Exception {
        create("jv-seek", 1);
        fill("jv-seek", 1, 10);
        TopicPartition partition = new TopicPartition("jv-seek", 0);
        try (KafkaConsumer<String, String> consumer = consumer(null, Map.of())) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 7);
            same(List.of("v7", "v8", "v9"), read(consumer, 3).stream().map(ConsumerRecord::value).collect(Collectors.toList()));
            consumer.seekToBeginning(List.of(partition));
            same(0L, read(consumer, 10).get(0).offset());
            same(Map.of(partition, 0L), consumer.beginningOffsets(List.of(partition)));
            same(Map.of(partition, 10L), consumer.endOffsets(List.of(partition)));
            same(4L, consumer.offsetsForTimes(Map.of(partition, 1_700_000_004_000L)).get(partition).offset());
            same(5L, consumer.offsetsForTimes(Map.of(partition, 1_700_000_004_001L)).get(partition).offset());
            same(null, consumer.offsetsForTimes(Map.of(partition, 1_800_000_000_000L)).get(partition));
        }
        try (Admin admin = admin()) {
            var byMaximum = admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all().get().get(partition);
            same(9L, byMaximum.offset());
            same(1_700_000_009_000L, byMaximum.timestamp());
        }
        // An offset that is not there resets as told.
        try (KafkaConsumer<String, String> consumer = consumer(null, Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 1000);
            try {
                until("an exception", () -> !consumer.poll(Duration.ofMillis(200)).isEmpty());
                throw new AssertionError("read past the end");
            } catch (org.apache.kafka.clients.consumer.OffsetOutOfRangeException expected) {
                same(Set.of(partition), expected.partitions());
            }
        }
    }

    static void maxBytesAndPause() throws Exception {
        create("jv-bytes", 2);
        try (Producer<String, String> producer = producer(Map.of("batch.size", 0))) {
            for (int n = 0; n < 20; n++) producer.send(new ProducerRecord<>("jv-bytes", n % 2, null, "x".repeat(10_000) + n));
        }
        Map<String, Object> small = Map.of("fetch.max.bytes", 1000, "max.partition.fetch.bytes", 1000, "max.poll.records", 3);
        try (KafkaConsumer<String, String> consumer = consumer(null, small)) {
            List<TopicPartition> both = IntStream.range(0, 2).mapToObj(n -> new TopicPartition("jv-bytes", n)).collect(Collectors.toList());
            consumer.assign(both);
            consumer.pause(List.of(both.get(1)));
            check(read(consumer, 10).stream().allMatch(record -> record.partition() == 0), "a paused partition was read");
            consumer.resume(List.of(both.get(1)));
            read(consumer, 10);
        }
    }

    static void topicAdministration() throws Exception {
        try (Admin admin = admin()) {
            CreateTopicsResult created = admin.createTopics(List.of(
                new NewTopic("jv-admin", Optional.of(2), Optional.empty()).configs(Map.of("retention.ms", "3600000")),
                new NewTopic("jv-assigned", Map.of(0, List.of(1), 1, List.of(1)))));
            created.all().get();
            same(2, created.numPartitions("jv-admin").get());
            same(1, created.replicationFactor("jv-admin").get());
            same("3600000", created.config("jv-admin").get().get("retention.ms").value());
            refused(TopicExistsException.class, admin.createTopics(List.of(new NewTopic("jv-admin", 2, (short) 1))).all());
            refused(InvalidReplicationFactorException.class, admin.createTopics(List.of(new NewTopic("jv-three", 2, (short) 3))).all());
            refused(InvalidTopicException.class, admin.createTopics(List.of(new NewTopic("no spaces", 2, (short) 1))).all());
            admin.createPartitions(Map.of("jv-admin", NewPartitions.increaseTo(3))).all().get();
            refused(InvalidPartitionsException.class, admin.createPartitions(Map.of("jv-admin", NewPartitions.increaseTo(2))).all());
            TopicDescription description = admin.describeTopics(List.of("jv-admin")).allTopicNames().get().get("jv-admin");
            same(3, description.partitions().size());
            same(created.topicId("jv-admin").get(), description.topicId());
            same(3, admin.describeTopics(TopicCollection.ofTopicIds(List.of(description.topicId()))).allTopicIds().get().get(description.topicId()).partitions().size());
            check(admin.listTopics().names().get().containsAll(Set.of("jv-admin", "jv-assigned")), "not listed");
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(description.topicId()))).all().get();
            admin.deleteTopics(List.of("jv-assigned")).all().get();
            refused(UnknownTopicOrPartitionException.class, admin.describeTopics(List.of("jv-admin")).allTopicNames());
        }
    }

    static void configAdministration() throws Exception {
        create("jv-config", 1);
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "jv-config");
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        try (Admin admin = admin()) {
            Config before = admin.describeConfigs(List.of(topic), new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).all().get().get(topic);
            same(ConfigEntry.ConfigSource.DEFAULT_CONFIG, before.get("retention.ms").source());
            same(ConfigEntry.ConfigType.LONG, before.get("retention.ms").type());
            check(!before.get("max.message.bytes").synonyms().isEmpty(), "no synonyms");
            admin.incrementalAlterConfigs(Map.of(topic, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
            Config after = admin.describeConfigs(List.of(topic)).all().get().get(topic);
            same("60000", after.get("retention.ms").value());
            same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, after.get("retention.ms").source());
            same("delete,compact", after.get("cleanup.policy").value());
            admin.incrementalAlterConfigs(Map.of(topic, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE)))).all().get();
            same("604800000", admin.describeConfigs(List.of(topic)).all().get().get(topic).get("retention.ms").value());
            refused(InvalidConfigurationException.class, admin.incrementalAlterConfigs(Map.of(topic, List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET)))).all());
            refused(InvalidConfigurationException.class, admin.incrementalAlterConfigs(Map.of(topic, List.of(
                new AlterConfigOp(new ConfigEntry("no.such.key", "1"), AlterConfigOp.OpType.SET)))).all());
            same("1", admin.describeConfigs(List.of(broker)).all().get().get(broker).get("node.id").value());
        }
    }

    static void groupAdministration() throws Exception {
        create("jv-gadmin", 2);
        fill("jv-gadmin", 2, 10);
        TopicPartition partition = new TopicPartition("jv-gadmin", 0);
        try (Admin admin = admin()) {
            try (KafkaConsumer<String, String> consumer = consumer("jv-gadmin-g", Map.of("client.id", "jv-gadmin-c"))) {
                consumer.subscribe(List.of("jv-gadmin"));
                read(consumer, 10);
                consumer.commitSync();
                ConsumerGroupDescription group = admin.describeConsumerGroups(List.of("jv-gadmin-g")).all().get().get("jv-gadmin-g");
                same(GroupState.STABLE, group.groupState());
                same("range", group.partitionAssignor());
                same("jv-gadmin-c", group.members().iterator().next().clientId());
                same(2, group.members().iterator().next().assignment().topicPartitions().size());
                refused(GroupNotEmptyException.class, admin.deleteConsumerGroups(List.of("jv-gadmin-g")).all());
                refused(GroupSubscribedToTopicException.class, admin.deleteConsumerGroupOffsets("jv-gadmin-g", Set.of(partition)).all());
            }
            check(admin.listGroups().all().get().stream().anyMatch(group -> group.groupId().equals("jv-gadmin-g")), "not listed");
            same(5L, admin.listConsumerGroupOffsets("jv-gadmin-g").partitionsToOffsetAndMetadata().get().get(partition).offset());
            admin.alterConsumerGroupOffsets("jv-gadmin-g", Map.of(partition, new OffsetAndMetadata(1))).all().get();
            same(1L, admin.listConsumerGroupOffsets("jv-gadmin-g").partitionsToOffsetAndMetadata().get().get(partition).offset());
            admin.deleteConsumerGroupOffsets("jv-gadmin-g", Set.of(partition)).all().get();
            same(null, admin.listConsumerGroupOffsets("jv-gadmin-g").partitionsToOffsetAndMetadata().get().get(partition));
            admin.deleteConsumerGroups(List.of("jv-gadmin-g")).all().get();
            refused(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of("jv-gadmin-g")).all());
        }
    }

    static void deleteRecords() throws Exception {
        create("jv-delete", 1);
        fill("jv-delete", 1, 10);
        TopicPartition partition = new TopicPartition("jv-delete", 0);
        try (Admin admin = admin(); KafkaConsumer<String, String> consumer = consumer(null, Map.of())) {
            var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4)));
            same(4L, deleted.lowWatermarks().get(partition).get().lowWatermark());
            same(Map.of(partition, 4L), consumer.beginningOffsets(List.of(partition)));
            consumer.assign(List.of(partition));
            same(4L, read(consumer, 6).get(0).offset());
            refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100))).all());
            deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1)));
            same(10L, deleted.lowWatermarks().get(partition).get().lowWatermark());
        }
    }

    static void clusterDescription() throws Exception {
        try (Admin admin = admin()) {
            DescribeClusterResult cluster = admin.describeCluster();
            same(List.of(1), cluster.nodes().get().stream().map(Node::id).collect(Collectors.toList()));
            same(1, cluster.controller().get().id());
            check(!cluster.clusterId().get().isEmpty(), "no cluster id");
            QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
            same(1, quorum.leaderId());
            same(1, quorum.voters().size());
            FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
            check(features.finalizedFeatures().containsKey("metadata.version"), features);
        }
    }

    static void refusals() throws Exception {
        create("jv-refusals", 1, Map.of("max.message.bytes", "1000"));
        create("jv-compact", 1, Map.of("cleanup.policy", "compact"));
        try (Producer<String, String> producer = producer(Map.of())) {
            refusedSend(RecordTooLargeException.class, producer, new ProducerRecord<>("jv-refusals", "x".repeat(2000)));
            refusedSend(InvalidRecordException.class, producer, new ProducerRecord<>("jv-compact", "no key"));
            producer.send(new ProducerRecord<>("jv-compact", "key", "value")).get();
        }
    }

    static void refusedSend(Class<?> expected, Producer<String, String> producer, ProducerRecord<String, String> record) throws Exception {
        try {
            producer.send(record).get();
        } catch (ExecutionException error) {
            check(expected.isInstance(error.getCause()), error.getCause());
            return;
        }
        throw new AssertionError("not refused: " + expected.getSimpleName());
    }
}
