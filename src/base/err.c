/* err: see the header. */
#include "base/err.h"

struct row {
	enum err code;
	bool retriable;
	bool refreshes_metadata;
	const char *name;
	const char *text;
};

/* Unformatted: clang-format takes a list macro for the beginning of the next line. */
/* clang-format off */
static const struct row rows[] = {
	{OK, false, false, "NONE", "no error"},
#define X(name, code, retriable, refresh, text) {ERR_##name, retriable, refresh, #name, text},
	ERR_LIST_KAFKA(X)
#undef X
#define X(name, code, text) {ERR_##name, false, false, #name, text},
	ERR_LIST_OWN(X)
#undef X
};
/* clang-format on */

static const struct row *row_of(enum err e)
{
	static const struct row unknown = {OK, false, false, "UNKNOWN", "unknown error code"};

	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].code == e)
			return &rows[i];
	return &unknown;
}

const char *err_name(enum err e)
{
	return row_of(e)->name;
}

const char *err_text(enum err e)
{
	return row_of(e)->text;
}

bool err_retriable(enum err e)
{
	return row_of(e)->retriable;
}

bool err_refreshes_metadata(enum err e)
{
	return row_of(e)->refreshes_metadata;
}

static enum err kafka_of_own(enum err e)
{
	static const struct {
		enum err own;
		enum err kafka;
	} map[] = {
		{ERR_MALFORMED, ERR_CORRUPT_MESSAGE},       {ERR_CORRUPT, ERR_CORRUPT_MESSAGE},
		{ERR_IO, ERR_KAFKA_STORAGE_ERROR},          {ERR_NO_SPACE, ERR_KAFKA_STORAGE_ERROR},
		{ERR_OFFLINE, ERR_KAFKA_STORAGE_ERROR},     {ERR_TOO_MANY_FILES, ERR_KAFKA_STORAGE_ERROR},
		{ERR_PERMISSION, ERR_KAFKA_STORAGE_ERROR},  {ERR_TIMED_OUT, ERR_REQUEST_TIMED_OUT},
		{ERR_BAD_EPOCH, ERR_FENCED_LEADER_EPOCH},   {ERR_UNKNOWN_EPOCH, ERR_UNKNOWN_LEADER_EPOCH},
		{ERR_UNSUPPORTED, ERR_UNSUPPORTED_VERSION}, {ERR_BAD_CONFIG, ERR_INVALID_CONFIG},
		{ERR_TOO_BIG, ERR_MESSAGE_TOO_LARGE},
	};

	for (size_t i = 0; i < countof(map); i++)
		if (map[i].own == e)
			return map[i].kafka;
	return ERR_UNKNOWN_SERVER_ERROR;
}

int16_t err_to_kafka(enum err e)
{
	return (int16_t)(e <= -1000 ? kafka_of_own(e) : e);
}
