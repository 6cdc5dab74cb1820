"""The judge of groups (tests/compat/group_check.py) finds what is wrong in what members said, and nothing where nothing is."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import group_check  # noqa: E402

A, B = "a", "b"


def assigned(*partitions):
    return {"e": "assigned", "p": list(partitions)}


def revoked(*partitions):
    return {"e": "revoked", "p": list(partitions)}


def lost(*partitions):
    return {"e": "lost", "p": list(partitions)}


def records(partition, *offsets):
    return {"e": "records", "p": partition, "o": list(offsets)}


def committed(partition, offset):
    return {"e": "committed", "o": {str(partition): offset}}


def failed(partition, offset):
    return {"e": "commit_failed", "o": {str(partition): offset}, "m": "no"}


KILLED, LEFT = {"e": "killed"}, {"e": "left"}


class GroupCheck(unittest.TestCase):
    def right(self, *events):
        self.assertEqual(group_check.check(events), [])

    def wrong(self, words, *events):
        problems = group_check.check(events)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(words, problems[0])

    def test_a_partition_that_moves_after_a_commit_is_right(self):
        self.right((A, assigned(0)), (A, records(0, 0, 1)), (A, committed(0, 2)), (A, revoked(0)), (B, assigned(0)), (B, records(0, 2)),
                   (B, committed(0, 3)), (B, revoked(0)), (B, LEFT))

    def test_two_owners_are_found(self):
        self.wrong("while a had it", (A, assigned(0, 1)), (B, assigned(1)))

    def test_a_partition_that_was_lost_or_whose_owner_was_killed_has_no_owner(self):
        self.right((A, assigned(0)), (A, lost(0)), (B, assigned(0)), (B, KILLED), (A, assigned(0)))

    def test_records_of_a_partition_that_another_has_are_found(self):
        self.wrong("which b has", (A, assigned(0)), (A, revoked(0)), (B, assigned(0)), (A, records(0, 0)))

    def test_a_skipped_record_is_found_within_an_ownership(self):
        self.wrong("where 1 comes next", (A, assigned(0)), (A, records(0, 0)), (A, records(0, 2)))

    def test_a_skipped_record_is_found_at_the_beginning_of_one(self):
        self.wrong("began partition 0 at offset 3", (A, assigned(0)), (A, records(0, 0, 1)), (A, committed(0, 2)), (A, KILLED), (B, assigned(0)),
                   (B, records(0, 3)))
        self.wrong("began partition 0 at offset 1", (A, assigned(0)), (A, records(0, 1)))

    def test_what_was_committed_is_not_processed_again(self):
        self.wrong("began partition 0 at offset 1", (A, assigned(0)), (A, records(0, 0, 1)), (A, committed(0, 2)), (A, KILLED), (B, assigned(0)),
                   (B, records(0, 1)))

    def test_what_a_killed_member_had_not_committed_may_be_processed_again(self):
        self.right((A, assigned(0)), (A, records(0, 0)), (A, committed(0, 1)), (A, records(0, 1, 2)), (A, KILLED), (B, assigned(0)),
                   (B, records(0, 1, 2, 3)))
        self.right((A, assigned(0)), (A, records(0, 0)), (A, KILLED), (B, assigned(0)), (B, records(0, 1)))

    def test_giving_up_without_a_commit_is_found_unless_the_commit_failed(self):
        self.wrong("gave up", (A, assigned(0)), (A, records(0, 0)), (A, revoked(0)))
        self.right((A, assigned(0)), (A, records(0, 0)), (A, failed(0, 1)), (A, revoked(0)), (B, assigned(0)), (B, records(0, 0)))

    def test_leaving_without_giving_up_is_found(self):
        self.wrong("did not give up", (A, assigned(0)), (A, LEFT))

    def test_a_member_that_keeps_a_partition_goes_on_where_it_was(self):
        self.right((A, assigned(0, 1)), (A, records(0, 0)), (A, committed(0, 1)), (A, revoked(1)), (A, assigned()), (A, records(0, 1)))

    def test_what_nobody_read_is_found(self):
        events = [(A, assigned(0, 1)), (A, records(0, 0)), (A, committed(0, 1))]
        self.assertEqual(group_check.unread(events, {0: 1}), [])
        self.assertEqual(len(group_check.unread(events, {0: 2})), 1)
        self.assertEqual(len(group_check.unread(events, {0: 1, 1: 1})), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
