/* send_queue: see the header. */
#include "net/send_queue.h"

#include "base/alloc.h"

void send_queue_init(struct send_queue *q, struct shard *s)
{
	*q = (struct send_queue){.shard = s};
}

static void piece_release(struct send_queue *q, struct send_piece *p)
{
	if (p->blob)
		blob_unref_from(q->shard, p->blob);
	mem_free(p->memory);
}

void send_queue_fini(struct send_queue *q)
{
	for (size_t i = 0; i < q->count; i++)
		piece_release(q, &q->pieces[q->first + i]);
	mem_free(q->pieces);
	send_queue_init(q, q->shard);
}

void send_queue_push_take(struct send_queue *q, const struct send_piece *pieces, size_t count)
{
	if (count == 0)
		return;
	/* Sliding costs at most as much as was sent before. */
	if (q->first > 0 && q->first + q->count + count > q->capacity) {
		memmove(q->pieces, q->pieces + q->first, q->count * sizeof(*pieces));
		q->first = 0;
	}
	q->pieces = mem_grow(q->pieces, &q->capacity, q->first + q->count + count, sizeof(*pieces));
	memcpy(q->pieces + q->first + q->count, pieces, count * sizeof(*pieces));
	q->count += count;
	for (size_t i = 0; i < count; i++)
		q->size_bytes += pieces[i].bytes.size;
	/* Pieces that hold no bytes at the very front have nothing to wait for. */
	send_queue_sent(q, 0);
}

size_t send_queue_parts(const struct send_queue *q, struct bytes *parts, size_t max)
{
	struct file_range none;
	size_t n = send_queue_next(q, parts, max, &none);

	must(!none.file);
	return n;
}

size_t send_queue_next(const struct send_queue *q, struct bytes *parts, size_t max, struct file_range *ret_range)
{
	size_t n = 0;

	*ret_range = (struct file_range){0};
	for (size_t i = 0; i < q->count && n < max; i++) {
		const struct send_piece *p = &q->pieces[q->first + i];
		size_t skip = i == 0 ? q->skip : 0, left = p->bytes.size - skip;

		if (left > 0 && p->file) {
			*ret_range = (struct file_range){p->file, p->position + (int64_t)skip, left};
			break;
		}
		if (left > 0)
			parts[n++] = bytes_of(p->bytes.data + skip, left);
	}
	return n;
}

void send_queue_sent(struct send_queue *q, size_t count)
{
	must(count <= q->size_bytes);
	q->size_bytes -= count;
	while (q->count > 0) {
		struct send_piece *p = &q->pieces[q->first];
		size_t left = p->bytes.size - q->skip;

		if (left > count) {
			q->skip += count;
			return;
		}
		count -= left;
		piece_release(q, p);
		q->skip = 0;
		q->first++;
		q->count--;
	}
	mem_free(q->pieces);
	send_queue_init(q, q->shard);
}
