"""The judge of transactions (tests/compat/txn_check.py) finds each anomaly in a history made wrong on purpose, and none in a right one."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import txn_check  # noqa: E402


class Story:
    """Events in order, a microsecond apart."""

    def __init__(self):
        self.events = []

    def add(self, process, event, **fields):
        self.events.append({"t": 1000 * len(self.events), "p": process, "e": event, **fields})
        return self

    def begin(self, txn):
        return self.add(txn[0], "begin", txn=txn)

    def send(self, txn, key, offset, value, acknowledged=True):
        self.add(txn[0] if txn else "w", "send", txn=txn, k=key, v=value)
        return self.add(txn[0] if txn else "w", "sent", txn=txn, k=key, v=value, o=offset) if acknowledged else self

    def ask(self, txn, how="commit"):
        return self.add(txn[0], how, txn=txn)

    def end(self, txn, how="commit"):
        return self.ask(txn, how).add(txn[0], {"commit": "committed", "abort": "aborted"}[how], txn=txn)

    def poll(self, process, *records, txn=None):
        return self.add(process, "poll", txn=txn, r=[list(record) for record in records])

    def assigned(self, process, *keys):
        return self.add(process, "assigned", k=list(keys))


def copied():
    """a1 writes two keys and commits, b1 writes between them and is aborted, r reads all there is."""
    story = Story().begin("a1").begin("b1").send("a1", "x", 0, 1).send("b1", "x", 1, 2).send("a1", "x", 2, 3).send("a1", "y", 0, 4)
    return story.end("b1", "abort").end("a1").poll("r", ("x", 0, 1), ("x", 2, 3)).poll("r", ("y", 0, 4))


class TransactionCheck(unittest.TestCase):
    def right(self, story, complete=True):
        self.assertEqual(txn_check.check(story.events, complete), {})

    def wrong(self, kind, story, complete=False, count=1):
        found = txn_check.check(story.events, complete)
        self.assertEqual(list(found), [kind], found)
        self.assertEqual(len(found[kind]), count, found)

    def test_a_right_history_is_right(self):
        self.right(copied())

    def test_counts_say_what_a_history_has(self):
        self.assertEqual(txn_check.counts(copied().events), {"transactions": 2, "committed": 1, "aborted": 1, "in doubt": 0, "writes": 4, "reads": 3})

    def test_a_lost_write_is_found(self):
        self.wrong("lost write", Story().begin("a1").send("a1", "x", 0, 1).send("a1", "x", 1, 2).end("a1").poll("r", ("x", 1, 2)))

    def test_a_write_that_was_never_acknowledged_is_not_lost(self):
        self.right(Story().begin("a1").send("a1", "x", 0, 1, acknowledged=False).ask("a1").send(None, "x", 1, 2).poll("r", ("x", 1, 2)))

    def test_a_transaction_in_doubt_may_be_there_or_not_but_not_half(self):
        doubtful = Story().begin("a1").send("a1", "x", 0, 1).send("a1", "y", 0, 2).ask("a1").send(None, "y", 2, 3)
        self.right(Story().begin("a1").send("a1", "x", 0, 1).ask("a1"))
        self.right(Story().begin("a1").send("a1", "x", 0, 1).ask("a1").poll("r", ("x", 0, 1)))
        self.wrong("lost write", doubtful.poll("r", ("x", 0, 1)).poll("r", ("y", 2, 3)))

    def test_an_unseen_write_is_found_only_in_a_complete_history(self):
        story = Story().begin("a1").send("a1", "x", 0, 1).end("a1")
        self.right(story, complete=False)
        self.wrong("unseen", story, complete=True)

    def test_an_aborted_read_is_found(self):
        self.wrong("G1a", Story().begin("a1").send("a1", "x", 0, 1).end("a1", "abort").poll("r", ("x", 0, 1)))

    def test_a_read_of_what_was_never_asked_to_commit_is_an_aborted_read(self):
        self.wrong("G1a", Story().begin("a1").send("a1", "x", 0, 1).add("a", "killed").poll("r", ("x", 0, 1)))

    def test_an_intermediate_read_is_found(self):
        story = Story().begin("a1").send("a1", "x", 0, 1).poll("r", ("x", 0, 1)).send("a1", "x", 1, 2).end("a1").poll("r", ("x", 1, 2))
        self.wrong("G1b", story)

    def test_a_read_between_the_request_to_commit_and_its_answer_is_right(self):
        self.right(Story().begin("a1").send("a1", "x", 0, 1).ask("a1").poll("r", ("x", 0, 1)).add("a", "committed", txn="a1"))

    def test_a_circle_of_reads_is_found(self):
        story = Story().begin("a1").begin("b1").send("a1", "x", 0, 1).send("b1", "y", 0, 2).ask("a1").ask("b1")
        story.poll("a", ("y", 0, 2), txn="a1").poll("b", ("x", 0, 1), txn="b1")
        self.wrong("G1c", story.add("a", "committed", txn="a1").add("b", "committed", txn="b1"))

    def test_a_circle_over_three_is_found_once(self):
        story = Story()
        for txn in ("a1", "b1", "c1"):
            story.begin(txn).send(txn, txn[0], 0, 1).ask(txn)
        story.poll("a", ("b", 0, 1), txn="a1").poll("b", ("c", 0, 1), txn="b1").poll("c", ("a", 0, 1), txn="c1")
        self.wrong("G1c", story)

    def test_a_chain_of_reads_is_no_circle(self):
        story = Story().begin("a1").send("a1", "x", 0, 1).end("a1").begin("b1").poll("b", ("x", 0, 1), txn="b1").send("b1", "y", 0, 2)
        self.right(story.end("b1").poll("r", ("y", 0, 2)))

    def test_writes_of_two_between_each_other_are_right(self):
        story = Story().begin("a1").begin("b1").send("a1", "x", 0, 1).send("b1", "x", 1, 2).send("b1", "y", 0, 3).send("a1", "y", 1, 4)
        self.right(story.end("a1").end("b1").poll("r", ("x", 0, 1), ("x", 1, 2), ("y", 0, 3), ("y", 1, 4)))

    def test_a_duplicate_is_found(self):
        self.wrong("duplicate", Story().begin("a1").send("a1", "x", 0, 1).end("a1").poll("r", ("x", 0, 1), ("x", 1, 1)))

    def test_an_inconsistent_offset_is_found(self):
        story = Story().begin("a1").send("a1", "x", 0, 1).end("a1").send(None, "x", 0, 2)
        self.wrong("inconsistent", story.poll("r", ("x", 0, 1)).poll("q", ("x", 0, 2)))

    def test_a_phantom_is_found(self):
        self.wrong("phantom", Story().poll("r", ("x", 0, 9)))

    def test_a_skip_of_a_poll_is_found(self):
        story = copied().send(None, "x", 5, 6).send(None, "x", 6, 7)
        self.wrong("poll skip", story.poll("q", ("x", 5, 6)).poll("r", ("x", 6, 7)))

    def test_a_skip_within_a_poll_is_found(self):
        story = Story().send(None, "x", 0, 1).send(None, "x", 1, 2).send(None, "x", 2, 3)
        self.wrong("poll skip", story.poll("q", ("x", 1, 2)).poll("r", ("x", 0, 1), ("x", 2, 3)))

    def test_passing_over_what_was_aborted_is_no_skip(self):
        self.right(copied().poll("q", ("x", 0, 1), ("x", 2, 3)))

    def test_a_poll_that_goes_back_is_found(self):
        story = Story().send(None, "x", 0, 1).send(None, "x", 1, 2)
        self.wrong("nonmonotonic poll", story.poll("r", ("x", 0, 1), ("x", 1, 2)).poll("r", ("x", 0, 1)))

    def test_a_consumer_that_was_assigned_anew_may_begin_anywhere(self):
        story = Story().send(None, "x", 0, 1).send(None, "x", 1, 2)
        self.right(story.poll("r", ("x", 0, 1), ("x", 1, 2)).assigned("r", "x").poll("r", ("x", 0, 1)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
