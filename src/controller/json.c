/* json: see the header. */
#include "controller/json.h"

#include <string.h>

struct json json_of(struct bytes text, struct arena *a)
{
	const char *at = (const char *)text.data;

	return (struct json){.at = at, .end = at ? at + text.size : at, .arena = a, .first = true};
}

static void fail(struct json *j, enum err e)
{
	if (!j->error)
		j->error = e;
}

/* The next byte that is no blank; 0 at the end or after an error. */
static char peek(struct json *j)
{
	if (j->error)
		return 0;
	while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
		j->at++;
	return j->at < j->end ? *j->at : 0;
}

static bool take(struct json *j, char c)
{
	if (peek(j) != c || !c) {
		fail(j, ERR_MALFORMED);
		return false;
	}
	j->at++;
	return true;
}

static bool enter(struct json *j, char open)
{
	if (!take(j, open))
		return false;
	if (++j->depth > JSON_MAX_DEPTH) {
		fail(j, ERR_MALFORMED);
		return false;
	}
	j->first = true;
	return true;
}

/* At an element of the innermost object or array; false when it ended with `close`. */
static bool next(struct json *j, char close)
{
	if (peek(j) == close) {
		j->at++;
		j->depth--;
		j->first = false;
		return false;
	}
	if (!j->first && !take(j, ','))
		return false;
	j->first = false;
	return !j->error && peek(j) != 0;
}

bool json_enter_object(struct json *j)
{
	return enter(j, '{');
}

bool json_enter_array(struct json *j)
{
	return enter(j, '[');
}

bool json_key(struct json *j, struct bytes *ret_key)
{
	if (!next(j, '}')) {
		if (!j->error && j->at == j->end && j->at[-1] != '}')
			fail(j, ERR_MALFORMED);
		return false;
	}
	*ret_key = json_text(j);
	if (bytes_is_null(*ret_key))
		fail(j, ERR_MALFORMED);
	return take(j, ':');
}

bool json_element(struct json *j)
{
	if (next(j, ']'))
		return true;
	if (!j->error && j->at == j->end && j->at[-1] != ']')
		fail(j, ERR_MALFORMED);
	return false;
}

int64_t json_number(struct json *j)
{
	bool quoted = peek(j) == '"', negative, any = false;
	int64_t number = 0;

	j->at += quoted;
	negative = !j->error && j->at < j->end && *j->at == '-';
	j->at += negative;
	for (; !j->error && j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
		any = true;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, *j->at - '0', &number))
			fail(j, ERR_MALFORMED);
	}
	if (!any || (!negative && number == INT64_MIN))
		fail(j, ERR_MALFORMED);
	if (quoted)
		take(j, '"');
	if (j->error)
		return 0;
	return negative ? number : -number;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The four digits behind \u; -1 when they are none. */
static int32_t unit_at(const char *at, const char *end)
{
	int32_t unit = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

static char *put_utf8(char *out, int32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* One escape; `at` stands behind the backslash. Returns where it ends; NULL when it is none. */
static const char *unescape(const char *at, const char *end, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found = *at ? strchr(from, *at) : NULL;
	int32_t unit, low;

	if (found) {
		*(*out)++ = to[found - from];
		return at + 1;
	}
	if (*at != 'u')
		return NULL;
	unit = unit_at(at + 1, end);
	if (unit < 0)
		return NULL;
	at += 5;
	if (unit >= 0xd800 && unit < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
		low = unit_at(at + 2, end);
		if (low >= 0xdc00 && low < 0xe000) {
			unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
			at += 6;
		}
	}
	*out = put_utf8(*out, unit);
	return at;
}

struct bytes json_text(struct json *j)
{
	const char *start, *at;
	char *copy, *out;
	bool escapes = false;

	if (peek(j) == 'n' && j->end - j->at >= 4 && memcmp(j->at, "null", 4) == 0) {
		j->at += 4;
		return bytes_null();
	}
	if (!take(j, '"'))
		return bytes_null();
	start = at = j->at;
	while (at < j->end && *at != '"') {
		escapes |= *at == '\\';
		at += *at == '\\' ? 2 : 1;
	}
	if (at >= j->end) {
		fail(j, ERR_MALFORMED);
		return bytes_null();
	}
	j->at = at + 1;
	if (!escapes)
		return bytes_of(start, (size_t)(at - start));
	copy = out = arena_alloc(j->arena, (size_t)(at - start) + 1);
	if (!copy) {
		fail(j, ERR_NO_MEMORY);
		return bytes_null();
	}
	while (start < at) {
		if (*start != '\\') {
			*out++ = *start++;
			continue;
		}
		start = unescape(start + 1, at, &out);
		if (!start) {
			fail(j, ERR_MALFORMED);
			return bytes_null();
		}
	}
	return bytes_of(copy, (size_t)(out - copy));
}

static bool take_word(struct json *j, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0)
		return false;
	j->at += size;
	return true;
}

/* As deep as JSON_MAX_DEPTH allows, no deeper. */
void json_skip(struct json *j)
{
	struct bytes key;
	char c = peek(j);

	if (c == '{' && json_enter_object(j)) {
		while (json_key(j, &key))
			json_skip(j);
	} else if (c == '[' && json_enter_array(j)) {
		while (json_element(j))
			json_skip(j);
	} else if (c == '"') {
		json_text(j);
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		while (j->at < j->end && strchr("+-.eE0123456789", *j->at) && *j->at)
			j->at++;
	} else if (j->error || !(take_word(j, "true") || take_word(j, "false") || take_word(j, "null"))) {
		fail(j, ERR_MALFORMED);
	}
}

enum err json_end(struct json *j)
{
	if (!j->error && (peek(j) != 0 || j->at != j->end || j->depth))
		fail(j, ERR_MALFORMED);
	return j->error;
}

void json_put_text(struct buf *b, struct bytes text)
{
	buf_put_str(b, "\"");
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < ' ')
			buf_printf(b, "\\u%04x", c);
		else
			buf_put(b, &c, 1);
	}
	buf_put_str(b, "\"");
}
