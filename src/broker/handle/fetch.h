/*
 * fetch: the pieces of a Fetch that handle/fetch.c (at home) and handle/fetch_group.c (on the partitions' shards) share.
 *
 *      home    begin: session -> targets -> parts, in groups by shard
 *      shard   group_go ---> enough there, or an error ----> read ---> done (home)
 *                  \-------> park on the partitions --progress--^ ^
 *      home    deadline, or another group is done, or together they have min_bytes -- flush
 *
 * Invariants: a group and its parts belong to the partitions' shard from `go` until `done`; every group comes home exactly once;
 * each message that home sends after `go` holds the request until it is home again, since `done` may cross it.
 */
#ifndef BROKER_HANDLE_FETCH_H
#define BROKER_HANDLE_FETCH_H

#include "broker/fetch_session.h"
#include "broker/request.h"
#include "protocol/messages.h"
#include "storage/log.h"

struct fetch_group;

/* How a group is told to come home. */
enum fetch_flush {
	FETCH_FLUSH_NONE,
	FETCH_FLUSH_OPENED, /* with what there is, once all its logs are open */
	FETCH_FLUSH_NOW,    /* what is not open has an error: its client asks again */
};

struct fetch_part {
	struct fetch_target target;
	struct uuid topic_id;      /* as the image knows it */
	struct fetch_group *group; /* NULL: settled at home */
	struct fetch_part *next;   /* of the group */
	/* On the partition's shard. */
	struct partition_reader reader;
	struct log_read read;
	int64_t available; /* bytes to read, as far as the index tells, capped by its own maximum */
	bool opening;      /* its log is not open yet, so nothing can be said of it */
	/* The result. */
	enum err error; /* Kafka's */
	int64_t high_watermark;
	int64_t last_stable_offset;
	int64_t log_start_offset;
	int32_t diverging_epoch; /* -1: none */
	int64_t diverging_end_offset;
	struct blob *blob;
	struct bytes records;
	size_t first_size;            /* of their first batch */
	struct aborted_told *aborted; /* of the records; freed at home */
	size_t aborted_count;
	struct fetch_response_aborted_transaction *told_aborted; /* the same in the request's memory, at home */
};

struct fetch_group {
	/* In. */
	struct request *request;
	struct broker_shard *target;
	struct fetch_part *first;
	struct fetch_part **last;
	int64_t min_bytes; /* of the whole request */
	int64_t max_bytes;
	bool report;      /* others may have bytes too: say how many are here while parked */
	bool is_follower; /* the asker is a replica: it reads to the log's end */
	bool read_committed;
	struct message go;
	/* From home while it is away, and back. */
	struct message flush;
	enum fetch_flush flushed; /* at home: the most that it was told */
	bool flush_away;          /* at home: the message is on its way */
	bool flush_now;           /* in the message */
	struct message drop;
	bool dropped; /* at home: sent */
	/* To home while it is away, one at a time, and back. */
	struct message news;
	void (*news_home)(struct shard *at, struct message *m);
	int64_t news_available;
	bool news_away;         /* on the shard: not here to be sent */
	bool news_returned;     /* on the shard: here, and home holds the request for it */
	int64_t told_available; /* at home: what its last news said, since news_available may be the shard's again */
	bool news_held;         /* at home: it holds the request, once however often the news goes to and fro */
	/* To home at the end. */
	struct message done;
	bool over; /* at home */
	/* On the shard. */
	int64_t available;
	size_t opening; /* parts of which nothing can be said yet */
	size_t reading;
	bool wanted; /* the answer is due with what there is, once all logs are open */
	bool parked;
	bool decided; /* reads have begun */
};

/* Sets the messages up; the caller fills what is under "In". */
void fetch_group_init(struct fetch_group *g, void (*news)(struct shard *at, struct message *m),
		      void (*done)(struct shard *at, struct message *m));
/* From home: sends it to its shard. */
void fetch_group_go(struct fetch_group *g);
/* From home: it shall read what is there and come back. */
void fetch_group_flush(struct fetch_group *g, enum fetch_flush how);
/* From home: nobody wants its records any more; it comes back with what it has. */
void fetch_group_drop(struct fetch_group *g);
/* From home, with the news message: the group may send the next. */
void fetch_group_return_news(struct fetch_group *g);
/* At home, when `done` arrived: lets go of what the group still had from home. */
void fetch_group_over(struct fetch_group *g);

#endif
