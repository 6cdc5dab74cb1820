/* step: what one event makes of a machine (machine.h): its records, encoded, and the calls that are answered. May call: the codec. */
#include "base/alloc.h"
#include "base/must.h"
#include "coordinator/machine.h"
#include "protocol/message_type.h"
#include "record/batch.h"

/* Records of one step; a machine that would pass it made them without looking at step.max_record_bytes. */
#define MAX_STEP_BYTES ((size_t)256 * 1024 * 1024)

void step_init(struct step *s)
{
	*s = (struct step){.producer_id = NO_PRODUCER_ID, .producer_epoch = NO_PRODUCER_EPOCH};
	list_init(&s->answered);
	buf_init(&s->bytes, MAX_STEP_BYTES);
}

void step_fini(struct step *s)
{
	must(list_empty(&s->answered));
	buf_fini(&s->bytes);
	mem_free(s->records);
}

void step_reset(struct step *s)
{
	must(list_empty(&s->answered));
	buf_reset(&s->bytes);
	s->record_count = 0;
	s->producer_id = NO_PRODUCER_ID;
	s->producer_epoch = NO_PRODUCER_EPOCH;
}

static struct step_record *new_record(struct step *s)
{
	s->records = mem_grow(s->records, &s->record_capacity, s->record_count + 1, sizeof(*s->records));
	s->records[s->record_count] = (struct step_record){.key_offset = s->bytes.size};
	return &s->records[s->record_count++];
}

static struct step_record *put_key(struct step *s, const struct message_type *key_type, const void *key)
{
	struct step_record *r = new_record(s);

	buf_put_i16(&s->bytes, key_type->key);
	must(message_encode(key_type, 0, key, &s->bytes) == OK);
	r->key_size = s->bytes.size - r->key_offset;
	r->value_offset = s->bytes.size;
	return r;
}

void step_put(struct step *s, const struct message_type *key_type, const void *key,
	      const struct message_type *value_type, int16_t value_version, const void *value)
{
	struct step_record *r = put_key(s, key_type, key);

	buf_put_i16(&s->bytes, value_version);
	must(message_encode(value_type, value_version, value, &s->bytes) == OK);
	r->value_size = s->bytes.size - r->value_offset;
}

void step_remove(struct step *s, const struct message_type *key_type, const void *key)
{
	put_key(s, key_type, key)->tombstone = true;
}

void step_answer(struct step *s, struct coordinator_call *c)
{
	list_push_back(&s->answered, &c->node);
}
