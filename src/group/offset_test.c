/*
 * offset: conversations about committed offsets: commit, fetch, delete, transactions, expiry. What `play` plays was asked of Kafka
 * (tests/compat/group_oracle.py), what `play_ours` plays cannot be told from outside of a broker.
 */
#include "group/stage_play.h"

static void play(const char *transcript)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t, transcript);
	stage_fini(&t);
}

static void play_ours(const char *transcript)
{
	play(transcript);
}

TEST(a_client_without_a_group_commits_and_fetches)
{
	play("> A fetch t/0 t/1\n"
	     "A: fetch NONE t/0=-1 t/1=-1\n"
	     "> A fetch\n"
	     "A: fetch NONE\n"
	     "> A commit t/0=5 t/1=7@3\"note\" u/2=0\n"
	     "  record offset g t/0=5 v3\n"
	     "  record offset g t/1=7 v3\n"
	     "  record offset g u/2=0 v3\n"
	     "A: commit t/0 NONE t/1 NONE u/2 NONE\n"
	     "> A fetch t/0 t/1 t/3 u/2 v/0\n"
	     "A: fetch NONE t/0=5 t/1=7@3\"note\" t/3=-1 u/2=0 v/0=-1\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=5 t/1=7@3\"note\" u/2=0\n"
	     "> A commit t/0=4\n"
	     "  record offset g t/0=4 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A commit t/1=-1\n"
	     "  record offset g t/1=-1 v3\n"
	     "A: commit t/1 NONE\n"
	     "> A commit t/2=4611686018427387904\n"
	     "  record offset g t/2=4611686018427387904 v3\n"
	     "A: commit t/2 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=4 t/1=-1 t/2=4611686018427387904 u/2=0\n"
	     "> list\n"
	     "list NONE g(classic,,Empty)\n"
	     "> describe g\n"
	     "describe g NONE Empty :\n"
	     "> A commit group= t/0=1\n"
	     "  record offset  t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A fetch group= t/0\n"
	     "A: fetch NONE t/0=1\n");
}

TEST(a_group_that_is_not_there_has_no_generation)
{
	play("> A commit gen=0 t/0=1\n"
	     "A: commit t/0 GROUP_ID_NOT_FOUND\n"
	     "> A commit v=8 gen=3 t/0=1\n"
	     "A: commit t/0 ILLEGAL_GENERATION\n"
	     "> A commit v=9 gen=3 id=x t/0=1\n"
	     "A: commit t/0 GROUP_ID_NOT_FOUND\n"
	     "> A commit v=9 id=x t/0=1\n"
	     "  record offset g t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=1\n"
	     "> A offsetdelete group=h t/0\n"
	     "A: offsetdelete GROUP_ID_NOT_FOUND\n"
	     "> A offsetdelete group= t/0\n"
	     "A: offsetdelete INVALID_GROUP_ID\n"
	     "> delete h\n"
	     "delete h GROUP_ID_NOT_FOUND\n"
	     "> describe h\n"
	     "describe h GROUP_ID_NOT_FOUND Dead : \"Group h not found.\"\n"
	     "> describe h v=5\n"
	     "describe h NONE Dead :\n");
}

TEST(a_member_commits_in_its_generation)
{
	play("> A join v=3\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> A commit gen=0 id= t/0=1\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A commit gen=-1 id= t/0=1\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A commit t/0=1\n"
	     "A: commit t/0 REBALANCE_IN_PROGRESS\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> A commit t/0=1\n"
	     "  record offset g t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A commit gen=0 t/0=2\n"
	     "A: commit t/0 ILLEGAL_GENERATION\n"
	     "> A commit gen=2 t/0=2\n"
	     "A: commit t/0 ILLEGAL_GENERATION\n"
	     "> A commit gen=-1 id= t/0=2\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A commit gen=-1 t/0=2\n"
	     "A: commit t/0 ILLEGAL_GENERATION\n"
	     "> A commit gen=1 id=nobody t/0=2\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A commit gen=1 id= t/0=2\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A commit instance=i t/0=2\n"
	     "A: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A fetch t/0\n"
	     "A: fetch NONE t/0=1\n"
	     "> B join v=3\n"
	     "> A commit t/0=3\n"
	     "  record offset g t/0=3 v3\n"
	     "A: commit t/0 NONE\n"
	     "> B commit gen=1 t/0=4\n"
	     "B: commit t/0 UNKNOWN_MEMBER_ID\n"
	     "> A join\n"
	     "A: join NONE id=A gen=2 consumer:range leader=A A() B()\n"
	     "B: join NONE id=B gen=2 consumer:range leader=A\n"
	     "> A commit t/0=4\n"
	     "A: commit t/0 REBALANCE_IN_PROGRESS\n"
	     "> A commit gen=1 t/0=5\n"
	     "A: commit t/0 ILLEGAL_GENERATION\n"
	     "> A sync A=x B=y\n"
	     "  record group g v3 gen=2 type=consumer protocol=range leader=A A(,x) B(,y)\n"
	     "A: sync NONE (x)\n"
	     "> A commit t/0=6\n"
	     "  record offset g t/0=6 v3\n"
	     "A: commit t/0 NONE\n"
	     "> B commit t/0=7\n"
	     "  record offset g t/0=7 v3\n"
	     "B: commit t/0 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=7\n");
}

TEST(metadata_has_a_limit_in_java_s_characters)
{
	struct stage t;

	stage_init(&t);
	stage_play(&t,
		   "> set metadata=4\n"
		   "> A commit t/0=1\"1234\" t/1=1\"12345\" t/2=3\"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\"\n"
		   "  record offset g t/0=1 v3\n"
		   "  record offset g t/2=3 v3\n"
		   "A: commit t/0 NONE t/1 OFFSET_METADATA_TOO_LARGE t/2 NONE\n"
		   "> A commit t/0=1\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\" t/1=1\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80.\"\n"
		   "  record offset g t/0=1 v3\n"
		   "A: commit t/0 NONE t/1 OFFSET_METADATA_TOO_LARGE\n");
	stage_fini(&t);
}

TEST(offsets_of_what_a_group_reads_are_not_deleted)
{
	play("> A commit t/0=5 t/1=6 u/0=7\n"
	     "  record offset g t/0=5 v3\n"
	     "  record offset g t/1=6 v3\n"
	     "  record offset g u/0=7 v3\n"
	     "A: commit t/0 NONE t/1 NONE u/0 NONE\n"
	     "> A offsetdelete t/0 t/9\n"
	     "  record offset g t/0 removed\n"
	     "A: offsetdelete NONE t/0 NONE t/9 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE t/1=6 u/0=7\n"
	     "> B join v=3 type=other\n"
	     "> B offsetdelete t/1\n"
	     "B: offsetdelete NON_EMPTY_GROUP\n"
	     "> wait 3000\n"
	     "B: join NONE id=B gen=1 other:range leader=B B()\n"
	     "> B offsetdelete t/1\n"
	     "B: offsetdelete NON_EMPTY_GROUP\n"
	     "> delete g\n"
	     "delete g NON_EMPTY_GROUP\n"
	     "> B leave\n"
	     "  record group g v3 gen=2 type=other protocol=null leader=null\n"
	     "B: leave NONE B=NONE\n"
	     "> B offsetdelete t/1\n"
	     "  record offset g t/1 removed\n"
	     "B: offsetdelete NONE t/1 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE u/0=7\n"
	     "> delete g\n"
	     "  record offset g u/0 removed\n"
	     "  record group g removed\n"
	     "delete g NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE\n"
	     "> describe g\n"
	     "describe g GROUP_ID_NOT_FOUND Dead : \"Group g not found.\"\n"
	     "> delete g\n"
	     "delete g GROUP_ID_NOT_FOUND\n");
}

TEST(a_consumer_whose_metadata_does_not_parse_may_read_anything)
{
	play("> A commit t/0=5\n"
	     "  record offset g t/0=5 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A join v=3 protocols=range:x\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(x)\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(x,one)\n"
	     "A: sync NONE (one)\n"
	     "> A offsetdelete t/0\n"
	     "A: offsetdelete NONE t/0 GROUP_SUBSCRIBED_TO_TOPIC\n"
	     "> A leave\n"
	     "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
	     "A: leave NONE A=NONE\n"
	     "> A offsetdelete t/0\n"
	     "  record offset g t/0 removed\n"
	     "A: offsetdelete NONE t/0 NONE\n");
}

TEST(what_a_transaction_commits_is_pending_until_its_end)
{
	play("> A commit t/0=1\n"
	     "  record offset g t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A txn 7 t/0=5 t/1=6\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "  record offset g t/1=6 v3 of producer 7\n"
	     "A: txn t/0 NONE t/1 NONE\n"
	     "> A fetch t/0 t/1\n"
	     "A: fetch NONE t/0=1 t/1=-1\n"
	     "> A fetch stable=1 t/0 t/1 t/2\n"
	     "A: fetch NONE t/0=-1(UNSTABLE_OFFSET_COMMIT) t/1=-1(UNSTABLE_OFFSET_COMMIT) t/2=-1\n"
	     "> A fetch stable=1\n"
	     "A: fetch NONE t/0=-1(UNSTABLE_OFFSET_COMMIT)\n"
	     "> marker 7 commit\n"
	     "> A fetch stable=1\n"
	     "A: fetch NONE t/0=5 t/1=6\n"
	     "> A txn 7 t/0=9 t/2=9\n"
	     "  record offset g t/0=9 v3 of producer 7\n"
	     "  record offset g t/2=9 v3 of producer 7\n"
	     "A: txn t/0 NONE t/2 NONE\n"
	     "> marker 7 abort\n"
	     "> A fetch stable=1\n"
	     "A: fetch NONE t/0=5 t/1=6\n");
}

TEST(a_commit_behind_a_transactions_stays)
{
	play("> A txn 7 t/0=5 t/1=5\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "  record offset g t/1=5 v3 of producer 7\n"
	     "A: txn t/0 NONE t/1 NONE\n"
	     "> A commit t/0=3\n"
	     "  record offset g t/0=3 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A fetch stable=1 t/0\n"
	     "A: fetch NONE t/0=-1(UNSTABLE_OFFSET_COMMIT)\n"
	     "> marker 7 commit\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=3 t/1=5\n");
}

TEST(two_transactions_on_one_group)
{
	play("> A txn 7 t/0=5\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> A txn 8 t/0=6 t/1=6\n"
	     "  record offset g t/0=6 v3 of producer 8\n"
	     "  record offset g t/1=6 v3 of producer 8\n"
	     "A: txn t/0 NONE t/1 NONE\n"
	     "> marker 7 commit\n"
	     "> A fetch stable=1 t/0 t/1\n"
	     "A: fetch NONE t/0=-1(UNSTABLE_OFFSET_COMMIT) t/1=-1(UNSTABLE_OFFSET_COMMIT)\n"
	     "> marker 8 abort\n"
	     "> A fetch stable=1 t/0 t/1\n"
	     "A: fetch NONE t/0=5 t/1=-1\n");
}

TEST(a_transaction_commits_for_a_member_of_the_generation_or_for_nobody)
{
	play("> A join v=3\n"
	     "  record group g v3 gen=0 type= protocol=null leader=null\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
	     "A: sync NONE (one)\n"
	     "> A txn 7 gen=0 t/0=5\n"
	     "A: txn t/0 ILLEGAL_GENERATION\n"
	     "> A txn 7 gen=1 id=nobody t/0=5\n"
	     "A: txn t/0 UNKNOWN_MEMBER_ID\n"
	     "> A txn 7 gen=1 instance=i t/0=5\n"
	     "A: txn t/0 UNKNOWN_MEMBER_ID\n"
	     "> A txn 7 gen=1 t/0=5\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> A txn 7 gen=-1 id= t/0=6\n"
	     "  record offset g t/0=6 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> A txn 7 gen=-1 t/0=7\n"
	     "A: txn t/0 ILLEGAL_GENERATION\n"
	     "> A txn 7 v=2 t/0=8\n"
	     "  record offset g t/0=8 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> marker 7 commit\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=8\n"
	     "> A txn 7 gen=3 group=h t/0=5\n"
	     "A: txn t/0 ILLEGAL_GENERATION\n"
	     "> A txn 7 group=h id=nobody gen=-1 t/0=5\n"
	     "  record offset h t/0=5 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> marker 7 abort\n"
	     "> list\n"
	     "list NONE g(classic,consumer,Stable) h(classic,,Empty)\n");
}

TEST(deleting_takes_what_is_pending_as_well)
{
	play("> A txn 7 t/0=5 t/1=5\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "  record offset g t/1=5 v3 of producer 7\n"
	     "A: txn t/0 NONE t/1 NONE\n"
	     "> A offsetdelete t/0\n"
	     "  record offset g t/0 removed\n"
	     "A: offsetdelete NONE t/0 NONE\n"
	     "> marker 7 commit\n"
	     "> A fetch\n"
	     "A: fetch NONE t/1=5\n"
	     "> A txn 7 t/0=5\n"
	     "  record offset g t/0=5 v3 of producer 7\n"
	     "A: txn t/0 NONE\n"
	     "> delete g\n"
	     "  record offset g t/1 removed\n"
	     "  record offset g t/0 removed\n"
	     "  record group g removed\n"
	     "delete g NONE\n"
	     "> marker 7 commit\n"
	     "> A fetch\n"
	     "A: fetch NONE\n"
	     "> describe g v=5\n"
	     "describe g NONE Dead :\n");
}

TEST(offsets_of_a_deleted_topic_go)
{
	play("> topic t\n"
	     "> topic u\n"
	     "> A commit t/0=5 t/1=6 u/0=7\n"
	     "  record offset g t/0=5 v4\n"
	     "  record offset g t/1=6 v4\n"
	     "  record offset g u/0=7 v4\n"
	     "A: commit t/0 NONE t/1 NONE u/0 NONE\n"
	     "> A txn 7 t/2=8 t/0=9\n"
	     "  record offset g t/2=8 v4 of producer 7\n"
	     "  record offset g t/0=9 v4 of producer 7\n"
	     "A: txn t/2 NONE t/0 NONE\n"
	     "> notopic t\n"
	     "  record offset g t/0 removed\n"
	     "  record offset g t/1 removed\n"
	     "  record offset g t/0 removed\n"
	     "  record offset g t/2 removed\n"
	     "> A fetch\n"
	     "A: fetch NONE u/0=7\n"
	     "> marker 7 commit\n"
	     "> A fetch\n"
	     "A: fetch NONE u/0=7\n");
}

TEST(lists_are_filtered_by_state_and_type_in_any_case)
{
	play("> A commit group=a t/0=1\n"
	     "  record offset a t/0=1 v3\n"
	     "A: commit t/0 NONE\n"
	     "> A join v=3 group=b\n"
	     "  record group b v3 gen=0 type= protocol=null leader=null\n"
	     "> list\n"
	     "list NONE a(classic,,Empty) b(classic,consumer,PreparingRebalance)\n"
	     "> list states=empty\n"
	     "list NONE a(classic,,Empty)\n"
	     "> list states=EMPTY,PreparingREBALANCE\n"
	     "list NONE a(classic,,Empty) b(classic,consumer,PreparingRebalance)\n"
	     "> list states=stable\n"
	     "list NONE\n"
	     "> list states=nonsense\n"
	     "list NONE\n"
	     "> list types=classic\n"
	     "list NONE a(classic,,Empty) b(classic,consumer,PreparingRebalance)\n"
	     "> list types=Classic\n"
	     "list NONE a(classic,,Empty) b(classic,consumer,PreparingRebalance)\n"
	     "> list types=consumer\n"
	     "list NONE\n"
	     "> list types=nonsense\n"
	     "list NONE\n"
	     "> list types=classic states=Empty\n"
	     "list NONE a(classic,,Empty)\n");
}

TEST(a_commit_records_the_topics_id_and_is_not_told_of_another_topic)
{
	play_ours("> topic t\n"
		  "> A commit t/0=5\n"
		  "  record offset g t/0=5 v4\n"
		  "A: commit t/0 NONE\n"
		  "> A fetch topicid=1 t/0\n"
		  "A: fetch NONE t/0=5\n"
		  "> A fetch topicid=2 t/0\n"
		  "A: fetch NONE t/0=-1\n"
		  "> A fetch t/0\n"
		  "A: fetch NONE t/0=5\n"
		  "> A commit topicid=9 t/1=6\n"
		  "  record offset g t/1=6 v4\n"
		  "A: commit t/1 NONE\n"
		  "> A fetch topicid=9 t/1\n"
		  "A: fetch NONE t/1=6\n"
		  "> A fetch topicid=1 t/1\n"
		  "A: fetch NONE t/1=-1\n"
		  "> restart\n"
		  "> A fetch topicid=9 t/0 t/1\n"
		  "A: fetch NONE t/0=-1 t/1=6\n"
		  "> A fetch topicid=1 t/0 t/1\n"
		  "A: fetch NONE t/0=5 t/1=-1\n");
}

TEST(offsets_of_a_topic_go_when_another_one_has_its_name)
{
	play_ours("> topic t\n"
		  "> A commit t/0=5 u/0=6\n"
		  "  record offset g t/0=5 v4\n"
		  "  record offset g u/0=6 v3\n"
		  "A: commit t/0 NONE u/0 NONE\n"
		  "> topic t\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE u/0=6\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v4\n"
		  "A: commit t/0 NONE\n"
		  "> restart\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1 u/0=6\n"
		  "> topic t\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE u/0=6\n");
}

TEST(offsets_of_a_topic_that_was_never_seen_stay)
{
	play_ours("> A commit t/0=5\n"
		  "  record offset g t/0=5 v3\n"
		  "A: commit t/0 NONE\n"
		  "> restart\n"
		  "> topic u\n"
		  "> notopic u\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=5\n"
		  "> topic t\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=5\n"
		  "> notopic t\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE\n");
}

TEST(what_is_recorded_is_there_after_a_restart)
{
	play_ours("> A commit t/0=5 t/1=6@3\"note\" u/0=7\n"
		  "  record offset g t/0=5 v3\n"
		  "  record offset g t/1=6 v3\n"
		  "  record offset g u/0=7 v3\n"
		  "A: commit t/0 NONE t/1 NONE u/0 NONE\n"
		  "> A commit t/0=4\n"
		  "  record offset g t/0=4 v3\n"
		  "A: commit t/0 NONE\n"
		  "> A offsetdelete u/0\n"
		  "  record offset g u/0 removed\n"
		  "A: offsetdelete NONE u/0 NONE\n"
		  "> A txn 7 t/0=9\n"
		  "  record offset g t/0=9 v3 of producer 7\n"
		  "A: txn t/0 NONE\n"
		  "> A txn 8 t/2=9\n"
		  "  record offset g t/2=9 v3 of producer 8\n"
		  "A: txn t/2 NONE\n"
		  "> marker 8 commit\n"
		  "> restart\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=4 t/1=6@3\"note\" t/2=9\n"
		  "> A fetch stable=1 t/0 t/1 t/2 u/0\n"
		  "A: fetch NONE t/0=-1(UNSTABLE_OFFSET_COMMIT) t/1=6@3\"note\" t/2=9 u/0=-1\n"
		  "> marker 7 commit\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=9 t/1=6@3\"note\" t/2=9\n"
		  "> A commit t/0=3\n"
		  "  record offset g t/0=3 v3\n"
		  "A: commit t/0 NONE\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=3 t/1=6@3\"note\" t/2=9\n");
}

TEST(a_later_commit_stays_also_when_the_transaction_ends_after_a_restart)
{
	play_ours("> A txn 7 t/0=9\n"
		  "  record offset g t/0=9 v3 of producer 7\n"
		  "A: txn t/0 NONE\n"
		  "> A commit t/0=3\n"
		  "  record offset g t/0=3 v3\n"
		  "A: commit t/0 NONE\n"
		  "> restart\n"
		  "> A txn 8 t/1=1\n"
		  "  record offset g t/1=1 v3 of producer 8\n"
		  "A: txn t/1 NONE\n"
		  "> A commit t/1=2\n"
		  "  record offset g t/1=2 v3\n"
		  "A: commit t/1 NONE\n"
		  "> marker 7 commit\n"
		  "> marker 8 commit\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=3 t/1=2\n");
}

TEST(offsets_without_a_group_expire_after_their_commit)
{
	play_ours("> set retention_ms=5000 check_ms=1000\n"
		  "> wait 600000\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v3\n"
		  "A: commit t/0 NONE\n"
		  "> wait 3000\n"
		  "> A commit t/1=2\n"
		  "  record offset g t/1=2 v3\n"
		  "A: commit t/1 NONE\n"
		  "> wait 2500\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/1=2\n"
		  "> describe g\n"
		  "describe g NONE Empty :\n"
		  "> wait 4000\n"
		  "  record offset g t/1 removed\n"
		  "  record group g removed\n"
		  "> A fetch\n"
		  "A: fetch NONE\n"
		  "> list\n"
		  "list NONE\n");
}

TEST(a_retention_of_the_largest_number_means_never)
{
	play_ours("> set retention_ms=5000 check_ms=1000\n"
		  "> A commit v=4 retention=9223372036854775807 t/0=1\n"
		  "  record offset g t/0=1 v1\n"
		  "A: commit t/0 NONE\n"
		  "> wait 10000\n");
}

TEST(a_commit_that_says_its_own_end_is_kept_until_then)
{
	play_ours("> set retention_ms=5000 check_ms=1000\n"
		  "> wait 600000\n"
		  "> A commit v=4 retention=20000 t/0=1\n"
		  "  record offset g t/0=1 v1\n"
		  "A: commit t/0 NONE\n"
		  "> A commit v=2 retention=1000 t/1=1\n"
		  "  record offset g t/1=1 v1\n"
		  "A: commit t/1 NONE\n"
		  "> A commit v=4 t/2=1\n"
		  "  record offset g t/2=1 v3\n"
		  "A: commit t/2 NONE\n"
		  "> wait 2500\n"
		  "  record offset g t/1 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1 t/2=1\n"
		  "> restart\n"
		  "> wait 12000\n"
		  "  record offset g t/2 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1\n"
		  "> wait 10000\n"
		  "  record offset g t/0 removed\n"
		  "  record group g removed\n"
		  "> A fetch\n"
		  "A: fetch NONE\n");
}

TEST(offsets_of_a_group_that_is_empty_expire_since_it_became_so)
{
	play_ours("> set retention_ms=20000 check_ms=1000 delay=0\n"
		  "> wait 600000\n"
		  "> A join v=3 session=60000\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 0\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A()\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(,one)\n"
		  "A: sync NONE (one)\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v3\n"
		  "A: commit t/0 NONE\n"
		  "> wait 15000\n"
		  "> A leave\n"
		  "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
		  "A: leave NONE A=NONE\n"
		  "> wait 15000\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1\n"
		  "> wait 7000\n"
		  "  record offset g t/0 removed\n"
		  "  record group g removed\n"
		  "> A fetch\n"
		  "A: fetch NONE\n"
		  "> describe g\n"
		  "describe g GROUP_ID_NOT_FOUND Dead : \"Group g not found.\"\n");
}

TEST(what_consumers_read_does_not_expire_and_what_they_do_not_read_any_more_does)
{
	play_ours("> set retention_ms=5000 check_ms=1000 delay=0\n"
		  "> wait 600000\n"
		  "> A join v=3 session=1000000 topics=t,u\n"
		  "  record group g v3 gen=0 type= protocol=null leader=null\n"
		  "> wait 0\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A(topics)\n"
		  "> A commit t/0=0\n"
		  "A: commit t/0 REBALANCE_IN_PROGRESS\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(topics,one)\n"
		  "A: sync NONE (one)\n"
		  "> A commit t/0=1 u/0=2 v/0=3 v/1=3\n"
		  "  record offset g t/0=1 v3\n"
		  "  record offset g u/0=2 v3\n"
		  "  record offset g v/0=3 v3\n"
		  "  record offset g v/1=3 v3\n"
		  "A: commit t/0 NONE u/0 NONE v/0 NONE v/1 NONE\n"
		  "> wait 3000\n"
		  "> A commit v/1=4\n"
		  "  record offset g v/1=4 v3\n"
		  "A: commit v/1 NONE\n"
		  "> wait 3500\n"
		  "  record offset g v/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1 u/0=2 v/1=4\n"
		  "> wait 20000\n"
		  "  record offset g v/1 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1 u/0=2\n"
		  "> restart\n"
		  "> wait 20000\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1 u/0=2\n"
		  "> A join topics=u session=1000000\n"
		  "A: join NONE id=A gen=2 consumer:range leader=A A(topics)\n"
		  "> wait 20000\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=2 type=consumer protocol=range leader=A A(topics,one)\n"
		  "A: sync NONE (one)\n"
		  "> wait 2000\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE u/0=2\n");
}

TEST(nothing_of_a_group_expires_while_it_rebalances_or_when_it_is_not_known_what_it_reads)
{
	play_ours("> set retention_ms=5000 check_ms=1000 delay=60000\n"
		  "> wait 600000\n"
		  "> A commit t/0=1\n"
		  "  record offset g t/0=1 v3\n"
		  "A: commit t/0 NONE\n"
		  "> A join v=3 session=1000000 rebalance=100000 topics=u\n"
		  "> wait 50000\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1\n"
		  "> wait 10000\n"
		  "A: join NONE id=A gen=1 consumer:range leader=A A(topics)\n"
		  "> wait 10000\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1\n"
		  "> A sync A=one\n"
		  "  record group g v3 gen=1 type=consumer protocol=range leader=A A(topics,one)\n"
		  "A: sync NONE (one)\n"
		  "> wait 1000\n"
		  "  record offset g t/0 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE\n"
		  "> B commit group=h t/0=1\n"
		  "  record offset h t/0=1 v3\n"
		  "B: commit t/0 NONE\n"
		  "> B join v=3 group=h type=connect session=1000000\n"
		  "> wait 60000\n"
		  "B: join NONE id=B gen=1 connect:range leader=B B()\n"
		  "> B sync group=h B=one\n"
		  "  record group h v3 gen=1 type=connect protocol=range leader=B B(,one)\n"
		  "B: sync NONE (one)\n"
		  "> wait 60000\n"
		  "> B fetch group=h\n"
		  "B: fetch NONE t/0=1\n");
}

TEST(consumers_keep_what_they_read_from_being_deleted)
{
	play("> A commit t/0=5 u/0=6\n"
	     "  record offset g t/0=5 v3\n"
	     "  record offset g u/0=6 v3\n"
	     "A: commit t/0 NONE u/0 NONE\n"
	     "> A join v=3 topics=t\n"
	     "> A offsetdelete t/0 u/0\n"
	     "A: offsetdelete NONE t/0 GROUP_SUBSCRIBED_TO_TOPIC u/0 GROUP_SUBSCRIBED_TO_TOPIC\n"
	     "> wait 3000\n"
	     "A: join NONE id=A gen=1 consumer:range leader=A A(topics)\n"
	     "> A sync A=one\n"
	     "  record group g v3 gen=1 type=consumer protocol=range leader=A A(topics,one)\n"
	     "A: sync NONE (one)\n"
	     "> A offsetdelete t/0 u/0\n"
	     "  record offset g u/0 removed\n"
	     "A: offsetdelete NONE t/0 GROUP_SUBSCRIBED_TO_TOPIC u/0 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE t/0=5\n"
	     "> A leave\n"
	     "  record group g v3 gen=2 type=consumer protocol=null leader=null\n"
	     "A: leave NONE A=NONE\n"
	     "> A offsetdelete t/0 u/0\n"
	     "  record offset g t/0 removed\n"
	     "A: offsetdelete NONE t/0 NONE u/0 NONE\n"
	     "> A fetch\n"
	     "A: fetch NONE\n");
}

TEST(what_a_transaction_has_pending_keeps_its_group_and_its_offset)
{
	play_ours("> set retention_ms=5000 check_ms=1000\n"
		  "> wait 600000\n"
		  "> A commit t/0=1 t/1=1\n"
		  "  record offset g t/0=1 v3\n"
		  "  record offset g t/1=1 v3\n"
		  "A: commit t/0 NONE t/1 NONE\n"
		  "> A txn 7 t/0=2\n"
		  "  record offset g t/0=2 v3 of producer 7\n"
		  "A: txn t/0 NONE\n"
		  "> wait 10000\n"
		  "  record offset g t/1 removed\n"
		  "> A fetch\n"
		  "A: fetch NONE t/0=1\n"
		  "> A offsetdelete t/0\n"
		  "  record offset g t/0 removed\n"
		  "A: offsetdelete NONE t/0 NONE\n"
		  "> wait 10000\n"
		  "> list\n"
		  "list NONE g(classic,,Empty)\n"
		  "> marker 7 abort\n"
		  "> wait 2000\n"
		  "  record group g removed\n"
		  "> list\n"
		  "list NONE\n");
}
