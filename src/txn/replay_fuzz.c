/*
 * replay_fuzz: any bytes as records of __transaction_state: a state that was loaded from them can be asked, lives through time, can be loaded again from its
 * own records, and gives everything back.
 *
 *      input = records: u8 kind, u16 key size, key, u16 value size, value; kind 1: a tombstone
 */
#include "txn/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_one(struct stage *g, struct reader *r, int64_t offset)
{
	uint8_t kind = (uint8_t)reader_i8(r);
	struct bytes key = reader_bytes(r, (uint16_t)reader_i16(r)), value = reader_bytes(r, (uint16_t)reader_i16(r));

	if (!r->error && key.data)
		(void)!txn_machine.replay(g->txns, &(struct replayed){.offset = offset,
								      .key = key,
								      .value = kind == 1 ? bytes_null() : value,
								      .producer_id = NO_PRODUCER_ID});
}

static struct txn *first(struct stage *g)
{
	size_t place = 0;
	const struct map_entry *e = map_next(&g->txns->by_id, &place);

	return e ? e->value : NULL;
}

static void ask_about(struct stage *g, const char *id, int64_t producer_id, int16_t epoch)
{
	struct txn_describe_call d = {.transactional_id = bytes_str(id), .arena = &g->arena};

	txn_describe(g->txns, &g->step, &d);
	stage_commit(g);
	(void)stage_add(g, id, producer_id, epoch, 2, 3);
	(void)stage_end(g, id, producer_id, epoch, true, 4);
	(void)stage_end(g, id, producer_id, epoch, true, 5);
	while (!list_empty(&g->prepared))
		(void)!stage_complete(g);
	(void)stage_init_id(g, id, producer_id, epoch);
	(void)stage_init_id(g, id, -1, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(bytes_of(data, size));
	struct stage g;
	const struct txn *x;
	int64_t offset = 0;

	stage_init(&g);
	while (reader_left(&r) > 0)
		replay_one(&g, &r, offset++);
	txn_machine.loaded(g.txns, &g.step);
	stage_commit(&g);
	x = first(&g);
	if (x && x->id_size > 0 && !memchr(x->id, 0, x->id_size)) {
		char *id = mem_zalloc(x->id_size + 1);

		memcpy(id, x->id, x->id_size);
		ask_about(&g, id, x->producer_id, x->producer_epoch);
		mem_free(id);
	}
	stage_wait(&g, 700000);
	stage_restart(&g);
	stage_fini(&g);
	return 0;
}
