/* blob: see the header. One allocation holds the count and the bytes; that of a large one is kept for the next (core.h). */
#include "runtime/blob.h"

#include "base/alloc.h"
#include "runtime/core.h"

/* With ASan memory is never used again at once, so that it can tell who comes too late. */
#if defined(__SANITIZE_ADDRESS__)
#define SPARES_KEPT false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPARES_KEPT false
#endif
#endif
#ifndef SPARES_KEPT
#define SPARES_KEPT true
#endif

static size_t class_size(unsigned class)
{
	return (SPARE_LEAST << class) + SPARE_MORE;
}

/* The smallest class that holds so much; SPARE_CLASSES when none does, or it is too small to be worth it. */
static unsigned class_of(size_t size)
{
	unsigned class = 0;

	if (!SPARES_KEPT || size < SPARE_LEAST / 2)
		return SPARE_CLASSES;
	while (class < SPARE_CLASSES && class_size(class) < size)
		class ++;
	return class;
}

static void *take_memory(struct spares *s, size_t size)
{
	unsigned class = class_of(size);
	struct spare *spare;

	if (class == SPARE_CLASSES)
		return mem_try_alloc(size);
	spare = s->first[class];
	if (!spare)
		return mem_try_alloc(class_size(class));
	s->first[class] = spare->next;
	s->bytes -= class_size(class);
	return spare;
}

/* The memory of another class, where there is some, gives way to one that is in use now. */
static bool make_room(struct spares *s, unsigned wanted)
{
	for (unsigned class = 0; class < SPARE_CLASSES; class ++) {
		struct spare *spare = s->first[class];

		if (class == wanted || !spare)
			continue;
		s->first[class] = spare->next;
		s->bytes -= class_size(class);
		mem_free(spare);
		return true;
	}
	return false;
}

static void give_memory(struct spares *s, void *memory, size_t size)
{
	unsigned class = class_of(size);
	struct spare *spare = memory;

	if (class == SPARE_CLASSES) {
		mem_free(memory);
		return;
	}
	while (s->bytes + class_size(class) > SPARE_BYTES_MAX)
		if (!make_room(s, class)) {
			mem_free(memory);
			return;
		}
	spare->next = s->first[class];
	s->first[class] = spare;
	s->bytes += class_size(class);
}

void spares_free(struct spares *s)
{
	for (unsigned class = 0; class < SPARE_CLASSES; class ++)
		while (s->first[class]) {
			struct spare *spare = s->first[class];

			s->first[class] = spare->next;
			mem_free(spare);
		}
	*s = (struct spares){0};
}

struct blob *blob_new(struct shard *s, size_t capacity, struct budget *budget, size_t charged)
{
	struct blob *b;

	if (capacity > SIZE_MAX - sizeof(*b))
		return NULL;
	b = take_memory(&s->spares, sizeof(*b) + capacity);
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

void blob_init_file(struct blob *b, struct shard *s, const struct file_range *range, void (*over)(struct blob *b))
{
	*b = (struct blob){
		.data = (uint8_t *)b,
		.size = range->size,
		.references = 1,
		.shard = s,
		.file = range->file,
		.position = range->position,
		.over = over,
	};
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
	if (b->over) {
		b->over(b);
		return;
	}
	if (b->budget)
		budget_give(b->budget, b->charged);
	give_memory(&b->shard->spares, b, sizeof(*b) + b->capacity);
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
