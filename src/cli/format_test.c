/* format_test: kcat's and rpk's format strings, and JSON, over one message after another. */
#include "cli/format.h"

#include <stdio.h>

#include "base/test.h"
#include "record/builder.h"
#include "record/record.h"

/* A message as mo_consume gives it, out of a real batch. */
struct sample {
	struct mo_message m;
	struct record record;
	struct batch_builder builder;
	struct buf scratch;
};

static void make(struct sample *s, struct bytes key, struct bytes value, const struct record_header *headers,
		 size_t header_count)
{
	struct batch_options o = batch_options_default(100000);
	struct record_iter it;
	struct bytes batch;

	batch_builder_init(&s->builder, &o);
	must_ok(batch_builder_append(&s->builder, 1767225600123, key, value, headers, header_count));
	must_ok(batch_builder_finish(&s->builder, &batch));
	buf_init(&s->scratch, 1 << 20);
	must_ok(record_iter_init(&it, batch, &s->scratch, 1 << 20, NULL));
	must_ok(record_iter_next(&it, &s->record));
	s->m = (struct mo_message){
		.topic = "orders",
		.partition = 3,
		.offset = 258,
		.leader_epoch = 5,
		.timestamp_ms = s->record.timestamp,
		.key = {s->record.key.data, s->record.key.size},
		.value = {s->record.value.data, s->record.value.size},
		.header_count = (size_t)s->record.header_count,
		.insides = &s->record,
	};
}

static void drop(struct sample *s)
{
	batch_builder_fini(&s->builder);
	buf_fini(&s->scratch);
}

static const struct record_header two_headers[] = {
	{{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
	{{(const uint8_t *)"b", 1}, {NULL, 0}},
};

static void check_format(const struct sample *s, const char *text, bool show_null, struct bytes expected)
{
	char why[200] = "";
	struct format *f = format_new(text, why, sizeof(why));
	struct buf out;

	if (!f)
		fail_msg("%s: %s", text, why);
	buf_init(&out, 1 << 20);
	format_print(f, &s->m, 9, show_null, &out);
	if (!bytes_equal(buf_bytes(&out), expected))
		fail_msg("%s printed \"%.*s\"", text, (int)out.size, (const char *)out.data);
	buf_fini(&out);
	format_free(f);
}

#define SAID(text) \
	{ \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

TEST(each_verb_prints_what_kcat_and_rpk_print)
{
	static const struct {
		const char *format;
		struct bytes expected;
	} cases[] = {
		/* kcat */
		{"%s", SAID("hello")},
		{"%k:%s\\n", SAID("key:hello\n")},
		{"%S %K", SAID("5 3")},
		{"%R", SAID("\0\0\0\5")},
		{"%t [%p] at %o", SAID("orders [3] at 258")},
		{"%T", SAID("1767225600123")},
		{"%h", SAID("a=1,b=NULL")},
		{"%%s", SAID("%s")},
		/* rpk */
		{"%v", SAID("hello")},
		{"%k=%v", SAID("key=hello")},
		{"%V %K %T", SAID("5 3 6")},
		{"%e %i %H %v", SAID("5 9 2 hello")},
		{"%d", SAID("1767225600123")},
		{"%a %v", SAID("0 hello")},
		{"%h{[%k=%v]}", SAID("[a=1][b=]")},
		{"%v{hex} %k{base64} %k{base64raw}", SAID("68656c6c6f a2V5 a2V5")},
		{"%o{hex64} %o{hex16} %o{hex4}", SAID("0000000000000102 0102 2")},
		{"%o{big16}%o{little16}%o{big32}", SAID("\1\2\2\1\0\0\1\2")},
		{"%o{big64}", SAID("\0\0\0\0\0\0\1\2")},
		{"%p{byte}%p{bool}%p{ascii}", SAID("\3true3")},
		{"%d{strftime[%Y-%m-%d %H:%M:%S]}", SAID("2026-01-01 00:00:00")},
		{"%d{go[2006-01-02T15:04:05Z07:00]}", SAID("2026-01-01T00:00:00Z")},
		{"%{%v%}", SAID("{hello}")},
		/* both */
		{"", SAID("")},
		{"plain", SAID("plain")},
		{"\\t\\x41\\\\\\0.", SAID("\tA\\\0.")},
		{"\\q\\", SAID("\\q\\")},
	};
	struct sample s;

	make(&s, bytes_str("key"), bytes_str("hello"), two_headers, 2);
	for (size_t i = 0; i < countof(cases); i++)
		check_format(&s, cases[i].format, false, cases[i].expected);
	drop(&s);
}

TEST(null_is_told_apart_from_empty_where_it_is_wanted)
{
	static const struct {
		const char *format;
		bool show_null;
		struct bytes expected;
	} cases[] = {
		{"<%k|%s>", false, SAID("<|>")},          {"<%k|%s>", true, SAID("<NULL|>")},
		{"%K %S", false, SAID("-1 0")},           {"%K %V", true, SAID("-1 0")},
		{"%k{hex}.%v{hex}", true, SAID("NULL.")}, {"%R", false, SAID("\0\0\0\0")},
	};
	struct sample s;

	make(&s, bytes_null(), bytes_empty(), NULL, 0);
	for (size_t i = 0; i < countof(cases); i++)
		check_format(&s, cases[i].format, cases[i].show_null, cases[i].expected);
	drop(&s);
}

TEST(base64_has_every_padding)
{
	static const struct {
		const char *value;
		struct bytes expected;
	} cases[] = {{"a", SAID("YQ== YQ")},
		     {"ab", SAID("YWI= YWI")},
		     {"abc", SAID("YWJj YWJj")},
		     {"abcd", SAID("YWJjZA== YWJjZA")}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct sample s;

		make(&s, bytes_null(), bytes_str(cases[i].value), NULL, 0);
		check_format(&s, "%v{base64} %v{base64raw}", false, cases[i].expected);
		drop(&s);
	}
}

TEST(what_is_no_format_is_told_with_its_place)
{
	static const struct {
		const char *format;
		const char *told;
	} cases[] = {
		{"%y", "unknown verb at \"y\""},
		{"%", "unknown verb at \"\""},
		{"%v{cbor}", "unknown format at \"cbor}\""},
		{"%v{hex", "no }"},
		{"%v %h", "%h wants"},
		{"%h{%k", "no }"},
		{"%h{%y}", "unknown verb"},
		{"%o{hex7}", "unknown format"},
		{"%o{big}", "unknown format"},
		{"%d{strftime[%Y}", "unknown format"},
		{"%v{}", "unknown format"},
		{"%p{big128}", "unknown format"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		char why[200] = "";

		if (format_new(cases[i].format, why, sizeof(why)))
			fail_msg("%s is taken", cases[i].format);
		if (!strstr(why, cases[i].told))
			fail_msg("%s: %s", cases[i].format, why);
	}
}

TEST(headers_within_headers_end)
{
	struct buf text;
	char why[200] = "";

	buf_init(&text, 1 << 20);
	for (int i = 0; i < 20000; i++)
		buf_put_str(&text, "%h{");
	buf_put_i8(&text, 0);
	CHECK(!format_new((const char *)text.data, why, sizeof(why)));
	CHECK(strstr(why, "too deep"));
	buf_fini(&text);
}

static void check_json(const struct sample *s, const char *expected)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	format_print_json(&s->m, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str(expected));
	buf_fini(&out);
}

TEST(json_has_every_field_and_base64_for_what_is_no_text)
{
	static const struct record_header headers[] = {
		{{(const uint8_t *)"h\n", 2}, {(const uint8_t *)"\xff", 1}},
	};
	struct sample s;

	make(&s, bytes_null(), bytes_str("gr\xc3\xbcn \"x\""), NULL, 0);
	check_json(&s, "{\"topic\":\"orders\",\"partition\":3,\"offset\":258,\"timestamp\":1767225600123,"
		       "\"timestampType\":\"CreateTime\",\"key\":null,\"value\":\"gr\xc3\xbcn \\\"x\\\"\"}\n");
	drop(&s);
	make(&s, bytes_of("\xff\0", 2), bytes_empty(), headers, 1);
	s.m.log_append_time = true;
	check_json(&s, "{\"topic\":\"orders\",\"partition\":3,\"offset\":258,\"timestamp\":1767225600123,"
		       "\"timestampType\":\"LogAppendTime\",\"key_base64\":\"/wA=\",\"value\":\"\","
		       "\"headers\":[{\"key\":\"h\\n\",\"value_base64\":\"/w==\"}]}\n");
	drop(&s);
}
