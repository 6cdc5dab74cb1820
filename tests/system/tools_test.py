"""Kafka's own command-line tools get from Moldau what they got from Kafka: the script of calls of tests/compat/tools."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
import kafka as peer  # noqa: E402
import moldau  # noqa: E402
import tools_script  # noqa: E402
import txn_tools  # noqa: E402
import wire_admin  # noqa: E402


class Tools(unittest.TestCase):
    @unittest.skipIf(peer.missing(), peer.missing() or "")
    def test_answers_are_those_of_the_transcript(self):
        said = []
        failed = tools_script.compare(tools_script.read(tools_script.TRANSCRIPT), tools_script.run_ours(), said.append)
        self.assertEqual(failed, 0, "\n".join(said))

    @unittest.skipIf(peer.missing(), peer.missing() or "")
    def test_answers_about_transactions_are_those_of_the_transcript(self):
        with moldau.Broker() as broker:
            if "ListTransactions" not in wire_admin.apis(broker.port):
                self.skipTest("the broker has no ListTransactions")
        said = []
        failed = txn_tools.compare(tools_script.read(txn_tools.TRANSCRIPT), txn_tools.run_ours(), said.append)
        self.assertEqual(failed, 0, "\n".join(said))


if __name__ == "__main__":
    moldau.main()
