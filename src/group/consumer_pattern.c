/*
 * consumer_pattern: which topics a group's patterns match. All topics of the cluster are looked at, in slices: the first one at once, each of the others a
 * millisecond after the one before, so that a shard does not stand still for it.
 *
 *      none --a pattern is new, topics came, or it is long ago--> job --all patterns over all topics--> recorded, and another epoch where they differ
 *
 * Topics that a client may not describe are left out (Kafka: those of the member that caused it); there is nothing to ask yet.
 */
#include "base/alloc.h"
#include "base/must.h"
#include "group/consumer_group.h"
#include "metadata/image.h"
#include "regex/regex.h"

/* Kafka's: between two times at which resolved patterns are looked at again. */
#define REFRESH_LEAST_MS 10000
/* Of a slice, in units of about 50 ns: a match takes some, and more where the pattern is large. */
#define SLICE_UNITS 40000
#define MATCH_UNITS 4
#define CHEAP_COST 200   /* instructions; below, a match takes no longer than its name */
#define COMPILE_UNITS 16 /* an instruction */
#define SLICE_PAUSE_MS 1

struct matched {
	struct bytes pattern; /* its own memory */
	struct bytes *topics; /* each its own memory, in order */
	size_t count;
	size_t capacity;
};

struct pattern_job {
	struct group_timer timer;
	struct group *group;
	struct matched *patterns;
	size_t pattern_count;
	size_t at;             /* the pattern that is matched */
	struct regex *regex;   /* NULL: not compiled yet */
	struct bytes last;     /* the topic that was looked at last; its own memory; null: none yet */
	int64_t image_version; /* when it began */
	int64_t began_ms;
};

static void matched_fini(struct matched *m)
{
	for (size_t i = 0; i < m->count; i++)
		mem_free((void *)m->topics[i].data);
	mem_free(m->topics);
	mem_free((void *)m->pattern.data);
}

void consumer_group_drop_job(struct groups *all, struct consumer_group *c)
{
	struct pattern_job *job = c->job;

	if (!job)
		return;
	group_timer_cancel(all, &job->timer);
	for (size_t i = 0; i < job->pattern_count; i++)
		matched_fini(&job->patterns[i]);
	mem_free(job->patterns);
	regex_free(job->regex);
	mem_free((void *)job->last.data);
	mem_free(job);
	c->job = NULL;
}

/* --- matching ----------------------------------------------------------------------------------------------------------------- */

static size_t units_of(const struct regex *r, struct bytes name)
{
	size_t cost = regex_cost(r);

	return MATCH_UNITS + name.size / 8 + (cost > CHEAP_COST ? cost * name.size / 16 : 0);
}

static struct bytes own_text(struct bytes text)
{
	return bytes_of(mem_dup(text.data, text.size), text.size);
}

static void remember(struct pattern_job *job, struct bytes name)
{
	mem_free((void *)job->last.data);
	job->last = own_text(name);
}

/* Matches on with the job's pattern; false when the slice is over before the topics are. */
static bool match_some(struct pattern_job *job, const struct image *image, size_t *units)
{
	struct matched *m = &job->patterns[job->at];
	size_t at = bytes_is_null(job->last) ? 0 : image_topic_place(image, job->last);

	if (at < image_topic_count(image) && bytes_equal(image_topic_at(image, at)->name, job->last) &&
	    !bytes_is_null(job->last))
		at++;
	for (; at < image_topic_count(image); at++) {
		struct bytes name = image_topic_at(image, at)->name;
		size_t cost = units_of(job->regex, name);

		if (regex_matches(job->regex, name)) {
			m->topics = mem_grow(m->topics, &m->capacity, m->count + 1, sizeof(*m->topics));
			m->topics[m->count++] = own_text(name);
		}
		if (cost >= *units) {
			remember(job, name);
			return false;
		}
		*units -= cost;
	}
	return true;
}

/* The job's next pattern; one that does not compile, as of a log that another broker wrote, matches nothing. */
static void next_pattern(struct pattern_job *job)
{
	regex_free(job->regex);
	job->regex = NULL;
	mem_free((void *)job->last.data);
	job->last = bytes_null();
	job->at++;
}

/*
 * Compiles the job's pattern, should it not be; one that cannot be stays NULL. False when the slice is over by that: many members may each have
 * a pattern that takes long to compile and matches few topics.
 */
static bool compile(struct pattern_job *job, size_t *units)
{
	struct bytes pattern = job->patterns[job->at].pattern;
	size_t cost = pattern.size;

	if (job->regex)
		return true;
	if (regex_new(pattern, NULL, &job->regex) == OK)
		cost += COMPILE_UNITS * regex_cost(job->regex);
	if (cost >= *units)
		return false;
	*units -= cost;
	return true;
}

/* True when all is matched. */
static bool do_slice(struct pattern_job *job, const struct image *image)
{
	size_t units = SLICE_UNITS;

	for (; job->at < job->pattern_count; next_pattern(job))
		if (!compile(job, &units) || (job->regex && !match_some(job, image, &units)))
			return false;
	return true;
}

/* --- what came of it ------------------------------------------------------------------------------------------------------------ */

static size_t pattern_record_bytes(const struct group *g, const struct matched *m)
{
	size_t size = 100 + g->id.size + m->pattern.size;

	for (size_t i = 0; i < m->count; i++)
		size += 5 + m->topics[i].size;
	return size;
}

/* Records it; true when it matches others than before. One that would not fit into a record stays as it was. */
static bool record_one(struct group *g, struct step *s, const struct pattern_job *job, const struct matched *m)
{
	struct consumer_group *c = g->consumer;
	struct topic_pattern *p = consumer_group_find_pattern(c, m->pattern);
	bool differs;

	if (!p || p->members == 0 || pattern_record_bytes(g, m) > s->max_record_bytes)
		return false;
	differs = !names_equal(p->topics, p->topic_count, m->topics, m->count);
	consumer_group_resolve(c, m->pattern, m->topics, m->count, job->image_version, job->began_ms);
	consumer_put_pattern(s, g, consumer_group_find_pattern(c, m->pattern));
	return differs;
}

/* True when another epoch has begun. */
static bool finish(struct groups *all, struct group *g, struct step *s)
{
	static const struct consumer_cause why = {.cause = REBALANCE_TOPICS_CHANGED};
	struct consumer_group *c = g->consumer;
	int32_t before = c->epoch;
	bool differs = false;

	for (size_t i = 0; i < c->job->pattern_count; i++)
		differs |= record_one(g, s, c->job, &c->job->patterns[i]);
	consumer_group_drop_job(all, c);
	consumer_group_refresh(all, g, s, differs, &why);
	return c->epoch != before;
}

static void job_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct pattern_job *job = container_of(t, struct pattern_job, timer);

	if (do_slice(job, s->image))
		finish(all, job->group, s);
	else
		group_timer_set(all, &job->timer, s->now_ms + SLICE_PAUSE_MS);
}

/* --- when ------------------------------------------------------------------------------------------------------------------------ */

/* Which are looked at: those that never were; all of them when topics came some time ago, or when it is long ago anyway. */
static bool is_due(const struct groups *all, const struct consumer_group *c, const struct topic_pattern *p,
		   const struct step *s)
{
	int64_t age_ms = s->wall_ms - p->resolved_ms;

	if (p->members == 0)
		return false;
	if (!p->resolved || age_ms < 0)
		return true;
	return age_ms >
	       (c->topics_changed ? REFRESH_LEAST_MS : all->options->consumer.group_consumer_regex_refresh_interval_ms);
}

bool consumer_group_resolve_patterns(struct groups *all, struct group *g, struct step *s)
{
	struct consumer_group *c = g->consumer;
	struct pattern_job *job;
	size_t due = 0;

	for (size_t i = 0; i < c->pattern_count && !c->job; i++)
		due += is_due(all, c, &c->patterns[i], s);
	if (due == 0)
		return false;
	job = mem_new(struct pattern_job);
	job->timer.fire = job_fire;
	job->group = g;
	job->image_version = image_version(s->image);
	job->began_ms = s->wall_ms;
	job->patterns = mem_zalloc(due * sizeof(*job->patterns));
	for (size_t i = 0; i < c->pattern_count; i++)
		if (is_due(all, c, &c->patterns[i], s))
			job->patterns[job->pattern_count++].pattern = own_text(c->patterns[i].text);
	if (job->pattern_count == c->subscribed_patterns)
		c->topics_changed = false;
	c->job = job;
	if (do_slice(job, s->image))
		return finish(all, g, s);
	group_timer_set(all, &job->timer, s->now_ms + SLICE_PAUSE_MS);
	return false;
}
