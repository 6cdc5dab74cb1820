/*
 * classic_own: what no broker can be asked about a classic group from outside: settings, restarts, what is recorded, what is explained, and where Moldau means
 * to differ from Kafka.
 */
#include "group/stage_play.h"

static void play_ours(const char *transcript)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, transcript);
	stage_fini(&t);
}

TEST(a_stable_group_is_as_it_was_after_a_restart)
{
	play_ours("> A join v=3 protocols=range:a\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join instance=j protocols=range:b\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A(a) B(b)\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> A sync A=one B=two\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one) B(b,two)\n"
		  "A: sync NONE (one)\n"
		  "> B sync instance=j\n"
		  "B: sync NONE (two)\n"
		  "> restart\n"
		  "> A beat\n"
		  "A: beat NONE\n"
		  "> B beat instance=j\n"
		  "B: beat NONE\n"
		  "> B sync instance=j\n"
		  "B: sync NONE (two)\n"
		  "> describe g\n"
		  "describe g NONE Stable consumer:range A(a,one,A/h) B(b,two,B/h)\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v3\n"
		  "A: commit t/0 NONE\n"
		  "> B join protocols=range:b instance=j\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> A join protocols=range:a\n"
		  "> B join protocols=range:b instance=j\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A(a) B(b)\n"
		  "B: join NONE id=B gen=2 consumer:range leader=A\n");
}

TEST(a_restart_during_a_rebalance_begins_at_the_last_generation)
{
	play_ours("> A join v=3\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		  "A: sync NONE (one)\n"
		  "> B join v=3\n"
		  "> A join\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=2 consumer:range leader=A\n"
		  "> B sync\n"
		  "> restart\n"
		  "B: sync NOT_COORDINATOR\n"
		  "> A beat\n"
		  "A: beat ILLEGAL_GENERATION\n"
		  "> A beat gen=1\n"
		  "A: beat NONE\n"
		  "> B beat\n"
		  "B: beat UNKNOWN_MEMBER_ID\n"
		  "> A commit t/0=1\n"
		  "A: commit t/0 ILLEGAL_GENERATION\n"
		  "> A join\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A()\n"
		  "> B join v=3 id=\n"
		  "> A join\n"
		  "A: join NONE id=A gen=3 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=3 consumer:range leader=A\n"
		  "> A sync A=x B=y\n"
		  "  record group g v3 gen=3 type=consumer protocol=range leader=A A(,x) B(,y)\n"
		  "A: sync NONE (x)\n");
}

TEST(sessions_begin_anew_after_a_restart)
{
	play_ours("> A join v=3 session=10000\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		  "A: sync NONE (one)\n"
		  "> wait 9000\n"
		  "> restart\n"
		  "> wait 9000\n"
		  "> A beat\n"
		  "A: beat NONE\n"
		  "> wait 10000\n"
		  "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
		  "> A beat\n"
		  "A: beat UNKNOWN_MEMBER_ID\n");
}

TEST(who_waits_is_told_when_the_coordinator_goes)
{
	play_ours("> A join v=3\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join v=3\n"
		  "> restart\n"
		  "A: join given up NOT_COORDINATOR\n"
		  "B: join given up NOT_COORDINATOR\n"
		  "> A join v=3 id=\n"
		  "> B join v=3 id=\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> B sync\n"
		  "> restart\n"
		  "B: sync NOT_COORDINATOR\n"
		  "> describe g\n"
		  "describe g NONE Empty :\n");
}

TEST(a_group_has_no_more_members_than_it_may)
{
	play_ours("> set max=2\n"
		  "> A join v=3\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join v=3\n"
		  "> C join v=3\n"
		  "C: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> C join v=3\n"
		  "C: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> C join\n"
		  "C: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> A sync A=one B=two\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one) B(,two)\n"
		  "A: sync NONE (one)\n"
		  "> B sync\n"
		  "B: sync NONE (two)\n"
		  "> C join v=3\n"
		  "C: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> A join\n"
		  "> C join v=3\n"
		  "> D join\n"
		  "D: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> B join\n"
		  "B: join GROUP_MAX_SIZE_REACHED id=\n");
}

TEST(no_more_ids_are_given_away_than_there_is_room_for)
{
	struct stage t;

	stage_init(&t);
	t.groups->pending_bytes = PENDING_BYTES_MAX;
	stage_play(&t, "> A join\n"
		       "A: join COORDINATOR_NOT_AVAILABLE id=\n"
		       "> list\n"
		       "list NONE\n");
	t.groups->pending_bytes = 0;
	stage_play(&t, "> A join\n"
		       "  record group g v3 gen=0 type= protocol=null leader=null\n"
		       "A: join MEMBER_ID_REQUIRED id=A\n");
	CHECK(t.groups->pending_bytes > 0);
	stage_play(&t, "> A join\n"
		       "> wait 3000\n"
		       "A: join NONE id=A gen=1 consumer:range leader=A A()\n");
	CHECK_EQ(t.groups->pending_bytes, 0);
	stage_fini(&t);
}

TEST(a_group_over_a_lowered_limit_loses_who_comes_back_last)
{
	play_ours("> A join v=3 rebalance=5000\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join v=3 rebalance=5000\n"
		  "> C join v=3 rebalance=5000\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A() B() C()\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "C: join NONE id=C gen=1 consumer:range leader=A\n"
		  "> A sync A=1 B=2 C=3\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,1) B(,2) C(,3)\n"
		  "A: sync NONE (1)\n"
		  "> B sync\n"
		  "B: sync NONE (2)\n"
		  "> C sync\n"
		  "C: sync NONE (3)\n"
		  "> set max=2\n"
		  "> restart\n"
		  "> A beat\n"
		  "A: beat REBALANCE_IN_PROGRESS\n"
		  "> A join rebalance=5000\n"
		  "> C join rebalance=5000\n"
		  "> B join rebalance=5000\n"
		  "B: join GROUP_MAX_SIZE_REACHED id=\n"
		  "> C beat\n"
		  "C: beat REBALANCE_IN_PROGRESS\n"
		  "> wait 5000\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A() C()\n"
		  "C: join NONE id=C gen=2 consumer:range leader=A\n"
		  "> explain g\n"
		  "explain classic CompletingRebalance gen=2 consumer:range leader=A pending=0 offsets=0+0\n"
		  "  member A of A/h expires in 10000\n"
		  "  member C of C/h expires in 10000\n"
		  "  rebalance: the group was too large () \"\" took -1 gen=0 members 3 to 0\n");
}

TEST(a_group_that_is_too_large_to_be_recorded_begins_anew)
{
	play_ours("> set records=400\n"
		  "> A join v=3 protocols=range:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join v=3\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A "
		  "A(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) B()\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> B sync\n"
		  "> A sync A=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
		  "A: sync UNKNOWN_SERVER_ERROR\n"
		  "B: sync UNKNOWN_SERVER_ERROR\n"
		  "> describe g\n"
		  "describe g NONE PreparingRebalance consumer: A(,,A/h) B(,,B/h)\n"
		  "> A beat\n"
		  "A: beat REBALANCE_IN_PROGRESS\n");
}

TEST(a_static_member_that_brings_too_much_changes_nothing)
{
	play_ours("> set records=500\n"
		  "> A join instance=i protocols=range:a\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
		  "> A sync instance=i A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
		  "A: sync NONE (one)\n"
		  "> A join id= instance=i "
		  "protocols=range:"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		  "A: join UNKNOWN_SERVER_ERROR id=\n"
		  "> A beat instance=i\n"
		  "A: beat NONE\n");
}

TEST(a_second_call_of_a_member_takes_the_place_of_the_first)
{
	play_ours("> A join v=3\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		  "A: sync NONE (one)\n"
		  "> B join v=3\n"
		  "> C join\n"
		  "C: join MEMBER_ID_REQUIRED id=C\n"
		  "> A join\n"
		  "> A join\n"
		  "A: join REBALANCE_IN_PROGRESS id=A\n"
		  "> X leave C\n"
		  "X: leave NONE C=NONE\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=2 consumer:range leader=A\n"
		  "> B sync\n"
		  "> B sync\n"
		  "B: sync REBALANCE_IN_PROGRESS\n"
		  "> A sync B=two\n"
		  "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,) B(,two)\n"
		  "A: sync NONE ()\n"
		  "B: sync NONE (two)\n");
}

TEST(who_leaves_while_it_waits_for_its_assignment_is_told)
{
	play_ours("> A join v=3\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> B join v=3\n"
		  "> wait 6000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=1 consumer:range leader=A\n"
		  "> B sync\n"
		  "> X leave B\n"
		  "B: sync UNKNOWN_MEMBER_ID\n"
		  "X: leave NONE B=NONE\n"
		  "> A beat\n"
		  "A: beat REBALANCE_IN_PROGRESS\n");
}

TEST(a_group_that_somebody_is_about_to_join_stays)
{
	play_ours("> set check_ms=1000\n"
		  "> wait 600000\n"
		  "> A join session=5000\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "A: join MEMBER_ID_REQUIRED id=A\n"
		  "> wait 3000\n"
		  "> list\n"
		  "list NONE g(classic,,Empty)\n"
		  "> wait 3000\n"
		  "  record group g removed\n"
		  "> list\n"
		  "list NONE\n");
}

TEST(a_member_with_twice_the_same_protocol_is_like_any_other)
{
	play_ours("> A join v=3 protocols=range:a,range:b,rr:c\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A(a)\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(a,one)\n"
		  "A: sync NONE (one)\n");
}

TEST(rebalances_are_explained)
{
	play_ours("> explain g\n"
		  "explain: not found\n"
		  "> A join v=3 reason=started\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> explain g\n"
		  "explain classic PreparingRebalance gen=0 consumer: leader=A pending=0 offsets=0+0\n"
		  "  member A of A/h expires in -1, joins\n"
		  "  rebalance: a member joined (A) \"started\" took -1 gen=0 members 0 to 0\n"
		  "> wait 3000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		  "A: sync NONE (one)\n"
		  "> B join reason=late\n"
		  "B: join MEMBER_ID_REQUIRED id=B\n"
		  "> B join reason=late session=6000\n"
		  "> explain g\n"
		  "explain classic PreparingRebalance gen=1 consumer:range leader=A pending=0 offsets=0+0\n"
		  "  member A of A/h expires in 10000\n"
		  "  member B of B/h expires in -1, joins\n"
		  "  rebalance: a member joined (B) \"late\" took -1 gen=0 members 1 to 0\n"
		  "  rebalance: a member joined (A) \"started\" took 3000 gen=1 members 0 to 1\n"
		  "> A join\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A() B()\n"
		  "B: join NONE id=B gen=2 consumer:range leader=A\n"
		  "> A sync A=x B=y\n"
		  "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,x) B(,y)\n"
		  "A: sync NONE (x)\n"
		  "> wait 2000\n"
		  "> A beat\n"
		  "A: beat NONE\n"
		  "> B sync\n"
		  "B: sync NONE (y)\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v3\n"
		  "A: commit t/0 NONE\n"
		  "> A txn 7 t/0=2 t/1=2\n"
		  "  record offset g t/0=2 v3 of producer 7\n"
		  "  record offset g t/1=2 v3 of producer 7\n"
		  "A: txn t/0 NONE t/1 NONE\n"
		  "> wait 6000\n"
		  "> A join\n"
		  "A: join NONE id=A gen=3 consumer:range leader=A A()\n"
		  "> A sync A=z\n"
		  "  record group g v3 gen=3 type=consumer protocol=range leader=A A(,z)\n"
		  "A: sync NONE (z)\n"
		  "> A join reason=topics\n"
		  "A: join NONE id=A gen=4 consumer:range leader=A A()\n"
		  "> A sync A=z\n"
		  "  record group g v3 gen=4 type=consumer protocol=range leader=A A(,z)\n"
		  "A: sync NONE (z)\n"
		  "> A leave reason=closed\n"
		  "  record group g v3 gen=5 type=consumer protocol=null leader=null\n"
		  "A: leave NONE A=NONE\n"
		  "> explain g\n"
		  "explain classic Empty gen=5 consumer: leader= pending=0 offsets=1+2\n"
		  "  rebalance: a member left (A) \"closed\" took 0 gen=5 members 1 to 0\n"
		  "  rebalance: the leader asked for it (A) \"topics\" took 0 gen=4 members 1 to 1\n"
		  "  rebalance: a member's session expired (B) \"\" took 2000 gen=3 members 2 to 1\n"
		  "  rebalance: a member joined (B) \"late\" took 0 gen=2 members 1 to 2\n"
		  "  rebalance: a member joined (A) \"started\" took 3000 gen=1 members 0 to 1\n");
}

TEST(only_the_last_rebalances_are_kept)
{
	struct stage t;
	struct group_rebalance *rebalances;
	size_t count;
	struct arena a;

	stage_init(&t);
	stage_run_line(&t, "A join v=3", strchr("A join v=3", 0));
	stage_wait(&t, 3000);
	for (int i = 0; i < 40; i++) {
		stage_run_line(&t, "A sync", strchr("A sync", 0));
		stage_run_line(&t, "A join", strchr("A join", 0));
	}
	arena_init(&a, 100000);
	CHECK(history_read(&groups_find(t.groups, bytes_str("g"))->history, &a, &rebalances, &count));
	CHECK_EQ(count, HISTORY_MAX);
	CHECK_EQ(rebalances[0].took_ms, -1);
	for (size_t i = 1; i < count; i++)
		CHECK_EQ(rebalances[i].generation, 41 - (int)i);
	arena_fini(&a);
	stage_fini(&t);
}

TEST(long_texts_of_clients_are_cut_where_a_character_begins)
{
	static const char long_reason[] = "0123456789012345678901234567890123456789012345678901234567890123456789"
					  "012345678901234567890123456789012345678901234567890123456\xc3\xbc";
	struct history h = {0};
	struct group_rebalance *rebalances;
	struct arena a;
	size_t count;

	arena_init(&a, 100000);
	history_begin(&h, &(struct group_rebalance){.reason = bytes_str(long_reason), .began_ms = 5});
	history_begin(&h, &(struct group_rebalance){.reason = bytes_str("another")});
	history_end(&h, 3, 1, 1);
	history_end(&h, 9, 2, 2);
	CHECK(history_read(&h, &a, &rebalances, &count));
	CHECK_EQ(count, 1);
	CHECK_EQ(rebalances[0].reason.size, HISTORY_TEXT_MAX - 1);
	CHECK_EQ(rebalances[0].took_ms, 0);
	CHECK_EQ(rebalances[0].generation, 1);
	arena_fini(&a);
	history_fini(&h);
}

TEST(figures_count_what_is_there_and_what_was_done)
{
	struct stage t;
	struct group_figures f;

	stage_init(&t);
	stage_run_line(&t, "A join v=3", strchr("A join v=3", 0));
	stage_wait(&t, 3000);
	stage_run_line(&t, "A sync", strchr("A sync", 0));
	stage_run_line(&t, "A commit t/0=1 t/1=1", strchr("A commit t/0=1 t/1=1", 0));
	stage_run_line(&t, "B txn 7 group=h t/0=1", strchr("B txn 7 group=h t/0=1", 0));
	group_figures(t.groups, &f);
	CHECK_EQ(f.groups_in_state[CLASSIC_STABLE], 1);
	CHECK_EQ(f.groups_in_state[CLASSIC_EMPTY], 1);
	CHECK_EQ(f.members, 1);
	CHECK_EQ(f.offsets, 2);
	CHECK_EQ(f.pending_offsets, 1);
	CHECK_EQ(f.commits, 3);
	CHECK_EQ(f.rebalances, 1);
	stage_wait(&t, 100000);
	group_figures(t.groups, &f);
	CHECK_EQ(f.expired_members, 1);
	CHECK_EQ(f.members, 0);
	stage_fini(&t);
}
