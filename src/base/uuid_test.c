/* uuid: text that is none, and what random ones never are. Text that is one: primitives_test.c. */
#include "base/uuid.h"

#include "base/test.h"

TEST(text_that_is_no_uuid_is_refused)
{
	static const char *const texts[] = {
		"",
		"AAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAA+AAAAAAAAAA",
		"AAAAAAAAAAA/AAAAAAAAAA",
		"\xc3\xa4__________________ab",
	};
	static const char with_zero[22] = "AAAAAAAAAA";

	for (size_t i = 0; i < countof(texts); i++) {
		struct uuid u = {{9}};

		CHECK_ERR(uuid_parse(bytes_str(texts[i]), &u), ERR_MALFORMED);
		CHECK_EQ(u.bytes[0], 9);
	}
	CHECK_ERR(uuid_parse(bytes_of(with_zero, sizeof(with_zero)), &(struct uuid){{0}}), ERR_MALFORMED);
}

TEST(random_ones_are_of_version_4_and_can_be_a_command_line_word)
{
	struct uuid before = {{0}};
	struct prng p;

	prng_seed(&p, 1);
	for (size_t i = 0; i < 5000; i++) {
		struct uuid u = uuid_random(&p), again;
		char text[UUID_TEXT_SIZE];

		CHECK_EQ(u.bytes[6] >> 4, 4);
		CHECK_EQ(u.bytes[8] >> 6, 2);
		CHECK(!uuid_is_zero(u) && !uuid_equal(u, before));
		uuid_format(u, text);
		CHECK(text[0] != '-');
		CHECK_EQ(strlen(text), UUID_TEXT_SIZE - 1);
		must_ok(uuid_parse(bytes_str(text), &again));
		CHECK(uuid_equal(u, again));
		before = u;
	}
}

TEST(only_all_zero_bytes_are_the_zero_uuid)
{
	struct uuid u = {{0}};

	CHECK(uuid_is_zero(u));
	for (size_t i = 0; i < sizeof(u.bytes); i++) {
		u = (struct uuid){{0}};
		u.bytes[i] = 0x80;
		CHECK(!uuid_is_zero(u));
	}
}
