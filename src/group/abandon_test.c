/* abandon: members whose clients go while their calls wait. A broker of Kafka does not notice, so this is not asked of it. */
#include "group/stage_play.h"

static void abandon(struct stage *t, const char *who)
{
	stage_step(t);
	list_for_each(&t->waiting, n)
	{
		struct stage_ask *a = container_of(n, struct stage_ask, node);

		if (bytes_equal_str(a->who, who))
			group_machine.abandon(t->groups, &a->call, &t->step);
	}
	stage_settle(t);
}

TEST(who_goes_while_it_joins_is_waited_for_until_its_session_ends)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, "> A join v=3 session=6000\n"
		       "  record group g v3 gen=0 type= protocol=null leader=null\n"
		       "> wait 3000\n"
		       "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		       "> A sync A=one\n"
		       "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		       "A: sync NONE (one)\n"
		       "> B join v=3 session=2000\n"
		       "> A beat\n"
		       "A: beat REBALANCE_IN_PROGRESS\n");
	abandon(&t, "B");
	stage_play(&t, "> A join v=3 session=6000\n"
		       "> wait 1999\n"
		       "> wait 1\n"
		       "A: join NONE id=A gen=2 consumer:range leader=A A()\n");
	stage_fini(&t);
}

TEST(who_comes_back_before_that_is_one_of_them)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, "> A join session=6000\n"
		       "  record group g v3 gen=0 type= protocol=null leader=null\n"
		       "A: join MEMBER_ID_REQUIRED id=A\n"
		       "> A join session=6000\n");
	abandon(&t, "A");
	stage_play(&t, "> wait 1000\n"
		       "> A join session=6000\n"
		       "> wait 2000\n"
		       "A: join NONE id=A gen=1 consumer:range leader=A A()\n");
	stage_fini(&t);
}

TEST(who_goes_while_it_waits_for_its_assignment_does_not_get_it)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, "> A join v=3 session=6000\n"
		       "  record group g v3 gen=0 type= protocol=null leader=null\n"
		       "> B join v=3 session=2000\n"
		       "> wait 6000\n"
		       "A: join NONE id=A gen=1 consumer:range leader=A A() B()\n"
		       "B: join NONE id=B gen=1 consumer:range leader=A\n"
		       "> B sync\n");
	abandon(&t, "B");
	stage_play(&t, "> A sync A=one B=two\n"
		       "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one) B(,two)\n"
		       "A: sync NONE (one)\n"
		       "> wait 2000\n"
		       "> A beat\n"
		       "A: beat REBALANCE_IN_PROGRESS\n");
	stage_fini(&t);
}
