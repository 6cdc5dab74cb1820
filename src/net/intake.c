/* intake: see the header. */
#include "net/intake.h"

#include "base/alloc.h"
#include "base/buf.h"

/* Below this the rest of a frame comes through the scratch, together with what follows it. */
#define DIRECT_RECEIVE_LEAST ((size_t)8 * 1024)

static void on_granted(struct budget_wish *w)
{
	struct intake *i = container_of(w, struct intake, wish);

	i->waiting = false;
	i->admitted = true;
	i->granted(i);
}

void intake_init(struct intake *i, struct shard *s, struct budget *budget, size_t max_frame,
		 void (*granted)(struct intake *i))
{
	*i = (struct intake){.shard = s, .budget = budget, .max_frame = max_frame, .granted = granted};
	i->small = budget;
	i->wish.granted = on_granted;
}

void intake_set_small(struct intake *i, struct budget *small, size_t small_bytes)
{
	i->small = small;
	i->small_bytes = small_bytes;
}

static struct budget *budget_of(const struct intake *i, size_t size)
{
	return size <= i->small_bytes ? i->small : i->budget;
}

void intake_fini(struct intake *i)
{
	if (i->waiting)
		budget_cancel(budget_of(i, (size_t)i->declared), &i->wish);
	if (i->admitted)
		budget_give(budget_of(i, (size_t)i->declared), (size_t)i->declared);
	blob_unref(i->frame);
	blob_unref(i->stash);
	*i = (struct intake){0};
}

static size_t take(struct bytes *source, void *to, size_t wanted)
{
	size_t count = source->size < wanted ? source->size : wanted;

	if (count == 0)
		return 0;
	memcpy(to, source->data, count);
	*source = bytes_of(source->data + count, source->size - count);
	return count;
}

/* The head is complete: is its size one that we take, and has the budget room for it? */
static enum intake_state admit(struct intake *i)
{
	i->declared = (int32_t)get_be32(i->head);
	if (i->declared < 0 || (size_t)i->declared > i->max_frame)
		return INTAKE_TOO_LARGE;
	if (budget_try_take(budget_of(i, (size_t)i->declared), (size_t)i->declared)) {
		i->admitted = true;
		return INTAKE_MORE;
	}
	/* What is kept from before was charged; whoever waits holds nothing (invariant 3). */
	if (i->stash && i->stash->budget) {
		budget_give(i->stash->budget, i->stash->charged);
		i->stash->budget = NULL;
		i->stash->charged = 0;
	}
	i->waiting = true;
	i->wish.size = (size_t)i->declared;
	budget_wait(budget_of(i, (size_t)i->declared), &i->wish);
	return INTAKE_WAITS;
}

static bool begin_body(struct intake *i)
{
	i->frame = blob_new(i->shard, (size_t)i->declared, budget_of(i, (size_t)i->declared), (size_t)i->declared);
	if (!i->frame)
		return false;
	i->admitted = false; /* the blob gives it back from now on */
	i->frame->size = 0;
	return true;
}

static struct blob *complete(struct intake *i)
{
	struct blob *frame = i->frame;

	if (!frame || frame->size < (size_t)i->declared)
		return NULL;
	i->frame = NULL;
	i->head_count = 0;
	return frame;
}

enum intake_state intake_step(struct intake *i, struct bytes *source, struct blob **ret_frame)
{
	struct blob *whole;

	if (i->waiting)
		return INTAKE_WAITS;
	if (i->head_count < 4) {
		i->head_count = (uint8_t)(i->head_count + take(source, i->head + i->head_count, 4u - i->head_count));
		if (i->head_count < 4)
			return INTAKE_MORE;
	}
	if (!i->frame) {
		if (!i->admitted) {
			enum intake_state state = admit(i);

			if (state != INTAKE_MORE)
				return state;
		}
		if (!begin_body(i))
			return INTAKE_NO_MEMORY;
	}
	i->frame->size += take(source, i->frame->data + i->frame->size, (size_t)i->declared - i->frame->size);
	whole = complete(i);
	if (!whole)
		return INTAKE_MORE;
	*ret_frame = whole;
	return INTAKE_FRAME;
}

uint8_t *intake_room(struct intake *i, size_t *ret_size)
{
	size_t left;

	if (!i->frame || i->stash)
		return NULL;
	left = (size_t)i->declared - i->frame->size;
	if (left < DIRECT_RECEIVE_LEAST)
		return NULL;
	*ret_size = left;
	return i->frame->data + i->frame->size;
}

struct blob *intake_filled(struct intake *i, size_t count)
{
	must(i->frame && count <= (size_t)i->declared - i->frame->size);
	i->frame->size += count;
	return complete(i);
}

bool intake_keep(struct intake *i, struct bytes rest)
{
	/* Charged when there is room, so that many stopped connections are seen; never waited for, since it is in memory already. */
	bool charged;
	struct blob *stash;

	must(!i->stash && rest.size > 0);
	charged = !i->waiting && budget_try_take(budget_of(i, rest.size), rest.size);
	stash = blob_new(i->shard, rest.size, charged ? budget_of(i, rest.size) : NULL, charged ? rest.size : 0);
	if (!stash) {
		if (charged)
			budget_give(budget_of(i, rest.size), rest.size);
		return false;
	}
	memcpy(stash->data, rest.data, rest.size);
	stash->size = rest.size;
	i->stash = stash;
	i->stash_at = 0;
	return true;
}

struct bytes intake_kept(const struct intake *i)
{
	if (!i->stash)
		return bytes_empty();
	return bytes_of(i->stash->data + i->stash_at, i->stash->size - i->stash_at);
}

void intake_kept_used(struct intake *i, size_t count)
{
	if (!i->stash)
		return;
	i->stash_at += count;
	must(i->stash_at <= i->stash->size);
	if (i->stash_at == i->stash->size) {
		blob_unref(i->stash);
		i->stash = NULL;
		i->stash_at = 0;
	}
}
