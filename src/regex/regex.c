/* regex: see the header. May call: RE2 by re2.h. */
#include "regex/regex.h"

#include "base/alloc.h"
#include "regex/re2.h"

/* Each takes up to 90 us to compile, measured; nothing else in a pattern of Kafka's 32 KiB takes long. */
#define MAX_UNICODE_CLASSES 64
/*
 * Instructions of a pattern that repeats something: 249 bytes of the worst text then take about 8 ms, measured with (a?b?){490}a*. One that repeats nothing, as a list of names, goes through each of its instructions but a few times.
 */
#define MAX_REPEATING_COST 2000
/* RE2's own. */
#define MAX_COUNT 1000

struct regex {
	struct re2_pattern *pattern;
};

/* What RE2/J calls it. */
static const char *words(enum re2_error e)
{
	static const char *const all[] = {
		[RE2_OK] = "",
		[RE2_BAD_ESCAPE] = "invalid escape sequence",
		/* RE2/J finds a range in every class that it cannot read. */
		[RE2_BAD_CLASS] = "invalid character class range",
		[RE2_BAD_RANGE] = "invalid character class range",
		[RE2_MISSING_BRACKET] = "missing closing ]",
		[RE2_MISSING_PARENTHESIS] = "missing closing )",
		[RE2_TRAILING_BACKSLASH] = "trailing backslash at end of expression",
		[RE2_REPEAT_OF_NOTHING] = "missing argument to repetition operator",
		[RE2_BAD_REPEAT_COUNT] = "invalid repeat count",
		[RE2_NESTED_REPEAT] = "invalid nested repetition operator",
		[RE2_BAD_PERL_SYNTAX] = "invalid or unsupported Perl syntax",
		[RE2_BAD_UTF8] = "invalid UTF-8",
		[RE2_BAD_NAME] = "invalid named capture",
		[RE2_TOO_LARGE] = "expression too large",
		/* So it says of a parenthesis too many. */
		[RE2_OTHER_ERROR] = "regexp/syntax: internal error",
	};

	return all[e];
}

static size_t number(struct bytes pattern, size_t *at)
{
	size_t n = 0;

	for (; *at < pattern.size && pattern.data[*at] >= '0' && pattern.data[*at] <= '9'; ++*at)
		n = n > MAX_COUNT ? n : n * 10 + (pattern.data[*at] - '0');
	return n;
}

/* How often {n}, {n,} or {n,m} at `at` repeats; 0 where it is none, or one that RE2 refuses before it repeats anything. */
static size_t count_at(struct bytes pattern, size_t at)
{
	size_t n, m;

	at++;
	n = m = number(pattern, &at);
	if (at < pattern.size && pattern.data[at] == ',') {
		at++;
		m = number(pattern, &at);
	}
	if (at == pattern.size || pattern.data[at] != '}' || n > MAX_COUNT || m > MAX_COUNT)
		return 0;
	return n > m ? n : m;
}

/* Inside of [...]: where it ends is not where its first characters say so. */
static size_t class_begins(struct bytes pattern, size_t at)
{
	at++;
	if (at < pattern.size && pattern.data[at] == '^')
		at++;
	if (at < pattern.size && pattern.data[at] == ']')
		at++;
	return at;
}

/*
 * The pattern as RE2 reads it: (?<name>...) becomes (?P<name>...), which older releases of RE2 know alone. Refuses \C, which RE2 takes for any
 * byte and Kafka for a mistake, and what would take too long to compile.
 */
static enum re2_error translate(struct bytes pattern, struct buf *out, bool *ret_repeats)
{
	bool quoted = false, in_class = false;
	size_t at = 0, unicode_classes = 0, repeated = 0;

	while (at < pattern.size) {
		size_t from = at;

		if (pattern.data[at] == '\\' && at + 1 < pattern.size) {
			uint8_t escaped = pattern.data[at + 1];

			if (escaped == 'C' && !quoted)
				return RE2_BAD_ESCAPE;
			unicode_classes += !quoted && (escaped == 'p' || escaped == 'P');
			if (escaped == 'Q' || escaped == 'E')
				quoted = escaped == 'Q';
			at += 2;
		} else if (!quoted && !in_class && pattern.data[at] == '[') {
			in_class = true;
			at = class_begins(pattern, at);
		} else if (!quoted && !in_class && pattern.size - at > 3 && memcmp(pattern.data + at, "(?<", 3) == 0) {
			buf_put_str(out, "(?P");
			from = at + 2;
			at += 3;
		} else {
			if (!quoted && !in_class && strchr("*+?{", pattern.data[at]) && pattern.data[at] &&
			    !(at > 0 && pattern.data[at] == '?' && pattern.data[at - 1] == '('))
				*ret_repeats = true;
			/* Each time becomes an instruction; RE2 writes all of them out before it looks whether they are too many. */
			if (!quoted && !in_class && pattern.data[at] == '{')
				repeated += count_at(pattern, at);
			in_class = in_class && (quoted || pattern.data[at] != ']');
			at++;
		}
		buf_put(out, pattern.data + from, at - from);
	}
	return unicode_classes > MAX_UNICODE_CLASSES || repeated > MAX_REPEATING_COST ? RE2_TOO_LARGE : RE2_OK;
}

enum err regex_new(struct bytes pattern, struct buf *message, struct regex **ret_regex)
{
	struct re2_pattern *compiled = NULL;
	bool repeats = false;
	enum re2_error e;
	struct buf translated;

	/* Each (?< grows by one byte. */
	buf_init(&translated, 2 * pattern.size + 1);
	e = translate(pattern, &translated, &repeats);
	if (e == RE2_OK)
		e = re2_new((const char *)buf_bytes(&translated).data, translated.size, REGEX_MAX_BYTES, &compiled);
	buf_fini(&translated);
	if (e == RE2_OK && repeats && re2_instructions(compiled) > MAX_REPEATING_COST) {
		re2_free(compiled);
		e = RE2_TOO_LARGE;
	}
	if (e) {
		if (message)
			buf_put_str(message, words(e));
		return ERR_INVALID_REGULAR_EXPRESSION;
	}
	*ret_regex = mem_new(struct regex);
	(*ret_regex)->pattern = compiled;
	return OK;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	re2_free(r->pattern);
	mem_free(r);
}

bool regex_matches(const struct regex *r, struct bytes text)
{
	return re2_matches(r->pattern, (const char *)text.data, text.size);
}

size_t regex_cost(const struct regex *r)
{
	return re2_instructions(r->pattern);
}
