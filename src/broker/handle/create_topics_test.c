/* create_topics_test: what is refused before the controller is asked, and how its answers are told in each version. */
#include "runtime/linux/backends.h" /* before the stage */

#include "broker/handle/stage.h"

#define TOPICS 8

static void ask_await(struct fiber *self, struct stage *s, int16_t version, const char *const *names,
		      int32_t partitions, bool validate_only, int32_t timeout_ms, struct create_topics_response *ret)
{
	struct create_topics_request_creatable_topic topics[TOPICS] = {0};
	struct create_topics_request request;

	message_init(&create_topics_request_type, &request);
	request.topics = topics;
	for (; *names; names++) {
		topics[request.topics_count++] = (struct create_topics_request_creatable_topic){
			.name = bytes_str(*names), .num_partitions = partitions, .replication_factor = 1};
		EXPECT(request.topics_count < TOPICS);
	}
	request.timeout_ms = timeout_ms;
	request.validate_only = validate_only;
	stage_ask_await(self, s, API_CREATE_TOPICS, version, &request, ret);
}

/* The one place of that name in the answer. */
static const struct create_topics_response_creatable_topic_result *told_of(const struct create_topics_response *r,
									   const char *name)
{
	const struct create_topics_response_creatable_topic_result *found = NULL;

	for (int32_t i = 0; i < r->topics_count; i++)
		if (bytes_equal_str(r->topics[i].name, name)) {
			EXPECT(!found);
			found = &r->topics[i];
		}
	EXPECT(found);
	return found;
}

static void expect_told(const struct create_topics_response *r, const char *name, enum err error, const char *message)
{
	const struct create_topics_response_creatable_topic_result *t = told_of(r, name);

	EXPECT(t->error_code == (int16_t)error);
	EXPECT(message ? bytes_equal_str(t->error_message, message) : bytes_is_null(t->error_message));
	if (error) {
		EXPECT(uuid_is_zero(t->topic_id));
		EXPECT(t->num_partitions == -1);
		EXPECT(t->replication_factor == -1);
	}
}

static void refused_main(struct fiber *self, struct stage *s)
{
	static const char *const names[] = {"a", "twice", "__cluster_metadata", "twice", "b", NULL};
	static const char *const again[] = {"a", "not/good", "c", NULL};
	struct create_topics_response r;

	ask_await(self, s, 7, names, 1, false, 30000, &r);
	EXPECT(r.topics_count == 4);
	expect_told(&r, "a", OK, NULL);
	expect_told(&r, "b", OK, NULL);
	expect_told(&r, "twice", ERR_INVALID_REQUEST, "Duplicate topic name.");
	expect_told(&r, "__cluster_metadata", ERR_INVALID_REQUEST,
		    "Creation of internal topic __cluster_metadata is prohibited.");

	ask_await(self, s, 7, again, 1, false, 30000, &r);
	EXPECT(r.topics_count == 3);
	expect_told(&r, "a", ERR_TOPIC_ALREADY_EXISTS, "Topic 'a' already exists.");
	EXPECT(told_of(&r, "not/good")->error_code == ERR_INVALID_TOPIC_EXCEPTION);
	expect_told(&r, "c", OK, NULL);

	ask_await(self, s, 7, (const char *const[]){"d", NULL}, 0, false, 30000, &r);
	EXPECT(told_of(&r, "d")->error_code == ERR_INVALID_PARTITIONS);
	ask_await(self, s, 7, (const char *const[]){"d", "e", NULL}, 1, false, 0, &r);
	expect_told(&r, "d", ERR_REQUEST_TIMED_OUT, NULL);
	expect_told(&r, "e", ERR_REQUEST_TIMED_OUT, NULL);
	/* Nothing of what was refused is there. */
	ask_await(self, s, 7, (const char *const[]){"d", "e", "twice", NULL}, 1, false, 30000, &r);
	for (int32_t i = 0; i < r.topics_count; i++)
		EXPECT(r.topics[i].error_code == 0);
}

TEST(each_topic_of_a_request_is_made_or_refused_by_itself)
{
	stage_run(NULL, refused_main);
}

static void validated_main(struct fiber *self, struct stage *s)
{
	static const char *const names[] = {"only-asked", NULL};
	struct create_topics_response r;

	for (int i = 0; i < 2; i++) {
		ask_await(self, s, 7, names, 3, true, 30000, &r);
		expect_told(&r, "only-asked", OK, NULL);
		EXPECT(!uuid_is_zero(r.topics[0].topic_id));
		EXPECT(r.topics[0].num_partitions == 3);
		EXPECT(r.topics[0].configs_count > 20);
	}
	ask_await(self, s, 4, names, 3, false, 30000, &r);
	EXPECT(r.topics[0].error_code == 0);
	EXPECT(r.topics[0].configs_count == 0);
	/* From version 5 on -1 is the broker's default, and what it became is told. */
	ask_await(self, s, 5, (const char *const[]){"by-default", NULL}, -1, false, 30000, &r);
	EXPECT(r.topics[0].error_code == 0);
	EXPECT(r.topics[0].num_partitions == 5);
	EXPECT(r.topics[0].replication_factor == 1);
	EXPECT(r.topics[0].configs_count > 20);
}

TEST(what_is_only_validated_is_told_as_if_it_were_made_and_is_not)
{
	static const struct stage_setting settings[] = {{"num.partitions", "5"}, {NULL, NULL}};

	stage_run(settings, validated_main);
}
