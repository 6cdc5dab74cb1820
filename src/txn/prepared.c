/* prepared: settings, and what leaves a state for its partitions. See txn.h. */
#include "base/alloc.h"
#include "config/config.h"
#include "txn/txn.h"

void txn_options_read(const struct config *c, struct txn_options *options)
{
	options->transaction_max_timeout_ms = config_int32(c, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
	options->transactional_id_expiration_ms = config_int32(c, CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS);
	options->transaction_remove_expired_transaction_cleanup_interval_ms = config_int32(
		c, CONFIG_TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS);
}

/* One allocation. */
void prepared_transaction_free(struct prepared_transaction *p)
{
	mem_free(p);
}
