/* runtime: the shards of one process or simulated node. Calls the backend for what concerns all of them. */
#include "base/alloc.h"
#include "runtime/core.h"

struct runtime *runtime_new(const struct backend *backend, void *backend_data, unsigned shard_count)
{
	struct runtime *rt = mem_zalloc(sizeof(*rt) + shard_count * sizeof(rt->shards[0]));

	must(shard_count > 0);
	rt->backend = backend;
	rt->backend_data = backend_data;
	rt->shard_count = shard_count;
	return rt;
}

void runtime_set_shard(struct runtime *rt, unsigned index, struct shard *s)
{
	must(index < rt->shard_count);
	rt->shards[index] = s;
}

void *runtime_backend_data(struct runtime *rt)
{
	return rt->backend_data;
}

void runtime_free(struct runtime *rt)
{
	mem_free(rt);
}

unsigned runtime_shard_count(const struct runtime *rt)
{
	return rt->shard_count;
}

struct shard *runtime_shard(struct runtime *rt, unsigned index)
{
	must(index < rt->shard_count);
	return rt->shards[index];
}

void runtime_stop(struct runtime *rt, int exit_code)
{
	rt->backend->stop(rt, exit_code);
}

size_t runtime_open_file_limit(struct runtime *rt)
{
	return rt->backend->open_file_limit(rt);
}
