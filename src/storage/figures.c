/* figures: see the header. */
#include "storage/figures.h"

#include "storage/state.h"

const struct log_figures *log_figures(const struct log *l)
{
	return &l->figures;
}

const struct store_figures *store_figures(const struct store *s)
{
	return &s->figures;
}

static size_t list_length(const struct list *l)
{
	size_t n = 0;

	for (const struct list_node *node = l->head.next; node != &l->head; node = node->next)
		n++;
	return n;
}

static size_t count_uncleanable(const struct store *s, uint64_t *ret_bytes)
{
	size_t count = 0;

	*ret_bytes = 0;
	list_for_each(&s->logs, n)
	{
		const struct log *l = container_of(n, struct log, node);

		count += l->uncleanable;
		*ret_bytes += l->uncleanable ? (uint64_t)log_size_bytes(l) : 0;
	}
	return count;
}

static size_t count_damages(const struct store *s)
{
	size_t count = 0;

	list_for_each(&s->logs, n)
	{
		const struct log *l = container_of(n, struct log, node);

		for (uint32_t i = 0; i < l->segment_count; i++)
			count += l->segments[i]->damages.count;
	}
	return count;
}

void store_holds(const struct store *s, struct store_holds *ret_holds)
{
	*ret_holds = (struct store_holds){
		.logs = s->by_name.count,
		.open_files = s->files.open_count,
		.open_files_max = s->files.limit,
		.read_budget_used = s->read_budget.used,
		.read_budget_limit = s->read_budget.limit,
		.reads_waiting = list_length(&s->read_budget.waiters),
		.index_bytes = s->index_memory,
		.moves = list_length(&s->moves),
		.damages = count_damages(s),
	};
	ret_holds->uncleanable = count_uncleanable(s, &ret_holds->uncleanable_bytes);
}

size_t store_folder_count(const struct store *s)
{
	return s->storage->folder_count;
}

void store_folder_figures(const struct store *s, size_t folder, struct folder_figures *ret_figures)
{
	const struct store_folder *f = &s->folders[folder];

	must(folder < s->storage->folder_count);
	*ret_figures = (struct folder_figures){
		.path = f->of->path,
		.online = f->of->online && !f->offline,
		.no_space = f->no_space,
		.logs = f->log_count,
		.journal_used = f->journal.at,
		.journal_limit = f->journal.ready ? f->journal.size : 0,
	};
}
