#!/usr/bin/env python3
"""What no client should send: the connection that sends it ends with one line in the log, all others are undisturbed."""
import os
import struct
import unittest

import moldau
import wire


class Closes:
    def closes(self, data, log):
        """It is closed with one line. Ten of a kind are told in a second: after others' it may take a second try."""
        before = self.broker.log()

        def is_told():
            with self.broker.connect() as c:
                c.send(data)
                self.assertTrue(c.is_closed())
            return log in self.broker.log()[len(before):]

        moldau.wait_for(is_told, what=f"{log} in {self.broker.log()}")
        lines = [line for line in self.broker.log()[len(before):].splitlines() if "closing the connection" in line]
        self.assertEqual(len(lines), 1, lines)


class BadInput(Closes, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker({"max.connections.per.ip": 2000})
        cls.other = cls.broker.connect()

    @classmethod
    def tearDownClass(cls):
        cls.other.close()
        cls.broker.end()

    def tearDown(self):
        """Whoever was there before is served as before."""
        self.assertEqual(self.other.ask("ApiVersions", 0)["ErrorCode"], 0)

    def test_garbage(self):
        self.closes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "this is HTTP, not Kafka's protocol")

    def test_garbage_of_all_kinds(self):
        for seed in range(50):
            with self.broker.connect() as c:
                c.send(wire.frame(os.urandom(1 + seed * 7)))
                c.socket.settimeout(0.05)
                try:
                    c.socket.recv(100)
                except OSError:
                    pass

    def test_two_gigabytes(self):
        self.closes(struct.pack(">i", 0x7fffffff) + b"x" * 100, "2147483647 bytes is over socket.request.max.bytes")

    def test_just_above_the_maximum(self):
        self.closes(struct.pack(">i", 104857601), "104857601 bytes is over")

    def test_negative_length(self):
        self.closes(struct.pack(">i", -1), "negative size -1")

    def test_empty_frame(self):
        self.closes(struct.pack(">i", 0), "without a valid header")

    def test_unknown_api(self):
        self.closes(wire.frame(wire.request_header(999, 0)), "(key 999) from client \"test\": this API is not served")

    def test_api_that_is_not_there_yet(self):
        self.closes(wire.request("DescribeAcls", 3, {}), "DescribeAcls v3 (key 29) from client \"test\": this API is not served")

    def test_unknown_version(self):
        self.closes(wire.frame(wire.request_header(3, 99, flexible=True)), "Metadata v99 (key 3) from client \"test\": this version")

    def test_body_that_does_not_parse(self):
        self.closes(wire.frame(wire.request_header(3, 1) + b"\x00\x00\x00\x05ab"), "Metadata v1")

    def test_array_that_cannot_be(self):
        self.closes(wire.frame(wire.request_header(3, 1) + b"\x7f\xff\xff\xff"), "Metadata v1")

    def test_half_a_frame_and_gone(self):
        whole = wire.request("Metadata", 1, {"Topics": None})
        for size in range(1, len(whole)):
            with self.broker.connect() as c:
                c.send(whole[:size])

    def test_bytes_behind_a_request_are_ignored(self):
        with self.broker.connect() as c:
            self.assertIn("Brokers", c.ask("Metadata", 1, {"Topics": []}, extra=b"more bytes"))
            self.assertIn("Brokers", c.ask("Metadata", 1, {"Topics": []}))

    def test_array_count_below_minus_one(self):
        with self.broker.connect() as c:
            c.send(wire.frame(wire.request_header(3, 1) + struct.pack(">i", -2)))
            self.assertIn("Brokers", c.answer("Metadata", 1)[1])

    def test_client_id_that_is_no_utf8(self):
        with self.broker.connect() as c:
            c.send(wire.frame(struct.pack(">hhih", 3, 1, 5, 2) + b"\xff\xfe" + struct.pack(">i", 0)))
            self.assertEqual(c.answer("Metadata", 1)[0], 5)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.broker.connect() as c:
            count = 500
            data = b""
            for i in range(count):
                api, version = (("ApiVersions", 0), ("Metadata", 1), ("DescribeCluster", 0), ("InitProducerId", 0))[i % 4]
                body = {"TransactionalId": None} if api == "InitProducerId" else None
                data += wire.request(api, version, body, correlation=i)
            c.send(data)
            for i in range(count):
                self.assertEqual(struct.unpack(">i", c.receive_frame()[:4])[0], i)

    def test_answers_that_nobody_reads_stop_the_requests(self):
        """The client asks without reading: the broker takes no more than a bounded number of requests from it."""
        with self.broker.connect() as c:
            one = wire.request("ApiVersions", 0)
            c.socket.settimeout(1)
            sent = 0
            try:
                for _ in range(100000):
                    c.send(one * 100)
                    sent += 100
            except OSError:
                pass
            self.assertLess(sent, 2000000)
            self.assertLess(self.broker.resident_bytes(), 1 << 30)


class Slow(Closes, unittest.TestCase):
    """Connections that take their time, with connections.max.idle.ms at 400."""

    @classmethod
    def setUpClass(cls):
        cls.broker = moldau.Broker({"connections.max.idle.ms": 400})

    @classmethod
    def tearDownClass(cls):
        cls.broker.end()

    def tearDown(self):
        with self.broker.connect() as c:
            self.assertEqual(c.ask("ApiVersions", 0)["ErrorCode"], 0)

    def test_half_a_frame(self):
        whole = wire.request("Metadata", 1, {"Topics": None})
        for size in (1, 3, 4, 10, len(whole) - 1):
            with self.subTest(size=size):
                self.closes(whole[:size], "did not arrive within connections.max.idle.ms")

    def test_slow_loris(self):
        """A byte now and then does not keep a request going for ever."""
        whole = wire.frame(wire.request_header(3, 1) + b"\0" * 2000)
        with self.broker.connect() as c:
            c.socket.settimeout(0.02)
            sent = 0
            closed = False
            while sent < len(whole) and not closed:
                try:
                    c.send(whole[sent:sent + 1])
                    sent += 1
                    closed = c.socket.recv(1) == b""
                except TimeoutError:
                    pass
                except OSError:
                    closed = True
            self.assertTrue(closed)
            self.assertLess(sent, 200)

    def test_idle_connection_ends_without_a_line(self):
        before = self.broker.log()
        with self.broker.connect() as c:
            self.assertTrue(c.is_closed())
        self.assertEqual(self.broker.log(), before)


class Limits(unittest.TestCase):
    def test_connections_per_address(self):
        with moldau.Broker({"max.connections.per.ip": 3}) as broker:
            kept = [broker.connect() for _ in range(3)]
            for c in kept:
                c.ask("ApiVersions", 0)
            with broker.connect() as c:
                self.assertTrue(c.is_closed())
            broker.wait_for_log("max.connections.per.ip=3")
            kept.pop().close()
            self.assertTrue(moldau.wait_for(lambda: self.can_ask(broker)))
            for c in kept:
                c.ask("ApiVersions", 0)
                c.close()

    @staticmethod
    def can_ask(broker):
        try:
            with broker.connect() as c:
                return c.ask("ApiVersions", 0)["ErrorCode"] == 0
        except (EOFError, ConnectionError):
            return False

    def test_connections_in_all(self):
        with moldau.Broker({"max.connections": 5}) as broker:
            kept = [broker.connect() for _ in range(5)]
            for c in kept:
                c.ask("ApiVersions", 0)
            broker.wait_for_log("max.connections=5 is reached")
            with broker.connect() as waits:
                waits.send(wire.request("ApiVersions", 0))
                for c in kept:
                    c.ask("ApiVersions", 0)
                kept.pop().close()
                self.assertEqual(waits.answer("ApiVersions", 0)[1]["ErrorCode"], 0)
            for c in kept:
                c.close()

    def test_frames_over_the_memory_limit_wait_and_arrive(self):
        """Requests of 8 MB each from many connections under a limit of 64 MiB: all answered, none refused."""
        with moldau.Broker({"memory.limit.bytes": 64 << 20}) as broker:
            connections = [broker.connect() for _ in range(16)]
            request = wire.request("Metadata", 1, {"Topics": []}, extra=b"\0" * (8 << 20))
            for c in connections:
                c.send(request[:100])
            for c in connections:
                c.send(request[100:])
            for c in connections:
                self.assertIn("Brokers", c.answer("Metadata", 1)[1])
                c.close()


if __name__ == "__main__":
    moldau.main()
