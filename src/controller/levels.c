/* levels: feature levels of the cluster (KIP-584) change: one fenced write of /feature, then the delta. What may be asked is the caller's to judge. */
#include "base/alloc.h"
#include "controller/state.h"

static int16_t level_asked(const struct update_levels *r, const char *name, int16_t now)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->levels[i].name, name) == 0)
			return r->levels[i].level;
	return now;
}

/* What there is, as it will be, and what is new; level 0 is not there. */
static size_t levels_after(const struct image *image, const struct update_levels *r, struct image_feature *after)
{
	size_t count = 0;

	for (size_t i = 0; i < image_feature_count(image); i++) {
		const struct image_feature *f = image_feature_at(image, i);

		after[count] = (struct image_feature){.name = f->name, .level = level_asked(r, f->name, f->level)};
		count += after[count].level > 0;
	}
	for (size_t i = 0; i < r->count; i++)
		if (r->levels[i].level > 0 && image_feature_level(image, r->levels[i].name) == 0)
			after[count++] = r->levels[i];
	return count;
}

static enum err write_await(struct fiber *self, struct controller *c, const struct image_feature *after, size_t count)
{
	struct metastore_op ops[] = {controller_fence(c),
				     {.kind = METASTORE_SET, .path = "/feature", .version = METASTORE_ANY_VERSION}};
	struct buf text;
	enum err e;

	buf_init(&text, CONTROLLER_MAX_NODE);
	layout_put_features(&text, after, count);
	ops[1].data = buf_bytes(&text);
	e = text.error ? ERR_TOO_BIG : controller_write_await(self, c, ops, countof(ops));
	buf_fini(&text);
	return e;
}

static void publish_levels_await(struct fiber *self, struct controller *c, const struct update_levels *r)
{
	struct buf delta;

	buf_init(&delta, CONTROLLER_MAX_DELTA);
	delta_begin(&delta);
	for (size_t i = 0; i < r->count; i++)
		if (image_feature_level(c->image, r->levels[i].name) != r->levels[i].level)
			delta_put(&delta, &(struct delta_record){.kind = DELTA_FEATURE,
								 .name = bytes_str(r->levels[i].name),
								 .level = r->levels[i].level});
	controller_publish_await(self, c, &delta);
	buf_fini(&delta);
}

void controller_update_levels_await(struct fiber *self, struct controller *c, struct update_levels *r)
{
	static const struct bytes node = {.data = (const uint8_t *)"/feature", .size = sizeof("/feature") - 1};
	struct image_feature *after;

	controller_take_names_await(self, c, &node, 1);
	after = mem_alloc((image_feature_count(c->image) + r->count + 1) * sizeof(*after));
	r->error = write_await(self, c, after, levels_after(c->image, r, after));
	mem_free(after);
	if (r->error)
		r->error = controller_store_error(r->error);
	else
		publish_levels_await(self, c, r);
	controller_give_names(c, &node, 1);
}
