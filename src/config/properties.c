/*
 * properties: files in the syntax of Java's Properties: comments (# !), separators (= : blank), continuations (\ at the end of a
 * line), escapes (\t \n \r \f \uXXXX, any other stands for itself). Bytes are UTF-8; what is none passes as it is.
 */
#include "base/alloc.h"
#include "config/describe.h"

#define MAX_MESSAGE 1000

struct parser {
	struct bytes rest;
	unsigned line;      /* of the last line taken */
	struct buf logical; /* one logical line, continuations joined, escapes still in it */
};

/* The next natural line without its end; false at the end of the text. */
static bool next_line(struct parser *p, struct bytes *ret_line)
{
	size_t size = 0;

	if (p->rest.size == 0)
		return false;
	while (size < p->rest.size && p->rest.data[size] != '\n' && p->rest.data[size] != '\r')
		size++;
	*ret_line = bytes_of(p->rest.data, size);
	if (size + 1 < p->rest.size && p->rest.data[size] == '\r' && p->rest.data[size + 1] == '\n')
		size++;
	size += size < p->rest.size;
	p->rest = bytes_of(p->rest.data + size, p->rest.size - size);
	p->line++;
	return true;
}

static struct bytes without_indent(struct bytes b)
{
	while (b.size && (b.data[0] == ' ' || b.data[0] == '\t' || b.data[0] == '\f'))
		b = bytes_of(b.data + 1, b.size - 1);
	return b;
}

/* An odd number of backslashes at the end: the line goes on. */
static bool continues(struct bytes line)
{
	size_t count = 0;

	while (count < line.size && line.data[line.size - 1 - count] == '\\')
		count++;
	return count % 2 == 1;
}

static bool next_logical_line(struct parser *p, unsigned *ret_line)
{
	struct bytes line;

	buf_reset(&p->logical);
	while (next_line(p, &line)) {
		bool more;

		line = without_indent(line);
		if (p->logical.size == 0 && (line.size == 0 || line.data[0] == '#' || line.data[0] == '!'))
			continue;
		*ret_line = p->line;
		more = continues(line);
		buf_put_bytes(&p->logical, bytes_of(line.data, line.size - more));
		while (more && next_line(p, &line)) {
			line = without_indent(line);
			more = continues(line);
			buf_put_bytes(&p->logical, bytes_of(line.data, line.size - more));
		}
		if (p->logical.size)
			return true;
	}
	return false;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool four_digits(struct bytes b, size_t at, uint32_t *ret_unit)
{
	uint32_t unit = 0;

	if (at + 4 > b.size)
		return false;
	for (size_t i = at; i < at + 4; i++) {
		int digit = hex_digit(b.data[i]);

		if (digit < 0)
			return false;
		unit = unit << 4 | (uint32_t)digit;
	}
	*ret_unit = unit;
	return true;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_put_i8(out, (int8_t)c);
	} else if (c < 0x800) {
		buf_put_i8(out, (int8_t)(0xc0 | c >> 6));
		buf_put_i8(out, (int8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_put_i8(out, (int8_t)(0xe0 | c >> 12));
		buf_put_i8(out, (int8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_put_i8(out, (int8_t)(0x80 | (c & 0x3f)));
	} else {
		buf_put_i8(out, (int8_t)(0xf0 | c >> 18));
		buf_put_i8(out, (int8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_put_i8(out, (int8_t)(0x80 | (c >> 6 & 0x3f)));
		buf_put_i8(out, (int8_t)(0x80 | (c & 0x3f)));
	}
}

/* Takes the escapes out. False: \u without four digits. */
static bool unescape(struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.size; i++) {
		uint8_t c = in.data[i];
		uint32_t unit, low;

		if (c != '\\' || i + 1 == in.size) {
			buf_put(out, &c, 1);
			continue;
		}
		c = in.data[++i];
		if (c == 'u') {
			if (!four_digits(in, i + 1, &unit))
				return false;
			i += 4;
			if (unit >= 0xd800 && unit < 0xdc00 && i + 2 < in.size && in.data[i + 1] == '\\' &&
			    in.data[i + 2] == 'u' && four_digits(in, i + 3, &low) && low >= 0xdc00 && low < 0xe000) {
				unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
				i += 6;
			}
			put_utf8(out, unit);
			continue;
		}
		c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
		buf_put(out, &c, 1);
	}
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

/* Name and value of a logical line: the first blank, '=' or ':' that is not escaped ends the name. */
static void split(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
	size_t at = 0, value;

	while (at < line.size && !is_blank(line.data[at]) && line.data[at] != '=' && line.data[at] != ':')
		at += line.data[at] == '\\' ? 2 : 1;
	if (at > line.size)
		at = line.size;
	value = at;
	while (value < line.size && is_blank(line.data[value]))
		value++;
	if (value < line.size && (line.data[value] == '=' || line.data[value] == ':'))
		value++;
	while (value < line.size && is_blank(line.data[value]))
		value++;
	*ret_name = bytes_of(line.data, at);
	*ret_value = bytes_of(line.data + value, line.size - value);
}

static enum err apply(struct config *c, struct parser *p, unsigned line, const char *path, struct logger *log)
{
	struct bytes raw_name, raw_value, name;
	struct buf both, message;
	size_t name_size;
	enum config_id id;
	enum err e = OK;

	buf_init(&both, p->logical.max * 2);
	buf_init(&message, MAX_MESSAGE);
	split(buf_bytes(&p->logical), &raw_name, &raw_value);
	if (!unescape(raw_name, &both) || (name_size = both.size, !unescape(raw_value, &both))) {
		log_error(log, "%s:%u: a \\u escape needs four hexadecimal digits", path, line);
		e = ERR_BAD_CONFIG;
	} else {
		name = bytes_trim(bytes_of(buf_bytes(&both).data, name_size));
		if (!config_find(name, &id)) {
			if (config_note_unknown(c, name))
				log_warn(log, "%s:%u: unknown setting %.*s is ignored", path, line, BYTES_ARG(name));
		} else if (config_set(c, name, bytes_of(buf_bytes(&both).data + name_size, both.size - name_size),
				      &message)) {
			log_error(log, "%s:%u: %.*s", path, line, BYTES_ARG(buf_bytes(&message)));
			e = ERR_BAD_CONFIG;
		}
	}
	buf_fini(&message);
	buf_fini(&both);
	return e;
}

enum err config_load_properties(struct config *c, struct bytes text, const char *path, struct logger *log)
{
	struct parser p = {.rest = text};
	unsigned line = 0;
	enum err e = OK;

	buf_init(&p.logical, text.size + 1);
	while (!e && next_logical_line(&p, &line))
		e = apply(c, &p, line, path, log);
	buf_fini(&p.logical);
	return e;
}
