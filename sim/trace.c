/* trace: see the header. */
#include "sim/trace.h"

#include <inttypes.h>
#include <stdio.h>

void trace_init(struct trace *t, const int64_t *now_us)
{
	*t = (struct trace){.hash = 0xcbf29ce484222325ULL, .now_us = now_us};
}

static void mix_u64(struct trace *t, uint64_t value)
{
	uint64_t h = (t->hash ^ value) * 0x9e3779b97f4a7c15ULL;

	t->hash = h ^ (h >> 29);
}

void trace_mix(struct trace *t, struct bytes data)
{
	uint64_t word;

	while (data.size >= sizeof(word)) {
		memcpy(&word, data.data, sizeof(word));
		mix_u64(t, word);
		data.data += sizeof(word);
		data.size -= sizeof(word);
	}
	word = data.size;
	for (size_t i = 0; i < data.size; i++)
		word = word << 8 | data.data[i];
	mix_u64(t, word);
}

static void print(struct trace *t, const char *who, const char *what, const char *text)
{
	char line[1200];
	int64_t now = *t->now_us;

	snprintf(line, sizeof(line), "%4" PRId64 ".%06" PRId64 "  %-11s %-12s %s", now / 1000000, now % 1000000, who,
		 what, text);
	t->write(t, line);
}

void trace_event(struct trace *t, const char *who, const char *what, const char *format, int64_t a, int64_t b,
		 int64_t c)
{
	t->lines++;
	mix_u64(t, (uint64_t)*t->now_us);
	trace_mix(t, bytes_str(who));
	trace_mix(t, bytes_str(what));
	mix_u64(t, (uint64_t)a);
	mix_u64(t, (uint64_t)b);
	mix_u64(t, (uint64_t)c);
	if (t->write) {
		char text[300];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), format, (long long)a, (long long)b, (long long)c);
#pragma GCC diagnostic pop
		print(t, who, what, text);
	}
}

void trace_text(struct trace *t, const char *who, const char *what, const char *text)
{
	t->lines++;
	mix_u64(t, (uint64_t)*t->now_us);
	trace_mix(t, bytes_str(who));
	trace_mix(t, bytes_str(what));
	trace_mix(t, bytes_str(text));
	if (t->write)
		print(t, who, what, text);
}
