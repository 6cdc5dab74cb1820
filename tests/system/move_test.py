"""A partition goes to another folder of log.dirs while it is produced to and read: told by DescribeLogDirs, given up, gone on with after kill -9."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import wire  # noqa: E402

RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
VALUE = b"v" * 900


class Folders:
    """A broker with two folders in log.dirs, a topic with one partition, and records in it."""

    def __init__(self, records=2500, **settings):
        self.base = tempfile.TemporaryDirectory(prefix="moldau-move-")
        self.paths = [os.path.join(self.base.name, name) for name in ("a", "b")]
        self.broker = moldau.Broker({"node.id": 1, "log.dirs": ",".join(self.paths), "log.segment.bytes": 1 << 20, **settings}, data=self.base.name)
        self.count = 0
        with self.broker.connect() as c:
            moldau.create_topic(c, "t")
            self.produce(c, records)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.broker.end()
        self.base.cleanup()

    def produce(self, c, count):
        while count > 0:
            some = min(count, 50)
            values = [b"%d " % (self.count + i) + VALUE for i in range(some)]
            errors = wire.produce_errors(c.ask("Produce", 8, wire.produce("t", [0], wire.batch(values))))
            assert errors == [0], errors
            self.count += some
            count -= some

    def limit(self, c, rate):
        moldau_alter(c, ("1", (RATE, 0 if rate else 1, str(rate) if rate else None)))

    def move(self, c, path, topic="t", partition=0):
        answer = c.ask("AlterReplicaLogDirs", 2, {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [partition]}]}]})
        return answer["Results"][0]["Partitions"][0]["ErrorCode"]

    def where(self, c):
        """({folder: (size, lag)} of the log, the same of copies on their way)"""
        here, coming = {}, {}
        for folder in c.ask("DescribeLogDirs", 4, {"Topics": [{"Topic": "t", "Partitions": [0]}]})["Results"]:
            for topic in folder["Topics"]:
                for p in topic["Partitions"]:
                    (coming if p["IsFutureKey"] else here)[folder["LogDir"]] = (p["PartitionSize"], p["OffsetLag"])
        return here, coming

    def wait_until_in(self, c, path):
        def there():
            here, coming = self.where(c)
            return list(here) == [path] and not coming

        moldau.wait_for(there, 60, f"the partition to be in {path}\n{self.broker.log()}")

    def folder_of(self, number):
        return [name for name in os.listdir(self.paths[number]) if name.startswith("t-0")]

    def values_after_start(self):
        self.broker.start()
        return self.values()

    def values(self):
        code, out, err = moldau.run_moldau("consume", "t", "-b", f"127.0.0.1:{self.broker.port}", "-e")
        assert code == 0, err
        return [int(line.split()[0]) for line in out.splitlines()]


def moldau_alter(c, *resources):
    answer = c.ask("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 4, "ResourceName": name, "Configs": [
        {"Name": n, "ConfigOperation": o, "Value": v}]} for name, (n, o, v) in resources]})
    assert all(r["ErrorCode"] == 0 for r in answer["Responses"]), answer


class Moves(unittest.TestCase):
    def test_a_partition_is_moved_and_back_while_it_is_used(self):
        with Folders() as f, f.broker.connect() as c:
            here, _ = f.where(c)
            at = f.paths.index(list(here)[0])
            for to in (1 - at, at):
                self.assertEqual(f.move(c, f.paths[to]), 0)
                for _ in range(20):
                    f.produce(c, 10)
                f.wait_until_in(c, f.paths[to])
                self.assertEqual((f.folder_of(1 - to), f.folder_of(to)), ([], ["t-0"]))
            f.produce(c, 10)
            self.assertEqual(f.values(), list(range(f.count)))
            f.broker.restart()
            self.assertEqual(f.values(), list(range(f.count)))

    def test_a_move_is_told_replaced_and_given_up(self):
        with Folders() as f, f.broker.connect() as c:
            here, coming = f.where(c)
            self.assertEqual((list(here.values())[0][1], coming), (0, {}))
            at = list(here)[0]
            to = f.paths[1 - f.paths.index(at)]
            f.limit(c, 500000)
            self.assertEqual(f.move(c, to), 0)
            self.assertEqual(f.move(c, to), 0)
            size, lag = moldau.wait_for(lambda: f.where(c)[1].get(to, (0, 0))[0] and f.where(c)[1][to], what="some of it to be copied")
            self.assertTrue(0 < size < here[at][0] and 0 < lag < f.count, (size, lag))
            self.assertEqual([name.endswith("-future") for name in f.folder_of(f.paths.index(to))], [True])
            self.assertEqual(f.move(c, at), 0)
            self.assertEqual(f.where(c)[1], {})
            moldau.wait_for(lambda: f.folder_of(f.paths.index(to)) == [], what="the copy to go")
            self.assertEqual(f.values(), list(range(f.count)))

    def test_what_cannot_be_is_refused(self):
        with Folders(records=1) as f, f.broker.connect() as c:
            self.assertEqual(f.move(c, "/nowhere"), 57)
            self.assertEqual(f.move(c, f.paths[0], "none"), 3)
            self.assertEqual(f.move(c, f.paths[0], partition=7), 3)
            self.assertEqual(f.move(c, f.paths[0], "x" * 220), 17)

    def test_a_move_goes_on_after_kill_9(self):
        with Folders() as f:
            with f.broker.connect() as c:
                at = list(f.where(c)[0])[0]
                to = f.paths[1 - f.paths.index(at)]
                f.limit(c, 700000)
                self.assertEqual(f.move(c, to), 0)
                moldau.wait_for(lambda: f.where(c)[1].get(to, (0, 0))[0] > 700000, 30, "some of it to be copied")
            for _ in range(3):
                f.broker.kill()
                self.assertEqual(f.values_after_start(), list(range(f.count)))
            with f.broker.connect() as c:
                f.limit(c, None)
                f.wait_until_in(c, to)
            self.assertEqual(f.values(), list(range(f.count)))

    @unittest.skipIf(peer.missing(), peer.missing() or "")
    def test_kafkas_tool_moves_a_partition(self):
        with Folders() as f:
            with f.broker.connect() as c:
                at = list(f.where(c)[0])[0]
            to = f.paths[1 - f.paths.index(at)]
            plan = os.path.join(f.base.name, "plan.json")
            with open(plan, "w", encoding="utf-8") as out:
                json.dump({"version": 1, "partitions": [{"topic": "t", "partition": 0, "replicas": [1], "log_dirs": [to]}]}, out)

            def tool(*words):
                done = subprocess.run(peer.command("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "--bootstrap-server",
                                                   f"127.0.0.1:{f.broker.port}", "--reassignment-json-file", plan, *words),
                                      capture_output=True, text=True, timeout=120, check=False)
                return done.stdout + done.stderr

            self.assertIn("Successfully started moving log directory", tool("--execute"))
            with f.broker.connect() as c:
                f.wait_until_in(c, to)
            self.assertIn("completed successfully", tool("--verify").replace("is completed", "completed"))
            self.assertEqual(f.values(), list(range(f.count)))


if __name__ == "__main__":
    moldau.main()
