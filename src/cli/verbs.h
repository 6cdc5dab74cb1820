/* verbs: the functions and help texts behind the rows of the table in verbs.c that talk to a cluster or read its files. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/cli.h"

int cli_topic_create(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_list(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_describe(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_explain(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_delete(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_config(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_alter(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_add_partitions(const struct cli_verb *verb, int argc, char **argv);
int cli_topic_trim(const struct cli_verb *verb, int argc, char **argv);
int cli_config_describe(const struct cli_verb *verb, int argc, char **argv);
int cli_config_alter(const struct cli_verb *verb, int argc, char **argv);
int cli_produce(const struct cli_verb *verb, int argc, char **argv);
int cli_consume(const struct cli_verb *verb, int argc, char **argv);
int cli_group_list(const struct cli_verb *verb, int argc, char **argv);
int cli_group_describe(const struct cli_verb *verb, int argc, char **argv);
int cli_group_members(const struct cli_verb *verb, int argc, char **argv);
int cli_group_state(const struct cli_verb *verb, int argc, char **argv);
int cli_group_offsets(const struct cli_verb *verb, int argc, char **argv);
int cli_group_reset(const struct cli_verb *verb, int argc, char **argv);
int cli_group_delete(const struct cli_verb *verb, int argc, char **argv);
int cli_group_delete_offsets(const struct cli_verb *verb, int argc, char **argv);
int cli_group_export(const struct cli_verb *verb, int argc, char **argv);
int cli_group_import(const struct cli_verb *verb, int argc, char **argv);
int cli_group_explain(const struct cli_verb *verb, int argc, char **argv);
int cli_group_remove_members(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_list(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_describe(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_producers(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_abort(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_find_hanging(const struct cli_verb *verb, int argc, char **argv);
int cli_txn_explain(const struct cli_verb *verb, int argc, char **argv);
int cli_cluster_info(const struct cli_verb *verb, int argc, char **argv);
int cli_log_dump(const struct cli_verb *verb, int argc, char **argv);
int cli_log_verify(const struct cli_verb *verb, int argc, char **argv);

extern const char cli_topic_create_help[];
extern const char cli_topic_list_help[];
extern const char cli_topic_describe_help[];
extern const char cli_topic_explain_help[];
extern const char cli_topic_delete_help[];
extern const char cli_topic_config_help[];
extern const char cli_topic_alter_help[];
extern const char cli_topic_add_partitions_help[];
extern const char cli_topic_trim_help[];
extern const char cli_config_describe_help[];
extern const char cli_config_alter_help[];
extern const char cli_produce_help[];
extern const char cli_consume_help[];
extern const char cli_group_list_help[];
extern const char cli_group_describe_help[];
extern const char cli_group_members_help[];
extern const char cli_group_state_help[];
extern const char cli_group_offsets_help[];
extern const char cli_group_reset_help[];
extern const char cli_group_delete_help[];
extern const char cli_group_delete_offsets_help[];
extern const char cli_group_export_help[];
extern const char cli_group_import_help[];
extern const char cli_group_explain_help[];
extern const char cli_group_remove_members_help[];
extern const char cli_txn_list_help[];
extern const char cli_txn_describe_help[];
extern const char cli_txn_producers_help[];
extern const char cli_txn_abort_help[];
extern const char cli_txn_find_hanging_help[];
extern const char cli_txn_explain_help[];
extern const char cli_cluster_info_help[];
extern const char cli_log_dump_help[];
extern const char cli_log_verify_help[];

#endif
