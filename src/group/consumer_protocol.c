/* consumer_protocol: see the header. May call: the codec. */
#include "group/consumer_protocol.h"

#include "protocol/codec.h"

static enum err read_versioned(struct bytes from, const struct message_type *t, struct arena *a, void *ret)
{
	struct reader r = reader_of(from);
	int16_t version = reader_i16(&r);

	if (r.error || version < 0)
		return ERR_MALFORMED;
	return message_decode(t, version > t->last_version ? t->last_version : version, &r, a, ret);
}

enum err subscription_read(struct bytes metadata, struct arena *a, struct consumer_protocol_subscription *ret)
{
	return read_versioned(metadata, &consumer_protocol_subscription_type, a, ret);
}

enum err assignment_read(struct bytes assignment, struct arena *a, struct consumer_protocol_assignment *ret)
{
	return read_versioned(assignment, &consumer_protocol_assignment_type, a, ret);
}

void assignment_write(struct bytes metadata, const struct consumer_protocol_assignment *v, struct buf *out)
{
	const struct message_type *t = &consumer_protocol_assignment_type;
	struct reader r = reader_of(metadata);
	int16_t version = reader_i16(&r);
	enum err e;

	/* Nothing in it depends on the version: a newer one is what it would write, too. */
	if (r.error || version < 0 || version > t->last_version)
		version = t->last_version;
	buf_put_i16(out, version);
	e = message_encode(t, version, v, out);
	if (e && !out->error)
		out->error = e;
}
