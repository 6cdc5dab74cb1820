/* parcel: see the header. */
#include "client/parcel.h"

#include "base/alloc.h"

#define NULL_SIZE UINT32_MAX

struct parcel_head {
	uint64_t size; /* of the whole */
	int64_t timestamp;
	void *opaque;
	uint32_t topic;
	int32_t partition;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t header_count;
	uint32_t reserved;
};

static uint32_t size_word(struct bytes b)
{
	return bytes_is_null(b) ? NULL_SIZE : (uint32_t)b.size;
}

size_t parcel_size(const struct produce_record *r)
{
	size_t size = sizeof(struct parcel_head) + r->key.size + r->value.size;

	for (size_t i = 0; i < r->header_count; i++)
		size += 2 * sizeof(uint32_t) + r->headers[i].key.size + r->headers[i].value.size;
	return (size + 7) & ~(size_t)7;
}

static uint8_t *put_part(uint8_t *at, struct bytes b)
{
	if (b.size > 0)
		memcpy(at, b.data, b.size);
	return at + b.size;
}

void parcel_put(struct buf *out, const struct parcel_record *r)
{
	const struct produce_record *p = &r->record;
	struct parcel_head head = {
		.size = parcel_size(p),
		.timestamp = p->timestamp,
		.opaque = p->opaque,
		.topic = r->topic,
		.partition = r->partition,
		.key_size = size_word(p->key),
		.value_size = size_word(p->value),
		.header_count = (uint32_t)p->header_count,
	};
	uint8_t *at = buf_extend(out, head.size);

	must(at);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	for (size_t i = 0; i < p->header_count; i++) {
		uint32_t sizes[2] = {size_word(p->headers[i].key), size_word(p->headers[i].value)};

		memcpy(at, sizes, sizeof(sizes));
		at = put_part(at + sizeof(sizes), p->headers[i].key);
		at = put_part(at, p->headers[i].value);
	}
	at = put_part(at, p->key);
	put_part(at, p->value);
}

void parcel_reader_init(struct parcel_reader *p, struct bytes parcel)
{
	*p = (struct parcel_reader){.rest = parcel};
}

void parcel_reader_fini(struct parcel_reader *p)
{
	mem_free(p->headers);
	p->headers = NULL;
}

static struct bytes get_part(const uint8_t **at, uint32_t size)
{
	struct bytes b;

	if (size == NULL_SIZE)
		return bytes_null();
	b = bytes_of(*at, size);
	*at += size;
	return b;
}

bool parcel_next(struct parcel_reader *p, struct parcel_record *ret_record)
{
	struct parcel_head head;
	const uint8_t *at;

	if (p->rest.size == 0)
		return false;
	must(p->rest.size >= sizeof(head));
	memcpy(&head, p->rest.data, sizeof(head));
	must(head.size <= p->rest.size);
	at = p->rest.data + sizeof(head);
	if (head.header_count > 0)
		p->headers = mem_grow(p->headers, &p->header_capacity, head.header_count, sizeof(*p->headers));
	for (uint32_t i = 0; i < head.header_count; i++) {
		uint32_t sizes[2];

		memcpy(sizes, at, sizeof(sizes));
		at += sizeof(sizes);
		p->headers[i].key = get_part(&at, sizes[0]);
		p->headers[i].value = get_part(&at, sizes[1]);
	}
	*ret_record = (struct parcel_record){.topic = head.topic, .partition = head.partition};
	ret_record->record = (struct produce_record){
		.timestamp = head.timestamp,
		.headers = p->headers,
		.header_count = head.header_count,
		.opaque = head.opaque,
		.charged = head.size,
	};
	ret_record->record.key = get_part(&at, head.key_size);
	ret_record->record.value = get_part(&at, head.value_size);
	p->rest = bytes_of(p->rest.data + head.size, p->rest.size - head.size);
	return true;
}
