import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataDelta;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.Utils;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.GroupSpec;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.MemberSubscription;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;

/**
 * What Kafka's own classes of consumer groups compute, as vectors.
 *
 *     java -cp JARS Vectors.java FOLDER
 *
 * writes FOLDER/assignors.jsonl, metadata_hash.jsonl and regex.jsonl (their lines: README.md). Equal seeds give equal files.
 */
public class Vectors {
    private static final class Member {
        final String id;
        final String instance;
        Set<Integer> topics;

        Member(String id, String instance, Set<Integer> topics) {
            this.id = id;
            this.instance = instance;
            this.topics = topics;
        }
    }

    /** A group in the course of its life: owners[topic][partition] is the place of a member, or -1. */
    private static final class Group {
        final Random random;
        final List<Member> members = new ArrayList<>();
        final List<int[]> owners = new ArrayList<>();
        int made;

        Group(long seed) {
            random = new Random(seed);
        }

        static Uuid topicId(int topic) {
            return new Uuid(0x4000L, 0x8000000000000001L + topic);
        }

        void addTopic(int partitions) {
            int[] nobody = new int[partitions];
            Arrays.fill(nobody, -1);
            owners.add(nobody);
        }

        void growTopic(int topic, int more) {
            int[] old = owners.get(topic);
            int[] grown = Arrays.copyOf(old, old.length + more);
            Arrays.fill(grown, old.length, grown.length, -1);
            owners.set(topic, grown);
        }

        void addMember(boolean isStatic, Set<Integer> topics) {
            String id = String.format("%08x-%d", random.nextInt(), made);
            members.add(new Member(id, isStatic ? "instance-" + random.nextInt(1000) + "-" + made : null, topics));
            made++;
        }

        void removeMember(int place) {
            members.remove(place);
            for (int[] topic : owners)
                for (int i = 0; i < topic.length; i++)
                    topic[i] = topic[i] == place ? -1 : topic[i] > place ? topic[i] - 1 : topic[i];
        }

        Set<Integer> allTopics() {
            Set<Integer> all = new HashSet<>();
            for (int i = 0; i < owners.size(); i++)
                all.add(i);
            return all;
        }

        Set<Integer> someTopics() {
            Set<Integer> some = new HashSet<>();
            for (int i = 0; i < owners.size(); i++)
                if (random.nextInt(3) > 0)
                    some.add(i);
            return some;
        }

        boolean homogeneous() {
            return members.stream().allMatch(m -> m.topics.equals(members.get(0).topics));
        }

        /** Assigns with the assignor, writes the line, and goes on with what it gave. */
        void assign(ConsumerGroupPartitionAssignor assignor, PrintStream out) {
            StringBuilder line = new StringBuilder("{\"assignor\":\"" + assignor.name() + "\",\"members\":[");
            for (Member m : members) {
                line.append(m == members.get(0) ? "" : ",").append("[\"").append(m.id).append("\",");
                line.append(m.instance == null ? "null" : "\"" + m.instance + "\"").append(",");
                List<Integer> sorted = new ArrayList<>(m.topics);
                Collections.sort(sorted);
                line.append(sorted.toString().replace(" ", "")).append("]");
            }
            line.append("],\"before\":").append(ownersText());
            GroupAssignment given = assignor.assign(new Spec(this), new Describer(this));
            for (int[] topic : owners)
                Arrays.fill(topic, -1);
            for (int place = 0; place < members.size(); place++) {
                MemberAssignment own = given.members().get(members.get(place).id);
                if (own == null)
                    continue;
                for (Map.Entry<Uuid, Set<Integer>> topic : own.partitions().entrySet())
                    for (int partition : topic.getValue())
                        owners.get(topicOf(topic.getKey()))[partition] = place;
            }
            line.append(",\"after\":").append(ownersText()).append("}");
            out.println(line);
        }

        int topicOf(Uuid id) {
            return (int) (id.getLeastSignificantBits() - 0x8000000000000001L);
        }

        String ownersText() {
            List<String> all = new ArrayList<>();
            for (int[] topic : owners)
                all.add(Arrays.toString(topic).replace(" ", ""));
            return "[" + String.join(",", all) + "]";
        }
    }

    private record Describer(Group group) implements SubscribedTopicDescriber {
        @Override
        public int numPartitions(Uuid id) {
            int topic = group.topicOf(id);
            return topic >= 0 && topic < group.owners.size() ? group.owners.get(topic).length : -1;
        }

        @Override
        public Set<String> racksForPartition(Uuid id, int partition) {
            return Set.of();
        }
    }

    private static final class Spec implements GroupSpec {
        private final Map<String, Member> members = new HashMap<>();
        private final Map<String, Map<Uuid, Set<Integer>>> assigned = new HashMap<>();
        private final Set<String> taken = new HashSet<>();
        private final SubscriptionType type;

        Spec(Group group) {
            type = group.homogeneous() ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
            for (int place = 0; place < group.members.size(); place++) {
                Map<Uuid, Set<Integer>> own = new HashMap<>();
                for (int topic = 0; topic < group.owners.size(); topic++) {
                    Set<Integer> partitions = new HashSet<>();
                    for (int i = 0; i < group.owners.get(topic).length; i++)
                        if (group.owners.get(topic)[i] == place)
                            partitions.add(i);
                    if (!partitions.isEmpty())
                        own.put(Group.topicId(topic), Collections.unmodifiableSet(partitions));
                    for (int partition : partitions)
                        taken.add(Group.topicId(topic) + "-" + partition);
                }
                members.put(group.members.get(place).id, group.members.get(place));
                assigned.put(group.members.get(place).id, Collections.unmodifiableMap(own));
            }
        }

        @Override
        public Collection<String> memberIds() {
            return members.keySet();
        }

        @Override
        public SubscriptionType subscriptionType() {
            return type;
        }

        @Override
        public boolean isPartitionAssigned(Uuid topic, int partition) {
            return taken.contains(topic + "-" + partition);
        }

        @Override
        public boolean isPartitionAssignable(Uuid topic, int partition) {
            return true;
        }

        @Override
        public MemberSubscription memberSubscription(String id) {
            Member member = members.get(id);
            Set<Uuid> topics = new HashSet<>();
            for (int topic : member.topics)
                topics.add(Group.topicId(topic));
            return new MemberSubscription() {
                @Override
                public Optional<String> rackId() {
                    return Optional.empty();
                }

                @Override
                public Optional<String> instanceId() {
                    return Optional.ofNullable(member.instance);
                }

                @Override
                public Set<Uuid> subscribedTopicIds() {
                    return topics;
                }
            };
        }

        @Override
        public MemberAssignment memberAssignment(String id) {
            return () -> assigned.get(id);
        }
    }

    /** Groups live: somebody comes, goes, wants other topics, a topic comes or grows; each time one line. */
    private static void lives(ConsumerGroupPartitionAssignor assignor, PrintStream out) {
        for (int seed = 0; seed < 40; seed++) {
            Group group = new Group(seed);
            boolean mixed = seed % 2 == 1;
            int topics = 1 + group.random.nextInt(4);
            for (int i = 0; i < topics; i++)
                group.addTopic(1 + group.random.nextInt(seed % 5 == 4 ? 40 : 9));
            int members = 1 + group.random.nextInt(5);
            for (int i = 0; i < members; i++)
                group.addMember(group.random.nextInt(4) == 0, mixed ? group.someTopics() : group.allTopics());
            group.assign(assignor, out);
            for (int step = 0; step < 7; step++) {
                switch (group.random.nextInt(5)) {
                case 0, 1 -> group.addMember(group.random.nextInt(4) == 0, mixed ? group.someTopics() : group.allTopics());
                case 2 -> {
                    if (group.members.size() > 1)
                        group.removeMember(group.random.nextInt(group.members.size()));
                }
                case 3 -> {
                    if (mixed)
                        group.members.get(group.random.nextInt(group.members.size())).topics = group.someTopics();
                    else
                        group.growTopic(group.random.nextInt(group.owners.size()), 1 + group.random.nextInt(4));
                }
                default -> {
                    group.addTopic(1 + group.random.nextInt(7));
                    if (!mixed)
                        group.members.forEach(m -> m.topics = group.allTopics());
                }
                }
                group.assign(assignor, out);
            }
        }
        Group large = new Group(4711);
        for (int i = 0; i < 9; i++)
            large.addTopic(100);
        for (int i = 0; i < 10; i++)
            large.addMember(false, large.allTopics());
        large.assign(assignor, out);
        large.addMember(false, large.allTopics());
        large.assign(assignor, out);
        large.removeMember(3);
        large.assign(assignor, out);
    }

    // --- the hash of topics

    private record Topic(String name, Uuid id, List<List<String>> racks) implements CoordinatorMetadataImage.TopicMetadata {
        @Override
        public int partitionCount() {
            return racks.size();
        }

        @Override
        public List<String> partitionRacks(int partition) {
            return new ArrayList<>(racks.get(partition));
        }
    }

    private record Image(Topic topic) implements CoordinatorMetadataImage {
        @Override
        public Set<Uuid> topicIds() {
            return Set.of(topic.id);
        }

        @Override
        public Set<String> topicNames() {
            return Set.of(topic.name);
        }

        @Override
        public Optional<TopicMetadata> topicMetadata(Uuid id) {
            return Optional.of(topic);
        }

        @Override
        public Optional<TopicMetadata> topicMetadata(String name) {
            return Optional.of(topic);
        }

        @Override
        public CoordinatorMetadataDelta emptyDelta() {
            return null;
        }

        @Override
        public long version() {
            return 0;
        }

        @Override
        public boolean isEmpty() {
            return false;
        }
    }

    private static void hashes(PrintStream out) {
        Random random = new Random(1);
        for (int round = 0; round < 40; round++) {
            Map<String, Long> all = new TreeMap<>();
            List<String> topics = new ArrayList<>();
            int count = random.nextInt(round < 20 ? 3 : 12);
            for (int i = 0; i < count; i++) {
                String name = "t" + random.nextInt(100000) + "-" + "x".repeat(random.nextInt(round < 20 ? 12 : 200));
                List<List<String>> racks = new ArrayList<>();
                int partitions = 1 + random.nextInt(round < 20 ? 5 : 20);
                for (int p = 0; p < partitions; p++) {
                    List<String> own = new ArrayList<>();
                    for (int r = random.nextInt(round % 3 == 0 ? 1 : 4); r > 0; r--)
                        own.add("rack-" + random.nextInt(5));
                    racks.add(own);
                }
                Topic topic = new Topic(name, new Uuid(random.nextLong(), random.nextLong()), racks);
                long hash = Utils.computeTopicHash(name, new Image(topic));
                all.put(name, hash);
                List<String> racksText = new ArrayList<>();
                for (List<String> own : racks)
                    racksText.add(own.isEmpty() ? "[]" : "[\"" + String.join("\",\"", own) + "\"]");
                topics.add("{\"name\":\"" + name + "\",\"id\":\"" + topic.id + "\",\"racks\":[" + String.join(",", racksText)
                    + "],\"hash\":" + hash + "}");
            }
            out.println("{\"topics\":[" + String.join(",", topics) + "],\"hash\":" + Utils.computeGroupHash(all) + "}");
        }
    }

    // --- patterns

    private static final String[] PATTERNS = {
        "", "a", "orders", "orders.*", "^orders.*$", "order", ".*", ".", "..", "(", ")", "a(b", "a)b", "[", "]", "[a", "[z-a]", "[a-]",
        "[]a]", "[^a]", "a**", "a*+", "a*?", "a+?b", "*a", "+", "?", "a{2}", "a{2,}", "a{2,1}", "a{,2}", "a{1001}", "(a{100}){100}", "a|b",
        "(foo|bar)-\\d+", "\\w+", "\\W", "\\pL+", "\\p{Greek}+", "\\p{Nope}", "\\q", "\\", "a\\", "(?i)ORDERS", "(?P<x>a)b",
        "(?<x>a)b", "(?P<x>a)(?P<x>b)", "(?P<x", "(?=a)b", "(?<!a)b", "(a)\\1", "\\bfoo\\b.*", "\\Afoo\\z", "foo\\Z", "[[:alpha:]]+",
        "[[:nope:]]", "\\Qa.b\\E", "\\Qa.b", "(?s).*", "(?m)^foo$", "(?U)a+", "(?z)a", "\\x41", "\\x{41}", "\\x{110000}", "\\07", "\\8",
        "[\\d.]+", "team-[a-c]\\.topic_[0-9]{1,3}", "(?:a|b)*c", "a.b", "__.*", "(((((a)))))", "a||b", "()", "(|a)", "^", "$", "a$b",
        "caf\u00e9", ".*\u00e9", "\\C", "(a+)+$", "foo|", "x*", "[a-c-e]", "[a-\\d]", "(?i:a)B", "(?-i)a", "\\z", "\\pN", "\\PL+", "\\p{^Greek}",
    };
    private static final String[] TEXTS = {
        "", "a", "b", "A", "ab", "aa", "aaa", "orders", "ORDERS", "Orders-1", "foo", "foo-12", "bar-7", "foo.bar", "a.b", "a-b", "c", "abac",
        "__consumer_offsets", "team-b.topic_17", "1.2.3", "x", "xx", "-", ".", "_", "41",
    };

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\')
                out.append('\\').append(c);
            else if (c < ' ' || c > '~')
                out.append(String.format("\\u%04x", (int) c));
            else
                out.append(c);
        }
        return out.append('"').toString();
    }

    private static void patterns(PrintStream out) {
        for (String pattern : PATTERNS) {
            try {
                Pattern compiled = Pattern.compile(pattern);
                List<String> matching = new ArrayList<>();
                for (String text : TEXTS)
                    if (compiled.matcher(text).matches())
                        matching.add(quoted(text));
                out.println("{\"pattern\":" + quoted(pattern) + ",\"matching\":[" + String.join(",", matching) + "]}");
            } catch (PatternSyntaxException e) {
                out.println("{\"pattern\":" + quoted(pattern) + ",\"error\":" + quoted(e.getDescription()) + "}");
            }
        }
    }

    private static PrintStream file(String folder, String name) throws IOException {
        return new PrintStream(Files.newOutputStream(Path.of(folder, name)), false, StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws IOException {
        try (PrintStream out = file(arguments[0], "assignors.jsonl")) {
            lives(new RangeAssignor(), out);
            lives(new UniformAssignor(), out);
        }
        try (PrintStream out = file(arguments[0], "metadata_hash.jsonl")) {
            hashes(out);
        }
        try (PrintStream out = file(arguments[0], "regex.jsonl")) {
            out.println("[" + String.join(",", Arrays.stream(TEXTS).map(Vectors::quoted).toList()) + "]");
            patterns(out);
        }
    }
}
