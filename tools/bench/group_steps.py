"""How long a broker takes for a step of a change of a KIP-848 group, apart from its members' waiting for their next heartbeat.

Raw members that do at once what they are told. A step has a cause, the heartbeat that makes it possible (somebody comes; somebody says that he gave
partitions up; somebody leaves), and an effect, the answer in which the member concerned is told of it. The cause is sent; when it is answered the member
concerned sends its heartbeat, and again at once as long as the answer has no news. The step took the first's round trip and the second's: from when the
broker could receive the cause until the member knew, without what lay between. More than one heartbeat until the news is counted as `again`.
"""
import time

import moldau
import wire

VERSION = 1
NOT_YET = (14, 15, 16)  # loading, not available, not the coordinator
NEWS_SECONDS = 10
BEAT_SECONDS = 0.01  # between the heartbeats of those that wait for a session's end


class Steps:
    """Members of one group on the topic; what each step took, by its kind, in seconds."""

    def __init__(self, port, topic, group):
        self.port, self.topic, self.group = port, topic, group
        self.members, self.took, self.again = {}, {}, 0
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members.values():
            member.connection.close()

    def come(self):
        """One more member, and all steps until everybody has his share."""
        name = f"member-{self.number}"
        self.number += 1
        others = list(self.members.values())
        new = self.members[name] = Member(self, name)
        cause = new.beat(0, first=True)
        if not others and not new.assigned:
            self.effect("", 0, new)
        for other in others:
            self.effect("somebody came -> told to give up", cause, other)
            self.effect("given up -> given to the next", other.say(), new)
        new.say()

    def leave(self):
        """The one that came last says that it goes."""
        _, gone = self.members.popitem()
        cause = gone.beat(-1)
        gone.connection.close()
        for other in self.members.values():
            self.effect("somebody left -> given his partitions", cause, other)
        for other in self.members.values():
            other.say()

    def fall_silent(self, session_seconds):
        """The one that came last is heard of no more, the others are all the time; seconds beyond its session until one has something of his."""
        _, gone = self.members.popitem()
        gone.beat()
        heard = time.monotonic()
        others = list(self.members.values())
        had = {member: member.assigned for member in others}
        while all(member.assigned == had[member] for member in others):
            for member in others:
                member.beat()
            if time.monotonic() - heard > session_seconds + NEWS_SECONDS:
                raise RuntimeError(f"{gone.name} stays a member")
            time.sleep(BEAT_SECONDS)
        late = time.monotonic() - heard - session_seconds
        gone.connection.close()
        for member in others:
            if member.assigned == had[member]:
                self.effect("", 0, member)
            member.say()
        return late

    def effect(self, kind, cause, member):
        """The member is told something new, in how ever many heartbeats."""
        began, had, beats = time.monotonic(), member.assigned, 0
        spent = 0
        while member.assigned == had:
            spent += member.beat()
            beats += 1
            if time.monotonic() - began > NEWS_SECONDS:
                raise RuntimeError(f"{member.name} was told nothing: {kind}")
        self.again += beats - 1
        # Between heartbeats without news nothing but this program runs: that is part of the step.
        spent = spent if beats == 1 else time.monotonic() - began
        if kind:
            self.took.setdefault(kind, []).append(cause + spent)


class Member:
    def __init__(self, steps, name):
        self.steps, self.name, self.epoch, self.assigned = steps, name, 0, None
        self.connection = moldau.Connection(steps.port)

    def beat(self, epoch=None, first=False, owned=None):
        """Seconds from sending until the whole answer was there; what it says is taken."""
        body = {"GroupId": self.steps.group, "MemberId": self.name, "MemberEpoch": self.epoch if epoch is None else epoch,
                "RebalanceTimeoutMs": 60000 if first else -1, "SubscribedTopicNames": [self.steps.topic] if first else None,
                "TopicPartitions": [] if first else owned}
        frame = wire.request("ConsumerGroupHeartbeat", VERSION, body)
        while True:
            began = time.monotonic()
            self.connection.send(frame)
            found = self.connection.receive_frame()
            took = time.monotonic() - began
            answer = wire.decode_response("ConsumerGroupHeartbeat", VERSION, found)[1]
            if answer["ErrorCode"] not in NOT_YET:
                break
        if answer["ErrorCode"]:
            raise RuntimeError(f"{self.name}: error {answer['ErrorCode']}: {answer['ErrorMessage']}")
        self.epoch = answer["MemberEpoch"]
        if answer["Assignment"]:
            self.assigned = answer["Assignment"]["TopicPartitions"]
        return took

    def say(self):
        """It has done what it was told."""
        return self.beat(owned=self.assigned)


def measure(port, topic, members, changes, session_seconds, silences):
    """
    (kind of step -> seconds of each, heartbeats that brought no news, seconds beyond their sessions): one comes to so many members and leaves again, so
    often, then others fall silent.
    """
    with Steps(port, topic, "steps") as steps:
        for _ in range(members - 1):
            steps.come()
        steps.took, steps.again = {}, 0
        for _ in range(changes):
            steps.come()
            steps.leave()
        took, again = {kind: sorted(seconds) for kind, seconds in steps.took.items()}, steps.again
        late = []
        for _ in range(silences):
            steps.come()
            late.append(steps.fall_silent(session_seconds))
        return took, again, late
