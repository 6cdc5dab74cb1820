/* fetched_fuzz: the records of a Fetch answer, as any broker might send them. The first byte chooses the rules. */
#include "base/must.h"
#include "client/fetched.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fetch_response_aborted_transaction aborted[] = {{.producer_id = 7, .first_offset = 0},
									    {.producer_id = 8, .first_offset = 3}};
	struct fetched_rules rules = {.max_decompressed_bytes = 1 << 16};
	const struct batch_header *h;
	struct fetched *f;
	struct record r;
	int64_t last;
	bool cut;

	if (size == 0)
		return 0;
	rules.from_offset = data[0] >> 4;
	rules.check_crcs = data[0] & 1;
	rules.read_committed = data[0] & 2;
	if (rules.read_committed) {
		rules.aborted = aborted;
		rules.aborted_count = 2;
	}
	f = fetched_new();
	f->topic = "t";
	fetched_open(f, bytes_of(data + 1, size - 1), &rules, &cut);
	must(f->next_offset >= rules.from_offset);
	last = rules.from_offset - 1;
	while (fetched_next(f, &r, &h) == OK) {
		must(r.offset > last);
		last = r.offset;
	}
	fetched_free(f);
	return 0;
}
