import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

/**
 * Kafka's own message classes, as a judge: reads messages from its standard input, one a line with the name of its
 * class, its version and its bytes in hexadecimal, and writes each again; or says why it cannot.
 */
public class JudgeMessages {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = line.split(" ", -1);
            System.out.println(again(parts[0], Short.parseShort(parts[1]), HexFormat.of().parseHex(parts[2])));
        }
    }

    static String again(String name, short version, byte[] data) throws Exception {
        Message message = (Message) Class.forName(name).getConstructor().newInstance();
        ByteBuffer buffer = ByteBuffer.wrap(data);
        try {
            message.read(new ByteBufferAccessor(buffer), version);
            if (buffer.hasRemaining()) {
                return buffer.remaining() + " bytes are left behind " + message;
            }
            ByteBuffer written = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] out = new byte[written.remaining()];
            written.get(out);
            return HexFormat.of().formatHex(out);
        } catch (RuntimeException error) {
            return error + " in " + message;
        }
    }
}
