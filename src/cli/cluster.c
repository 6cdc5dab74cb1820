/* cluster: `moldau cluster info`. Calls the client library and stdio. */
#include <stdio.h>

#include "cli/session.h"
#include "cli/verbs.h"

const char cli_cluster_info_help[] = "usage: moldau cluster info [OPTIONS]\n"
				     "\n"
				     "The cluster's id, its brokers, and how many topics and partitions it has.\n"
				     "\n" SESSION_HELP;

static void print_counts(const struct mo_topics *topics)
{
	size_t partitions = 0, leaderless = 0;

	for (size_t i = 0; i < topics->count; i++) {
		partitions += topics->topics[i].partition_count;
		for (size_t k = 0; k < topics->topics[i].partition_count; k++)
			leaderless += topics->topics[i].partitions[k].leader < 0;
	}
	printf("topics:     %zu\npartitions: %zu", topics->count, partitions);
	if (leaderless > 0)
		printf(" (%zu without a leader)", leaderless);
	putchar('\n');
}

static int print_info(struct session *s)
{
	struct mo_cluster cluster = {0};
	struct mo_topics topics = {0};
	struct mo_err e;

	if (mo_cluster_describe(s->client, &cluster, &e) || mo_topic_list(s->client, &topics, &e)) {
		mo_cluster_free(&cluster);
		return session_failed(s, &e);
	}
	printf("cluster:    %s\n", cluster.id);
	for (size_t i = 0; i < cluster.node_count; i++) {
		const struct mo_node *n = &cluster.nodes[i];

		printf("broker:     %d at %s:%d%s%s%s\n", n->id, n->host, n->port, n->rack ? ", rack " : "",
		       n->rack ? n->rack : "", n->id == cluster.controller ? ", controller" : "");
	}
	print_counts(&topics);
	mo_topics_free(&topics);
	mo_cluster_free(&cluster);
	return CLI_DONE;
}

int cli_cluster_info(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = cli_options(verb, argc, argv);
	struct session s;
	int code;

	session_init(&s, verb);
	while (cli_next(&o)) {
		if (session_takes(&s, &o))
			continue;
		return cli_unknown(&o);
	}
	code = o.failed ? CLI_USAGE : session_open(&s);
	if (!code)
		code = print_info(&s);
	session_close(&s);
	return code;
}
