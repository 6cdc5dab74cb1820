/* err: names, flags and what goes on the wire. */
#include "base/err.h"

#include "base/test.h"

TEST(errors_have_kafka_s_names_codes_and_flags)
{
	static const struct {
		int code;
		const char *name;
		bool retriable, refreshes;
	} cases[] = {
		{0, "NONE", false, false},
		{-1, "UNKNOWN_SERVER_ERROR", false, false},
		{2, "CORRUPT_MESSAGE", true, false},
		{3, "UNKNOWN_TOPIC_OR_PARTITION", true, true},
		{6, "NOT_LEADER_OR_FOLLOWER", true, true},
		{35, "UNSUPPORTED_VERSION", false, false},
		{89, "THROTTLING_QUOTA_EXCEEDED", true, false},
		{136, "CONTROLLER_ID_NOT_REGISTERED", false, false},
		{-1000, "MALFORMED", false, false},
		{9999, "UNKNOWN", false, false},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		CHECK_STR(err_name((enum err)cases[i].code), cases[i].name);
		CHECK_EQ(err_retriable((enum err)cases[i].code), cases[i].retriable);
		CHECK_EQ(err_refreshes_metadata((enum err)cases[i].code), cases[i].refreshes);
	}
}

static const enum err all[] = {
#define X(name, code, retriable, refresh, text) ERR_##name,
	ERR_LIST_KAFKA(X)
#undef X
#define X(name, code, text) ERR_##name,
		ERR_LIST_OWN(X)
#undef X
};

TEST(every_error_has_a_code_of_its_own_in_its_own_range)
{
	for (size_t i = 0; i < countof(all); i++) {
		CHECK(all[i] <= -1000 || (all[i] >= -1 && all[i] <= 136 && all[i] != 0));
		for (size_t k = 0; k < i; k++)
			CHECK(all[i] != all[k]);
		CHECK(strlen(err_text(all[i])) > 3);
	}
}

TEST(on_the_wire_go_kafka_s_codes_only)
{
	static const struct {
		enum err error, wire;
	} cases[] = {
		{OK, OK},
		{ERR_NOT_COORDINATOR, ERR_NOT_COORDINATOR},
		{ERR_MALFORMED, ERR_CORRUPT_MESSAGE},
		{ERR_NO_SPACE, ERR_KAFKA_STORAGE_ERROR},
		{ERR_TIMED_OUT, ERR_REQUEST_TIMED_OUT},
		{ERR_TOO_BIG, ERR_MESSAGE_TOO_LARGE},
		{ERR_WRONG_STATE, ERR_UNKNOWN_SERVER_ERROR},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(err_to_kafka(cases[i].error), cases[i].wire);
	for (size_t i = 0; i < countof(all); i++)
		CHECK(err_to_kafka(all[i]) >= -1 && err_to_kafka(all[i]) != 0);
}
