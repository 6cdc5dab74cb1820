/*
 * stage_play: a conversation on the stage (stage_script.h) as a unit test: what comes out must be the transcript. Apart from the
 * stage, since benchmarks stand on it too and are built where there is no library for tests.
 */
#ifndef GROUP_STAGE_PLAY_H
#define GROUP_STAGE_PLAY_H

#include "base/test.h"
#include "group/stage_consumer.h"
#include "group/stage_script.h"

/* Runs the lines that begin with "> "; all lines must come out as they are. */
static inline void stage_play(struct stage *t, const char *transcript)
{
	buf_reset(&t->out);
	t->print_record = stage_print_record;
	for (const char *at = transcript; *at;) {
		const char *end = strchr(at, '\n');

		must(end);
		if (at[0] == '>') {
			buf_put(&t->out, at, (size_t)(end + 1 - at));
			stage_run_line(t, at + 2, end);
		}
		at = end + 1;
	}
	must(!t->out.error);
	if (t->out.size == strlen(transcript) && memcmp(t->out.data, transcript, t->out.size) == 0)
		return;
	fprintf(stderr, "what came out:\n%.*s.\n", (int)t->out.size, (const char *)t->out.data);
	fail();
}

/* The same of the consumer protocol, with topics t of 3 partitions and u of 2. */
static inline void stage_consumer_play(const char *transcript)
{
	struct stage t;

	stage_consumer_init(&t);
	stage_topic_of(&t, bytes_str("t"), 3);
	stage_topic_of(&t, bytes_str("u"), 2);
	stage_play(&t, transcript);
	stage_fini(&t);
}

#endif
