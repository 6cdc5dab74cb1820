/* classic: conversations of members with a group of the classic protocol. What `play` plays was asked of Kafka (tests/compat/group_oracle.py). */
#include "group/stage_play.h"

static void play(const char *transcript)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, transcript);
	stage_fini(&t);
}

TEST(one_member_joins_syncs_and_is_stable)
{
	play("> A join protocols=range:a,rr:b\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join protocols=range:a,rr:b\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
	     "A: sync NONE (one)\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> describe g\n"
	     "describe g NONE Stable consumer:range A(a,one,A/h)\n"
	     "> list\n"
	     "list NONE g(classic,consumer,Stable)\n");
}

TEST(a_member_of_an_old_version_needs_no_id_and_names_no_reason)
{
	play("> A join v=0 session=6000\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync v=0 A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> B join v=3 protocols=range:b\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n"
	     "> A join v=1\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A() B(b)\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n"
	     "> A sync v=1 A=x B=y\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,x) B(b,y)\n"
	     "A: sync NONE (x)\n"
	     "> B sync v=2\n"
	     "B: sync NONE (y)\n"
	     "> B leave v=1\n"
	     "B: leave NONE\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n");
}

TEST(two_members_share_the_initial_delay)
{
	play("> A join protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join protocols=range:a\n"
	     "> wait 1000\n"
	     "> B join protocols=range:b\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> B join protocols=range:b\n"
	     "> wait 2500\n"
	     "> wait 3500\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B sync\n"
	     "> A sync A=one B=two\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) B(b,two)\n"
	     "A: sync NONE (one)\n"
	     "B: sync NONE (two)\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> B beat\n"
	     "B: beat NONE\n"
	     "> describe g\n"
	     "describe g NONE Stable consumer:range A(a,one,A/h) B(b,two,B/h)\n");
}

TEST(the_initial_delay_is_no_longer_than_the_rebalance_timeout)
{
	play("> A join rebalance=5800\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join rebalance=5800\n"
	     "> wait 1000\n"
	     "> B join rebalance=5800\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> B join rebalance=5800\n"
	     "> wait 1000\n"
	     "> wait 4000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n");
}

TEST(a_joining_member_makes_the_others_join_again)
{
	play("> A join protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join protocols=range:a\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
	     "A: sync NONE (one)\n"
	     "> B join protocols=range:b\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> B join protocols=range:b\n"
	     "> describe g\n"
	     "describe g NONE PreparingRebalance consumer: A(,one,A/h) B(,,B/h)\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n"
	     "> A sync A=one\n"
	     "A: sync REBALANCE_IN_PROGRESS\n"
	     "> A join protocols=range:a\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A(a) B(b)\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n"
	     "> B sync\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> A sync A=half B=rest\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(a,half) B(b,rest)\n"
	     "A: sync NONE (half)\n"
	     "B: sync NONE (rest)\n"
	     "> B beat\n"
	     "B: beat NONE\n"
	     "> B beat gen=1\n"
	     "B: beat ILLEGAL_GENERATION\n"
	     "> A sync gen=1\n"
	     "A: sync ILLEGAL_GENERATION\n");
}

TEST(a_member_that_does_not_come_back_is_out_after_the_rebalance_timeout)
{
	play("> A join rebalance=2000\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join rebalance=2000\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> B join rebalance=1500\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> B join rebalance=1500\n"
	     "> wait 2000\n"
	     "B: join NONE id=B gen=2 consumer:range leader=B B()\n"
	     "> B sync B=all\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=B B(,all)\n"
	     "B: sync NONE (all)\n"
	     "> A beat\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> A join\n"
	     "A: join UNKNOWN_MEMBER_ID id=A\n");
}

TEST(a_session_that_ends_makes_a_rebalance)
{
	play("> A join session=2500\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join session=2500\n"
	     "> B join session=20000\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> B join session=20000\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A sync A=one B=two\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one) B(,two)\n"
	     "A: sync NONE (one)\n"
	     "> B sync\n"
	     "B: sync NONE (two)\n"
	     "> B beat\n"
	     "B: beat NONE\n"
	     "> wait 2500\n"
	     "> B beat\n"
	     "B: beat REBALANCE_IN_PROGRESS\n"
	     "> A beat\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> B join session=20000\n"
	     "B: join NONE id=B gen=2 consumer:range leader=B B()\n"
	     "> B sync B=all\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=B B(,all)\n"
	     "B: sync NONE (all)\n");
}

TEST(a_heartbeat_or_a_commit_keeps_a_session_alive)
{
	play("> A join session=2500\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join session=2500\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> wait 1200\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> wait 1200\n"
	     "> A commit t/0=5\n"
	     "  record offset g t/0=5 v3\n"
	     "A: commit t/0 NONE\n"
	     "> wait 1200\n"
	     "> A beat\n"
	     "A: beat NONE\n"
	     "> wait 2700\n"
	     "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
	     "> A beat\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> describe g\n"
	     "describe g NONE Empty consumer:\n");
}

TEST(an_id_that_was_given_is_forgotten_after_the_session_timeout)
{
	play("> A join session=1000\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> wait 1100\n"
	     "> A join session=1000\n"
	     "A: join UNKNOWN_MEMBER_ID id=A\n"
	     "> describe g v=5\n"
	     "describe g NONE Empty :\n");
}

TEST(who_has_an_id_and_does_not_join_is_waited_for)
{
	play("> A join\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> B join session=2000\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> C join session=8000\n"
	     "C: join MEMBER_ID_REQUIRED id=C\n"
	     "> C join session=8000\n"
	     "> A join\n"
	     "> wait 2100\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A() C()\n"
	     "C: join NONE id=C gen=2 consumer:range leader=A\n"
	     "> C sync\n");
}

TEST(a_group_that_does_not_support_the_protocol_refuses)
{
	play("> A join protocols=range:a,rr:b\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join protocols=range:a,rr:b\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> B join protocols=sticky:s\n"
	     "B: join INCONSISTENT_GROUP_PROTOCOL id=\n"
	     "> B join protocols=range:a type=connect\n"
	     "B: join INCONSISTENT_GROUP_PROTOCOL id=\n"
	     "> B join v=6 protocols=sticky:s\n"
	     "B: join INCONSISTENT_GROUP_PROTOCOL id=\n"
	     "> B join protocols=rr:only\n"
	     "B: join MEMBER_ID_REQUIRED id=B\n"
	     "> B join protocols=rr:only\n"
	     "> A join protocols=range:a,rr:b\n"
	     "A: join NONE id=A gen=2 consumer:rr leader=A A(b) B(only)\n"
	     "B: join NONE id=B gen=2 consumer:rr leader=A\n"
	     "> A sync v=5 type=connect protocol=rr A=x\n"
	     "A: sync INCONSISTENT_GROUP_PROTOCOL\n"
	     "> A sync v=5 type=consumer protocol=range A=x\n"
	     "A: sync INCONSISTENT_GROUP_PROTOCOL\n"
	     "> A sync v=5 protocol=rr A=x\n"
	     "A: sync INCONSISTENT_GROUP_PROTOCOL\n"
	     "> A sync v=5 type=consumer A=x\n"
	     "A: sync INCONSISTENT_GROUP_PROTOCOL\n"
	     "> A sync v=5 type=consumer protocol=rr A=x B=y\n"
	     "  record group g v3 gen=2 type=consumer protocol=rr leader=A A(b,x) B(only,y)\n"
	     "A: sync NONE consumer:rr (x)\n"
	     "> A join protocols=range:a\n"
	     "A: join INCONSISTENT_GROUP_PROTOCOL id=A\n"
	     "> C join type= protocols=range:a group=h\n"
	     "  record group h v3 gen=0 type= protocol=null leader=null\n"
	     "C: join INCONSISTENT_GROUP_PROTOCOL id=\n"
	     "> C join protocols= group=h\n"
	     "C: join INCONSISTENT_GROUP_PROTOCOL id=\n"
	     "> list\n"
	     "list NONE g(classic,consumer,Stable) h(classic,,Empty)\n");
}

TEST(the_protocol_with_most_votes_wins)
{
	play("> A join v=3 protocols=x:1,y:1\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3 protocols=y:2,x:2\n"
	     "> C join v=3 protocols=y:3,x:3\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:y leader=A A(1) B(2) C(3)\n"
	     "B: join NONE id=B gen=1 consumer:y leader=A\n"
	     "C: join NONE id=C gen=1 consumer:y leader=A\n");
}

TEST(the_last_member_that_leaves_empties_the_group)
{
	play("> A join\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> A leave\n"
	     "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
	     "A: leave NONE A=NONE\n"
	     "> describe g\n"
	     "describe g NONE Empty consumer:\n"
	     "> A beat\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> A sync\n"
	     "A: sync UNKNOWN_MEMBER_ID\n"
	     "> A join\n"
	     "A: join UNKNOWN_MEMBER_ID id=A\n"
	     "> A leave\n"
	     "A: leave NONE A=UNKNOWN_MEMBER_ID\n"
	     "> A leave v=2\n"
	     "A: leave UNKNOWN_MEMBER_ID\n"
	     "> B leave group=other\n"
	     "B: leave NONE =UNKNOWN_MEMBER_ID\n"
	     "> B leave v=0 group=other\n"
	     "B: leave UNKNOWN_MEMBER_ID\n"
	     "> A join id=\n"
	     "A: join MEMBER_ID_REQUIRED id=A\n"
	     "> A join\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=3 consumer:range leader=A A()\n");
}

TEST(several_leave_at_once)
{
	play("> A join v=3\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3\n"
	     "> C join v=3\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B() C()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "C: join NONE id=C gen=1 consumer:range leader=A\n"
	     "> A sync A=1 B=2 C=3\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,1) B(,2) C(,3)\n"
	     "A: sync NONE (1)\n"
	     "> D join\n"
	     "D: join MEMBER_ID_REQUIRED id=D\n"
	     "> A leave A B nobody D -\n"
	     "A: leave NONE A=NONE B=NONE nobody=UNKNOWN_MEMBER_ID D=NONE =UNKNOWN_MEMBER_ID\n"
	     "> C beat\n"
	     "C: beat REBALANCE_IN_PROGRESS\n"
	     "> C join\n"
	     "C: join NONE id=C gen=2 consumer:range leader=C C()\n"
	     "> C sync C=all\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=C C(,all)\n"
	     "C: sync NONE (all)\n");
}

TEST(the_leader_leaves_while_others_wait_for_its_sync)
{
	play("> A join v=3\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B sync\n"
	     "> A leave\n"
	     "A: leave NONE A=NONE\n"
	     "B: sync REBALANCE_IN_PROGRESS\n"
	     "> B beat\n"
	     "B: beat REBALANCE_IN_PROGRESS\n"
	     "> B join\n"
	     "B: join NONE id=B gen=2 consumer:range leader=B B()\n"
	     "> B sync B=all\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=B B(,all)\n"
	     "B: sync NONE (all)\n");
}

TEST(a_member_that_joins_again_with_nothing_new_gets_its_generation)
{
	play("> A join v=3 protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3 protocols=range:b\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B join protocols=range:b\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A join protocols=range:a\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
	     "> A sync A=one B=two\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) B(b,two)\n"
	     "A: sync NONE (one)\n"
	     "> B join protocols=range:b\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B sync\n"
	     "B: sync NONE (two)\n"
	     "> B join protocols=range:c\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n"
	     "> A join protocols=range:a\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A(a) B(c)\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n"
	     "> A sync A=1 B=2\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(a,1) B(c,2)\n"
	     "A: sync NONE (1)\n"
	     "> B sync\n"
	     "B: sync NONE (2)\n"
	     "> A join protocols=range:a\n"
	     "> B beat\n"
	     "B: beat REBALANCE_IN_PROGRESS\n");
}

TEST(news_while_syncs_are_waited_for_begin_anew)
{
	play("> A join v=3 protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3 protocols=range:b\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B sync\n"
	     "> A join protocols=range:c\n"
	     "B: sync REBALANCE_IN_PROGRESS\n"
	     "> B join protocols=range:b\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A(c) B(b)\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n");
}

TEST(members_that_do_not_sync_are_out_after_the_rebalance_timeout)
{
	play("> A join v=3 rebalance=4000\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=3 rebalance=4000\n"
	     "> wait 4000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A sync A=one B=two\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one) B(,two)\n"
	     "A: sync NONE (one)\n"
	     "> wait 4100\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n"
	     "> B beat\n"
	     "B: beat UNKNOWN_MEMBER_ID\n"
	     "> A join\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A()\n"
	     "> A sync A=all\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,all)\n"
	     "A: sync NONE (all)\n");
}

TEST(sessions_and_names_are_checked_before_anything_else)
{
	play("> A join session=100\n"
	     "A: join INVALID_SESSION_TIMEOUT id=\n"
	     "> A join session=99999999\n"
	     "A: join INVALID_SESSION_TIMEOUT id=\n"
	     "> A join group=\n"
	     "A: join INVALID_GROUP_ID id=\n"
	     "> A join v=5 id=nobody\n"
	     "A: join UNKNOWN_MEMBER_ID id=nobody\n"
	     "> A join id=nobody group=unknown\n"
	     "A: join UNKNOWN_MEMBER_ID id=nobody\n"
	     "> A sync group=unknown gen=1\n"
	     "A: sync UNKNOWN_MEMBER_ID\n"
	     "> A sync group= gen=1\n"
	     "A: sync INVALID_GROUP_ID\n"
	     "> A beat group=unknown gen=1\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> A beat group= gen=1\n"
	     "A: beat INVALID_GROUP_ID\n"
	     "> A leave group=\n"
	     "A: leave INVALID_GROUP_ID\n"
	     "> A leave group= v=1\n"
	     "A: leave INVALID_GROUP_ID\n");
}

TEST(a_static_member_that_comes_back_keeps_the_generation)
{
	play("> A join instance=i protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> A sync instance=i A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
	     "A: sync NONE (one)\n"
	     "> A join id= instance=i protocols=range:a\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=i i(a,one)\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A skip A(a)\n"
	     "> A beat instance=i\n"
	     "A: beat NONE\n"
	     "> A beat id=A' instance=i\n"
	     "A: beat FENCED_INSTANCE_ID\n"
	     "> A beat id=A'\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> A sync instance=i\n"
	     "A: sync NONE (one)\n"
	     "> A sync id=A' instance=i\n"
	     "A: sync FENCED_INSTANCE_ID\n"
	     "> A commit t/0=1 instance=i\n"
	     "  record offset g t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A commit t/0=1 id=A' instance=i\n"
	     "A: commit t/0 FENCED_INSTANCE_ID\n"
	     "> A join id=A' instance=i\n"
	     "A: join FENCED_INSTANCE_ID id=A'\n"
	     "> describe g\n"
	     "describe g NONE Stable consumer:range A(a,one,A/h)\n");
}

TEST(a_static_leader_that_comes_back_with_an_old_version_does_not_assign)
{
	play("> A join v=5 instance=i protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join v=5 instance=j protocols=range:b\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A sync instance=i A=one B=two\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) B(b,two)\n"
	     "A: sync NONE (one)\n"
	     "> B sync instance=j\n"
	     "B: sync NONE (two)\n"
	     "> B join v=5 id= instance=j protocols=range:b\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) j(b,two)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A join v=5 id= instance=i protocols=range:a\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=i B(b,two) i(a,one)\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A'\n"
	     "> A join v=8 id= instance=i protocols=range:a\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=i B(b,two) i(a,one)\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A'\n"
	     "> A join v=9 id= instance=i protocols=range:a\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=i B(b,two) i(a,one)\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A skip B(b) A(a)\n"
	     "> B join v=9 id= instance=j protocols=range:b\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) j(b,two)\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n");
}

TEST(a_static_member_that_comes_back_with_another_protocol_makes_a_rebalance)
{
	play("> A join instance=i protocols=range:a,rr:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> A sync instance=i A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
	     "A: sync NONE (one)\n"
	     "> A join id= instance=i protocols=rr:a\n"
	     "A: join NONE id=A gen=2 consumer:rr leader=A A(a)\n"
	     "> A sync instance=i A=two\n"
	     "  record group g v3 gen=2 type=consumer protocol=rr leader=A A(a,two)\n"
	     "A: sync NONE (two)\n");
}

TEST(a_static_member_fences_the_call_of_the_one_before)
{
	play("> A join instance=i protocols=range:a\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> A join id= instance=i protocols=range:a\n"
	     "A: join FENCED_INSTANCE_ID id=i\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
	     "> A sync instance=i A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
	     "A: sync NONE (one)\n");
}

TEST(a_static_member_fences_a_sync)
{
	play("> A join v=3\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join instance=j\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> B sync instance=j\n"
	     "> B join id= instance=j\n"
	     "B: sync FENCED_INSTANCE_ID\n"
	     "> A beat\n"
	     "A: beat REBALANCE_IN_PROGRESS\n"
	     "> A join\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n"
	     "> A sync A=1 B=2\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,1) B(,2)\n"
	     "A: sync NONE (1)\n");
}

TEST(a_static_member_is_not_waited_for_longer_than_its_session)
{
	play("> A join instance=i rebalance=4000 session=6000\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join instance=j rebalance=4000 session=20000\n"
	     "> wait 4000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A sync instance=i A=1 B=2\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,1) B(,2)\n"
	     "A: sync NONE (1)\n"
	     "> B sync instance=j\n"
	     "B: sync NONE (2)\n"
	     "> B join instance=j protocols=range:n rebalance=4000 session=20000\n"
	     "> wait 4100\n"
	     "B: join NONE id=B gen=2 consumer:range leader=B A() B(n)\n"
	     "> B sync instance=j A=x B=y\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=B A(,x) B(n,y)\n"
	     "B: sync NONE (y)\n"
	     "> wait 6100\n"
	     "> B beat instance=j\n"
	     "B: beat REBALANCE_IN_PROGRESS\n");
}

TEST(an_administrator_removes_a_static_member)
{
	play("> A join instance=i\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync instance=i A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> X leave - instance=unknown\n"
	     "X: leave NONE unknown=UNKNOWN_MEMBER_ID\n"
	     "> X leave - instance=i\n"
	     "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
	     "X: leave NONE i=NONE\n"
	     "> describe g\n"
	     "describe g NONE Empty consumer:\n"
	     "> A beat instance=i\n"
	     "A: beat UNKNOWN_MEMBER_ID\n");
}

TEST(wrong_instances_are_fenced_or_unknown)
{
	play("> A join instance=i\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> B join instance=j\n"
	     "> wait 6000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=1 consumer:range leader=A\n"
	     "> A beat instance=j\n"
	     "A: beat FENCED_INSTANCE_ID\n"
	     "> A beat instance=k\n"
	     "A: beat UNKNOWN_MEMBER_ID\n"
	     "> A join instance=j\n"
	     "A: join FENCED_INSTANCE_ID id=A\n"
	     "> A leave instance=j\n"
	     "A: leave NONE A=FENCED_INSTANCE_ID\n"
	     "> A leave instance=k\n"
	     "A: leave NONE A=UNKNOWN_MEMBER_ID\n"
	     "> A sync instance=j\n"
	     "A: sync FENCED_INSTANCE_ID\n");
}
