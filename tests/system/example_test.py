#!/usr/bin/env python3
"""The examples of docs/examples compile against include/moldau and libmoldau alone, as C and with -Wall, and do what they say.

Also that the public header is C++ as well, and that the library shows nothing but mo_*.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import moldau  # noqa: E402
import wire_admin  # noqa: E402

EXAMPLES = os.path.join(moldau.ROOT, "docs", "examples")
INCLUDE = os.path.join(moldau.ROOT, "include")
SECONDS = 60


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = os.path.dirname(moldau.binary())
        cls.library = os.path.join(cls.folder, "libmoldau.so")
        cls.compiler = shutil.which("cc") or shutil.which("gcc")
        if not cls.compiler:
            raise unittest.SkipTest("no C compiler")
        if not os.path.exists(cls.library):
            raise unittest.SkipTest("libmoldau.so is not built")
        shown = subprocess.run(["nm", "-D", cls.library], capture_output=True, text=True, check=True).stdout
        cls.sanitized = ["-fsanitize=address,undefined"] if "__asan" in shown else []
        cls.symbols = [line.split()[-1] for line in shown.splitlines() if " T " in line]
        cls.work = tempfile.mkdtemp(prefix="moldau-example-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work, ignore_errors=True)

    def compile(self, name):
        program = os.path.join(self.work, name)
        subprocess.run([self.compiler, "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", *self.sanitized, "-I", INCLUDE,
                        os.path.join(EXAMPLES, f"{name}.c"), "-L", self.folder, "-lmoldau", f"-Wl,-rpath,{self.folder}", "-o", program],
                       check=True, timeout=SECONDS)
        return program

    def run_example(self, *arguments, code=0, name="produce_consume"):
        done = subprocess.run([self.compile(name), *arguments], capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def test_it_produces_and_consumes(self):
        with moldau.Broker() as broker:
            address = f"127.0.0.1:{broker.port}"
            self.assertEqual(moldau.run_moldau("topic", "create", "example", "-b", address)[0], 0)
            words, _ = self.run_example(address, "example")
            self.assertEqual(words, "one is at example/0, offset 0\ntwo is at example/0, offset 1\nthree is at example/0, offset 2\n"
                                    "0/0: one (from: an example)\n0/1: two (from: an example)\n0/2: three (from: an example)\n")

    def test_a_member_of_a_group_goes_on_where_the_group_left_off(self):
        with moldau.Broker({"group.initial.rebalance.delay.ms": 0}) as broker:
            address = f"127.0.0.1:{broker.port}"
            self.assertEqual(moldau.run_moldau("topic", "create", "example", "-b", address)[0], 0)
            self.run_example(address, "example")
            for count, values in (("2", ["one", "two"]), ("1", ["three"])):
                words, told = self.run_example(address, "readers", "example", count, name="group_consumer")
                self.assertEqual([line.split()[-1] for line in words.splitlines()[-int(count):]], values)
                self.assertEqual(told, "assigned: example/0\nrevoked: example/0\n")

    def test_records_are_copied_once_by_one_after_the_other(self):
        with moldau.Broker({"group.initial.rebalance.delay.ms": 0, "transaction.state.log.num.partitions": 2}) as broker:
            if "EndTxn" not in wire_admin.apis(broker.port):
                self.skipTest("the broker has no transactions")
            address = f"127.0.0.1:{broker.port}"
            for topic in ("from", "to"):
                self.assertEqual(moldau.run_moldau("topic", "create", topic, "-b", address)[0], 0)
            moldau.run_moldau("produce", "from", "-b", address, input="one\ntwo\nthree\n")
            for count in ("2", "1"):
                words, _ = self.run_example(address, "copiers", "copier", "from", "to", count, name="exactly_once")
                self.assertEqual(words, f"copied {count} records\n")
            code, words, _ = moldau.run_moldau("consume", "to", "-e", "--isolation", "read_committed", "-b", address)
            self.assertEqual((code, words), (0, "ONE\nTWO\nTHREE\n"))

    def test_without_a_broker_it_says_so(self):
        _, words = self.run_example("127.0.0.1:1", "example", code=1)
        self.assertIn("connection refused", words)

    def test_the_library_shows_mo_functions_only(self):
        self.assertGreater(len(self.symbols), 20)
        self.assertEqual([name for name in self.symbols if not name.startswith("mo_")], [])

    def test_the_header_is_cxx_too(self):
        compiler = shutil.which("c++") or shutil.which("g++")
        if not compiler:
            self.skipTest("no C++ compiler")
        subprocess.run([compiler, "-fsyntax-only", "-Wall", "-Werror", "-I", INCLUDE, "-x", "c++", "-include", "moldau/moldau.h", "/dev/null"],
                       check=True, timeout=SECONDS)


if __name__ == "__main__":
    moldau.main()
