/* transaction_own: what the sources of the transaction share among themselves. */
#ifndef CLIENT_TRANSACTION_OWN_H
#define CLIENT_TRANSACTION_OWN_H

#include "client/producer_own.h"
#include "client/transaction.h"

/* The coordinator of a group whose offsets were committed. */
struct transaction_group {
	struct list_node node;
	char *id;
	struct coordinator coordinator;
};

struct transaction {
	struct transaction_options options;
	struct coordinator coordinator;
	struct list groups;
	enum transact_state state;
	enum err error; /* of FAILED and FATAL */
	char text[TRANSACT_TEXT_SIZE];
	bool version_2; /* of the open one */
	bool started;   /* the coordinator may know of it */
	bool in_doubt;  /* whether it does */
	bool can_bump;
	bool needs_bump;
	bool busy;       /* a call of the program is under way */
	uint64_t number; /* of the open one; 0: none yet */
	struct event progress;
	/* Before version 2: partitions are added by a fiber. */
	struct fiber *adder;
	struct event add_wanted;
	bool adding;
	bool stopping;
};

/* A question to the coordinator and its repetitions. */
struct transaction_talk {
	struct transaction *t;
	struct coordinator *coordinator;
	enum transact_question question;
	int64_t deadline_us;
	unsigned failures;
	char *why;
};

/* One attempt: asks the peer, which is ready. ERR_CANCELLED ends it. */
typedef enum err transaction_attempt_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer,
					   int64_t until_us, void *argument);
/* Until done, or it cannot be. ERR_TIMED_OUT: not within the time. An error that ends the transaction has ended it. */
enum err transaction_talk_await(struct fiber *self, struct transaction_talk *talk,
				transaction_attempt_await *attempt_await, void *argument);

/* False: the step cannot be now, with words and code. */
bool transaction_enter(struct transaction *t, enum transact_step step, enum err *ret_error, char *ret_why);
void transaction_leave(struct transaction *t);
void transaction_set_state(struct transaction *t, enum transact_state state, enum err e, const char *text);

/* Fiber: AddPartitionsToTxn. */
void transaction_add_main(struct fiber *self, void *argument);

#endif
