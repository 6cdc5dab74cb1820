/* format: see the header. */
#include "cli/format.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"

enum op_kind {
	OP_LITERAL,
	OP_VALUE,
	OP_KEY,
	OP_VALUE_SIZE,
	OP_KEY_SIZE,
	OP_TOPIC,
	OP_TOPIC_SIZE,
	OP_PARTITION,
	OP_OFFSET,
	OP_TIME,
	OP_TIME_TYPE,
	OP_LEADER_EPOCH,
	OP_NUMBER,
	OP_HEADER_COUNT,
	OP_HEADERS_KCAT,
	OP_HEADERS,
};

enum op_style {
	STYLE_PLAIN,
	STYLE_HEX,
	STYLE_BASE64,
	STYLE_BASE64_RAW,
	STYLE_BIG,
	STYLE_LITTLE,
	STYLE_BOOL,
	STYLE_STRFTIME
};

struct op {
	enum op_kind kind;
	enum op_style style;
	unsigned bits; /* of numbers in hex, big and little */
	char *text;    /* literal, or strftime's format */
	size_t text_size;
	struct format *inner; /* OP_HEADERS */
};

struct format {
	struct op *ops;
	size_t count;
	size_t capacity;
};

struct parser {
	const char *at;
	bool rpk;
	unsigned depth;
	char *why;
	size_t why_size;
};

#define DEPTH_MAX 8

#define NUMBER_TEXT 64
#define TIME_TEXT 256

static struct op *add_op(struct format *f, enum op_kind kind)
{
	f->ops = mem_grow(f->ops, &f->capacity, f->count + 1, sizeof(*f->ops));
	f->ops[f->count] = (struct op){.kind = kind};
	return &f->ops[f->count++];
}

static void add_byte(struct format *f, char c)
{
	struct op *last = f->count ? &f->ops[f->count - 1] : NULL;

	if (!last || last->kind != OP_LITERAL)
		last = add_op(f, OP_LITERAL);
	last->text = mem_realloc(last->text, last->text_size + 1);
	last->text[last->text_size++] = c;
}

void format_free(struct format *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		mem_free(f->ops[i].text);
		format_free(f->ops[i].inner);
	}
	mem_free(f->ops);
	mem_free(f);
}

static bool is_rpk(const char *text)
{
	for (const char *at = strchr(text, '%'); at && at[1]; at = strchr(at + 2, '%'))
		if (strchr("vVdeHi{}", at[1]) || (at[1] != '%' && at[2] == '{'))
			return true;
	return false;
}

static bool complain(struct parser *p, const char *what)
{
	snprintf(p->why, p->why_size, "%s at \"%.20s\"", what, p->at);
	return false;
}

/* --- parsing ----------------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at;

	at = c ? strchr(digits, c | 0x20) : NULL;
	return at && (c < 'G' || c > '`') ? (int)(at - digits) : -1;
}

static void parse_escape(struct parser *p, struct format *f)
{
	static const char from[] = "ntr0\\", to[] = "\n\t\r\0\\";
	const char *place;

	p->at++;
	if (*p->at == 'x' && hex_value(p->at[1]) >= 0 && hex_value(p->at[2]) >= 0) {
		add_byte(f, (char)(hex_value(p->at[1]) * 16 + hex_value(p->at[2])));
		p->at += 3;
		return;
	}
	place = *p->at ? strchr(from, *p->at) : NULL;
	add_byte(f, place ? to[place - from] : '\\');
	if (place)
		p->at++;
}

static enum op_kind kind_of(char verb, bool rpk, bool *ret_known)
{
	static const struct {
		char verb;
		int of; /* 0 both, 1 kcat, 2 rpk */
		enum op_kind kind;
	} verbs[] = {
		{'s', 1, OP_VALUE},        {'S', 1, OP_VALUE_SIZE},   {'R', 1, OP_VALUE_SIZE},
		{'T', 1, OP_TIME},         {'h', 1, OP_HEADERS_KCAT}, {'v', 2, OP_VALUE},
		{'V', 2, OP_VALUE_SIZE},   {'T', 2, OP_TOPIC_SIZE},   {'h', 2, OP_HEADERS},
		{'H', 2, OP_HEADER_COUNT}, {'d', 2, OP_TIME},         {'e', 2, OP_LEADER_EPOCH},
		{'i', 2, OP_NUMBER},       {'a', 2, OP_TIME_TYPE},    {'s', 2, OP_VALUE},
		{'S', 2, OP_VALUE_SIZE},   {'k', 0, OP_KEY},          {'K', 0, OP_KEY_SIZE},
		{'t', 0, OP_TOPIC},        {'p', 0, OP_PARTITION},    {'o', 0, OP_OFFSET},
	};

	for (size_t i = 0; i < countof(verbs); i++) {
		if (verbs[i].verb == verb && (verbs[i].of == 0 || verbs[i].of == (rpk ? 2 : 1))) {
			*ret_known = true;
			return verbs[i].kind;
		}
	}
	*ret_known = false;
	return OP_LITERAL;
}

/* Go's reference time in pieces, and what strftime calls them. */
static char *from_go_layout(const char *text, size_t size)
{
	static const struct {
		const char *go;
		const char *c;
	} pieces[] = {
		{"2006", "%Y"}, {"January", "%B"}, {"Jan", "%b"},   {"Monday", "%A"}, {"Mon", "%a"},
		{"01", "%m"},   {"02", "%d"},      {"15", "%H"},    {"03", "%I"},     {"04", "%M"},
		{"05", "%S"},   {"PM", "%p"},      {"Z07:00", "Z"}, {"MST", "UTC"},
	};
	struct buf out;
	char *layout;

	buf_init(&out, TIME_TEXT);
	for (size_t i = 0; i < size;) {
		size_t k, length = 0;

		for (k = 0; k < countof(pieces); k++) {
			length = strlen(pieces[k].go);
			if (size - i >= length && memcmp(text + i, pieces[k].go, length) == 0)
				break;
		}
		if (k < countof(pieces)) {
			buf_put_str(&out, pieces[k].c);
			i += length;
		} else {
			buf_put(&out, text + i++, 1);
		}
	}
	layout = mem_zalloc(out.size + 1);
	memcpy(layout, buf_bytes(&out).data, out.size);
	buf_fini(&out);
	return layout;
}

static bool parse_time_style(struct op *op, const char *word, size_t size)
{
	const char *open = memchr(word, '[', size);
	size_t inner;

	if (!open || word[size - 1] != ']')
		return false;
	inner = size - (size_t)(open - word) - 2;
	if (size > 9 && memcmp(word, "strftime[", 9) == 0) {
		op->text = mem_zalloc(inner + 1);
		memcpy(op->text, open + 1, inner);
	} else if (size > 3 && memcmp(word, "go[", 3) == 0) {
		op->text = from_go_layout(open + 1, inner);
	} else {
		return false;
	}
	op->style = STYLE_STRFTIME;
	return true;
}

static bool parse_number_style(struct op *op, const char *word, size_t size)
{
	static const struct {
		const char *prefix;
		enum op_style style;
	} styles[] = {{"hex", STYLE_HEX}, {"big", STYLE_BIG}, {"little", STYLE_LITTLE}};

	op->bits = 64;
	if (bytes_equal_str(bytes_of(word, size), "ascii") || bytes_equal_str(bytes_of(word, size), "number"))
		return true;
	if (bytes_equal_str(bytes_of(word, size), "bool")) {
		op->style = STYLE_BOOL;
		return true;
	}
	if (bytes_equal_str(bytes_of(word, size), "byte")) {
		op->style = STYLE_BIG;
		op->bits = 8;
		return true;
	}
	for (size_t i = 0; i < countof(styles); i++) {
		size_t length = strlen(styles[i].prefix);
		unsigned bits = 0;

		if (size <= length || memcmp(word, styles[i].prefix, length) != 0)
			continue;
		for (size_t k = length; k < size && word[k] >= '0' && word[k] <= '9' && bits < 100; k++)
			bits = bits * 10 + (unsigned)(word[k] - '0');
		if (bits != 64 && bits != 32 && bits != 16 && bits != 8 && (bits != 4 || styles[i].style != STYLE_HEX))
			return false;
		op->style = styles[i].style;
		op->bits = bits;
		return true;
	}
	return false;
}

static bool parse_text_style(struct op *op, const char *word, size_t size)
{
	if (bytes_equal_str(bytes_of(word, size), "hex"))
		op->style = STYLE_HEX;
	else if (bytes_equal_str(bytes_of(word, size), "base64"))
		op->style = STYLE_BASE64;
	else if (bytes_equal_str(bytes_of(word, size), "base64raw"))
		op->style = STYLE_BASE64_RAW;
	else
		return false;
	return true;
}

static bool is_text(enum op_kind k)
{
	return k == OP_VALUE || k == OP_KEY || k == OP_TOPIC;
}

static struct format *parse(struct parser *p, char end);

/* What stands in the brace behind a verb. */
static bool parse_brace(struct parser *p, struct op *op)
{
	const char *begin = ++p->at;
	const char *end = strchr(begin, '}');
	size_t size;

	if (op->kind == OP_HEADERS) {
		struct format *inner;

		if (p->depth == DEPTH_MAX)
			return complain(p, "too deep");
		p->depth++;
		inner = parse(p, '}');
		p->depth--;
		if (!inner)
			return false;
		op->inner = inner;
		if (*p->at != '}')
			return complain(p, "no } ");
		p->at++;
		return true;
	}
	if (!end)
		return complain(p, "no }");
	size = (size_t)(end - begin);
	if (!(is_text(op->kind) ? parse_text_style(op, begin, size) : parse_number_style(op, begin, size)) &&
	    !(op->kind == OP_TIME && parse_time_style(op, begin, size)))
		return complain(p, "unknown format");
	p->at = end + 1;
	return true;
}

static bool parse_verb(struct parser *p, struct format *f)
{
	char verb = *++p->at;
	struct op *op;
	bool known = false;
	enum op_kind kind;

	if (verb == '%' || verb == '{' || verb == '}') {
		add_byte(f, verb);
		p->at++;
		return true;
	}
	kind = kind_of(verb, p->rpk, &known);
	if (!known)
		return complain(p, "unknown verb");
	p->at++;
	op = add_op(f, kind);
	if (verb == 'R') {
		op->style = STYLE_BIG;
		op->bits = 32;
	}
	if (p->rpk && *p->at == '{')
		return parse_brace(p, op);
	if (kind == OP_HEADERS)
		return complain(p, "%h wants what to print of each header, as in %h{%k=%v }");
	return true;
}

static struct format *parse(struct parser *p, char end)
{
	struct format *f = mem_new(struct format);

	while (*p->at && *p->at != end) {
		if (*p->at == '\\')
			parse_escape(p, f);
		else if (*p->at != '%')
			add_byte(f, *p->at++);
		else if (!parse_verb(p, f)) {
			format_free(f);
			return NULL;
		}
	}
	return f;
}

struct format *format_new(const char *text, char *ret_why, size_t why_size)
{
	struct parser p = {.at = text, .rpk = is_rpk(text), .why = ret_why, .why_size = why_size};

	return parse(&p, '\0');
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

static void put_hex(struct buf *out, const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		char two[2] = {digits[data[i] >> 4], digits[data[i] & 15]};

		buf_put(out, two, 2);
	}
}

static void put_base64(struct buf *out, const uint8_t *data, size_t size, bool padded)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i < 3 ? size - i : 3;
		uint32_t word = (uint32_t)data[i] << 16;
		char four[4];

		word |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
		word |= left > 2 ? data[i + 2] : 0;
		for (int k = 0; k < 4; k++)
			four[k] = digits[word >> (18 - 6 * k) & 63];
		four[2] = left > 1 ? four[2] : '=';
		four[3] = left > 2 ? four[3] : '=';
		buf_put(out, four, padded ? 4 : left + 1);
	}
}

static void put_text(struct buf *out, const struct op *op, struct mo_bytes b, bool show_null)
{
	if (!b.data) {
		if (show_null)
			buf_put_str(out, "NULL");
		return;
	}
	switch (op->style) {
	case STYLE_HEX:
		put_hex(out, b.data, b.size);
		return;
	case STYLE_BASE64:
	case STYLE_BASE64_RAW:
		put_base64(out, b.data, b.size, op->style == STYLE_BASE64);
		return;
	case STYLE_PLAIN:
	case STYLE_BIG:
	case STYLE_LITTLE:
	case STYLE_BOOL:
	case STYLE_STRFTIME:
		buf_put(out, b.data, b.size);
		return;
	}
}

static void put_time(struct buf *out, const char *layout, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[TIME_TEXT];
	struct tm parts;

	if (!gmtime_r(&seconds, &parts))
		return;
		/* The layout is the user's own, as it is for date(1). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	buf_put(out, text, strftime(text, sizeof(text), layout, &parts));
#pragma GCC diagnostic pop
}

static void put_number(struct buf *out, const struct op *op, int64_t number)
{
	char text[NUMBER_TEXT];
	uint8_t bytes[8];
	size_t size = op->bits / 8;

	switch (op->style) {
	case STYLE_HEX:
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)number);
		buf_put_str(out, text + 16 - op->bits / 4);
		return;
	case STYLE_BIG:
	case STYLE_LITTLE:
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)((uint64_t)number >> 8 * (op->style == STYLE_BIG ? size - 1 - i : i));
		buf_put(out, bytes, size);
		return;
	case STYLE_BOOL:
		buf_put_str(out, number ? "true" : "false");
		return;
	case STYLE_STRFTIME:
		put_time(out, op->text, number);
		return;
	case STYLE_PLAIN:
	case STYLE_BASE64:
	case STYLE_BASE64_RAW:
		snprintf(text, sizeof(text), "%lld", (long long)number);
		buf_put_str(out, text);
		return;
	}
}

static void put_headers_kcat(struct buf *out, const struct mo_message *m)
{
	struct mo_header h;

	for (size_t i = 0; mo_message_header(m, i, &h); i++) {
		if (i > 0)
			buf_put(out, ",", 1);
		buf_put(out, h.key.data, h.key.size);
		buf_put(out, "=", 1);
		if (h.value.data)
			buf_put(out, h.value.data, h.value.size);
		else
			buf_put_str(out, "NULL");
	}
}

static void put_headers(struct buf *out, const struct op *op, const struct mo_message *m, bool show_null)
{
	struct mo_header h;

	for (size_t i = 0; mo_message_header(m, i, &h); i++) {
		struct mo_message one = *m;

		one.key = h.key;
		one.value = h.value;
		one.header_count = 0;
		format_print(op->inner, &one, i, show_null, out);
	}
}

static int64_t size_of(struct mo_bytes b)
{
	return b.data ? (int64_t)b.size : -1;
}

static void print_op(const struct op *op, const struct mo_message *m, uint64_t number, bool show_null, struct buf *out)
{
	switch (op->kind) {
	case OP_LITERAL:
		buf_put(out, op->text, op->text_size);
		return;
	case OP_VALUE:
		put_text(out, op, m->value, show_null);
		return;
	case OP_KEY:
		put_text(out, op, m->key, show_null);
		return;
	case OP_TOPIC:
		put_text(out, op, (struct mo_bytes){m->topic, strlen(m->topic)}, false);
		return;
	case OP_VALUE_SIZE:
		put_number(out, op, size_of(m->value));
		return;
	case OP_KEY_SIZE:
		put_number(out, op, size_of(m->key));
		return;
	case OP_TOPIC_SIZE:
		put_number(out, op, (int64_t)strlen(m->topic));
		return;
	case OP_PARTITION:
		put_number(out, op, m->partition);
		return;
	case OP_OFFSET:
		put_number(out, op, m->offset);
		return;
	case OP_TIME:
		put_number(out, op, m->timestamp_ms);
		return;
	case OP_TIME_TYPE:
		put_number(out, op, m->log_append_time);
		return;
	case OP_LEADER_EPOCH:
		put_number(out, op, m->leader_epoch);
		return;
	case OP_NUMBER:
		put_number(out, op, (int64_t)number);
		return;
	case OP_HEADER_COUNT:
		put_number(out, op, (int64_t)m->header_count);
		return;
	case OP_HEADERS_KCAT:
		put_headers_kcat(out, m);
		return;
	case OP_HEADERS:
		put_headers(out, op, m, show_null);
		return;
	}
}

void format_print(const struct format *f, const struct mo_message *m, uint64_t number, bool show_null, struct buf *out)
{
	for (size_t i = 0; i < f->count; i++)
		print_op(&f->ops[i], m, number, show_null, out);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void set_bytes(json_t *object, const char *name, const char *name_base64, struct mo_bytes b)
{
	json_t *text;
	struct buf encoded;

	if (!b.data) {
		json_object_set_new(object, name, json_null());
		return;
	}
	text = json_stringn(b.data, b.size);
	if (text) {
		json_object_set_new(object, name, text);
		return;
	}
	buf_init(&encoded, SIZE_MAX / 2);
	put_base64(&encoded, b.data, b.size, true);
	json_object_set_new(object, name_base64, json_stringn((const char *)buf_bytes(&encoded).data, encoded.size));
	buf_fini(&encoded);
}

static int append(const char *data, size_t size, void *argument)
{
	buf_put(argument, data, size);
	return 0;
}

void format_print_json(const struct mo_message *m, struct buf *out)
{
	json_t *row = json_pack("{s:s, s:i, s:I, s:I, s:s}", "topic", m->topic, "partition", (int)m->partition,
				"offset", (json_int_t)m->offset, "timestamp", (json_int_t)m->timestamp_ms,
				"timestampType", m->log_append_time ? "LogAppendTime" : "CreateTime");
	json_t *headers = json_array();
	struct mo_header h;

	set_bytes(row, "key", "key_base64", m->key);
	set_bytes(row, "value", "value_base64", m->value);
	for (size_t i = 0; mo_message_header(m, i, &h); i++) {
		json_t *one = json_object();

		set_bytes(one, "key", "key_base64", h.key);
		set_bytes(one, "value", "value_base64", h.value);
		json_array_append_new(headers, one);
	}
	if (json_array_size(headers) > 0)
		json_object_set_new(row, "headers", headers);
	else
		json_decref(headers);
	json_dump_callback(row, append, out, JSON_COMPACT);
	buf_put(out, "\n", 1);
	json_decref(row);
}
