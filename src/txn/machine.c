/* machine: the transactional ids of a partition as a machine (coordinator/machine.h): replaying, time. */
#include "base/alloc.h"
#include "base/saturate.h"
#include "txn/state.h"

/* Ids that are looked at, and may expire, in one step. */
#define EXPIRY_SLICE 1000

struct txns *txn_machine_new(const struct txn_options *options, int32_t partition, struct map_seed seed)
{
	struct txns *all = mem_new(struct txns);

	all->options = options;
	all->partition = partition;
	map_init_seeded(&all->by_id, seed);
	heap_init(&all->timers);
	all->expiry_at_ms = MACHINE_NO_DEADLINE;
	return all;
}

static enum err replay(void *state, const struct replayed *r)
{
	return txn_replay(state, r);
}

/* No transaction of a producer is open in this topic. */
static void replay_marker(void *state, const struct end_marker *m)
{
	(void)state;
	(void)m;
}

static void expire_next(struct txns *all, const struct step *s)
{
	all->expiry_place = 0;
	all->expiry_at_ms = saturating_add(s->now_ms,
					   all->options->transaction_remove_expired_transaction_cleanup_interval_ms);
}

static void loaded(void *state, struct step *s)
{
	struct txns *all = state;
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		struct txn *x = e->value;

		txn_arm(all, x, s);
		if (txn_is_prepared(x))
			txn_hand_out(all, x, s);
	}
	expire_next(all, s);
}

static int64_t deadline_ms(const void *state)
{
	const struct txns *all = state;
	const struct heap_node *first = heap_first(&all->timers);

	return first && first->key < all->expiry_at_ms ? first->key : all->expiry_at_ms;
}

static void time_out(struct txns *all, struct step *s)
{
	struct heap_node *first;

	while ((first = heap_first(&all->timers)) && first->key <= s->now_ms) {
		all->figures.timed_out++;
		txn_fence(all, container_of(first, struct txn, timer), s);
	}
}

static bool is_expired(const struct txns *all, const struct txn *x, const struct step *s)
{
	if (x->state != TXN_EMPTY && x->state != TXN_COMPLETE_COMMIT && x->state != TXN_COMPLETE_ABORT)
		return false;
	return saturating_add(x->update_ms, all->options->transactional_id_expiration_ms) <= s->wall_ms;
}

static void expire(struct txns *all, struct step *s)
{
	const struct map_entry *e = NULL;

	for (size_t i = 0; i < EXPIRY_SLICE && (e = map_next(&all->by_id, &all->expiry_place)); i++) {
		struct txn *x = e->value;
		struct transaction_log_key key;

		if (!is_expired(all, x, s))
			continue;
		message_init(&transaction_log_key_type, &key);
		key.transactional_id = txn_id(x);
		step_remove(s, &transaction_log_key_type, &key);
		txn_remove(all, x);
		all->figures.expired_ids++;
	}
	if (e)
		all->expiry_at_ms = s->now_ms; /* the rest in a moment */
	else
		expire_next(all, s);
}

static void tick(void *state, struct step *s)
{
	struct txns *all = state;

	time_out(all, s);
	if (all->expiry_at_ms <= s->now_ms)
		expire(all, s);
}

/* Nothing waits in it. */
static void give_up(void *state, enum err why, struct step *s)
{
	(void)state;
	(void)why;
	(void)s;
}

static void free_state(void *state)
{
	txns_free(state);
}

const struct machine_ops txn_machine = {
	.name = "transactions",
	.replay = replay,
	.replay_marker = replay_marker,
	.loaded = loaded,
	.deadline_ms = deadline_ms,
	.tick = tick,
	.give_up = give_up,
	.free = free_state,
};
