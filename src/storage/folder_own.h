/*
 * folder_own: what the sources of a log folder share: opening and questions (folder.c), how the last run ended (folder_state.c), what partitions
 * are there (folder_found.c), the files of a clean stop (folder_close.c). On shard 0, at start and at the end.
 */
#ifndef STORAGE_FOLDER_OWN_H
#define STORAGE_FOLDER_OWN_H

#include "storage/state.h"

#define FOLDER_MARKER ".kafka_cleanshutdown"
#define FOLDER_MANIFEST "moldau-manifest"
#define MANIFEST_MAX ((size_t)1 << 30)

/* The path of a file in the folder itself; a failure that follows is said to be about it. */
void folder_path_in(struct storage_folder *sf, const char *name, char path[static LOG_PATH_SIZE]);
/* Frees the values with mem_free, then the map. */
void folder_free_values(struct map *m);

/* folder_state.c: reads what the last run left and takes the folder into use: from then on its stop was not clean. */
enum err folder_take_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
	MUST_CHECK;
/* folder_found.c: every partition of every folder that is online. */
enum err folder_find_all_await(struct fiber *self, struct storage *s, struct logger *log) MUST_CHECK;
/* folder_moves.c: of logs that a run was moving when it ended one folder is kept. ERR_CONFLICT where nothing says which. */
enum err folder_settle_moves_await(struct fiber *self, struct storage *s, struct logger *log) MUST_CHECK;
/* folder_close.c: manifest, checkpoints and marker of a clean stop. */
enum err folder_close_await(struct fiber *self, struct storage *s, size_t folder) MUST_CHECK;

#endif
