// Apache Kafka's managers of client quotas on a clock that is told what time it is. One line in, one line out:
//   limit KIND USER CLIENT_ID NUMBER   sets a limit ("-" removes it); of USER and CLIENT_ID "-" is none and "*" the default
//   use KIND MS USER CLIENT_ID AMOUNT  how long the client has to wait; what it then fetches for nothing is taken back
//   burst KIND USER CLIENT_ID          what it may take without having to wait for sure
//   take strict|permissive MS USER CLIENT_ID PARTITIONS
// A client id of "null" is none.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.kafka.common.errors.ThrottlingQuotaExceededException;
import org.apache.kafka.common.metrics.MetricConfig;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.Quota;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.network.Session;
import org.apache.kafka.server.config.ClientQuotaManagerConfig;
import org.apache.kafka.server.quota.ClientQuotaEntity;
import org.apache.kafka.server.quota.ClientQuotaManager;
import org.apache.kafka.server.quota.ControllerMutationQuota;
import org.apache.kafka.server.quota.ControllerMutationQuotaManager;
import org.apache.kafka.server.quota.QuotaType;

public class QuotaPeer {
    static long nowMs;

    static final Time TIME = new Time() {
        public long milliseconds() {
            return nowMs;
        }

        public long nanoseconds() {
            return nowMs * 1_000_000;
        }

        public void sleep(long ms) {
            throw new UnsupportedOperationException();
        }

        public void waitObject(Object on, Supplier<Boolean> until, long deadlineMs) {
            throw new UnsupportedOperationException();
        }
    };

    public static void main(String[] arguments) throws Exception {
        var config = new ClientQuotaManagerConfig(Integer.parseInt(arguments[0]), Integer.parseInt(arguments[1]));
        var metrics = new Metrics(new MetricConfig(), List.of(), TIME);
        var mutations = new ControllerMutationQuotaManager(config, metrics, TIME, "", Optional.empty());
        Map<String, ClientQuotaManager> managers = Map.of(
            "producer_byte_rate", new ClientQuotaManager(config, metrics, QuotaType.PRODUCE, TIME, ""),
            "consumer_byte_rate", new ClientQuotaManager(config, metrics, QuotaType.FETCH, TIME, ""),
            "request_percentage", new kafka.server.ClientRequestQuotaManager(config, metrics, TIME, "", Optional.empty()),
            "controller_mutation_rate", mutations);
        var in = new BufferedReader(new InputStreamReader(System.in));
        var out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "limit" -> {
                    Optional<Quota> quota = words[4].equals("-")
                        ? Optional.empty()
                        : Optional.of(Quota.upperBound(Double.parseDouble(words[4])));
                    managers.get(words[1]).updateQuota(user(words[2]), clientId(words[3]), quota);
                }
                case "use" -> {
                    nowMs = Long.parseLong(words[2]);
                    var manager = managers.get(words[1]);
                    double amount = Double.parseDouble(words[5]);
                    if (words[1].equals("request_percentage")) {
                        // As its private `nanosToPercentage` does.
                        amount = (long) amount * 1_000 * (100.0 / 1_000_000_000L);
                    }
                    int throttleMs = manager.maybeRecordAndGetThrottleTimeMs(session(words[3]), named(words[4]), amount, nowMs);
                    if (throttleMs > 0 && words[1].equals("consumer_byte_rate")) {
                        manager.unrecordQuotaSensor(session(words[3]), named(words[4]), amount, nowMs);
                    }
                    out.append(throttleMs).append('\n');
                }
                case "burst" -> {
                    double most = managers.get(words[1]).maxValueInQuotaWindow(session(words[2]), named(words[3]));
                    out.append((int) most).append('\n');
                }
                case "take" -> {
                    nowMs = Long.parseLong(words[2]);
                    ControllerMutationQuota quota = words[1].equals("strict")
                        ? mutations.newStrictQuotaFor(session(words[3]), named(words[4]))
                        : mutations.newPermissiveQuotaFor(session(words[3]), named(words[4]));
                    String said = "taken";
                    try {
                        quota.record(Double.parseDouble(words[5]));
                    } catch (ThrottlingQuotaExceededException refused) {
                        said = "refused";
                    }
                    out.append(quota.throttleTime()).append(' ').append(said).append('\n');
                }
                default -> throw new IllegalArgumentException(line);
            }
        }
        System.out.print(out);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static Session session(String user) throws Exception {
        return new Session(new KafkaPrincipal(KafkaPrincipal.USER_TYPE, user), InetAddress.getLoopbackAddress());
    }

    static String named(String word) {
        return word.equals("null") ? null : word;
    }

    static Optional<ClientQuotaEntity.ConfigEntity> user(String word) {
        return switch (word) {
            case "-" -> Optional.empty();
            case "*" -> Optional.of(ClientQuotaManager.DEFAULT_USER_ENTITY);
            default -> Optional.of(new ClientQuotaManager.UserEntity(word));
        };
    }

    static Optional<ClientQuotaEntity.ConfigEntity> clientId(String word) {
        return switch (word) {
            case "-" -> Optional.empty();
            case "*" -> Optional.of(ClientQuotaManager.DEFAULT_USER_CLIENT_ID);
            default -> Optional.of(new ClientQuotaManager.ClientIdEntity(word));
        };
    }
}
