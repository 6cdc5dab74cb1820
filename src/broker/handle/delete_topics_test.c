/* delete_topics_test: by name and by id, what cannot be meant, and a broker that deletes nothing. */
#include "runtime/linux/backends.h" /* before the stage */

#include "broker/handle/stage.h"

static void ask_await(struct fiber *self, struct stage *s, struct delete_topics_request_delete_topic_state *topics,
		      int32_t count, struct delete_topics_response *ret)
{
	struct delete_topics_request request;

	message_init(&delete_topics_request_type, &request);
	request.topics = topics;
	request.topics_count = count;
	request.timeout_ms = 30000;
	stage_ask_await(self, s, API_DELETE_TOPICS, 6, &request, ret);
}

static void ask_by_name_await(struct fiber *self, struct stage *s, int16_t version, const char *name,
			      int32_t timeout_ms, struct delete_topics_response *ret)
{
	struct bytes names[] = {bytes_str(name)};
	struct delete_topics_request request;

	message_init(&delete_topics_request_type, &request);
	request.topic_names = names;
	request.topic_names_count = 1;
	request.timeout_ms = timeout_ms;
	stage_ask_await(self, s, API_DELETE_TOPICS, version, &request, ret);
	EXPECT(ret->responses_count == 1);
	EXPECT(bytes_equal_str(ret->responses[0].name, name));
}

/* How many places of the answer have that error and (NULL: any) message. */
static int count_of(const struct delete_topics_response *r, enum err error, const char *message)
{
	int count = 0;

	for (int32_t i = 0; i < r->responses_count; i++)
		count += r->responses[i].error_code == (int16_t)error &&
			 (!message || bytes_equal_str(r->responses[i].error_message, message));
	return count;
}

static void meant_main(struct fiber *self, struct stage *s)
{
	struct uuid a = stage_topic_await(self, s, "a", 1, NULL, NULL);
	struct uuid b = stage_topic_await(self, s, "b", 1, NULL, NULL);
	struct delete_topics_request_delete_topic_state topics[] = {
		{.name = bytes_str("a"), .topic_id = a},
		{.name = bytes_null()},
		{.name = bytes_str("b")},
		{.name = bytes_str("b")},
		{.name = bytes_null(), .topic_id = a},
		{.name = bytes_null(), .topic_id = {{9}}},
		{.name = bytes_str("none")},
	};
	struct delete_topics_response r;

	ask_await(self, s, topics, (int32_t)countof(topics), &r);
	EXPECT(r.responses_count == 6);
	EXPECT(count_of(&r, ERR_INVALID_REQUEST, "You may not specify both topic name and topic id.") == 1);
	EXPECT(count_of(&r, ERR_INVALID_REQUEST, "Neither topic name nor id were specified.") == 1);
	EXPECT(count_of(&r, ERR_INVALID_REQUEST, "Duplicate topic name.") == 1);
	EXPECT(count_of(&r, ERR_UNKNOWN_TOPIC_ID, NULL) == 1);
	EXPECT(count_of(&r, ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL) == 1);
	EXPECT(count_of(&r, OK, NULL) == 1);
	for (int32_t i = 0; i < r.responses_count; i++)
		if (!r.responses[i].error_code) {
			EXPECT(bytes_equal_str(r.responses[i].name, "a"));
			EXPECT(uuid_equal(r.responses[i].topic_id, a));
		}
	/* What came twice was not deleted; and its id twice is no better. */
	topics[0] = topics[1] = (struct delete_topics_request_delete_topic_state){.name = bytes_null(), .topic_id = b};
	ask_await(self, s, topics, 2, &r);
	EXPECT(r.responses_count == 1);
	EXPECT(count_of(&r, ERR_INVALID_REQUEST, "Duplicate topic id.") == 1);
	ask_await(self, s, topics, 1, &r);
	EXPECT(count_of(&r, OK, NULL) == 1);
	ask_await(self, s, topics, 0, &r);
	EXPECT(r.responses_count == 0);
}

TEST(what_cannot_be_meant_is_refused_and_the_rest_deleted)
{
	stage_run(NULL, meant_main);
}

static void names_main(struct fiber *self, struct stage *s)
{
	struct delete_topics_response r;

	stage_topic_await(self, s, "a", 1, NULL, NULL);
	ask_by_name_await(self, s, 5, "a", 0, &r);
	EXPECT(r.responses[0].error_code == ERR_REQUEST_TIMED_OUT);
	ask_by_name_await(self, s, 1, "a", 30000, &r);
	EXPECT(r.responses[0].error_code == 0);
	ask_by_name_await(self, s, 5, "a", 30000, &r);
	EXPECT(r.responses[0].error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

TEST(before_version_6_topics_are_named)
{
	stage_run(NULL, names_main);
}

static void disabled_main(struct fiber *self, struct stage *s)
{
	struct delete_topics_response r;

	stage_topic_await(self, s, "a", 1, NULL, NULL);
	ask_by_name_await(self, s, 2, "a", 30000, &r);
	EXPECT(r.responses[0].error_code == ERR_INVALID_REQUEST);
	ask_by_name_await(self, s, 3, "a", 30000, &r);
	EXPECT(r.responses[0].error_code == ERR_TOPIC_DELETION_DISABLED);
	EXPECT(stage_produce_await(self, s, "a", 0, stage_batch(s, NULL, "still there", 1)) == 0);
}

TEST(a_broker_that_deletes_nothing_says_so_in_the_words_of_the_version)
{
	static const struct stage_setting settings[] = {{"delete.topic.enable", "false"}, {NULL, NULL}};

	stage_run(settings, disabled_main);
}
