import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/**
 * Gives every key each value of the command line and prints Apache Kafka's verdict, one tab-separated line each:
 * scope, name, value, "ok" and the value as Kafka renders it or "refused" and the sentence.
 * Keys that name classes are left out: a class must exist to be accepted.
 *
 * Run: java -cp 'kafka/libs/*' ConfigVerdicts.java VALUE...
 */
public class ConfigVerdicts {
    public static void main(String[] values) {
        StringBuilder out = new StringBuilder();
        print(out, "broker", AbstractKafkaConfig.CONFIG_DEF.configKeys(), values);
        print(out, "topic", LogConfig.configKeys(), values);
        print(out, "group", GroupConfig.CONFIG_DEF.configKeys(), values);
        print(out, "client-metrics", ClientMetricsConfigs.configDef().configKeys(), values);
        System.out.print(out);
    }

    private static void print(StringBuilder out, String scope, Map<String, ConfigDef.ConfigKey> keys, String[] values) {
        for (ConfigDef.ConfigKey key : keys.values())
            if (key.type != ConfigDef.Type.CLASS && key.type != ConfigDef.Type.PASSWORD)
                for (String value : values)
                    out.append(scope).append('\t').append(key.name).append('\t').append(value).append('\t')
                        .append(verdict(key, value)).append('\n');
    }

    private static String verdict(ConfigDef.ConfigKey key, String value) {
        try {
            Object parsed = ConfigDef.parseType(key.name, value, key.type);
            if (key.validator != null)
                key.validator.ensureValid(key.name, parsed);
            return "ok\t" + ConfigDef.convertToString(parsed, key.type);
        } catch (ConfigException e) {
            return "refused\t" + e.getMessage();
        }
    }
}
