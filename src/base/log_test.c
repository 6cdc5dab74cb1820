/* log: what reaches the sink. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/test.h"

struct sink {
	struct logger logger; /* first: the sink is found from it */
	size_t count;
	enum log_level level;
	char line[2000];
};

static void keep(struct logger *l, enum log_level level, const char *line)
{
	struct sink *s = l->context;

	s->count++;
	s->level = level;
	snprintf(s->line, sizeof(s->line), "%s", line);
}

TEST(lines_below_the_least_level_are_dropped)
{
	struct sink s = {.logger = {.least = LOG_INFO, .write = keep, .context = &s}};

	log_debug(&s.logger, "no");
	CHECK_EQ(s.count, 0);
	log_info(&s.logger, "shard %d is up", 3);
	CHECK_STR(s.line, "shard 3 is up");
	log_error(&s.logger, "bad");
	CHECK_EQ(s.count, 2);
	CHECK_EQ(s.level, LOG_ERROR);
	CHECK_STR(log_level_name(s.level), "ERROR");
	log_error(NULL, "nobody listens");
}

TEST(a_line_stays_one_line_and_is_cut)
{
	struct sink s = {.logger = {.least = LOG_DEBUG, .write = keep, .context = &s}};
	char text[3000];

	log_warn(&s.logger, "a\nb\tc\x7f"
			    "d\x1b[0m");
	CHECK_STR(s.line, "a?b?c?d?[0m");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_warn(&s.logger, "%s", text);
	CHECK_EQ(strlen(s.line), 1000);
}
