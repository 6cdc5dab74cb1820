/* group_plan: see the header. */
#include "cli/group_plan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/saturate.h"

#define SECONDS_OF_DAY INT64_C(86400)
#define DAY_MS (SECONDS_OF_DAY * 1000)

/* --- numbers in text --------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `digits` of them; `*at` goes behind. */
static bool take_digits(const char **at, int digits, int64_t *ret)
{
	int64_t n = 0;

	for (int i = 0; i < digits; i++, (*at)++) {
		if (!is_digit(**at))
			return false;
		n = n * 10 + (**at - '0');
	}
	*ret = n;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* A whole number of any length that fits; at least one digit. */
static bool take_number(const char **at, int64_t most, int64_t *ret)
{
	int64_t n = 0;

	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++) {
		int digit = **at - '0';

		if (n > (most - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

/* --- topics ------------------------------------------------------------------------------------------------------ */

bool plan_parse_topic(const char *text, struct plan_topic *ret)
{
	const char *colon = strchr(text, ':'), *at = colon;
	struct plan_topic t = {.name = bytes_of(text, colon ? (size_t)(colon - text) : strlen(text))};
	size_t capacity = 0;

	if (t.name.size == 0)
		return false;
	while (at && (*at == ':' || *at == ',')) {
		int64_t number;

		at++;
		if (!take_number(&at, INT32_MAX, &number)) {
			mem_free(t.partitions);
			return false;
		}
		t.partitions = mem_grow(t.partitions, &capacity, t.count + 1, sizeof(*t.partitions));
		t.partitions[t.count++] = (int32_t)number;
	}
	if (at && *at) {
		mem_free(t.partitions);
		return false;
	}
	*ret = t;
	return true;
}

void plan_topic_fini(struct plan_topic *t)
{
	mem_free(t->partitions);
}

/* --- times ------------------------------------------------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 of the first day of the year, in the calendar that was always the Gregorian one. */
static int64_t days_before(int64_t year)
{
	int64_t y = year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static bool take_date(const char **at, int64_t *ret_days)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	int64_t year, month, day;
	bool leap;

	if (!take_digits(at, 4, &year) || !take_char(at, '-') || !take_digits(at, 2, &month) || !take_char(at, '-') ||
	    !take_digits(at, 2, &day) || year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	leap = is_leap(year);
	if (day > before[month] - before[month - 1] + (leap && month == 2))
		return false;
	*ret_days = days_before(year) + before[month - 1] + (leap && month > 2) + day - 1;
	return true;
}

static bool take_clock(const char **at, int64_t *ret_ms)
{
	int64_t hour, minute, second, ms = 0, scale = 100;

	if (!take_digits(at, 2, &hour) || !take_char(at, ':') || !take_digits(at, 2, &minute) || !take_char(at, ':') ||
	    !take_digits(at, 2, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	if (take_char(at, '.')) {
		if (!is_digit(**at))
			return false;
		for (; is_digit(**at); (*at)++, scale /= 10)
			ms += (**at - '0') * scale;
	}
	*ret_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
	return true;
}

static bool take_zone(const char **at, int64_t *ret_ms)
{
	int64_t hours, minutes = 0, sign;

	*ret_ms = 0;
	if (!**at || take_char(at, 'Z'))
		return true;
	if (**at != '+' && **at != '-')
		return false;
	sign = **at == '-' ? -1 : 1;
	(*at)++;
	if (!take_digits(at, 2, &hours))
		return false;
	if (**at && (take_char(at, ':'), !take_digits(at, 2, &minutes)))
		return false;
	*ret_ms = sign * (hours * 60 + minutes) * 60000;
	return hours < 24 && minutes < 60;
}

bool plan_parse_time(const char *text, int64_t *ret_ms)
{
	int64_t days, clock_ms, zone_ms;

	if (!take_date(&text, &days) || !take_char(&text, 'T') || !take_clock(&text, &clock_ms) ||
	    !take_zone(&text, &zone_ms) || *text)
		return false;
	*ret_ms = days * DAY_MS + clock_ms - zone_ms;
	return true;
}

/* --- spans ------------------------------------------------------------------------------------------------------- */

/* "1.5S": a fraction, of seconds only. */
static bool take_part(const char **at, const char *units, const int64_t *unit_ms, int *next, int64_t *sum_ms)
{
	int64_t sign = 1, number, fraction_ms = 0, scale = 100;
	const char *found;

	if (**at == '-' || **at == '+')
		sign = *(*at)++ == '-' ? -1 : 1;
	if (!take_number(at, INT64_MAX / 1000, &number))
		return false;
	if (take_char(at, '.') || take_char(at, ','))
		for (; is_digit(**at); (*at)++, scale /= 10)
			fraction_ms += (**at - '0') * scale;
	else
		scale = -1;
	found = **at & ~0x20 ? strchr(units, **at & ~0x20) : NULL;
	if (!found || found - units < *next || (scale != -1 && *found != 'S'))
		return false;
	(*at)++;
	*next = (int)(found - units) + 1;
	/* What does not fit is no span that anybody means. */
	return !__builtin_mul_overflow(number, unit_ms[found - units], &number) &&
	       !__builtin_add_overflow(number, fraction_ms, &number) &&
	       !__builtin_add_overflow(*sum_ms, sign * number, sum_ms) && *sum_ms > INT64_MIN;
}

bool plan_parse_duration(const char *text, int64_t *ret_ms)
{
	static const int64_t day_ms[] = {DAY_MS}, clock_ms[] = {3600000, 60000, 1000};
	int64_t sign = 1, sum_ms = 0;
	int parts = 0, next = 0;

	if (*text == '-' || *text == '+')
		sign = *text++ == '-' ? -1 : 1;
	if ((*text & ~0x20) != 'P')
		return false;
	text++;
	if (*text && (*text & ~0x20) != 'T') {
		if (!take_part(&text, "D", day_ms, &next, &sum_ms))
			return false;
		parts++;
	}
	if (*text && (*text & ~0x20) == 'T') {
		text++;
		parts = 0;
		for (next = 0; *text; parts++)
			if (!take_part(&text, "HMS", clock_ms, &next, &sum_ms))
				return false;
	}
	if (*text || parts == 0)
		return false;
	*ret_ms = sign * sum_ms;
	return true;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

#define FIELDS_MAX 4

/* One field, without its quotes; NULL when its quotes do not end. `*rest` goes behind its comma, or is null at the end. */
static char *take_field(struct bytes *rest)
{
	struct buf b;
	size_t i = 0;
	bool quoted = rest->size > 0 && rest->data[0] == '"', closed = !quoted;
	char *text;

	buf_init(&b, rest->size + 1);
	for (i = quoted; i < rest->size; i++) {
		if (quoted && !closed && rest->data[i] == '"') {
			if (i + 1 < rest->size && rest->data[i + 1] == '"')
				i++;
			else {
				closed = true;
				continue;
			}
		} else if (closed && rest->data[i] == ',') {
			break;
		}
		buf_put_i8(&b, (int8_t)rest->data[i]);
	}
	*rest = i < rest->size ? bytes_of(rest->data + i + 1, rest->size - i - 1) : bytes_null();
	buf_put_i8(&b, 0);
	text = closed ? mem_strdup((const char *)b.data) : NULL;
	buf_fini(&b);
	return text;
}

static bool whole_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
	bool minus = *text == '-';
	int64_t number;

	text += minus;
	if (!take_number(&text, most, &number) || *text)
		return false;
	*ret = minus ? -number : number;
	return *ret >= least;
}

bool plan_parse_row(struct bytes line, struct plan_row *ret)
{
	char *fields[FIELDS_MAX] = {0};
	struct plan_row r = {0};
	int64_t partition = 0;
	size_t count = 0;
	bool right = true;

	while (!bytes_is_null(line) && right) {
		right = count < FIELDS_MAX && (fields[count] = take_field(&line));
		count++;
	}
	right = right && count >= 3;
	if (right) {
		r.group = count == 4 ? fields[0] : NULL;
		r.topic = fields[count - 3];
		right = r.topic[0] && whole_number(fields[count - 2], 0, INT32_MAX, &partition) &&
			whole_number(fields[count - 1], INT64_MIN + 1, INT64_MAX, &r.offset);
		r.partition = (int32_t)partition;
	}
	for (size_t i = 0; i < FIELDS_MAX; i++)
		if (!right || (fields[i] != r.group && fields[i] != r.topic))
			mem_free(fields[i]);
	if (right)
		*ret = r;
	return right;
}

void plan_row_fini(struct plan_row *r)
{
	mem_free(r->group);
	mem_free(r->topic);
}

static void put_field(struct buf *out, const char *text)
{
	if (text[0] && !strpbrk(text, "\",\r\n ")) {
		buf_put_str(out, text);
		return;
	}
	buf_put_str(out, "\"");
	for (; *text; text++) {
		if (*text == '"')
			buf_put_str(out, "\"");
		buf_put_i8(out, *text);
	}
	buf_put_str(out, "\"");
}

void plan_put_row(struct buf *out, const struct plan_row *r)
{
	if (r->group) {
		put_field(out, r->group);
		buf_put_str(out, ",");
	}
	put_field(out, r->topic);
	buf_printf(out, ",%d,%lld\n", r->partition, (long long)r->offset);
}

/* --- the new offset ---------------------------------------------------------------------------------------------- */

static enum plan_note within(int64_t offset, const struct plan_facts *f, int64_t *ret)
{
	*ret = offset > f->end ? f->end : offset < f->start ? f->start : offset;
	return offset > f->end ? PLAN_ABOVE_END : offset < f->start ? PLAN_BELOW_START : PLAN_FINE;
}

enum plan_note plan_offset(enum plan_kind kind, int64_t value, const struct plan_facts *facts, int64_t *ret_offset)
{
	switch (kind) {
	case PLAN_EARLIEST:
		*ret_offset = facts->start;
		return PLAN_FINE;
	case PLAN_LATEST:
		*ret_offset = facts->end;
		return PLAN_FINE;
	case PLAN_CURRENT:
		*ret_offset = facts->current >= 0 ? facts->current : facts->end;
		return PLAN_FINE;
	case PLAN_TIME:
		*ret_offset = facts->at_time;
		return PLAN_FINE;
	case PLAN_SHIFT:
		if (facts->current < 0)
			return PLAN_NO_CURRENT;
		return within(saturating_add(facts->current, value), facts, ret_offset);
	case PLAN_OFFSET:
		return within(value, facts, ret_offset);
	case PLAN_NONE:
		break;
	}
	must_not_reach();
}
