#!/usr/bin/env python3
"""Data folders of every format that ever landed open for ever, and give back every byte: those that a clean stop left, and those
that were left by kill -9 with all of it in the journals. tests/compat/record_data_folder.py recorded them.
"""
import glob
import json
import os
import sys
import tarfile
import tempfile
import unittest

import moldau
import wire

COMPAT = os.path.join(moldau.ROOT, "tests", "compat")
sys.path.insert(0, COMPAT)
import record_data_folder  # noqa: E402


class OldFolders(unittest.TestCase):
    def open(self, archive, shards):
        with open(archive.replace(".tar.xz", ".json"), encoding="utf-8") as text:
            wanted = json.load(text)
        with tempfile.TemporaryDirectory() as data:
            with tarfile.open(archive) as tar:
                tar.extractall(data)
            with moldau.Broker({"shards": shards}, data=data) as broker:
                for _ in range(2):  # as it was left, and after a clean stop of this build
                    with broker.connect() as c:
                        found = record_data_folder.served(c)
                        self.assertEqual(found, wanted["topics"])
                        self.assertEqual(record_data_folder.settings(c), wanted["settings"])
                    broker.restart()
                with broker.connect() as c:
                    errors = wire.produce_errors(c.ask("Produce", 8, wire.produce("plain", [0], record_data_folder.keyed(1))))
                    self.assertEqual(errors, [0])
                self.assertEqual(broker.stop()[0], 0)
                self.assertNotIn("ERROR", broker.log())

    def test_every_recorded_folder_opens_and_gives_back_every_byte(self):
        archives = sorted(glob.glob(os.path.join(COMPAT, "data", "*.tar.xz")))
        self.assertTrue(archives)
        for archive in archives:
            for shards in (1, 2, 3):
                with self.subTest(archive=os.path.basename(archive), shards=shards):
                    self.open(archive, shards)


if __name__ == "__main__":
    moldau.main()
