/* fetch_group: a Fetch's partitions on the shard where they live: look, wait, read. See fetch.h. May call replica/ and storage/log. */
#include "broker/handle/fetch.h"

#include "base/alloc.h"

static void part_progressed(struct partition_reader *r);
static void read_all(struct fetch_group *g);

static struct partition *partition_of(const struct fetch_part *part)
{
	return replicas_find(part->group->target->replicas, part->topic_id, part->target.partition);
}

static int64_t bound_of(const struct fetch_part *part, const struct partition *p)
{
	return part->group->is_follower ? log_end_offset(p->log) : partition_read_bound(p, part->group->read_committed);
}

static void out_of_range(struct fetch_part *part)
{
	part->error = ERR_OFFSET_OUT_OF_RANGE;
	part->high_watermark = part->last_stable_offset = part->log_start_offset = -1;
}

/*
 * Whether the asker's last epoch ends where he thinks (KIP-595, used by consumers and followers alike): if not, he is told
 * where to cut, instead of records.
 */
static enum err check_divergence(struct fetch_part *part, const struct partition *p)
{
	int32_t epoch;
	int64_t end;

	if (part->target.last_fetched_epoch < 0)
		return OK;
	if (log_epoch_end(p->log, part->target.last_fetched_epoch, &epoch, &end))
		return ERR_OFFSET_OUT_OF_RANGE;
	if (epoch < part->target.last_fetched_epoch || end < part->target.fetch_offset) {
		part->diverging_epoch = epoch;
		part->diverging_end_offset = end;
	}
	return OK;
}

/* Sets the part's result but for its records. */
static void look(struct fetch_part *part)
{
	struct partition *p = partition_of(part);
	enum err e = p ? partition_readable(p) : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	int64_t offset = part->target.fetch_offset;

	part->available = 0;
	part->error = OK;
	part->diverging_epoch = -1;
	part->opening = e == ERR_AGAIN;
	if (part->opening)
		return;
	if (!e)
		e = partition_check_epoch(p, part->target.current_leader_epoch);
	if (e) {
		part->error = e;
		return;
	}
	part->high_watermark = p->high_watermark;
	part->last_stable_offset = partition_last_stable(p);
	part->log_start_offset = log_start_offset(p->log);
	if (offset < log_start_offset(p->log) || offset > log_end_offset(p->log) || check_divergence(part, p)) {
		out_of_range(part);
		return;
	}
	if (part->diverging_epoch < 0)
		part->available = log_bytes_between(p->log, offset, bound_of(part, p));
	if (part->available > part->target.max_bytes && part->target.max_bytes > 0)
		part->available = part->target.max_bytes;
}

/* Looks, and counts what is seen in the group. */
static void count(struct fetch_part *part)
{
	struct fetch_group *g = part->group;

	look(part);
	g->available += part->available;
	g->opening += part->opening;
	if (part->error || part->diverging_epoch >= 0)
		g->wanted = true;
}

static void uncount(struct fetch_part *part)
{
	part->group->available -= part->available;
	part->group->opening -= part->opening;
}

static void go_home(struct fetch_group *g)
{
	shard_send(g->target->shard, g->request->shard, &g->done);
}

static void stop_waiting(struct fetch_group *g)
{
	g->parked = false;
	for (struct fetch_part *part = g->first; part; part = part->next)
		partition_stop_waiting(&part->reader);
}

/* Tells home how much is here, when that may complete the request together with other groups. */
static void tell_available(struct fetch_group *g)
{
	if (!g->report || g->news_away || g->available == g->news_available)
		return;
	g->news_away = true;
	g->news_returned = false;
	g->news_available = g->available;
	g->news.run = g->news_home;
	shard_send(g->target->shard, g->request->shard, &g->news);
}

/* True when it went on to read. */
static bool read_if_due(struct fetch_group *g)
{
	if (g->opening > 0 || (!g->wanted && g->available < g->min_bytes))
		return false;
	if (g->parked)
		stop_waiting(g);
	read_all(g);
	return true;
}

static void park(struct fetch_part *part)
{
	struct partition *p = partition_of(part);

	part->reader.progressed = part_progressed;
	partition_wait_progress(p, &part->reader);
	replicas_touch(part->group->target->replicas, p);
}

static void part_progressed(struct partition_reader *r)
{
	struct fetch_part *part = container_of(r, struct fetch_part, reader);
	struct fetch_group *g = part->group;

	uncount(part);
	count(part);
	if (read_if_due(g))
		return;
	if (partition_of(part))
		park(part);
	tell_available(g);
}

static void group_arrived(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, go);

	(void)at;
	for (struct fetch_part *part = g->first; part; part = part->next)
		count(part);
	if (read_if_due(g))
		return;
	g->parked = true;
	for (struct fetch_part *part = g->first; part; part = part->next)
		if (partition_of(part))
			park(part);
	tell_available(g);
}

static void flush_arrived(struct shard *at, struct message *m);

static void send_flush(struct fetch_group *g)
{
	g->flush_away = true;
	g->flush_now = g->flushed == FETCH_FLUSH_NOW;
	g->flush.run = flush_arrived;
	request_hold(g->request);
	shard_send(g->request->shard, g->target->shard, &g->flush);
}

static void flush_home(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, flush);

	(void)at;
	g->flush_away = false;
	if (!g->over && g->flushed == FETCH_FLUSH_NOW && !g->flush_now)
		send_flush(g);
	request_release(g->request);
}

static void flush_arrived(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, flush);

	if (g->parked) {
		g->wanted = true;
		if (g->flush_now)
			g->opening = 0;
		(void)read_if_due(g);
	}
	g->flush.run = flush_home;
	shard_send(at, g->request->shard, &g->flush);
}

static void drop_home(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, drop);

	(void)at;
	request_release(g->request);
}

/* Thousands of reads may stand in line for memory: those of clients that went must not be done first. */
static void drop_arrived(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, drop);

	for (struct fetch_part *part = g->first; part; part = part->next)
		part->read.unwanted = true;
	if (g->parked)
		stop_waiting(g);
	if (!g->decided) {
		g->decided = true;
		go_home(g);
	}
	g->drop.run = drop_home;
	shard_send(at, g->request->shard, &g->drop);
}

/*
 * Reading.
 */
static void read_done(struct log_read *r)
{
	struct fetch_part *part = container_of(r, struct fetch_part, read);
	struct fetch_group *g = part->group;

	switch (r->error) {
	case OK:
		part->blob = r->blob;
		part->records = r->records;
		part->first_size = r->first_size;
		part->aborted = r->aborted;
		part->aborted_count = r->aborted_count;
		break;
	case ERR_OFFSET_OUT_OF_RANGE:
		out_of_range(part);
		break;
	case ERR_NO_MEMORY:
		break; /* no records this time: it will ask again */
	case ERR_CANCELLED:
		part->error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		break;
	default:
		part->error = (enum err)err_to_kafka(r->error);
	}
	if (--g->reading == 0)
		go_home(g);
}

static bool begin_read(struct fetch_part *part, int64_t *left, bool *first_one)
{
	struct partition *p = partition_of(part);
	int64_t limit = part->target.max_bytes < *left ? part->target.max_bytes : *left;

	look(part);
	if (part->opening)
		part->error = ERR_NOT_LEADER_OR_FOLLOWER;
	if (part->error || part->available == 0)
		return false;
	if (limit <= 0 && !*first_one)
		return false;
	part->read = (struct log_read){
		.offset = part->target.fetch_offset,
		.max_offset = bound_of(part, p),
		.max_bytes = (size_t)(limit > 0 ? limit : 0),
		.at_least_one = *first_one,
		.may_stay = !part->group->is_follower,
		.committed_only = part->group->read_committed,
		.done = read_done,
	};
	*first_one = false;
	*left -= part->available;
	part->group->reading++;
	log_read_start(p->log, &part->read);
	return true;
}

/* Decides: whatever is there now is the answer, in the order of the request and within its maximum. */
static void read_all(struct fetch_group *g)
{
	int64_t left = g->max_bytes;
	bool first_one = true, any = false;

	must(!g->decided);
	g->decided = true;
	for (struct fetch_part *part = g->first; part; part = part->next)
		any = begin_read(part, &left, &first_one) || any;
	if (!any)
		go_home(g);
}

/*
 * At home.
 */
void fetch_group_init(struct fetch_group *g, void (*news)(struct shard *at, struct message *m),
		      void (*done)(struct shard *at, struct message *m))
{
	g->last = &g->first;
	g->go.run = group_arrived;
	g->drop.run = drop_arrived;
	g->news_home = news;
	g->done.run = done;
}

void fetch_group_go(struct fetch_group *g)
{
	shard_send(g->request->shard, g->target->shard, &g->go);
}

void fetch_group_flush(struct fetch_group *g, enum fetch_flush how)
{
	if (g->over || g->flushed >= how)
		return;
	g->flushed = how;
	if (!g->flush_away)
		send_flush(g);
}

void fetch_group_drop(struct fetch_group *g)
{
	if (g->over || g->dropped)
		return;
	g->dropped = true;
	request_hold(g->request);
	shard_send(g->request->shard, g->target->shard, &g->drop);
}

static void news_over(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, news);

	(void)at;
	request_release(g->request);
}

static void news_returned(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, news);

	if (g->decided) {
		/* `done` has crossed it: home only waits for the message itself. */
		g->news.run = news_over;
		shard_send(at, g->request->shard, &g->news);
		return;
	}
	g->news_away = false;
	g->news_returned = true;
	tell_available(g);
}

void fetch_group_return_news(struct fetch_group *g)
{
	if (!g->news_held)
		request_hold(g->request);
	g->news_held = true;
	g->news.run = news_returned;
	shard_send(g->request->shard, g->target->shard, &g->news);
}

void fetch_group_over(struct fetch_group *g)
{
	g->over = true;
	if (g->news_returned)
		request_release(g->request);
}
