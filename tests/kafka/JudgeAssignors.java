import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.GroupSpec;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.MemberSubscription;
import org.apache.kafka.coordinator.group.api.assignor.PartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.SimpleAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;

/**
 * Kafka's own assignors, as a judge. Each case on the standard input is lines of words: `case ASSIGNOR ALIKE`,
 * `topic NUMBER PARTITIONS ASSIGNABLE`, `member ID INSTANCE TOPICS HELD`, `go`. Lists are divided by commas, `-` is an empty one;
 * HELD has TOPIC:PARTITION. For `alike` cases it first tells in which order Kafka goes over the topics.
 */
public class JudgeAssignors {
    record Member(Optional<String> instanceId, Set<Uuid> topics, Map<Uuid, Set<Integer>> held)
        implements MemberSubscription, MemberAssignment {
        @Override public Optional<String> rackId() { return Optional.empty(); }
        @Override public Set<Uuid> subscribedTopicIds() { return topics; }
        @Override public Map<Uuid, Set<Integer>> partitions() { return held; }
    }

    record Group(Map<String, Member> members, Map<Uuid, Integer> assignable, SubscriptionType subscriptionType)
        implements GroupSpec {
        @Override public Collection<String> memberIds() { return members.keySet(); }
        @Override public MemberSubscription memberSubscription(String id) { return members.get(id); }
        @Override public MemberAssignment memberAssignment(String id) { return members.get(id); }
        @Override public boolean isPartitionAssigned(Uuid topic, int partition) {
            return members.values().stream().anyMatch(one -> one.held.getOrDefault(topic, Set.of()).contains(partition));
        }
        @Override public boolean isPartitionAssignable(Uuid topic, int partition) {
            return partition < assignable.get(topic);
        }
    }

    record Topics(Map<Uuid, Integer> sizes) implements SubscribedTopicDescriber {
        @Override public int numPartitions(Uuid topic) { return sizes.getOrDefault(topic, -1); }
        @Override public Set<String> racksForPartition(Uuid topic, int partition) { return Set.of(); }
    }

    static Uuid topic(String number) {
        return new Uuid(Long.parseLong(number) * 0x9E3779B97F4A7C15L, Long.parseLong(number));
    }

    static List<String> words(String list) {
        return list.equals("-") ? List.of() : Arrays.asList(list.split(","));
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        PartitionAssignor assignor = null;
        boolean alike = false;
        Map<Uuid, Integer> sizes = new LinkedHashMap<>();
        Map<Uuid, Integer> assignable = new LinkedHashMap<>();
        Map<String, Member> members = new LinkedHashMap<>();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] word = line.split(" ");
            switch (word[0]) {
                case "case" -> {
                    assignor = switch (word[1]) {
                        case "range" -> new RangeAssignor();
                        case "uniform" -> new UniformAssignor();
                        default -> new SimpleAssignor();
                    };
                    alike = word[2].equals("alike");
                    sizes = new LinkedHashMap<>();
                    assignable = new LinkedHashMap<>();
                    members = new LinkedHashMap<>();
                }
                case "topic" -> {
                    sizes.put(topic(word[1]), Integer.parseInt(word[2]));
                    assignable.put(topic(word[1]), Integer.parseInt(word[3]));
                }
                case "member" -> {
                    Set<Uuid> topics = new LinkedHashSet<>();
                    words(word[3]).forEach(number -> topics.add(topic(number)));
                    Map<Uuid, Set<Integer>> held = new LinkedHashMap<>();
                    for (String pair : words(word[4])) {
                        String[] parts = pair.split(":");
                        held.computeIfAbsent(topic(parts[0]), one -> new TreeSet<>()).add(Integer.parseInt(parts[1]));
                    }
                    Optional<String> instance = word[2].equals("-") ? Optional.empty() : Optional.of(word[2]);
                    members.put(word[1], new Member(instance, topics, Collections.unmodifiableMap(held)));
                }
                default -> tell(assignor, alike, sizes, assignable, members);
            }
        }
    }

    static void tell(
        PartitionAssignor assignor, boolean alike, Map<Uuid, Integer> sizes, Map<Uuid, Integer> assignable,
        Map<String, Member> members
    ) {
        List<String> order = new ArrayList<>();
        for (Uuid one : new HashSet<>(members.values().iterator().next().topics)) {
            order.add(Long.toString(one.getLeastSignificantBits()));
        }
        System.out.println("case " + (order.isEmpty() ? "-" : String.join(",", order)));
        SubscriptionType type = alike ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        Map<String, MemberAssignment> found = assignor.assign(new Group(members, assignable, type), new Topics(sizes)).members();
        for (String id : members.keySet()) {
            Map<Long, Set<Integer>> held = new TreeMap<>();
            if (found.containsKey(id)) {
                found.get(id).partitions().forEach((one, parts) -> held.put(one.getLeastSignificantBits(), new TreeSet<>(parts)));
            }
            List<String> pairs = new ArrayList<>();
            held.forEach((one, parts) -> parts.forEach(part -> pairs.add(one + ":" + part)));
            System.out.println("member " + id + " " + (pairs.isEmpty() ? "-" : String.join(",", pairs)));
        }
    }
}
