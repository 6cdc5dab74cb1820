/* damage: see the header. */
#include "storage/damage.h"

#include "base/alloc.h"

void damage_fini(struct damage_list *x)
{
	mem_free(x->entries);
	*x = (struct damage_list){0};
}

const struct damage *damage_from(const struct damage_list *x, int64_t position)
{
	for (size_t i = 0; i < x->count; i++)
		if (x->entries[i].end > position)
			return &x->entries[i];
	return NULL;
}

const struct damage *damage_at(const struct damage_list *x, int64_t position)
{
	const struct damage *d = damage_from(x, position);

	return d && d->position <= position ? d : NULL;
}

static void widen(struct damage *d, const struct damage *by)
{
	if (by->position < d->position) {
		d->position = by->position;
		d->offset = by->offset;
	}
	if (by->end > d->end) {
		d->end = by->end;
		d->next_offset = by->next_offset;
	}
}

static void remove_at(struct damage_list *x, size_t at)
{
	x->count--;
	for (size_t i = at; i < x->count; i++)
		x->entries[i] = x->entries[i + 1];
}

static void insert_at(struct damage_list *x, size_t at, const struct damage *d)
{
	x->entries = mem_grow(x->entries, &x->capacity, x->count + 1, sizeof(*x->entries));
	for (size_t i = x->count; i > at; i--)
		x->entries[i] = x->entries[i - 1];
	x->entries[at] = *d;
	x->count++;
}

bool damage_add(struct damage_list *x, const struct damage *d)
{
	struct damage whole = *d;
	size_t at = 0;

	while (at < x->count && x->entries[at].end <= d->position)
		at++;
	if (at < x->count && x->entries[at].position <= d->position && x->entries[at].end >= d->end)
		return false;
	while (at < x->count && x->entries[at].position < whole.end) {
		widen(&whole, &x->entries[at]);
		remove_at(x, at);
	}
	insert_at(x, at, &whole);
	if (x->count > DAMAGE_MAX) {
		widen(&x->entries[DAMAGE_MAX - 1], &x->entries[DAMAGE_MAX]);
		x->count = DAMAGE_MAX;
	}
	return true;
}

void damage_truncate(struct damage_list *x, int64_t position)
{
	while (x->count > 0 && x->entries[x->count - 1].end > position)
		x->count--;
}
