/* blob: see the header. One allocation holds the count and the bytes. */
#include "runtime/blob.h"

#include "base/alloc.h"

struct blob *blob_new(struct shard *s, size_t capacity, struct budget *budget, size_t charged)
{
	struct blob *b;

	if (capacity > SIZE_MAX - sizeof(*b))
		return NULL;
	b = mem_try_alloc(sizeof(*b) + capacity);
	if (!b)
		return NULL;
	*b = (struct blob){
		.data = (uint8_t *)(b + 1),
		.capacity = capacity,
		.references = 1,
		.shard = s,
		.budget = budget,
		.charged = charged,
	};
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	must(b->references > 0 && b->references < UINT32_MAX);
	b->references++;
	return b;
}

void blob_unref(struct blob *b)
{
	if (!b)
		return;
	must(b->references > 0);
	if (--b->references > 0)
		return;
	if (b->budget)
		budget_give(b->budget, b->charged);
	mem_free(b);
}

struct blob_return {
	struct message message;
	struct blob *blob;
};

static void blob_came_home(struct shard *at, struct message *m)
{
	struct blob_return *r = container_of(m, struct blob_return, message);

	must(r->blob->shard == at);
	blob_unref(r->blob);
	mem_free(r);
}

void blob_unref_from(struct shard *from, struct blob *b)
{
	struct blob_return *r;

	if (!b)
		return;
	if (b->shard == from) {
		blob_unref(b);
		return;
	}
	r = mem_new(struct blob_return);
	r->message.run = blob_came_home;
	r->blob = b;
	shard_send(from, b->shard, &r->message);
}
