/* cluster: `moldau cluster info`. Calls the client library and stdio. */
#include <jansson.h>
#include <stdio.h>

#include "cli/session.h"
#include "cli/verbs.h"

const char cli_cluster_info_help[] = "usage: moldau cluster info [OPTIONS]\n"
				     "\n"
				     "The cluster's id, its brokers, and how many topics and partitions it has.\n"
				     "\n"
				     "  --format text|json\n" SESSION_HELP;

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

static void print_json(const struct mo_cluster *cluster, const struct mo_topics *topics)
{
	json_int_t partitions = 0;
	json_t *brokers = json_array(), *all;

	for (size_t i = 0; i < topics->count; i++)
		partitions += (json_int_t)topics->topics[i].partition_count;
	for (size_t i = 0; i < cluster->node_count; i++) {
		const struct mo_node *n = &cluster->nodes[i];

		json_array_append_new(brokers, json_pack("{s:i, s:s, s:i, s:s?}", "id", n->id, "host", n->host, "port",
							 n->port, "rack", n->rack));
	}
	all = json_pack("{s:s?, s:i, s:o, s:I, s:I}", "cluster", cluster->id, "controller", cluster->controller,
			"brokers", brokers, "topics", (json_int_t)topics->count, "partitions", partitions);
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

static int print_info(struct session *s, bool json)
{
	struct mo_cluster cluster = {0};
	struct mo_topics topics = {0};
	struct mo_err e;

	if (mo_cluster_describe(s->client, &cluster, &e) || mo_topic_list(s->client, &topics, &e)) {
		mo_cluster_free(&cluster);
		return session_failed(s, &e);
	}
	if (json) {
		print_json(&cluster, &topics);
		mo_topics_free(&topics);
		mo_cluster_free(&cluster);
		return CLI_DONE;
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
	bool json = false;
	int code;

	session_init(&s, verb);
	while (cli_next(&o)) {
		if (session_takes(&s, &o))
			continue;
		if (!cli_is(&o, "--format"))
			return cli_unknown(&o);
		if (!cli_take_format(&o, &json))
			return CLI_USAGE;
	}
	code = o.failed ? CLI_USAGE : session_open(&s);
	if (!code)
		code = print_info(&s, json);
	session_close(&s);
	return code;
}
