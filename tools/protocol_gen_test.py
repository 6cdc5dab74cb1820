#!/usr/bin/env python3
"""The protocol generator: what it makes of small schemas, and what it says about wrong ones."""
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools"))
import protocol_gen  # noqa: E402

PING = """\
api 7 Ping
request PingRequest apikey=7 versions=1-4 flex=3+ listeners=broker
  struct Shared 0+
    A  int16  2+  default=-5
  Name   string    0+   null=2+
  Peers  []Shared  0+
  Extra  Detail    3+   tag=1:3+
    Far  bool      3+   default=true
  Late   int32     4+   ignorable
response PingResponse apikey=7 versions=1-4 flex=3+
"""


def load(text):
    parser = protocol_gen.Parser()
    parser.parse_lines(text.splitlines(), "x.schema")
    protocol_gen.finish(parser)
    return parser


def plan(parser, message, struct, version):
    found = next(m for m in parser.messages if m.name == message)
    return found.plans[struct, version]


class Names(unittest.TestCase):
    def test_underscores_go_where_words_begin(self):
        for name, expected in (
            ("TopicId", "topic_id"),
            ("topicId", "topic_id"),
            ("Name", "name"),
            ("KRaftVersion", "k_raft_version"),
            ("IsrNodes", "isr_nodes"),
            ("HTTPPort", "http_port"),
            ("V2Name", "v2_name"),
            ("Errorcode", "errorcode"),
        ):
            self.assertEqual(protocol_gen.snake(name), expected)

    def test_a_keyword_of_c_gets_an_underscore(self):
        self.assertEqual(protocol_gen.field_name("Default"), "default_")


class Ranges(unittest.TestCase):
    def test_each_form(self):
        for text, first, last in (("3", 3, 3), ("3-7", 3, 7), ("3+", 3, protocol_gen.OPEN_END)):
            parsed = protocol_gen.parse_range(text, "x:1")
            self.assertEqual((parsed.first, parsed.last, str(parsed)), (first, last, text))
        self.assertTrue(protocol_gen.parse_range("none", "x:1").empty)

    def test_anything_else_is_refused(self):
        for text in ("", "+", "3-", "-3", "7-3", "a", "3++", "1,2"):
            with self.assertRaises(protocol_gen.SchemaError):
                protocol_gen.parse_range(text, "x:1")


class Plans(unittest.TestCase):
    def setUp(self):
        self.parser = load(PING)

    def test_a_version_has_its_fields_in_order_and_its_encoding(self):
        def wires(version):
            return [(s.field.c_name, s.wire, s.nullable) for s in plan(self.parser, "PingRequest", "PingRequest", version).steps]

        self.assertEqual(wires(1), [("name", "WIRE_STRING", False), ("peers", "WIRE_ARRAY", False)])
        self.assertEqual(wires(2), [("name", "WIRE_STRING", True), ("peers", "WIRE_ARRAY", False)])
        self.assertEqual(wires(4), [("name", "WIRE_COMPACT_STRING", True), ("peers", "WIRE_COMPACT_ARRAY", False),
                                    ("late", "WIRE_INT32", False)])

    def test_tagged_fields_stand_apart(self):
        body = plan(self.parser, "PingRequest", "PingRequest", 3)
        self.assertEqual([(s.field.tag, s.field.c_name) for s in body.tagged], [(1, "extra")])
        self.assertTrue(body.flexible)

    def test_what_a_version_lacks_must_be_at_its_default_unless_ignorable(self):
        body = plan(self.parser, "PingRequest", "PingRequest", 1)
        self.assertEqual([body.struct.fields[i].name for i in body.lacking], ["Extra"])

    def test_the_fewest_bytes_are_counted(self):
        self.assertEqual(plan(self.parser, "PingRequest", "PingRequest", 1).least, 2 + 4)
        self.assertEqual(plan(self.parser, "PingRequest", "PingRequest", 4).least, 1 + 1 + 4 + 1)
        # An empty struct takes nothing, but an element of an array counts as a byte.
        peers = plan(self.parser, "PingRequest", "PingRequest", 1).steps[1]
        self.assertEqual((peers.plan.least, peers.element_least), (0, 1))

    def test_versions_that_look_the_same_share_a_plan(self):
        shared = [plan(self.parser, "PingRequest", "Shared", v) for v in (1, 2, 3, 4)]
        self.assertIsNot(shared[0], shared[1])
        self.assertIs(shared[2], shared[3])


class Output(unittest.TestCase):
    def test_structs_and_defaults(self):
        parser = load(PING)
        header, source = protocol_gen.header_text(parser, "messages"), protocol_gen.source_text(parser, "messages")
        for text in ("API_PING = 7,", "struct ping_request_shared *peers;", "\tint32_t peers_count;",
                     "struct tagged_fields unknown_tags;", "struct ping_request_detail extra;"):
            self.assertIn(text, header)
        for text in ("ping_request_shared_defaults = {.a = -5};", ".extra = {.far = true}", '"Ping", &ping_request_type',
                     "{7, 1, 4, 3, false, true, false,"):
            self.assertIn(text, source)

    def test_it_compiles(self):
        with tempfile.TemporaryDirectory() as folder:
            schema = os.path.join(folder, "x.schema")
            with open(schema, "w", encoding="utf-8") as file:
                file.write(PING)
            out = os.path.join(folder, "protocol")
            self.assertEqual(protocol_gen.main(["--schema", schema, "--out", out]), 0)
            subprocess.run(["gcc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", folder, "-I",
                            os.path.join(ROOT, "src"), os.path.join(out, "messages.c")], check=True)

    def test_files_that_would_not_change_are_not_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a")
            protocol_gen.write_if_changed(path, "text")
            os.utime(path, (1, 1))
            protocol_gen.write_if_changed(path, "text")
            self.assertEqual(os.stat(path).st_mtime, 1)
            protocol_gen.write_if_changed(path, "other")
            self.assertNotEqual(os.stat(path).st_mtime, 1)

    def test_show_prints_structs_and_what_each_version_has(self):
        text = protocol_gen.show(load(PING), "ping")
        for part in ("struct ping_request {", "versions 3, at least", "tag 1: extra: struct ping_request_detail_v3",
                     "response PingResponse"):
            self.assertIn(part, text)

    def test_show_names_what_is_near(self):
        with self.assertRaisesRegex(protocol_gen.SchemaError, "no API or message is called pin; there is Ping, PingRequest"):
            protocol_gen.show(load(PING), "pin")


class Refusals(unittest.TestCase):
    """Each schema is wrong in one way; the message says where and why."""

    def check(self, text, expected):
        with self.assertRaisesRegex(protocol_gen.SchemaError, expected):
            load(text)

    def test_of_lines(self):
        for text, expected in (
            ("frob X versions=1", r"x\.schema:1: 'frob' is no kind of message"),
            ("api x Ping", "expected 'api <key> <name>'"),
            ("api 1 A\napi 1 B", r"x\.schema:2: API 1 B was at x\.schema:1 already"),
            ("  A int8 0+", "a field outside of a message"),
            ("data D", "D has no versions="),
            ("data D versions=1+", "the versions of D have no end"),
            ("data D versions=1 color=red", "unknown attribute 'color=red' of a message"),
            ("data D versions=0\n\tA int8 0", "indent with spaces"),
            ("data D versions=0\n A int8 0", "an odd number of spaces"),
            ("data D versions=0\n  A int8 0\n    B int8 0", r"x\.schema:3: 'B' is indented more"),
            ("data D versions=0\n  A int8", "expected '<name> <type> <versions>"),
            ("data D versions=0\n  A int7 0", "unknown type 'int7' of A"),
            ("data D versions=0\n  A Thing 0", "D has no struct Thing"),
            ("data D versions=0\n  A int8 0 shiny", "unknown attribute 'shiny' of field A"),
            ("data D versions=0\n  A int8 0\n  A int8 0", r"x\.schema:3: D has a field a at x\.schema:2"),
            ("data D versions=0\ndata D versions=0", "struct d was made at"),
            ("request R apikey=9 versions=0", "which no 'api' line names"),
            ("api 1 A\nrequest R apikey=1 versions=0", "lacks its request or its response"),
        ):
            with self.subTest(text=text):
                self.check(text, expected)

    def test_of_fields(self):
        for field, expected in (
            ("A int8 0+ default=128", "'128' is no int8"),
            ("A uint16 0+ default=-1", "'-1' is no uint16"),
            ("A bool 0+ default=1", "'1' is no default of a bool"),
            ("A string 0+ default=x", "no default but"),
            ("A []int8 0+ default=1", "the default of an array can only be null"),
            ("A int8 0+ null=0+", "A is int8 and cannot be null"),
            ("A string 0+ null=1+ default=null", "null by default, but not nullable in all"),
            ("A int8 0+ tag=0:0+", "tagged in versions that have no tag section"),
            ("A int8 0+ tag=x:0+", "should be tag=<number>:<versions>"),
            ("A []records 0+", "records in an array"),
        ):
            with self.subTest(field=field):
                self.check(f"data D versions=0-2 flex=1+\n  {field}", expected)

    def test_of_structs(self):
        self.check("data D versions=0 flex=0+\n  A int8 0 tag=1:0\n  B int8 0 tag=1:0", "has a tag twice")
        self.check("data D versions=0\n  struct S 0\n    A []S 0\n  B S 0", "struct S contains itself")
        self.check("data D versions=0\n  struct S 0\n  B S 0", "struct S has no fields")
        self.check("data D versions=0-1\n  A S 0+ null=1+\n    B int8 0+", "nullable in some of its versions only")

    def test_a_wrong_schema_ends_the_program_with_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            schema = os.path.join(folder, "bad.schema")
            with open(schema, "w", encoding="utf-8") as file:
                file.write("data D versions=0\n  A int7 0\n")
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                self.assertEqual(protocol_gen.main(["--schema", schema, "--out", folder]), 1)
            self.assertEqual(said.getvalue(), "protocol_gen: bad.schema:2: unknown type 'int7' of A\n")
            self.assertEqual(os.listdir(folder), ["bad.schema"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
