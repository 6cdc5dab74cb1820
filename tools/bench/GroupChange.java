import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Members of one group over Kafka's own client, each with a thread, and what a change of the group does to those that stay.
 *
 *     GroupChange BOOTSTRAP TOPIC PARTITIONS PROTOCOL MEMBERS OTHERS
 *
 * MEMBERS run here, OTHERS elsewhere. Standard input has a command a line:
 *
 *     produce                  a record to every tenth partition every 20 ms from now on
 *     settle MEMBERS OTHERS    waits until all partitions are spread evenly over so many; prints "settled"
 *     add | leave | lost       one more here; the last one here leaves; one elsewhere is killed between the answer "ready" and a further
 *                              line: waits until all is even again and prints
 *                              seconds= (of the whole), gap_ms= and calm_ms= (the longest wait for a record in a partition that stayed with its
 *                              member, during the change and before it), moved= (partitions), beats= (heartbeats of the members here)
 */
public class GroupChange {
    private static final int EVERY = 10;
    private static final long INTERVAL_NS = 20_000_000;
    private static final long WINDOW_NS = 3_000_000_000L;
    private static final long CALM_NS = 100_000_000;
    private static final int WINDOWS = 10;
    private static final long MOST_NS = 120_000_000_000L;

    private static String bootstrap;
    private static String topic;
    private static String protocol;
    private static int partitions;
    private static final List<Member> MEMBERS = new ArrayList<>();
    private static final BufferedReader COMMANDS = new BufferedReader(new InputStreamReader(System.in));

    /** What it owns and when each of its partitions had its last record; its own lock guards all of it. */
    private static final class Member extends Thread implements ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Set<Integer> owned = new HashSet<>();
        final Map<Integer, Long> last = new HashMap<>();
        final Map<Integer, Long> longest = new HashMap<>();
        volatile boolean leaving;

        Member() {
            Properties settings = new Properties();

            settings.put("bootstrap.servers", bootstrap);
            settings.put("group.id", "changing-" + protocol);
            settings.put("group.protocol", protocol);
            settings.put("enable.auto.commit", "false");
            settings.put("auto.offset.reset", "latest");
            settings.put("enable.metrics.push", "false");
            settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
            settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
            if (protocol.equals("classic")) {
                settings.put("session.timeout.ms", "6000");
                settings.put("heartbeat.interval.ms", "1000");
                settings.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            }
            consumer = new KafkaConsumer<>(settings);
            consumer.subscribe(List.of(topic), this);
            setDaemon(true);
            start();
        }

        @Override
        public void run() {
            while (!leaving) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100)))
                    heard(record.partition());
            }
            consumer.close();
        }

        synchronized void heard(int partition) {
            long now = System.nanoTime();
            Long before = last.put(partition, now);

            if (before != null)
                longest.merge(partition, now - before, Math::max);
        }

        /** Waits begin anew. */
        synchronized void mark() {
            longest.clear();
        }

        /** The longest wait in one of the partitions, one that goes on included. */
        synchronized long gap(Set<Integer> of) {
            long now = System.nanoTime();

            return of.stream().filter(last::containsKey)
                .mapToLong(p -> Math.max(longest.getOrDefault(p, 0L), now - last.get(p))).max().orElse(0);
        }

        double beats() {
            return consumer.metrics().values().stream().filter(m -> m.metricName().name().equals("heartbeat-total"))
                .mapToDouble(m -> (Double) m.metricValue()).sum();
        }

        synchronized Set<Integer> owned() {
            return new HashSet<>(owned);
        }

        @Override
        public synchronized void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            assigned.forEach(p -> owned.add(p.partition()));
        }

        @Override
        public synchronized void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            revoked.forEach(p -> {
                owned.remove(p.partition());
                last.remove(p.partition());
            });
        }
    }

    private static boolean even(int members, int others) {
        int all = members + others;
        int sum = 0;

        for (Member member : MEMBERS) {
            int has = member.owned().size();

            if (has < partitions / all || has > (partitions + all - 1) / all)
                return false;
            sum += has;
        }
        return MEMBERS.size() == members && (others > 0 ? sum <= partitions - others * (partitions / all) : sum == partitions);
    }

    private static void await(int members, int others) {
        long began = System.nanoTime();

        while (!even(members, others)) {
            if (System.nanoTime() - began > MOST_NS) {
                System.out.println("not even: " + MEMBERS.stream().map(m -> m.owned().size()).toList());
                System.exit(1);
            }
            LockSupport.parkNanos(500_000);
        }
    }

    /** A record to every tenth partition, again and again. */
    private static void produce() {
        Properties settings = new Properties();

        settings.put("bootstrap.servers", bootstrap);
        settings.put("enable.metrics.push", "false");
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings);
        for (long due = System.nanoTime();; due += INTERVAL_NS) {
            LockSupport.parkNanos(due - System.nanoTime());
            for (int p = 0; p < partitions; p += EVERY)
                producer.send(new ProducerRecord<>(topic, p, null, new byte[20]));
        }
    }

    /** The longest wait of a window in which nothing happens: of the first one that is calm, or of the last one that is waited for. */
    private static long calm() {
        long longest = 0;

        for (int window = 0; window < WINDOWS; window++) {
            for (Member member : MEMBERS)
                member.mark();
            LockSupport.parkNanos(WINDOW_NS);
            longest = MEMBERS.stream().mapToLong(m -> m.gap(m.owned())).max().orElse(0);
            if (longest < CALM_NS)
                break;
        }
        return longest;
    }

    private static void change(String what, int others) throws IOException {
        long calm = calm();
        Map<Member, Set<Integer>> before = new HashMap<>();
        double beats = 0;

        for (Member member : MEMBERS)
            before.put(member, member.owned());
        if (what.equals("lost"))
            System.out.println("ready"); // the other is killed now
        for (Member member : MEMBERS) {
            member.mark();
            beats -= member.beats();
        }
        if (what.equals("lost"))
            COMMANDS.readLine();
        long began = System.nanoTime();
        if (what.equals("add")) {
            MEMBERS.add(new Member());
        } else if (what.equals("leave")) {
            Member last = MEMBERS.remove(MEMBERS.size() - 1);

            beats += last.beats();
            last.leaving = true;
        }
        await(MEMBERS.size(), others);
        long took = System.nanoTime() - began;
        long gap = 0;
        int moved = 0;

        for (Member member : MEMBERS) {
            Set<Integer> stayed = member.owned();

            moved += stayed.size();
            stayed.retainAll(before.getOrDefault(member, Set.of()));
            gap = Math.max(gap, member.gap(stayed));
            moved -= stayed.size();
            beats += member.beats();
        }
        System.out.printf("%s seconds=%.3f gap_ms=%.1f calm_ms=%.1f moved=%d beats=%.0f%n", what, took / 1e9, gap / 1e6, calm / 1e6, moved, beats);
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments[0].equals("--classes"))
            return;
        bootstrap = arguments[0];
        topic = arguments[1];
        partitions = Integer.parseInt(arguments[2]);
        protocol = arguments[3];
        for (int i = 0; i < Integer.parseInt(arguments[4]); i++)
            MEMBERS.add(new Member());
        int others = Integer.parseInt(arguments[5]);

        for (String line; (line = COMMANDS.readLine()) != null;) {
            String[] words = line.split(" ");

            switch (words[0]) {
                case "produce" -> {
                    Thread producer = new Thread(GroupChange::produce);

                    producer.setDaemon(true);
                    producer.start();
                }
                case "settle" -> {
                    await(Integer.parseInt(words[1]), Integer.parseInt(words[2]));
                    System.out.println("settled");
                }
                case "lost" -> change("lost", --others);
                default -> change(words[0], others);
            }
        }
        System.exit(0);
    }
}
