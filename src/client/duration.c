/* duration: see the header. */
#include "client/duration.h"

#include <stddef.h>

#define DIGITS_MAX 15

struct unit {
	char letter;
	bool time; /* behind the T */
	int64_t ms;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* A number and, of seconds only, its thousandths. */
static bool take_number(const char **at, int64_t *ret_whole, int64_t *ret_thousandths, bool *ret_fraction)
{
	int digits = 0;

	*ret_whole = *ret_thousandths = 0;
	*ret_fraction = false;
	for (; is_digit(**at); (*at)++) {
		if (++digits > DIGITS_MAX)
			return false;
		*ret_whole = *ret_whole * 10 + (**at - '0');
	}
	if (digits == 0)
		return false;
	if (**at != '.' && **at != ',')
		return true;
	*ret_fraction = true;
	(*at)++;
	for (int64_t worth = 100; is_digit(**at); (*at)++, worth /= 10)
		*ret_thousandths += (**at - '0') * worth;
	return true;
}

bool duration_parse(const char *text, int64_t *ret_ms)
{
	static const struct unit units[] = {
		{'D', false, 86400000}, {'H', true, 3600000}, {'M', true, 60000}, {'S', true, 1000}};
	const char *at = text;
	size_t next = 0;
	int64_t sum = 0;
	bool time = false, any = false;

	if (upper(*at) != 'P')
		return false;
	at++;
	while (*at) {
		int64_t whole, thousandths, worth;
		bool fraction;

		if (upper(*at) == 'T') {
			if (time)
				return false;
			time = true;
			any = false;
			at++;
			continue;
		}
		if (!take_number(&at, &whole, &thousandths, &fraction))
			return false;
		while (next < 4 && (units[next].letter != upper(*at) || units[next].time != time))
			next++;
		if (next == 4 || (fraction && units[next].letter != 'S'))
			return false;
		if (__builtin_mul_overflow(whole, units[next].ms, &worth) || __builtin_add_overflow(sum, worth, &sum) ||
		    __builtin_add_overflow(sum, thousandths, &sum))
			return false;
		next++;
		any = true;
		at++;
	}
	if (!any)
		return false;
	*ret_ms = sum;
	return true;
}
