import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * The regular expressions of Kafka's group coordinator, as a judge. The first line has names, the others an expression
 * each; it tells for each line which names match, as ones and zeros, or that the expression is none.
 */
public class JudgePatterns {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String[] names = input.readLine().split(" ");
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            StringBuilder told = new StringBuilder();
            try {
                Pattern pattern = Pattern.compile(line);
                for (String name : names) {
                    told.append(pattern.matcher(name).matches() ? '1' : '0');
                }
            } catch (PatternSyntaxException error) {
                told.append("none");
            }
            System.out.println(told);
        }
    }
}
