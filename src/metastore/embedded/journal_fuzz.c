/* journal_fuzz: any bytes as a journal's frames, as transactions, and as a snapshot's body. */
#include "base/alloc.h"
#include "metastore/embedded/journal.h"
#include "metastore/embedded/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses; fresh checksums let the fuzzer get behind them. */
static void as_transactions(struct bytes body)
{
	struct reader r = reader_of(body);
	struct tree t;
	int64_t transaction;

	tree_init(&t, 1 << 20);
	while (reader_left(&r) && tree_replay(&t, &r, &transaction) == OK)
		;
	tree_end_sessions(&t);
	tree_fini(&t);
}

static void as_tree(struct bytes body)
{
	struct reader r = reader_of(body);
	struct tree t, again;
	struct buf saved, second;

	tree_init(&t, 1 << 20);
	tree_init(&again, 1 << 20);
	buf_init(&saved, 1 << 22);
	buf_init(&second, 1 << 22);
	if (tree_load(&t, &r) == OK) {
		tree_save(&t, &saved);
		r = reader_of(buf_bytes(&saved));
		must(tree_load(&again, &r) == OK);
		tree_save(&again, &second);
		must(bytes_equal(buf_bytes(&saved), buf_bytes(&second)));
	}
	buf_fini(&saved);
	buf_fini(&second);
	tree_fini(&t);
	tree_fini(&again);
}

static void as_files(struct bytes body)
{
	struct snapshot_head snapshot;
	struct journal_head head;
	struct bound bound;
	struct bytes payload;
	int64_t position = JOURNAL_HEADER_SIZE;

	(void)!journal_get_head(body, &head);
	(void)!snapshot_get(body, &snapshot, &payload);
	bound_get(body, &bound);
	while (journal_next_frame(body, 0, 0, &position, &payload) == OK)
		must(payload.size <= body.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		as_transactions(bytes_of(data + 1, size - 1));
		break;
	case 1:
		as_tree(bytes_of(data + 1, size - 1));
		break;
	default:
		as_files(bytes_of(data + 1, size - 1));
		break;
	}
	return 0;
}
