/* value: see the header. What is refused, and with which words, was asked of Kafka 4.3.1 itself. */
#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

#define MAX_ITEMS 10000

struct bytes bytes_trim(struct bytes b)
{
	while (b.size && b.data[0] <= ' ') {
		b.data++;
		b.size--;
	}
	while (b.size && b.data[b.size - 1] <= ' ')
		b.size--;
	return b;
}

void config_value_fini(struct config_value *v)
{
	mem_free(v->text);
	for (size_t i = 0; i < v->item_count; i++)
		mem_free(v->items[i]);
	mem_free(v->items);
	*v = (struct config_value){0};
}

static char *text_of(struct bytes b)
{
	char *text = mem_alloc(b.size + 1);

	if (b.size)
		memcpy(text, b.data, b.size);
	text[b.size] = 0;
	return text;
}

static enum err refuse(const struct config_definition *d, struct bytes value, struct buf *message, const char *why)
{
	if (message)
		buf_printf(message, "Invalid value %.*s for configuration %s: %s", BYTES_ARG(value), d->name, why);
	return ERR_BAD_CONFIG;
}

/* As Long.parseLong: decimal with an optional sign, nothing else. */
static bool parse_integer(struct bytes text, int64_t *ret_number)
{
	bool negative = text.size && text.data[0] == '-';
	size_t at = text.size && (text.data[0] == '-' || text.data[0] == '+');
	int64_t number = 0;

	if (at == text.size)
		return false;
	for (; at < text.size; at++) {
		int digit = text.data[at] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, digit, &number))
			return false;
	}
	/* Counted below zero, since there is one number more on that side. */
	if (!negative && __builtin_sub_overflow(0, number, &number))
		return false;
	*ret_number = number;
	return true;
}

/* As Double.parseDouble, but for hexadecimal digits. */
static bool parse_real(struct bytes text, double *ret_real)
{
	bool negative = text.size && text.data[0] == '-';
	struct bytes word = text;
	char copy[64], *end;

	if (text.size && (text.data[0] == '-' || text.data[0] == '+'))
		word = bytes_of(text.data + 1, text.size - 1);
	if (bytes_equal_str(word, "NaN") || bytes_equal_str(word, "Infinity")) {
		*ret_real = word.data[0] == 'N' ? (double)NAN : negative ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	if (text.size > 1 && strchr("fFdD", text.data[text.size - 1]))
		text.size--;
	if (text.size == 0 || text.size >= sizeof(copy))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (!strchr("0123456789+-.eE", text.data[i]))
			return false;
	memcpy(copy, text.data, text.size);
	copy[text.size] = 0;
	*ret_real = strtod(copy, &end);
	return *end == 0;
}

/* As Double.toString: the shortest digits that read back as the same number, with a point, and E from 10^7 and below 10^-3 on. */
static char *real_text(double real)
{
	char digits[40], text[64];
	double size = fabs(real);
	int precision = 1;
	char *exponent;

	if (isnan(real) || isinf(real))
		return mem_strdup(isnan(real) ? "NaN" : real > 0 ? "Infinity" : "-Infinity");
	if (real == 0 || (size >= 1e-3 && size < 1e7)) {
		for (precision = 1; precision < 18; precision++) {
			snprintf(digits, sizeof(digits), "%.*f", precision, real);
			if (strtod(digits, NULL) == real)
				break;
		}
		return mem_strdup(digits);
	}
	for (precision = 1; precision < 18; precision++) {
		snprintf(digits, sizeof(digits), "%.*e", precision, real);
		if (strtod(digits, NULL) == real)
			break;
	}
	exponent = strchr(digits, 'e');
	if (!exponent)
		return mem_strdup(digits);
	*exponent = 0;
	snprintf(text, sizeof(text), "%sE%d", digits, atoi(exponent + 1));
	return mem_strdup(text);
}

static void number_text(char *text, size_t size, double number)
{
	if (number == floor(number))
		snprintf(text, size, "%.0f", number);
	else
		snprintf(text, size, "%g", number);
}

static enum err check_range(const struct config_definition *d, double number, struct bytes shown, struct buf *message)
{
	char low[32], high[32], other[32], why[160];

	if ((number >= d->low && number <= d->high) || isnan(number)) /* Kafka's two comparisons let it pass */
		return OK;
	number_text(low, sizeof(low), d->low);
	number_text(high, sizeof(high), d->high);
	if (d->check == CONFIG_CHECK_RANGE_OR) {
		if (number == d->other)
			return OK;
		number_text(other, sizeof(other), d->other);
		snprintf(why, sizeof(why), "Value must be between %s and %s or equal to %s", low, high, other);
	} else if (number < d->low) {
		snprintf(why, sizeof(why), "Value must be at least %s", low);
	} else {
		snprintf(why, sizeof(why), "Value must be no more than %s", high);
	}
	return refuse(d, shown, message, why);
}

static enum err check_choice(const struct config_definition *d, const char *item, struct buf *message)
{
	bool any_case = d->check == CONFIG_CHECK_ONE_OF_ANY_CASE;

	for (const char *const *c = d->choices; *c; c++)
		if (any_case ? strcasecmp(*c, item) == 0 : strcmp(*c, item) == 0)
			return OK;
	if (!message)
		return ERR_BAD_CONFIG;
	buf_printf(message, "Invalid value %s for configuration %s: String must be one of%s: ", item, d->name,
		   any_case ? " (case insensitive)" : "");
	for (const char *const *c = d->choices; *c; c++)
		buf_printf(message, "%s%s", c == d->choices ? "" : ", ", *c);
	return ERR_BAD_CONFIG;
}

static bool is_digits(const char *from, const char *to)
{
	for (const char *at = from; at < to; at++)
		if (*at < '0' || *at > '9')
			return false;
	return to > from;
}

/* As Java prints a list. */
static void put_items(struct buf *b, const struct config_value *v)
{
	buf_put_str(b, "[");
	for (size_t i = 0; i < v->item_count; i++)
		buf_printf(b, "%s%s", i ? ", " : "", v->items[i]);
	buf_put_str(b, "]");
}

/* One "*" among nothing, or partition:broker, or nothing, everywhere. */
static enum err check_throttled(const struct config_definition *d, const struct config_value *v, struct buf *message)
{
	size_t stars = 0, given = 0;
	bool good = true;

	for (size_t i = 0; i < v->item_count; i++) {
		const char *colon = strchr(v->items[i], ':');

		stars += strcmp(v->items[i], "*") == 0;
		given += v->items[i][0] != 0;
		good = good && (!v->items[i][0] || (colon && is_digits(v->items[i], colon) &&
						    is_digits(colon + 1, colon + strlen(colon))));
	}
	if (good || (stars == 1 && given == 1))
		return OK;
	if (!message)
		return ERR_BAD_CONFIG;
	buf_put_str(message, "Invalid value ");
	put_items(message, v);
	buf_printf(
		message,
		" for configuration %s: %s must be the literal '*' or a list of replicas in the following format: %s",
		d->name, d->name, d->valid);
	return ERR_BAD_CONFIG;
}

/* What is none of the choices is said before what is empty. */
static enum err check_items(const struct config_definition *d, const struct config_value *v, struct buf *message)
{
	bool empty = false;

	for (size_t i = 0; d->choices && i < v->item_count; i++) {
		if (!v->items[i][0])
			empty = true;
		else if (check_choice(d, v->items[i], message))
			return ERR_BAD_CONFIG;
	}
	if (empty && message)
		buf_printf(message, "Configuration '%s' values must not be empty.", d->name);
	return empty ? ERR_BAD_CONFIG : OK;
}

/* Kafka takes what is chosen twice once (KIP-1161). After check_items, so that there are few different ones. */
static void drop_repeated(struct config_value *v)
{
	size_t kept = 0, size = 0;

	for (size_t i = 0; i < v->item_count; i++) {
		size_t at = 0, length = strlen(v->items[i]);

		while (at < kept && strcmp(v->items[at], v->items[i]) != 0)
			at++;
		if (at < kept) {
			mem_free(v->items[i]);
			continue;
		}
		/* The text only gets shorter: it is written over itself. */
		if (kept)
			v->text[size++] = ',';
		memcpy(v->text + size, v->items[i], length);
		size += length;
		v->items[kept++] = v->items[i];
	}
	v->item_count = kept;
	v->text[size] = 0;
}

static enum err parse_list(const struct config_definition *d, struct bytes text, struct buf *message,
			   struct config_value *v)
{
	struct buf joined;
	size_t capacity = 0;
	struct bytes rest = bytes_trim(text);

	buf_init(&joined, rest.size + 2);
	/* A comma at the end has an empty item behind it. */
	for (bool more = rest.size > 0; more;) {
		const uint8_t *comma = memchr(rest.data, ',', rest.size);
		struct bytes item = bytes_of(rest.data, comma ? (size_t)(comma - rest.data) : rest.size);

		if (v->item_count == MAX_ITEMS) {
			buf_fini(&joined);
			return refuse(d, bytes_str("(long)"), message, "too many entries");
		}
		rest = bytes_of(rest.data + item.size, rest.size - item.size);
		item = bytes_trim(item);
		v->items = mem_grow(v->items, &capacity, v->item_count + 1, sizeof(*v->items));
		v->items[v->item_count++] = text_of(item);
		if (v->item_count > 1)
			buf_put_str(&joined, ",");
		buf_put_bytes(&joined, item);
		more = comma != NULL;
		if (comma)
			rest = bytes_of(comma + 1, rest.size - 1);
	}
	v->text = text_of(buf_bytes(&joined));
	buf_fini(&joined);
	if (d->check == CONFIG_CHECK_THROTTLED_REPLICAS)
		return check_throttled(d, v, message);
	if (check_items(d, v, message))
		return ERR_BAD_CONFIG;
	if (d->choices)
		drop_repeated(v);
	return OK;
}

static enum err parse_number(const struct config_definition *d, struct bytes given, struct buf *message,
			     struct config_value *v)
{
	static const struct {
		int64_t low, high;
		const char *name;
	} kinds[] = {
		[CONFIG_TYPE_INT] = {INT32_MIN, INT32_MAX, "INT"},
		[CONFIG_TYPE_SHORT] = {INT16_MIN, INT16_MAX, "SHORT"},
		[CONFIG_TYPE_LONG] = {INT64_MIN, INT64_MAX, "LONG"},
	};
	struct bytes text = bytes_trim(given);
	char why[40], shown[32];

	if (!parse_integer(text, &v->number) || v->number < kinds[d->type].low || v->number > kinds[d->type].high) {
		snprintf(why, sizeof(why), "Not a number of type %s", kinds[d->type].name);
		return refuse(d, given, message, why);
	}
	snprintf(shown, sizeof(shown), "%lld", (long long)v->number);
	v->text = mem_strdup(shown);
	if (d->check == CONFIG_CHECK_RANGE || d->check == CONFIG_CHECK_RANGE_OR)
		return check_range(d, (double)v->number, bytes_str(shown), message);
	return OK;
}

static enum err parse_text(const struct config_definition *d, struct bytes given, struct buf *message,
			   struct config_value *v)
{
	v->text = text_of(bytes_trim(given));
	if (d->choices)
		return check_choice(d, v->text, message);
	if (d->check == CONFIG_CHECK_NOT_EMPTY && !*v->text)
		return refuse(d, bytes_empty(), message, "String must be non-empty");
	return OK;
}

static enum err parse(const struct config_definition *d, struct bytes given, struct buf *message,
		      struct config_value *v)
{
	struct bytes text = bytes_trim(given);

	switch (d->type) {
	case CONFIG_TYPE_BOOLEAN:
		if (text.size == 4 && strncasecmp((const char *)text.data, "true", 4) == 0)
			v->number = 1;
		else if (!(text.size == 5 && strncasecmp((const char *)text.data, "false", 5) == 0))
			return refuse(d, given, message, "Expected value to be either true or false");
		v->text = mem_strdup(v->number ? "true" : "false");
		return OK;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_SHORT:
	case CONFIG_TYPE_LONG:
		return parse_number(d, given, message, v);
	case CONFIG_TYPE_DOUBLE:
		if (!parse_real(text, &v->real))
			return refuse(d, given, message, "Not a number of type DOUBLE");
		v->text = real_text(v->real);
		if (d->check == CONFIG_CHECK_RANGE)
			return check_range(d, v->real, bytes_str(v->text), message);
		return OK;
	case CONFIG_TYPE_LIST:
		return parse_list(d, given, message, v);
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CLASS:
	case CONFIG_TYPE_PASSWORD:
		return parse_text(d, given, message, v);
	}
	must_not_reach();
}

enum err config_value_parse(const struct config_definition *d, struct bytes text, struct buf *message,
			    struct config_value *ret_value)
{
	struct config_value v = {0};
	enum err e;

	if (bytes_is_null(text)) {
		if (d->default_text)
			return refuse(d, bytes_str("null"), message, "Value must be non-null");
		*ret_value = v;
		return OK;
	}
	e = parse(d, text, message, &v);
	if (e)
		config_value_fini(&v);
	else
		*ret_value = v;
	return e;
}

enum err config_check_value(const struct config_definition *d, struct bytes value, struct buf *message)
{
	struct config_value v = {0};
	enum err e = config_value_parse(d, value, message, &v);

	config_value_fini(&v);
	return e;
}
