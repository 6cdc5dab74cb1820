/* producer_ids: blocks of ids from the metastore, and a shard's supply of them. */
#include "controller/state.h"

#define BLOCK_SIZE 1000 /* Kafka's */

enum err controller_allocate_producer_ids_await(struct fiber *self, struct controller *c,
						struct producer_id_block *ret_block)
{
	static const char path[] = "/latest_producer_id_block";
	struct buf text;
	enum err e;

	buf_init(&text, CONTROLLER_MAX_NODE);
	do {
		struct node_stat stat;
		int64_t next = 0;

		buf_reset(&text);
		e = metastore_get_await(self, c->store, path, &text, &stat, NULL);
		if (!e && layout_get_producer_ids(stat.null_data ? bytes_null() : buf_bytes(&text), &next))
			e = ERR_CORRUPT;
		if (!e && next > INT64_MAX - BLOCK_SIZE)
			e = ERR_UNKNOWN_SERVER_ERROR;
		if (e)
			break;
		buf_reset(&text);
		layout_put_producer_ids(&text, c->node_id, next, BLOCK_SIZE);
		struct metastore_op ops[] = {
			controller_fence(c),
			{.kind = METASTORE_SET, .path = path, .data = buf_bytes(&text), .version = stat.version},
		};
		e = controller_write_await(self, c, ops, countof(ops));
		if (!e && shard_fault(fiber_shard(self), FAULT_METASTORE_RETRY))
			e = ERR_CONFLICT;
		if (!e)
			*ret_block = (struct producer_id_block){.first = next, .count = BLOCK_SIZE};
		/* Another took this block: the next one then. */
	} while (e == ERR_CONFLICT);
	buf_fini(&text);
	return e;
}

enum err producer_ids_next_await(struct fiber *self, struct controller *c, struct producer_ids *p, int64_t *ret_id)
{
	if (!p->ready) {
		event_init(&p->arrived);
		p->ready = true;
	}
	while (p->next == p->end) {
		struct producer_id_block block;
		enum err e;

		if (p->asking) {
			e = event_wait_await(self, &p->arrived, FIBER_NO_DEADLINE);
			if (e)
				return e;
			continue;
		}
		p->asking = true;
		e = controller_allocate_producer_ids_from_await(self, c, &block);
		p->asking = false;
		event_signal(&p->arrived);
		if (e)
			return e;
		p->next = block.first;
		p->end = block.first + block.count;
	}
	*ret_id = p->next++;
	return OK;
}
