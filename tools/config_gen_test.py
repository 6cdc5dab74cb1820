#!/usr/bin/env python3
"""Tests of config_gen: what the tables' columns turn into, and that a table that makes no sense is refused by name."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import config_gen  # noqa: E402

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "config")
HEAD = "section\tname\ttype\tdefault\tvalid\timportance\tinternal\tlast\n"


def row(**fields):
    return {"section": "broker", "name": "a.b", "type": "INT", "default": "1", "valid": "", "importance": "LOW",
            "internal": "false", "last": "-", **fields}


class ConfigGen(unittest.TestCase):
    def test_defaults(self):
        for kind, default, expected in [("INT", "null", None), ("INT", "(required)", None), ("STRING", '""', ""),
                                        ("LIST", "[]", ""), ("LIST", "[a,b]", "a,b"), ("STRING", "x", "x")]:
            self.assertEqual(config_gen.default_text(row(type=kind, default=default)), expected)

    def test_valid_values(self):
        for valid, expected in [
                ("", ("CONFIG_CHECK_NONE", None, 0, 0, 0)),
                ("[0,...]", ("CONFIG_CHECK_RANGE", None, "0", "HUGE_VAL", 0)),
                ("[0,...,0.5]", ("CONFIG_CHECK_RANGE", None, "0", "0.5", 0)),
                ("[1,...,9] or -1", ("CONFIG_CHECK_RANGE_OR", None, "1", "9", "-1")),
                ("[a, b]", ("CONFIG_CHECK_ONE_OF", ["a", "b"], 0, 0, 0)),
                ("(case insensitive) [a, b]", ("CONFIG_CHECK_ONE_OF_ANY_CASE", ["a", "b"], 0, 0, 0))]:
            self.assertEqual(config_gen.check_of(row(valid=valid)), expected)
        with self.assertRaises(config_gen.TableError):
            config_gen.check_of(row(valid="between 1 and 2"))

    def test_synonyms_have_units(self):
        self.assertEqual(config_gen.synonyms_of(row(last="log.roll.ms,log.roll.hours (hours)")),
                         [("log.roll.ms", 1), ("log.roll.hours", 3600000)])
        with self.assertRaises(config_gen.TableError):
            config_gen.synonyms_of(row(last="log.roll.days (days)"))

    def test_constants(self):
        self.assertEqual(config_gen.constant("topic", "segment.bytes"), "TOPIC_CONFIG_SEGMENT_BYTES")

    def test_a_bad_line_is_named(self):
        for line in ["broker\ta\tINT\t1\n", "broker\ta\tFLOAT\t1\t\tLOW\tfalse\t-\n"]:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "t.tsv")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(HEAD + line)
                with self.assertRaisesRegex(config_gen.TableError, r"t\.tsv:2: "):
                    config_gen.read_table(path)

    def test_the_real_tables_are_whole(self):
        sections, texts = config_gen.load(TABLES)
        self.assertGreater(len(sections["broker"]), 300)
        self.assertIn("segment.ms", texts)
        self.assertIn("| `segment.ms` | long | `604800000` |", config_gen.reference(sections, texts))


if __name__ == "__main__":
    unittest.main(verbosity=2)
