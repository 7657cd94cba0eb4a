package org.apache.kafka.controller;

import java.io.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.function.Supplier;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.controller.metrics.QuorumControllerMetrics;
import org.apache.kafka.metadata.*;
import org.apache.kafka.server.common.*;
import org.apache.kafka.timeline.SnapshotRegistry;

/**
 * Apache Kafka's managers of brokers and replicas, put together as its controller does and driven line by line from standard input:
 *
 *   write OFFSET RECORD,...        replays records that were written from that offset on
 *   ask MS OFFSET API VERSION BODY decides about a request at that time; its first record will have that offset
 *   tick MS OFFSET                 ends one session that is over
 *   activate MS                    another controller takes over at that time
 *   balance MS OFFSET, unclean MS OFFSET
 *
 * Everything but "new", "write" and "activate" is answered with a line: the records in hexadecimal, comma-separated, a space, and the response or "error N".
 * What was decided is replayed. Once its controller would have failed, all that follows is answered with " failed"; "new" begins again.
 */
public class ControllerPeer {
    private static final HexFormat HEX = HexFormat.of();
    private static final int SESSION_TIMEOUT_MS = 9000;
    private long nowMs = 0;
    private boolean hasFailed = false;
    private final SnapshotRegistry snapshots = new SnapshotRegistry(new LogContext());
    private final FeatureControlManager features;
    private final ConfigurationControlManager configs;
    private final ClusterControlManager cluster;
    private final ReplicationControlManager replication;
    private final ProducerIdControlManager producerIds;

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        ControllerPeer peer = null;
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            if (words[0].equals("new")) peer = new ControllerPeer();
            else if (words[0].equals("activate")) peer.activate(Long.parseLong(words[1]));
            else if (peer.hasFailed) out.append(words[0].equals("write") ? "" : " failed\n");
            else if (words[0].equals("write")) peer.write(Long.parseLong(words[1]), words[2]);
            else out.append(peer.decide(words)).append('\n');
        }
        System.out.print(out);
    }

    private ControllerPeer() {
        Time time = new Time() {
            public long milliseconds() { return nowMs; }
            public long nanoseconds() { return nowMs * 1_000_000; }
            public void sleep(long ms) { throw new UnsupportedOperationException(); }
            public void waitObject(Object object, Supplier<Boolean> until, long deadlineMs) {
                throw new UnsupportedOperationException();
            }
        };
        Map<String, VersionRange> supported = QuorumFeatures.defaultSupportedFeatureMap(true);
        features = new FeatureControlManager.Builder()
            .setSnapshotRegistry(snapshots)
            .setQuorumFeatures(new QuorumFeatures(0, supported, List.of(0)))
            .build();
        configs = new ConfigurationControlManager.Builder()
            .setSnapshotRegistry(snapshots)
            .setFeatureControl(features)
            .setKafkaConfigSchema(kafka.server.KafkaRaftServer.configSchema())
            .setSupportedConfigChecker(SupportedConfigChecker.TRUE)
            .build();
        cluster = new ClusterControlManager.Builder()
            .setClusterId("house")
            .setTime(time)
            .setSnapshotRegistry(snapshots)
            .setSessionTimeoutNs(SESSION_TIMEOUT_MS * 1_000_000L)
            .setFeatureControlManager(features)
            .setBrokerShutdownHandler(this::handleBrokerShutdown)
            .setMetrics(new QuorumControllerMetrics(Optional.empty(), time, SESSION_TIMEOUT_MS))
            .build();
        replication = new ReplicationControlManager.Builder()
            .setSnapshotRegistry(snapshots)
            .setConfigurationControl(configs)
            .setClusterControl(cluster)
            .setFeatureControl(features)
            .build();
        producerIds = new ProducerIdControlManager.Builder()
            .setSnapshotRegistry(snapshots)
            .setClusterControlManager(cluster)
            .build();
        cluster.activate();
    }

    private void activate(long atMs) {
        nowMs = atMs;
        cluster.deactivate();
        cluster.activate();
    }

    private void handleBrokerShutdown(int broker, boolean isClean, List<ApiMessageAndVersion> records) {
        replication.handleBrokerShutdown(broker, isClean, records);
    }

    private void write(long offset, String records) {
        for (String record : records.split(",")) {
            ByteBuffer bytes = ByteBuffer.wrap(HEX.parseHex(record));
            replay(MetadataRecordSerde.INSTANCE.read(new ByteBufferAccessor(bytes), bytes.remaining()).message(), offset++);
        }
    }

    private String decide(String[] words) {
        nowMs = Long.parseLong(words[1]);
        long offset = Long.parseLong(words[2]);
        ControllerResult<?> result;
        try {
            result = switch (words[0]) {
                case "tick" -> replication.maybeFenceOneStaleBroker();
                case "balance" -> replication.maybeBalancePartitionLeaders();
                case "unclean" -> replication.maybeElectUncleanLeaders();
                default -> ask(offset, Short.parseShort(words[3]), Short.parseShort(words[4]), words[5]);
            };
        } catch (ApiException e) {
            return " error " + Errors.forException(e).code();
        } catch (IllegalArgumentException e) {
            // Its controller would resign here: it asks for the directory of a last known leader that is no replica any more.
            if (!e.getMessage().contains("is not assigned to this partition")) throw e;
            hasFailed = true;
            return " failed";
        }
        // The same failure, caught for one partition.
        hasFailed = result.response() instanceof AlterPartitionReassignmentsResponseData answer
            && answer.responses().stream().flatMap(topic -> topic.partitions().stream())
                .anyMatch(partition -> partition.errorCode() == Errors.UNKNOWN_SERVER_ERROR.code());
        if (hasFailed) return " failed";
        StringJoiner records = new StringJoiner(",");
        for (ApiMessageAndVersion record : result.records()) {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer bytes = ByteBuffer.allocate(MetadataRecordSerde.INSTANCE.recordSize(record, cache));
            MetadataRecordSerde.INSTANCE.write(record, cache, new ByteBufferAccessor(bytes));
            records.add(HEX.formatHex(bytes.array()));
            replay(record.message(), offset++);
        }
        String response = result.response() instanceof ApiMessage answer ? hex(answer, Short.parseShort(words[4])) : "";
        return records + " " + response;
    }

    private ControllerResult<?> ask(long offset, short api, short version, String hex) {
        ByteBufferAccessor body = new ByteBufferAccessor(ByteBuffer.wrap(HEX.parseHex(hex)));
        switch (ApiKeys.forId(api)) {
            case BROKER_REGISTRATION: {
                Map<String, Short> finalized = new HashMap<>(features.finalizedFeatures(Long.MAX_VALUE).featureMap());
                finalized.put("kraft.version", (short) 1);
                ControllerResult<BrokerRegistrationReply> result = cluster.registerBroker(
                    new BrokerRegistrationRequestData(body, version), offset,
                    new FinalizedControllerFeatures(finalized, Long.MAX_VALUE), version >= 3);
                return ControllerResult.of(result.records(),
                    new BrokerRegistrationResponseData().setBrokerEpoch(result.response().epoch()));
            }
            case BROKER_HEARTBEAT: return heartbeat(offset, new BrokerHeartbeatRequestData(body, version));
            case ALTER_PARTITION: return replication.alterPartition(
                context(api, version), new AlterPartitionRequestData(body, version));
            case ELECT_LEADERS: return replication.electLeaders(new ElectLeadersRequestData(body, version));
            case ALTER_PARTITION_REASSIGNMENTS: return replication.alterPartitionReassignments(
                new AlterPartitionReassignmentsRequestData(body, version));
            case LIST_PARTITION_REASSIGNMENTS: return ControllerResult.of(List.of(), replication.listPartitionReassignments(
                new ListPartitionReassignmentsRequestData(body, version).topics(), Long.MAX_VALUE));
            case UNREGISTER_BROKER: {
                var result = replication.unregisterBroker(new UnregisterBrokerRequestData(body, version).brokerId());
                return ControllerResult.of(result.records(), new UnregisterBrokerResponseData().setErrorMessage(null));
            }
            case ALLOCATE_PRODUCER_IDS: {
                AllocateProducerIdsRequestData request = new AllocateProducerIdsRequestData(body, version);
                var result = producerIds.generateNextProducerId(request.brokerId(), request.brokerEpoch());
                return ControllerResult.of(result.records(), new AllocateProducerIdsResponseData()
                    .setProducerIdStart(result.response().firstProducerId()).setProducerIdLen(result.response().size()));
            }
            case ASSIGN_REPLICAS_TO_DIRS: return replication.handleAssignReplicasToDirs(
                new AssignReplicasToDirsRequestData(body, version));
            default: throw new IllegalArgumentException("API " + api);
        }
    }

    /** What the controller's own event does around the manager's decision. */
    private ControllerResult<?> heartbeat(long offset, BrokerHeartbeatRequestData request) {
        int broker = request.brokerId();
        cluster.trackBrokerHeartbeat(broker, request.brokerEpoch());
        OptionalLong registered = cluster.registerBrokerRecordOffset(broker);
        if (registered.isEmpty()) throw Errors.STALE_BROKER_EPOCH.exception();
        var result = replication.processBrokerHeartbeat(request, registered.getAsLong());
        BrokerHeartbeatReply reply = result.response();
        // Our one difference: a life that was told to stop is over, and the next need not wait for the end of its session.
        if (reply.shouldShutDown()) sessions().remove(new BrokerIdAndEpoch(broker, request.brokerEpoch()));
        if (reply.inControlledShutdown()) {
            cluster.heartbeatManager().maybeUpdateControlledShutdownOffset(broker, offset + result.records().size() - 1);
        }
        return ControllerResult.of(result.records(), new BrokerHeartbeatResponseData()
            .setIsCaughtUp(reply.isCaughtUp()).setIsFenced(reply.isFenced()).setShouldShutDown(reply.shouldShutDown()));
    }

    private Map<?, ?> sessions() {
        try {
            var field = BrokerHeartbeatTracker.class.getDeclaredField("contactTimes");
            field.setAccessible(true);
            return (Map<?, ?>) field.get(cluster.heartbeatManager().tracker());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ControllerRequestContext context(short api, short version) {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api).setRequestApiVersion(version);
        return new ControllerRequestContext(header, KafkaPrincipal.ANONYMOUS, OptionalLong.empty());
    }

    private static String hex(ApiMessage message, short version) {
        ByteBufferAccessor bytes = MessageUtil.toByteBufferAccessor(message, version);
        byte[] array = new byte[bytes.buffer().remaining()];
        bytes.buffer().get(array);
        return HEX.formatHex(array);
    }

    private void replay(ApiMessage message, long offset) {
        switch (MetadataRecordType.fromId(message.apiKey())) {
            case REGISTER_BROKER_RECORD -> cluster.replay((RegisterBrokerRecord) message, offset);
            case UNREGISTER_BROKER_RECORD -> cluster.replay((UnregisterBrokerRecord) message);
            case BROKER_REGISTRATION_CHANGE_RECORD -> cluster.replay((BrokerRegistrationChangeRecord) message);
            case TOPIC_RECORD -> replication.replay((TopicRecord) message);
            case PARTITION_RECORD -> replication.replay((PartitionRecord) message);
            case PARTITION_CHANGE_RECORD -> replication.replay((PartitionChangeRecord) message);
            case CONFIG_RECORD -> configs.replay((ConfigRecord) message);
            case FEATURE_LEVEL_RECORD -> features.replay((FeatureLevelRecord) message);
            case PRODUCER_IDS_RECORD -> producerIds.replay((ProducerIdsRecord) message);
            default -> throw new IllegalArgumentException(message.toString());
        }
    }
}
