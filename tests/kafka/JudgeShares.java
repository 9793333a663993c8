import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic as a member of a share group until it is done with so many records, and says of each one what became of
 * its deliveries: released, rejected and renewed by turns at first, then accepted.
 *
 * Arguments: bootstrap servers, topic, group, acquire mode, number of records.
 */
public class JudgeShares {
    static final AcknowledgeType[] FIRST = {
        AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT, AcknowledgeType.RENEW
    };

    public static void main(String[] args) {
        int count = Integer.parseInt(args[4]);
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", args[0],
            "group.id", args[2],
            "share.acknowledgement.mode", "explicit",
            "share.acquire.mode", args[3],
            "max.poll.records", 3);
        Map<Long, List<String>> told = new TreeMap<>();
        Set<Long> done = new HashSet<>();
        boolean kept = true;
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaShareConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(args[1]));
            while (done.size() < count && System.nanoTime() < end) {
                var records = consumer.poll(Duration.ofMillis(500));
                if (args[3].equals("record_limit") && records.count() > 3) {
                    kept = false;
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    List<String> past = told.computeIfAbsent(record.offset(), offset -> new ArrayList<>());
                    AcknowledgeType type = past.isEmpty()
                        ? FIRST[(int) (record.offset() % FIRST.length)] : AcknowledgeType.ACCEPT;
                    consumer.acknowledge(record, type);
                    past.add(record.deliveryCount().get() + " " + type);
                    if (type == AcknowledgeType.ACCEPT || type == AcknowledgeType.REJECT) {
                        done.add(record.offset());
                    }
                }
                consumer.commitSync().forEach((partition, error) -> error.ifPresent(thrown ->
                    told.computeIfAbsent(-1L, none -> new ArrayList<>()).add(thrown.toString())));
            }
        }
        told.forEach((offset, past) -> System.out.println(offset + ": " + String.join(", ", past)));
        System.out.println("most records kept to: " + kept);
    }
}
