#!/usr/bin/env python3
"""tests/run must not lose a failure: each way in which a suite can end, and what is counted for it."""
import importlib.machinery
import importlib.util
import os
import select
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOADER = importlib.machinery.SourceFileLoader("runner", os.path.join(ROOT, "tests", "run"))
sys.dont_write_bytecode = True
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", LOADER))
LOADER.exec_module(runner)

CMOCKA_GOOD = """[==========] Running 2 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
[       OK ] two
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
"""
CMOCKA_BAD = """[==========] Running 3 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
[  ERROR   ] --- 0x3 != 0x4
[   LINE   ] --- src/base/a_test.c:12: error: Failure!
[  FAILED  ] two
[ RUN      ] three
[  SKIPPED ] three
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] two
"""

# output, exit code, is a unit test -> how many passed, failed, skipped
CASES = (
    ("cmocka, all good", CMOCKA_GOOD, 0, True, (2, 0, 0)),
    ("cmocka, one of each", CMOCKA_BAD, 1, True, (1, 1, 1)),
    ("cmocka, crashed within the second", "[ RUN      ] one\n[       OK ] one\n[ RUN      ] two\nSegv\n", -11, True, (1, 1, 0)),
    ("cmocka, all good but a leak at the end", CMOCKA_GOOD + "LeakSanitizer: 8 bytes\n", 1, True, (2, 1, 0)),
    ("a unit test that ran nothing", "", 0, True, (0, 1, 0)),
    ("named lines", "PASS a\nPASS b\nFAIL c\nSKIP d: no Go\n", 1, False, (2, 1, 1)),
    ("a FAIL line though the exit code is 0", "PASS a\nFAIL b\n", 0, False, (1, 1, 0)),
    ("TAP", "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no JDK\n", 1, False, (1, 1, 1)),
    ("unittest", "test_a (m.T.test_a) ... ok\ntest_b (m.T.test_b) ... FAIL\ntest_c (m.T.test_c) ... skipped 'no'\n", 1, False,
     (1, 1, 1)),
    ("says nothing, ends well", "", 0, False, (1, 0, 0)),
    ("says nothing, ends badly", "", 3, False, (0, 1, 0)),
    ("skips itself by its code", "SKIP: no JDK here\n", 77, False, (0, 0, 1)),
    ("skips itself by a line", "SKIP: no JDK here\n", 0, False, (0, 0, 1)),
)


def ends(pid, seconds=10):
    """Whether it ends; a process that was just killed still runs until it next gets a core."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)


class Judge(unittest.TestCase):
    def test_each_way_to_end_is_counted(self):
        for title, output, code, unit, expected in CASES:
            with self.subTest(title):
                result = runner.judge(runner.Suite("suite", [], unit=unit), code, output, 0.0)
                self.assertEqual((len(result.passed), len(result.failed), len(result.skipped)), expected)

    def test_the_reason_of_a_skip_is_kept(self):
        result = runner.judge(runner.Suite("java", []), 77, "SKIP: no JDK here\n", 0.0)
        self.assertEqual(result.skipped, [("java", "no JDK here")])


class Run(unittest.TestCase):
    def test_a_suite_that_does_not_end_is_ended_and_failed(self):
        result = runner.run(runner.Suite("hang", ["sh", "-c", "echo PASS a; sleep 60"], seconds=1))
        self.assertEqual((result.passed, len(result.failed)), (["a"], 1))
        self.assertLess(result.seconds, 30)

    def test_what_a_suite_started_does_not_outlive_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pid")
            runner.run(runner.Suite("leaves", ["sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! >{path}"]))
            with open(path, encoding="utf-8") as file:
                self.assertTrue(ends(int(file.read())))


if __name__ == "__main__":
    unittest.main(verbosity=2)
