/* regex: every line of tests/compat/golden/regex.jsonl, which Kafka's own RE2/J gave, and what RE2 knows beyond it. */
#include "regex/regex.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/test.h"

#define FILE_NAME "tests/compat/golden/regex.jsonl"

static struct bytes text_of(const json_t *value)
{
	must(json_is_string(value));
	return bytes_of(json_string_value(value), json_string_length(value));
}

static bool is_in(const json_t *list, struct bytes text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (bytes_equal(text_of(json_array_get(list, i)), text))
			return true;
	return false;
}

/* See regex.h. */
static bool differs(struct bytes pattern)
{
	return bytes_equal_str(pattern, "(a{100}){100}") || bytes_equal_str(pattern, "(?P<x>a)(?P<x>b)");
}

static void check_line(const json_t *line, const json_t *texts)
{
	struct bytes pattern = text_of(json_object_get(line, "pattern"));
	const json_t *matching = json_object_get(line, "matching");
	struct regex *r = NULL;
	struct buf message;
	enum err e;

	buf_init(&message, 200);
	e = regex_new(pattern, &message, &r);
	if ((matching != NULL) != (e == OK))
		fail_msg("%.*s: %s", BYTES_ARG(pattern), e ? "refused" : "taken");
	if (e) {
		CHECK_ERR(e, ERR_INVALID_REGULAR_EXPRESSION);
		if (!bytes_equal(buf_bytes(&message), text_of(json_object_get(line, "error"))))
			fail_msg("%.*s: '%.*s', Kafka: '%s'", BYTES_ARG(pattern), BYTES_ARG(buf_bytes(&message)),
				 json_string_value(json_object_get(line, "error")));
	}
	for (size_t i = 0; !e && i < json_array_size(texts); i++) {
		struct bytes text = text_of(json_array_get(texts, i));

		if (regex_matches(r, text) != is_in(matching, text))
			fail_msg("%.*s: '%.*s' matches %s", BYTES_ARG(pattern), BYTES_ARG(text),
				 is_in(matching, text) ? "in Kafka" : "here");
	}
	regex_free(r);
	buf_fini(&message);
}

TEST(patterns_match_what_they_match_in_kafka_and_are_refused_in_its_words)
{
	FILE *file = fopen(FILE_NAME, "r");
	json_t *texts = NULL;
	char *line = NULL;
	size_t size = 0, count = 0;

	must(file != NULL);
	while (getline(&line, &size, file) > 0) {
		json_t *json = json_loads(line, 0, NULL);

		must(json != NULL);
		if (!texts) {
			texts = json;
			continue;
		}
		if (!differs(text_of(json_object_get(json, "pattern"))))
			check_line(json, texts);
		json_decref(json);
		count++;
	}
	CHECK(count > 80);
	json_decref(texts);
	free(line);
	fclose(file);
}

TEST(a_pattern_that_would_take_too_much_is_refused)
{
	struct regex *r = NULL;

	CHECK_ERR(regex_new(bytes_str("(a{100}){100}"), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	CHECK_ERR(regex_new(bytes_str("((a{100}){100}){100}"), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	CHECK_ERR(regex_new(bytes_str("(a?b?){1000}"), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	CHECK_ERR(regex_new(bytes_str("\\pL{1000}"), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	CHECK_ERR(regex_new(bytes_of("a\xff", 2), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	CHECK(r == NULL);
}

TEST(a_pattern_that_would_take_long_to_compile_is_refused)
{
	struct regex *r = NULL;
	struct buf pattern;

	buf_init(&pattern, 32767);
	for (int i = 0; i < 65; i++)
		buf_put_str(&pattern, "\\pL?");
	CHECK_ERR(regex_new(buf_bytes(&pattern), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	buf_fini(&pattern);
	must_ok(regex_new(bytes_str("\\Q\\p\\p\\E\\pL"), NULL, &r));
	regex_free(r);
}

/* RE2 would take 40 bytes and more for each x before it refuses it: half a gigabyte. */
TEST(what_is_repeated_too_often_in_all_is_refused_before_it_is_written_out)
{
	struct regex *r = NULL;
	struct buf pattern;

	buf_init(&pattern, 32767);
	for (int i = 0; i < 3600; i++)
		buf_put_str(&pattern, "x{0,1000}");
	for (int i = 0; i < 100; i++)
		CHECK_ERR(regex_new(buf_bytes(&pattern), NULL, &r), ERR_INVALID_REGULAR_EXPRESSION);
	buf_fini(&pattern);
	must_ok(regex_new(bytes_str("x{900}y{1000}"), NULL, &r));
	regex_free(r);
	must_ok(regex_new(bytes_str("\\Qx{1000}x{1000}x{1000}\\E[{1000}]x{2}"), NULL, &r));
	CHECK(regex_matches(r, bytes_str("x{1000}x{1000}x{1000}0xx")));
	regex_free(r);
	must_ok(regex_new(bytes_str("x{1000,y}x{2000,y}\\{1000}"), NULL, &r));
	regex_free(r);
}

TEST(a_thousand_names_as_one_pattern_are_taken)
{
	struct regex *r = NULL;
	struct buf pattern;

	buf_init(&pattern, 32767);
	for (int i = 0; i < 1000; i++)
		buf_printf(&pattern, "%steam-%d.orders-%d", i ? "|" : "", i % 7, i);
	must_ok(pattern.error);
	must_ok(regex_new(buf_bytes(&pattern), NULL, &r));
	CHECK(regex_matches(r, bytes_str("team-3.orders-339")));
	CHECK(!regex_matches(r, bytes_str("team-4.orders-339")));
	regex_free(r);
	buf_fini(&pattern);
}
