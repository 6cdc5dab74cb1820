/* group_plan_fuzz: a line of a file of offsets, and what a command says about topics and times. What reads as a row prints as one that reads the same. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/must.h"
#include "cli/group_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(struct bytes line)
{
	struct plan_row row, again;
	struct buf printed;

	if (!plan_parse_row(line, &row))
		return;
	buf_init(&printed, 1 << 20);
	plan_put_row(&printed, &row);
	/* Whoever cuts a file into lines cuts at every end of line, and knows no zero bytes. */
	if (!memchr(line.data, '\n', line.size) && !memchr(line.data, 0, line.size)) {
		must(plan_parse_row(bytes_of(printed.data, printed.size - 1), &again));
		must(again.partition == row.partition && again.offset == row.offset);
		must(strcmp(again.topic, row.topic) == 0 && !again.group == !row.group);
		must(!row.group || strcmp(again.group, row.group) == 0);
		plan_row_fini(&again);
	}
	plan_row_fini(&row);
	buf_fini(&printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size + 1);
	struct plan_topic topic;
	int64_t ms;

	memcpy(text, data, size);
	text[size] = '\0';
	check_row(bytes_of(text, size));
	if (plan_parse_topic(text, &topic))
		plan_topic_fini(&topic);
	if (!plan_parse_time(text, &ms) && !plan_parse_duration(text, &ms))
		ms = 0;
	mem_free(text);
	return 0;
}
