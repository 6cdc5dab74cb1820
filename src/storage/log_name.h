/*
 * log_name: the names of folders and files in a log folder, as Kafka writes them. Pure.
 *
 *      TOPIC-PARTITION/  00000000000000000042.log  .index .timeindex .txnindex .snapshot
 *      TOPIC-PARTITION.UUID-delete   on its way out         TOPIC-PARTITION.UUID-stray   set aside
 *      TOPIC-PARTITION.UUID-future   a copy of a log that is on its way here
 *
 * Names on disk are foreign: what does not parse is not ours and is left alone.
 */
#ifndef STORAGE_LOG_NAME_H
#define STORAGE_LOG_NAME_H

#include "base/bytes.h"
#include "base/err.h"

/* A topic's name has at most 249 bytes; with partition and suffix a folder's stays below 255. */
#define TOPIC_NAME_MAX 249
#define LOG_NAME_SIZE 320
#define FOLDER_PATH_MAX 512
#define LOG_PATH_SIZE 1024

enum folder_kind { FOLDER_OTHER, FOLDER_LOG, FOLDER_DELETED, FOLDER_STRAY, FOLDER_FUTURE };

/* For FOLDER_LOG and FOLDER_FUTURE the topic points into `name`. */
enum folder_kind folder_name_parse(struct bytes name, struct bytes *ret_topic, int32_t *ret_partition);
void folder_name_format(char ret_name[static LOG_NAME_SIZE], struct bytes topic, int32_t partition);

enum segment_file { SEGMENT_LOG, SEGMENT_INDEX, SEGMENT_TIMEINDEX, SEGMENT_TXNINDEX, SEGMENT_SNAPSHOT, SEGMENT_FILES };

/* ERR_NOT_FOUND when it is no name of a segment's file. */
enum err segment_name_parse(struct bytes name, int64_t *ret_base_offset, enum segment_file *ret_file) MUST_CHECK;
/* Behind a segment's file name: .deleted goes soon, .cleaned is being made, .swap is whole and takes its place. */
enum leftover { LEFTOVER_DELETED, LEFTOVER_CLEANED, LEFTOVER_SWAP, LEFTOVER_COUNT };

const char *leftover_suffix(enum leftover kind);
/* ERR_NOT_FOUND when it is no such name. */
enum err leftover_name_parse(struct bytes name, int64_t *ret_base_offset, enum segment_file *ret_file,
			     enum leftover *ret_kind) MUST_CHECK;
void segment_name_format(char ret_name[static LOG_NAME_SIZE], int64_t base_offset, enum segment_file file);

#endif
