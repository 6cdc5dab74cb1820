import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * What the assignors of Kafka's own client decide about generated groups, round after round: members come and go, change their minds, miss
 * rounds and claim what is not theirs; topics grow; racks are known of all, some or none.
 *
 *     java -cp JARS Assignors.java SEED CASES [PERCENT_OF_LARGE_GROUPS] > vectors.txt
 *
 * A case: "t name partitions racks" for each topic (a partition's racks joined by ',', partitions by '/'), "m id instance rack generation topics owned
 * userdata" for each member in the order in which the group's leader is told them, then for each assignor "> name" and what each
 * member gets, in the same order, as "topic:0,2;topic:1". "-" is none. Cases that Java cannot decide, or in which it gives somebody
 * what he does not want, are left out.
 */
public class Assignors {
    private static final String[] RACKS = {"r1", "r2", "r3"};
    private static final int ROUNDS = 5;

    private final Random random;
    private final int largePercent;
    private int decided, failed, unwanted;

    private static final class Member {
        String id;
        String instance;
        String rack;
        int generation = -1;
        List<String> topics = new ArrayList<>();
        List<TopicPartition> owned = new ArrayList<>();
        byte[] userData;
    }

    private Assignors(long seed, int largePercent) {
        this.largePercent = largePercent;
        random = new Random(seed);
    }

    private boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    // --- groups -----------------------------------------------------------------------------------------------------

    private String newId() {
        if (chance(50))
            return "m" + random.nextInt(100000);
        StringBuilder id = new StringBuilder("c-");
        for (int i = 0; i < 6; i++)
            id.append(Character.forDigit(random.nextInt(16), 16));
        return id.toString();
    }

    private List<String> someTopics(List<String> names, boolean same) {
        List<String> chosen = new ArrayList<>(names);
        if (same)
            return chosen;
        Collections.shuffle(chosen, random);
        chosen = new ArrayList<>(chosen.subList(0, 1 + random.nextInt(chosen.size())));
        if (chance(3))
            chosen.add("gone" + random.nextInt(3));
        return chosen;
    }

    private Member newMember(List<String> names, boolean same, int rackPercent) {
        Member m = new Member();
        m.id = newId();
        m.topics = someTopics(names, same);
        if (chance(15))
            m.instance = "i" + random.nextInt(100000);
        if (chance(rackPercent))
            m.rack = RACKS[random.nextInt(RACKS.length)];
        return m;
    }

    private List<List<String>> newRacks(int from, int to, int kind) {
        List<List<String>> racks = new ArrayList<>();
        for (int p = from; p < to; p++) {
            List<String> of = new ArrayList<>(Arrays.asList(RACKS));
            if (kind == 1)
                Collections.shuffle(of, random);
            if (kind != 2)
                of = new ArrayList<>(of.subList(0, kind == 0 ? 0 : 1 + random.nextInt(2)));
            racks.add(of);
        }
        return racks;
    }

    // --- deciding ---------------------------------------------------------------------------------------------------

    private static Cluster cluster(Map<String, List<List<String>>> topics) {
        Map<String, Node> nodes = new HashMap<>();
        for (int i = 0; i < RACKS.length; i++)
            nodes.put(RACKS[i], new Node(i, "h", 1, RACKS[i]));
        Node plain = new Node(9, "h", 1);
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.forEach((name, racks) -> {
            for (int p = 0; p < racks.size(); p++) {
                Node[] replicas = racks.get(p).isEmpty() ? new Node[] {plain}
                    : racks.get(p).stream().map(nodes::get).toArray(Node[]::new);
                partitions.add(new PartitionInfo(name, p, replicas[0], replicas, replicas));
            }
        });
        nodes.put("", plain);
        return new Cluster("c", nodes.values(), partitions, Set.of(), Set.of());
    }

    private static Map<String, List<TopicPartition>> decide(ConsumerPartitionAssignor assignor, Cluster cluster, List<Member> members) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (Member m : members) {
            ByteBuffer data = m.userData == null ? null : ByteBuffer.wrap(m.userData);
            Subscription said = new Subscription(m.topics, data, m.owned, m.generation, Optional.ofNullable(m.rack));
            // Topics in their order, as other clients send them: Java's writer would sort them.
            Subscription heard = ConsumerProtocol.deserializeSubscription(ConsumerProtocol.serializeSubscription(said));
            heard = new Subscription(m.topics, heard.userData(), heard.ownedPartitions(), m.generation, heard.rackId());
            heard.setGroupInstanceId(Optional.ofNullable(m.instance));
            subscriptions.put(m.id, heard);
        }
        Map<String, List<TopicPartition>> result = new HashMap<>();
        assignor.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment()
            .forEach((id, assignment) -> result.put(id, assignment.partitions()));
        return result;
    }

    private static List<ConsumerPartitionAssignor> assignors() {
        return List.of(new RangeAssignor(), new RoundRobinAssignor(), new StickyAssignor(), new CooperativeStickyAssignor());
    }

    // --- text -------------------------------------------------------------------------------------------------------

    private static String list(List<TopicPartition> partitions) {
        Map<String, List<Integer>> byTopic = new LinkedHashMap<>();
        for (TopicPartition tp : partitions)
            byTopic.computeIfAbsent(tp.topic(), t -> new ArrayList<>()).add(tp.partition());
        return byTopic.isEmpty() ? "-" : byTopic.entrySet().stream()
            .map(e -> e.getKey() + ":" + e.getValue().stream().map(String::valueOf).collect(Collectors.joining(",")))
            .collect(Collectors.joining(";"));
    }

    private static String orNone(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }

    private static String racks(List<List<String>> racks) {
        return racks.stream().allMatch(List::isEmpty) ? "-"
            : racks.stream().map(r -> orNone(String.join(",", r))).collect(Collectors.joining("/"));
    }

    /** Null: not for the vectors. */
    private Map<String, List<TopicPartition>> write(Map<String, List<List<String>>> topics, List<Member> members, int follow, StringBuilder out) {
        Cluster cluster = cluster(topics);
        Map<String, List<TopicPartition>> followed = null;
        StringBuilder text = new StringBuilder();
        int number = 0;

        topics.forEach((name, racks) -> text.append("t ").append(name).append(' ').append(racks.size()).append(' ').append(racks(racks)).append('\n'));
        for (Member m : members)
            text.append("m ").append(m.id).append(' ').append(orNone(m.instance)).append(' ').append(orNone(m.rack)).append(' ')
                .append(m.generation).append(' ').append(orNone(String.join(",", m.topics))).append(' ').append(list(m.owned)).append(' ')
                .append(m.userData == null ? "-" : HexFormat.of().formatHex(m.userData)).append('\n');
        for (ConsumerPartitionAssignor assignor : assignors()) {
            Map<String, List<TopicPartition>> result;
            try {
                result = decide(assignor, cluster, members);
            } catch (RuntimeException e) {
                failed++;
                return null;
            }
            text.append("> ").append(assignor.name());
            for (Member m : members) {
                if (result.get(m.id).stream().anyMatch(tp -> !m.topics.contains(tp.topic()) || tp.partition() >= topics.get(tp.topic()).size())) {
                    unwanted++;
                    return null;
                }
                text.append(' ').append(list(result.get(m.id)));
            }
            text.append('\n');
            if (number++ == follow)
                followed = result;
        }
        out.append("case ").append(++decided).append('\n').append(text);
        return followed;
    }

    // --- rounds -----------------------------------------------------------------------------------------------------

    private byte[] stickyData(Member m, List<TopicPartition> owned, int generation) {
        Map<String, List<Integer>> byTopic = new TreeMap<>();
        for (TopicPartition tp : owned)
            byTopic.computeIfAbsent(tp.topic(), t -> new ArrayList<>()).add(tp.partition());
        ByteBuffer b = ByteBuffer.allocate(4096);
        b.putInt(byTopic.size());
        byTopic.forEach((topic, partitions) -> {
            b.putShort((short) topic.length()).put(topic.getBytes());
            b.putInt(partitions.size());
            partitions.forEach(b::putInt);
        });
        if (!chance(5))
            b.putInt(generation);
        byte[] bytes = Arrays.copyOf(b.array(), b.position());
        return chance(2) ? Arrays.copyOf(bytes, bytes.length / 2) : bytes;
    }

    /** As members send it: what the vectors say would lose another order. */
    private static void sort(List<TopicPartition> partitions) {
        partitions.sort((a, b) -> a.topic().equals(b.topic()) ? a.partition() - b.partition() : a.topic().compareTo(b.topic()));
    }

    /** What the members say in the next round, after they were given this. */
    private void remember(List<Member> members, Map<String, List<TopicPartition>> given, int generation, boolean cooperative, boolean old, int absent) {
        for (Member m : members) {
            if (chance(absent))
                continue; // missed this round
            List<TopicPartition> has = new ArrayList<>(given.get(m.id));
            m.owned = new ArrayList<>(has);
            sort(m.owned);
            m.generation = old ? -1 : generation;
            if (cooperative)
                m.userData = ByteBuffer.allocate(4).putInt(generation).array();
            else
                m.userData = stickyData(m, has, generation);
        }
        if (chance(10) && members.size() > 1) { // one claims what is another's
            Member thief = members.get(random.nextInt(members.size())), owner = members.get(random.nextInt(members.size()));
            if (thief != owner && !owner.owned.isEmpty() && !thief.owned.contains(owner.owned.get(0))) {
                thief.owned = new ArrayList<>(thief.owned);
                thief.owned.add(owner.owned.get(0));
                sort(thief.owned);
            }
        }
    }

    private void group(StringBuilder out) {
        boolean same = chance(35), old = chance(15), large = chance(largePercent);
        int follow = 2 + random.nextInt(2), absent = chance(60) ? 8 : 35, rackPercent = chance(60) ? 0 : chance(50) ? 100 : 60, rackKind = rackPercent == 0 ? 0 : 1 + (chance(15) ? 1 : 0);
        Map<String, List<List<String>>> topics = new TreeMap<>();
        List<Member> members = new ArrayList<>();
        int topicCount = large ? 4 + random.nextInt(12) : 1 + random.nextInt(4), fixed = chance(40) ? 1 + random.nextInt(6) : 0;

        for (int i = 0; i < topicCount; i++) {
            int partitions = fixed > 0 ? fixed : 1 + random.nextInt(large ? 12 : 6);
            topics.put((chance(20) ? "topic-" : "t") + random.nextInt(1000), newRacks(0, partitions, rackKind));
        }
        List<String> names = new ArrayList<>(topics.keySet());
        for (int i = 0, n = large ? 5 + random.nextInt(25) : 1 + random.nextInt(6); i < n; i++)
            members.add(newMember(names, same, rackPercent));
        for (int round = 1; round <= ROUNDS; round++) {
            Set<String> ids = new TreeSet<>();
            members.removeIf(m -> !ids.add(m.id));
            Map<String, List<TopicPartition>> given = write(topics, members, follow, out);
            if (given == null)
                return;
            remember(members, given, round, follow == 3, old, absent);
            if (chance(40) && members.size() > 1)
                members.remove(random.nextInt(members.size()));
            if (chance(45))
                members.add(random.nextInt(members.size() + 1), newMember(names, same, rackPercent));
            if (chance(15)) {
                String name = names.get(random.nextInt(names.size()));
                List<List<String>> racks = new ArrayList<>(topics.get(name));
                racks.addAll(newRacks(racks.size(), racks.size() + 1 + random.nextInt(3), rackKind));
                topics.put(name, racks);
            }
            if (!same && chance(50)) {
                Member m = members.get(random.nextInt(members.size()));
                m.topics = someTopics(names, false);
            }
            if (chance(8) && names.size() > 1)
                topics.remove(names.remove(random.nextInt(names.size())));
            if (topics.isEmpty())
                return;
        }
    }

    public static void main(String[] arguments) {
        Assignors all = new Assignors(Long.parseLong(arguments[0]), arguments.length > 2 ? Integer.parseInt(arguments[2]) : 8);
        StringBuilder out = new StringBuilder();

        while (all.decided < Integer.parseInt(arguments[1]))
            all.group(out);
        System.out.print(out);
        System.err.println(all.decided + " cases, left out: " + all.failed + " that Java cannot decide, " + all.unwanted + " where it gives what is not wanted");
    }
}
