#!/usr/bin/env python3
"""The small checks must be able to fail, and ./dev must list its verbs and refuse others."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools"))
import format_check  # noqa: E402
import generated_check  # noqa: E402

VERBS = ["run", "build", "test", "check", "sim", "compat", "fuzz", "bench", "fmt", "gen"]


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Format(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, "build")) as folder:
            return not format_check.differ([write(folder, "a.c", text)])

    def test_the_project_s_own_form_is_accepted(self):
        self.assertTrue(self.check("int f(void)\n{\n\treturn 1;\n}\n"))

    def test_another_form_is_not(self):
        self.assertFalse(self.check("int f(void) {\n    return 1;\n}\n"))


class Generated(unittest.TestCase):
    def differences(self, body):
        with tempfile.TemporaryDirectory() as folder:
            generator = write(folder, "gen.py", "import os, sys\nout = sys.argv[sys.argv.index('--out') + 1]\n" + body)
            return generated_check.differences([generator])

    def test_a_generator_that_repeats_itself_passes(self):
        self.assertEqual(self.differences("open(out + '/m.h', 'w').write('same')\n"), [])

    def test_a_generator_that_depends_on_hashing_fails(self):
        self.assertEqual(self.differences("open(out + '/m.h', 'w').write(str(hash('a')))\n"), ["m.h"])

    def test_a_generator_that_makes_nothing_fails(self):
        self.assertEqual(len(self.differences("")), 1)

    def test_a_page_that_is_out_of_date_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            generator = write(folder, "gen.py", "import sys\nopen(sys.argv[1], 'w').write('new')\n")
            self.assertFalse(generated_check.page_is_current(write(folder, "old.md", "old"), [generator]))
            self.assertTrue(generated_check.page_is_current(write(folder, "new.md", "new"), [generator]))


class Dev(unittest.TestCase):
    def test_alone_it_lists_each_verb_with_a_line(self):
        listed = subprocess.run([os.path.join(ROOT, "dev")], check=True, capture_output=True, text=True).stdout
        self.assertEqual([line.split()[0] for line in listed.splitlines() if line.startswith("  ")], VERBS)

    def test_an_unknown_verb_is_wrong_use(self):
        done = subprocess.run([os.path.join(ROOT, "dev"), "tset"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
