/* features: see the header. */
#include "controller/features.h"

#include "controller/layout.h"

/* 7 is 3.3-IV3, the oldest that Kafka 4 takes; 30 is what Kafka 4.3.1 finalises in a new cluster (asked of it). */
static const struct feature_range supported[] = {
	{"group.version", 0, 1}, {"metadata.version", 7, 30}, {"transaction.version", 0, 2}};

const struct feature_range *features_supported(size_t *ret_count)
{
	*ret_count = countof(supported);
	return supported;
}

void features_put_new(struct buf *b)
{
	struct image_feature levels[countof(supported)];

	for (size_t i = 0; i < countof(supported); i++)
		levels[i] = (struct image_feature){.name = (char *)(uintptr_t)supported[i].name,
						   .level = supported[i].max};
	layout_put_features(b, levels, countof(supported));
}
