/* step: records as they stand in an internal topic. */
#include "coordinator/machine.h"

#include "base/test.h"
#include "protocol/messages.h"

static const struct offset_commit_key KEY = {
	.group = {(const uint8_t *)"g", 1}, .topic = {(const uint8_t *)"t", 1}, .partition = 3};

TEST(a_record_has_its_type_before_the_key_and_its_version_before_the_value)
{
	static const uint8_t key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 3};
	static const uint8_t value[] = {0,    3,    0, 0, 0, 0, 0, 0, 0, 16, 0xff, 0xff,
					0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,  0,    7};
	struct offset_commit_value committed;
	struct step s;

	message_init(&offset_commit_value_type, &committed);
	committed.offset = 16;
	committed.commit_timestamp = 7;
	step_init(&s);
	step_put(&s, &offset_commit_key_type, &KEY, &offset_commit_value_type, 3, &committed);
	CHECK_EQ(s.record_count, 1);
	CHECK(!s.records[0].tombstone);
	CHECK_BYTES(bytes_of(s.bytes.data + s.records[0].key_offset, s.records[0].key_size),
		    bytes_of(key, sizeof(key)));
	CHECK_BYTES(bytes_of(s.bytes.data + s.records[0].value_offset, s.records[0].value_size),
		    bytes_of(value, sizeof(value)));
	step_fini(&s);
}

TEST(a_removed_record_is_its_key_alone_and_a_reset_forgets_it)
{
	struct step s;

	step_init(&s);
	step_remove(&s, &offset_commit_key_type, &KEY);
	CHECK_EQ(s.record_count, 1);
	CHECK(s.records[0].tombstone);
	CHECK_EQ(s.records[0].value_size, 0);
	step_reset(&s);
	CHECK_EQ(s.record_count, 0);
	CHECK_EQ(s.bytes.size, 0);
	step_fini(&s);
}
