/*
 * broker_own: the insides of struct broker, for the sources that compose it. Handlers use broker.h.
 */
#ifndef BROKER_BROKER_OWN_H
#define BROKER_BROKER_OWN_H

#include "broker/broker.h"
#include "broker/observe.h"
#include "broker/relief.h"
#include "config/listeners.h"
#include "controller/publish.h"
#include "metastore/metastore.h"
#include "net/acceptor.h"

/* What a shard has: written by that shard at its opening, freed by it at its closing. */
struct broker_part {
	struct broker_shard shard; /* first, for handlers */
	struct budget frames;
	struct budget work; /* arenas and answers of requests */
	struct connection_table connections;
	struct relief relief;
	struct relief_call *relief_calls; /* to the other shards */
	struct image_subscriber subscriber;
	struct message folder_failed; /* to shard 0; at most one under way */
	bool failure_sent;
	bool opened;
	size_t creating;      /* fibers of auto_create.c */
	struct event created; /* one of them ended */
};

struct broker {
	struct broker_options options;
	const struct config *config;
	int32_t node_id;
	struct runtime *runtime;
	struct shard *shard_zero;
	struct logger *log;
	unsigned shard_count;
	size_t memory_limit_bytes;
	size_t max_open_files;     /* the data's share of the process's open files */
	size_t max_sockets;        /* and the connections' */
	struct broker_part *parts; /* by shard */
	struct image_subscriber **subscribers;

	struct listener_specs specs;
	struct broker_listener *listeners; /* by number; names and hosts are the specs' */
	struct storage *storage;
	struct metastore *metastore;
	struct controller *controller;
	struct observer observer;
	struct acceptor *acceptor;
	bool listening; /* listening_begin was called */

	struct event stop;
	bool read_only; /* nothing says what the topics of the folders are: found.c */
	bool stopping;
	int exit_code;
};

/* Runs `work_await` as a fiber on every shard at once and waits for all: OK, or the first error by shard. On shard 0; not to be cancelled. */
enum err everywhere_await(struct fiber *self, struct broker *b,
			  enum err (*work_await)(struct fiber *self, struct broker_part *part)) MUST_CHECK;

/* listening.c. Errors have said why in the log. */
enum err listening_parse(struct broker *b) MUST_CHECK;
/* Binds every listener; connections wait until listening_begin. */
enum err listening_bind_await(struct fiber *self, struct broker *b) MUST_CHECK;
enum err listening_register_await(struct fiber *self, struct broker *b) MUST_CHECK;
void listening_begin(struct broker *b);
/* The settings of brokers changed: what they say about connections holds from now on. On shard 0. */
void listening_follow(struct broker *b);

/* found.c. Before the folders are opened: sets b->read_only. */
enum err found_look_await(struct fiber *self, struct broker *b) MUST_CHECK;
/* Before the controller loads: takes over what a Kafka node left. Errors have said why in the log. */
enum err found_check_await(struct fiber *self, struct broker *b) MUST_CHECK;
/* A topic is what the metadata say. Folders of others are kept, under a name that nobody takes for a partition. */
enum err found_strays_await(struct fiber *self, struct broker *b) MUST_CHECK;

/* follow_image.c: keeps a shard's partitions as its image says. */
void follow_image(struct image_subscriber *s, struct bytes delta, struct delta_message *m);

/* coordinators.c: made with the shard's partitions, stopped before its connections end, closed before its partitions. */
void coordinators_open(struct broker_part *part);
void coordinators_topic_added(struct broker_part *part, const struct image_topic *t);
void coordinators_topic_removed(struct broker_part *part, struct uuid topic_id);
void coordinators_image_changed(struct broker_part *part);
void coordinators_stop(struct broker_part *part);
void coordinators_close_await(struct fiber *self, struct broker_part *part);

/* store_settings.c: of each shard, as its image is. */
struct store_settings store_settings_of(const struct broker_part *part);
bool verifies_transactions(const struct broker_part *part);

/* auto_create.c: waits until no creation is under way on this shard. */
void auto_create_quiet_await(struct fiber *self, struct broker_part *part);

#endif
