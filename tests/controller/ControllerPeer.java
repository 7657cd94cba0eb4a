package org.apache.kafka.controller;

import java.io.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.function.Supplier;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.*;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.scram.internals.ScramMechanism;
import org.apache.kafka.common.security.token.delegation.DelegationToken;
import org.apache.kafka.common.security.token.delegation.internals.DelegationTokenCache;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.controller.metrics.QuorumControllerMetrics;
import org.apache.kafka.metadata.*;
import org.apache.kafka.security.DelegationTokenManager;
import org.apache.kafka.server.common.*;
import org.apache.kafka.timeline.SnapshotRegistry;

/**
 * Apache Kafka's managers of brokers, replicas, quotas, credentials and delegation tokens, put together as its controller does and driven line by
 * line from standard input:
 *
 *   new [SECRET]                   begins, with the secret of delegation tokens
 *   write OFFSET RECORD,...        replays records that were written from that offset on
 *   ask MS OFFSET API VERSION BODY [PRINCIPAL [TOKEN]]
 *                                  decides about a request at that time; its first record will have that offset. Ids of tokens are
 *                                  drawn: a new one gets this one.
 *   tick MS OFFSET                 ends one session that is over
 *   activate MS                    another controller takes over at that time
 *   balance MS OFFSET, unclean MS OFFSET, sweep MS OFFSET
 *
 * Everything but "new", "write" and "activate" is answered with a line: the records in hexadecimal, comma-separated, a space, and the response or "error N".
 * What was decided is replayed. Once its controller would have failed, all that follows is answered with " failed"; until "new".
 */
public class ControllerPeer {
    private static final HexFormat HEX = HexFormat.of();
    private static final int SESSION_TIMEOUT_MS = 9000;
    private static final long TOKEN_LIFETIME_MS = 60_000;
    private static final long TOKEN_EXPIRY_MS = 20_000;
    private long nowMs = 0;
    private boolean hasFailed = false;
    private final SnapshotRegistry snapshots = new SnapshotRegistry(new LogContext());
    private final FeatureControlManager features;
    private final ConfigurationControlManager configs;
    private final ClusterControlManager cluster;
    private final ReplicationControlManager replication;
    private final ProducerIdControlManager producerIds;
    private final ClientQuotaControlManager quotas;
    private final ScramControlManager scram;
    private final DelegationTokenCache tokenCache = new DelegationTokenCache(ScramMechanism.mechanismNames());
    private final DelegationTokenControlManager tokens;
    private final String secret;

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        ControllerPeer peer = null;
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            if (words[0].equals("new")) peer = new ControllerPeer(words.length > 1 ? words[1] : null);
            else if (words[0].equals("activate")) peer.activate(Long.parseLong(words[1]));
            else if (peer.hasFailed) out.append(words[0].equals("write") ? "" : " failed\n");
            else if (words[0].equals("write")) peer.write(Long.parseLong(words[1]), words[2]);
            else out.append(peer.decide(words)).append('\n');
        }
        System.out.print(out);
    }

    private ControllerPeer(String secret) {
        this.secret = secret;
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
        quotas = new ClientQuotaControlManager.Builder().setSnapshotRegistry(snapshots).build();
        scram = new ScramControlManager.Builder().setSnapshotRegistry(snapshots).build();
        tokens = new DelegationTokenControlManager.Builder()
            .setTokenCache(tokenCache)
            .setDelegationTokenSecretKey(secret)
            .setDelegationTokenMaxLifeMs(TOKEN_LIFETIME_MS)
            .setDelegationTokenExpiryTimeMs(TOKEN_EXPIRY_MS)
            .build();
        set(tokens, "time", time);
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
                case "sweep" -> tokens.sweepExpiredDelegationTokens();
                default -> ask(offset, words);
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

    private ControllerResult<?> ask(long offset, String[] words) {
        short api = Short.parseShort(words[3]);
        short version = Short.parseShort(words[4]);
        ByteBufferAccessor body = new ByteBufferAccessor(ByteBuffer.wrap(HEX.parseHex(words.length > 5 ? words[5] : "")));
        KafkaPrincipal principal = words.length > 6 ? SecurityUtils.parseKafkaPrincipal(words[6]) : KafkaPrincipal.ANONYMOUS;
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
                context(api, version, principal), new AlterPartitionRequestData(body, version));
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
            case ALTER_CLIENT_QUOTAS: {
                var request = new AlterClientQuotasRequest(new AlterClientQuotasRequestData(body, version), version);
                var result = quotas.alterClientQuotas(request.entries());
                return ControllerResult.of(result.records(),
                    AlterClientQuotasResponse.fromQuotaEntities(result.response(), 0).data());
            }
            case ALTER_USER_SCRAM_CREDENTIALS: return scram.alterCredentials(
                new AlterUserScramCredentialsRequestData(body, version), features.metadataVersionOrThrow());
            case CREATE_DELEGATION_TOKEN: {
                var result = tokens.createDelegationToken(context(api, version, principal),
                    new CreateDelegationTokenRequestData(body, version), features.metadataVersionOrThrow());
                for (ApiMessageAndVersion record : result.records()) {
                    ((DelegationTokenRecord) record.message()).setTokenId(words[7]);
                    result.response().setTokenId(words[7]).setHmac(hmac(words[7]));
                }
                return result;
            }
            case RENEW_DELEGATION_TOKEN: return tokens.renewDelegationToken(context(api, version, principal),
                new RenewDelegationTokenRequestData(body, version), features.metadataVersionOrThrow());
            case EXPIRE_DELEGATION_TOKEN: return tokens.expireDelegationToken(context(api, version, principal),
                new ExpireDelegationTokenRequestData(body, version), features.metadataVersionOrThrow());
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

    /** As brokers make it. */
    private byte[] hmac(String token) {
        return DelegationTokenManager.createHmac(token, new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA512"));
    }

    private static void set(Object object, String name, Object value) {
        try {
            var field = object.getClass().getDeclaredField(name);
            field.setAccessible(true);
            field.set(object, value);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ControllerRequestContext context(short api, short version, KafkaPrincipal principal) {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api).setRequestApiVersion(version);
        return new ControllerRequestContext(header, principal, OptionalLong.empty());
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
            case CLIENT_QUOTA_RECORD -> quotas.replay((ClientQuotaRecord) message);
            case USER_SCRAM_CREDENTIAL_RECORD -> scram.replay((UserScramCredentialRecord) message);
            case REMOVE_USER_SCRAM_CREDENTIAL_RECORD -> scram.replay((RemoveUserScramCredentialRecord) message);
            case DELEGATION_TOKEN_RECORD -> {
                DelegationTokenRecord record = (DelegationTokenRecord) message;
                tokens.replay(record);
                var information = DelegationTokenData.fromRecord(record).tokenInformation();
                tokenCache.updateCache(new DelegationToken(information, hmac(record.tokenId())), Map.of());
            }
            case REMOVE_DELEGATION_TOKEN_RECORD -> {
                RemoveDelegationTokenRecord record = (RemoveDelegationTokenRecord) message;
                tokens.replay(record);
                tokenCache.removeCache(record.tokenId());
            }
            case PRODUCER_IDS_RECORD -> producerIds.replay((ProducerIdsRecord) message);
            default -> throw new IllegalArgumentException(message.toString());
        }
    }
}
