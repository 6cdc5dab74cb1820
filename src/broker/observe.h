/*
 * observe: /metrics, /healthz, /topics/NAME/segments and /groups/NAME/rebalances of a broker, on a listener of their own (metrics.listener).
 *
 *      request -> a fiber on shard 0: the process, the folders' space -> a look goes to each shard in turn, by message -> text
 *
 * A look counts what is there and puts each shard's figures on a page (metrics/). Nothing is counted twice or kept between looks.
 * Invariants
 * 1. What a shard has is read on that shard, and only while its part is open; the server is closed before any part is.
 * 2. Only who names this broker by address, as localhost, or by the host of metrics.listener, listeners or advertised.listeners is answered.
 * 3. A port that cannot be had is a warning, not the end of the start. Only a setting that cannot be read is.
 * Lifetime: of the broker; on shard 0.
 */
#ifndef BROKER_OBSERVE_H
#define BROKER_OBSERVE_H

#include "broker/observed.h"
#include "group/group.h"
#include "runtime/socket.h"

struct broker;
struct broker_part;
struct http_exchange;
struct http_server;

struct observer {
	struct http_server *server; /* NULL: off */
	struct address asked;       /* what metrics.listener says */
	struct address address;
	const char *doing; /* what the start is at */
	int64_t started_wall_ms;
	int32_t topics_max;
	int32_t groups_max;
	bool serving;
	bool recovered; /* whatever an unclean stop left is behind us */
};

/* Sums over all shards: what the state of health is decided by. */
struct health_sums {
	size_t partitions;
	size_t opening;
	size_t offline;
};

/* What is looked at of groups (observe_groups.c). */
struct group_look {
	struct arena arena; /* of the next two */
	struct watched_group *groups;
	struct watched_offset *offsets;
	int32_t groups_max;
	int32_t group_count;
	int32_t offset_count;
	size_t left_out; /* groups and partitions */
	struct group_figures sums;
};

struct look {
	struct metrics_page *page; /* NULL: only the sums are wanted */
	struct group_look *groups; /* NULL: nothing of groups is wanted */
	bool collects;             /* the tour before: of groups only */
	struct health_sums sums;
	int32_t topics_max;
};

/* How the broker is, apart from the sums. */
struct health_facts {
	const char *doing; /* of a start */
	bool serving;
	bool stopping;
	bool recovering;            /* after an unclean stop, and not all is open yet */
	const char *offline_folder; /* NULL: none */
	size_t online_folders;
};

/* observe_groups.c: around two tours; the middle two on each part's shard. */
void group_look_init(struct group_look *g, int32_t groups_max);
void group_look_fini(struct group_look *g);
void observe_groups_collect(struct broker_part *part, struct group_look *look);
void observe_groups_measure(struct broker_part *part, struct group_look *look);
void observe_groups_put_await(struct fiber *self, struct metrics_page *page, const struct group_look *look);

/* observe_shard.c: on the part's shard. */
void observe_shard(struct broker_part *part, struct look *look);
/* Decides: the HTTP status, and a line for people. Pure. */
unsigned health_decide(const struct health_facts *f, const struct health_sums *sums, struct buf *line);

/* explain.c: answers, now or later, when the path is one of its own. */
bool explain_answer(struct broker *b, struct http_exchange *x, const char *path) MUST_CHECK;
/* explain_group.c: the same. */
bool explain_group_answer(struct broker *b, struct http_exchange *x, const char *path) MUST_CHECK;

/* observe.c. ERR_BAD_CONFIG has said why in the log. */
enum err observe_start_await(struct fiber *self, struct broker *b) MUST_CHECK;
void observe_doing(struct broker *b, const char *doing);
void observe_serving(struct broker *b);
void observe_stop_await(struct fiber *self, struct broker *b);
/* "HOST:PORT", "[::1]:PORT", "HOST:0"; false: neither that nor empty (`ret_address` then has port 0 and no host, and so is off). */
bool observe_parse_listener(const char *text, struct address *ret_address) MUST_CHECK;

#endif
