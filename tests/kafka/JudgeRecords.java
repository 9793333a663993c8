import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.BufferSupplier;

/**
 * Kafka's own record classes, as a judge: `read` tells what they find in the record sets on its standard input, one in
 * hexadecimal a line; `write` makes sets of its own and tells what they find in those.
 */
public class JudgeRecords {
    static final long TIME = 1_700_000_000_000L;

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("write")) {
            write();
            return;
        }
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println("set");
            tell(MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(line))));
        }
    }

    static void write() {
        Compression[] codecs = {
            Compression.NONE, Compression.gzip().build(), Compression.gzip().level(9).build(),
            Compression.snappy().build(), Compression.lz4().build(), Compression.lz4().level(17).build(),
            Compression.zstd().build(), Compression.zstd().level(19).build(),
        };
        for (Compression codec : codecs) {
            show(MemoryRecords.withRecords(5, codec, 3, few()));
            show(MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V2, 9, codec, TimestampType.LOG_APPEND_TIME, few()));
            show(MemoryRecords.withIdempotentRecords(0, codec, 77, (short) 2, 41, 1, few()));
            show(MemoryRecords.withTransactionalRecords(0, codec, 77, (short) 2, 41, 1, few()));
            show(MemoryRecords.withRecords(codec, many()));
            show(compacted(MemoryRecords.withRecords(100, codec, many()), 10));
            show(compacted(MemoryRecords.withRecords(100, codec, few()), 0));
        }
        show(MemoryRecords.withEndTransactionMarker(7, TIME, 1, 77, (short) 2, new EndTransactionMarker(ControlRecordType.COMMIT, 3)));
        show(MemoryRecords.withEndTransactionMarker(8, TIME, 1, 77, (short) 2, new EndTransactionMarker(ControlRecordType.ABORT, 3)));
    }

    static SimpleRecord[] few() {
        byte[] value = "dear felice".getBytes(StandardCharsets.UTF_8);
        Header[] headers = {
            new RecordHeader("city", "Praha".getBytes(StandardCharsets.UTF_8)), new RecordHeader("p\u0159\u00edloha", null),
            new RecordHeader("", new byte[0]), new RecordHeader("city", new byte[300]),
        };
        return new SimpleRecord[] {
            new SimpleRecord(TIME, "franz".getBytes(StandardCharsets.UTF_8), value), new SimpleRecord(TIME - 70, null, value),
            new SimpleRecord(TIME + 100_000, value, null), new SimpleRecord(TIME, new byte[0], new byte[0]),
            new SimpleRecord(TIME, null, (byte[]) null), new SimpleRecord(TIME, value, value, headers),
        };
    }

    static SimpleRecord[] many() {
        SimpleRecord[] made = new SimpleRecord[4000];
        for (int n = 0; n < made.length; n++) {
            byte[] value = ("letter " + n + " of " + (n * 7919L % 4001)).repeat(n % 7).getBytes(StandardCharsets.UTF_8);
            made[n] = new SimpleRecord(TIME + n, Integer.toString(n).getBytes(StandardCharsets.UTF_8), value);
        }
        return made;
    }

    /** What the log cleaner leaves of a set: one record of so many (0: none), and the batch's last offset. */
    static MemoryRecords compacted(MemoryRecords records, int every) {
        ByteBuffer kept = ByteBuffer.allocate(records.sizeInBytes());
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(TIME, 0) {
            @Override protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
            }
            @Override protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return every > 0 && record.offset() % every == 3 && record.offset() < 4000;
            }
        };
        records.filterTo(filter, kept, BufferSupplier.NO_CACHING);
        return MemoryRecords.readableRecords(kept.flip());
    }

    static void show(MemoryRecords records) {
        ByteBuffer bytes = records.buffer();
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        System.out.println("set " + HexFormat.of().formatHex(copy));
        tell(records);
    }

    static void tell(MemoryRecords records) {
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            System.out.println("batch " + batch.baseOffset() + " " + batch.lastOffset() + " " + batch.nextOffset() + " "
                + batch.partitionLeaderEpoch() + " " + batch.magic() + " " + batch.compressionType().name + " "
                + batch.timestampType().id + " " + batch.maxTimestamp() + " " + batch.producerId() + " "
                + batch.producerEpoch() + " " + batch.baseSequence() + " " + batch.isTransactional() + " "
                + batch.isControlBatch() + " " + batch.countOrNull() + " " + batch.sizeInBytes());
            for (Record record : batch) {
                List<String> headers = new ArrayList<>();
                for (Header header : record.headers()) {
                    headers.add(hex(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(header.value()));
                }
                System.out.println("record " + record.offset() + " " + record.timestamp() + " " + hex(record.key()) + " "
                    + hex(record.value()) + " " + String.join(",", headers));
            }
        }
    }

    static String hex(ByteBuffer bytes) {
        if (bytes == null) {
            return "-";
        }
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return hex(copy);
    }

    static String hex(byte[] bytes) {
        return bytes == null ? "-" : HexFormat.of().formatHex(bytes);
    }
}
