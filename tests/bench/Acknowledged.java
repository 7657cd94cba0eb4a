import java.util.Properties;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's producer as it comes, at a steady rate; prints the partition of each record when it is acknowledged:
 * java Acknowledged.java BOOTSTRAP TOPIC PARTITIONS RECORDS_PER_SECOND. Ends with its input.
 */
public class Acknowledged {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("acks", "all");
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        int partitions = Integer.parseInt(arguments[2]);
        long pause = 1_000_000_000L / Long.parseLong(arguments[3]);
        KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
        Thread end = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException ended) { }
            Runtime.getRuntime().halt(0);
        });
        end.setDaemon(true);
        end.start();
        long due = System.nanoTime();
        for (long number = 0; ; number++) {
            int partition = (int) (number % partitions);
            producer.send(new ProducerRecord<>(arguments[1], partition, null, "record " + number), (metadata, failure) -> {
                if (failure == null) {
                    System.out.println(metadata.partition());
                } else {
                    System.err.println(failure);
                }
            });
            due += pause;
            long early = due - System.nanoTime();
            if (early > 0) {
                LockSupport.parkNanos(early);
            }
        }
    }
}
