import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Sets a few things on a fresh broker and prints what it then says of every key, one tab-separated line per entry:
 * resource type and name, key, value, source, sensitive, read-only, type, synonyms.
 *
 * Run: java -cp 'kafka/libs/*' DescribeConfigs.java host:port, against a broker started with server.properties
 */
public class DescribeConfigs {
    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            Map<String, String> topic = Map.of("retention.ms", "5", "segment.bytes", "2097152");
            admin.createTopics(List.of(new NewTopic("t", 1, (short) 1).configs(topic))).all().get();
            alter(admin, ConfigResource.Type.BROKER, "", "log.segment.bytes", "3145728");
            alter(admin, ConfigResource.Type.BROKER, "", "log.roll.ms", "7200000");
            alter(admin, ConfigResource.Type.BROKER, "1", "message.max.bytes", "2000000");
            alter(admin, ConfigResource.Type.BROKER, "1", "log.flush.interval.ms", "60000");
            alter(admin, ConfigResource.Type.GROUP, "g", "consumer.session.timeout.ms", "50000");
            alter(admin, ConfigResource.Type.GROUP, "g", "share.isolation.level", "read_committed");
            alter(admin, ConfigResource.Type.CLIENT_METRICS, "m", "interval.ms", "50000");
            Thread.sleep(1500);
            describe(admin, ConfigResource.Type.BROKER, "1");
            describe(admin, ConfigResource.Type.BROKER, "");
            describe(admin, ConfigResource.Type.TOPIC, "t");
            describe(admin, ConfigResource.Type.GROUP, "g");
            describe(admin, ConfigResource.Type.CLIENT_METRICS, "m");
        }
    }

    private static void alter(Admin admin, ConfigResource.Type type, String name, String key, String value)
            throws Exception {
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name), List.of(op))).all().get();
    }

    private static void describe(Admin admin, ConfigResource.Type type, String name) throws Exception {
        ConfigResource resource = new ConfigResource(type, name);
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true);
        Map<String, ConfigEntry> entries = new TreeMap<>();
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource), options).all().get().get(resource).entries())
            entries.put(entry.name(), entry);
        for (ConfigEntry e : entries.values()) {
            StringBuilder synonyms = new StringBuilder();
            for (ConfigEntry.ConfigSynonym s : e.synonyms())
                synonyms.append(s.name()).append('=').append(s.value()).append('@').append(s.source()).append(';');
            System.out.println(String.join("\t", type.name(), name, e.name(), e.value(), e.source().name(),
                String.valueOf(e.isSensitive()), String.valueOf(e.isReadOnly()), e.type().name(), synonyms));
        }
    }
}
