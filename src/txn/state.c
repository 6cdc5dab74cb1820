/* state: see the header. */
#include "txn/state.h"

#include <string.h>

#include "base/alloc.h"

/* --- transactional ids -------------------------------------------------------------------------------------------------- */

struct txn *txn_find(const struct txns *all, struct bytes id)
{
	return map_get(&all->by_id, id);
}

struct txn *txn_new(struct txns *all, struct bytes id)
{
	struct txn *x = mem_new(struct txn);

	x->id = mem_dup(id.data, id.size);
	x->id_size = id.size;
	x->producer_id = x->previous_producer_id = x->next_producer_id = NO_PRODUCER_ID;
	x->producer_epoch = x->last_producer_epoch = NO_EPOCH;
	x->start_ms = -1;
	(void)map_put(&all->by_id, id, x);
	all->figures.ids_in_state[x->state]++;
	return x;
}

static void txn_free(struct txn *x)
{
	txn_clear_partitions(x);
	mem_free(x->topics);
	mem_free(x->id);
	mem_free(x);
}

void txn_remove(struct txns *all, struct txn *x)
{
	if (heap_linked(&x->timer))
		heap_remove(&all->timers, &x->timer);
	all->figures.ids_in_state[x->state]--;
	(void)map_remove(&all->by_id, txn_id(x));
	txn_free(x);
}

void txns_free(struct txns *all)
{
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));)
		txn_free(e->value);
	map_fini(&all->by_id);
	heap_fini(&all->timers);
	mem_free(all);
}

void txn_move(struct txns *all, struct txn *x, enum txn_state to)
{
	all->figures.ids_in_state[x->state]--;
	all->figures.ids_in_state[to]++;
	x->state = to;
}

void txn_arm(struct txns *all, struct txn *x, const struct step *s)
{
	if (heap_linked(&x->timer))
		heap_remove(&all->timers, &x->timer);
	if (x->state == TXN_ONGOING) {
		int64_t left_ms = x->timeout_ms;

		/* A clock that was set back must not make it longer than its timeout from now on. */
		if (x->start_ms >= 0 && x->start_ms < s->wall_ms)
			left_ms -= s->wall_ms - x->start_ms;
		heap_insert(&all->timers, &x->timer, s->now_ms + left_ms);
	}
}

/* --- partitions --------------------------------------------------------------------------------------------------------- */

static int compare(const struct txn_topic *t, struct bytes name)
{
	return bytes_compare(bytes_of(t->name, t->name_size), name);
}

/* Where it is, or would be. */
static size_t topic_place(const struct txn *x, struct bytes name, bool *ret_found)
{
	size_t low = 0, high = x->topic_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&x->topics[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < x->topic_count && compare(&x->topics[low], name) == 0;
	return low;
}

static size_t partition_place(const struct txn_topic *t, int32_t partition, bool *ret_found)
{
	size_t low = 0, high = t->partition_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->partitions[middle] < partition)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < t->partition_count && t->partitions[low] == partition;
	return low;
}

bool txn_has_partition(const struct txn *x, const struct txn_partition *p)
{
	bool found;
	size_t at = topic_place(x, p->topic, &found);

	if (found)
		(void)partition_place(&x->topics[at], p->partition, &found);
	return found;
}

static struct txn_topic *topic_of(struct txn *x, struct bytes name)
{
	bool found;
	size_t at = topic_place(x, name, &found);
	struct txn_topic *t;

	if (found)
		return &x->topics[at];
	x->topics = mem_grow(x->topics, &x->topic_capacity, x->topic_count + 1, sizeof(*x->topics));
	t = &x->topics[at];
	memmove(t + 1, t, (x->topic_count - at) * sizeof(*t));
	x->topic_count++;
	*t = (struct txn_topic){.name = mem_dup(name.data, name.size), .name_size = name.size};
	return t;
}

void txn_add_partition(struct txn *x, const struct txn_partition *p)
{
	struct txn_topic *t = topic_of(x, p->topic);
	bool found;
	size_t at = partition_place(t, p->partition, &found);

	if (found)
		return;
	t->partitions = mem_grow(t->partitions, &t->partition_capacity, t->partition_count + 1, sizeof(*t->partitions));
	memmove(&t->partitions[at + 1], &t->partitions[at], (t->partition_count - at) * sizeof(*t->partitions));
	t->partitions[at] = p->partition;
	t->partition_count++;
}

void txn_clear_partitions(struct txn *x)
{
	for (size_t i = 0; i < x->topic_count; i++) {
		mem_free(x->topics[i].name);
		mem_free(x->topics[i].partitions);
	}
	mem_free(x->topics);
	x->topics = NULL;
	x->topic_count = x->topic_capacity = 0;
}

size_t txn_partition_count(const struct txn *x)
{
	size_t count = 0;

	for (size_t i = 0; i < x->topic_count; i++)
		count += x->topics[i].partition_count;
	return count;
}
