#!/usr/bin/env python3
"""Files that went missing while the broker was stopped cost the one partition whose they were: an error code for its clients, a line in
the log that names the file, and all others are served.
"""
import glob
import os
import shutil
import tempfile
import unittest

import moldau
import wire

STORAGE_ERROR = 56


class MissingFiles(unittest.TestCase):
    def append(self, connection, topic):
        answer = connection.ask("Produce", 8, wire.produce(topic, [0], wire.batch([b"x"])))
        return answer["Responses"][0]["PartitionResponses"][0]

    def damaged(self, damage, words):
        with moldau.Broker() as broker:
            with broker.connect() as c:
                for name in ("lost", "kept"):
                    moldau.create_topic(c, name)
                    self.assertEqual(self.append(c, name)["ErrorCode"], 0)
            self.assertEqual(broker.stop()[0], 0)
            damage(os.path.join(broker.data, "lost-0"))
            broker.start()
            with broker.connect() as c:
                self.assertEqual(self.append(c, "lost")["ErrorCode"], STORAGE_ERROR)
                kept = self.append(c, "kept")
                self.assertEqual((kept["ErrorCode"], kept["BaseOffset"]), (0, 1))
            broker.wait_for_log(words)
            self.assertEqual(broker.stop()[0], 0)

    def test_a_folder_that_is_gone(self):
        self.damaged(shutil.rmtree, "its folder is gone")

    def test_a_segment_that_is_gone(self):
        self.damaged(lambda folder: [os.remove(f) for f in glob.glob(folder + "/*.log")], "is gone, but")

    def test_a_segment_that_was_cut(self):
        self.damaged(lambda folder: [os.truncate(f, 10) for f in glob.glob(folder + "/*.log")], "is shorter, but")

    def test_a_folder_that_does_not_say_whose_it_is_beside_one_that_does(self):
        # As a power failure leaves it that came before the first record of a partition was acknowledged there.
        with tempfile.TemporaryDirectory(prefix="moldau-two-") as base:
            paths = [os.path.join(base, name) for name in ("a", "b")]
            with moldau.Broker({"log.dirs": ",".join(paths)}, data=base) as broker:
                with broker.connect() as c:
                    moldau.create_topic(c, "t")
                    self.assertEqual(self.append(c, "t")["ErrorCode"], 0)
                self.assertEqual(broker.stop()[0], 0)
                other = next(f for f in (os.path.join(p, "t-0") for p in paths) if not os.path.isdir(f))
                os.mkdir(other)
                for name in ("partition.metadata", "00000000000000000000.log"):
                    open(os.path.join(other, name), "w").close()
                broker.start()
                with broker.connect() as c:
                    answer = self.append(c, "t")
                    self.assertEqual((answer["ErrorCode"], answer["BaseOffset"]), (0, 1))
                self.assertEqual(len(glob.glob(other + ".*-stray")), 1)
                self.assertEqual(broker.stop()[0], 0)


if __name__ == "__main__":
    moldau.main()
