/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to import, made from a seed: the same graph in whatever format.
 *
 * layout
 *	Entity n has the key n<number>, one of eight types, a name of two
 *	words, a year and a score.  An edge goes from any entity to one that is
 *	near, three times in four, or to any.
 */
#include "bench_files.h"

#include <inttypes.h>

#include "bench_random.h"

enum {
	FILES_SEED = 20261128,
	FILES_TYPES = 8,
	FILES_RELATIONS = 4,
	FILES_NEAR = 1000,
	FILES_WORDS = 64,
	FILES_CONTENT = 48 /* words of an entity in NDJSON */
};

struct entity {
	char key[24];
	const char *type;
	char name[40];
	int born;
	double score; /* four digits behind the point */
	int is_active;
};

static const char *const syllables[] = {"an", "ber", "cor", "dun",
					"el", "far", "gil", "hos"};

static void word(char out[16], uint64_t number)
{
	snprintf(out, 16, "%s%s", syllables[number / 8 % 8],
		 syllables[number % 8]);
}

static void entity_next(struct entity *entity, struct bench_random *random,
			uint64_t number)
{
	static const char *const types[FILES_TYPES] = {
	    "Person", "Place", "Work",	"Event",
	    "Group",  "Idea",  "Thing", "Animal"};
	char first[16], last[16];

	word(first, bench_random_below(random, FILES_WORDS));
	word(last, bench_random_below(random, FILES_WORDS));
	snprintf(entity->key, sizeof entity->key, "n%" PRIu64, number);
	entity->type = types[bench_random_below(random, FILES_TYPES)];
	snprintf(entity->name, sizeof entity->name, "%s %s", first, last);
	entity->born = (int)(1500 + bench_random_below(random, 500));
	entity->score = (double)bench_random_below(random, 10000000) / 1e4;
	entity->is_active = (int)bench_random_below(random, 2);
}

struct edge {
	uint64_t source, target;
	const char *relation;
	double weight;
};

static void edge_next(struct edge *edge, struct bench_random *random,
		      uint64_t nodes)
{
	static const char *const relations[FILES_RELATIONS] = {
	    "knows", "part_of", "near", "cites"};

	edge->source = bench_random_below(random, nodes);
	edge->target =
	    bench_random_below(random, 4)
		? (edge->source + bench_random_below(random, FILES_NEAR)) %
		      nodes
		: bench_random_below(random, nodes);
	edge->relation = relations[bench_random_below(random, FILES_RELATIONS)];
	edge->weight = (double)bench_random_below(random, 10000) / 1e4;
}

static uint64_t written(FILE *to)
{
	return (uint64_t)ftello(to);
}

uint64_t bench_files_csv_nodes(FILE *to, uint64_t count)
{
	struct bench_random random = {FILES_SEED};
	struct entity entity;

	fputs("id:ID,:LABEL,name:string,born:int,score:double\n", to);
	for (uint64_t i = 0; i < count; i++) {
		entity_next(&entity, &random, i);
		fprintf(to, "%s,%s,%s,%d,%.4f\n", entity.key, entity.type,
			entity.name, entity.born, entity.score);
	}
	return written(to);
}

uint64_t bench_files_csv_edges(FILE *to, uint64_t nodes, uint64_t count)
{
	struct bench_random random = {FILES_SEED + 1};
	struct edge edge;

	fputs(":START_ID,:TYPE,:END_ID,weight:double\n", to);
	for (uint64_t i = 0; i < count; i++) {
		edge_next(&edge, &random, nodes);
		fprintf(to, "n%" PRIu64 ",%s,n%" PRIu64 ",%.4f\n", edge.source,
			edge.relation, edge.target, edge.weight);
	}
	return written(to);
}

static uint64_t graphml_nodes(FILE *to, uint64_t count)
{
	struct bench_random random = {FILES_SEED};
	struct entity entity;

	for (uint64_t i = 0; i < count; i++) {
		entity_next(&entity, &random, i);
		fprintf(to,
			"<node id=\"%s\"><data key=\"t\">%s</data><data "
			"key=\"n\">%s</data><data key=\"b\">%d</data><data "
			"key=\"s\">%.4f</data></node>\n",
			entity.key, entity.type, entity.name, entity.born,
			entity.score);
	}
	return written(to);
}

uint64_t bench_files_graphml(FILE *to, uint64_t nodes, uint64_t edges)
{
	struct bench_random random = {FILES_SEED + 1};
	struct edge edge;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
	      "<key id=\"t\" for=\"node\" attr.name=\"type\" "
	      "attr.type=\"string\"/>\n"
	      "<key id=\"n\" for=\"node\" attr.name=\"name\" "
	      "attr.type=\"string\"/>\n"
	      "<key id=\"b\" for=\"node\" attr.name=\"born\" "
	      "attr.type=\"int\"/>\n"
	      "<key id=\"s\" for=\"node\" attr.name=\"score\" "
	      "attr.type=\"double\"/>\n"
	      "<key id=\"r\" for=\"edge\" attr.name=\"relation\" "
	      "attr.type=\"string\"/>\n"
	      "<key id=\"w\" for=\"edge\" attr.name=\"weight\" "
	      "attr.type=\"double\"/>\n"
	      "<graph id=\"g\" edgedefault=\"directed\">\n",
	      to);
	graphml_nodes(to, nodes);
	for (uint64_t i = 0; i < edges; i++) {
		edge_next(&edge, &random, nodes);
		fprintf(to,
			"<edge source=\"n%" PRIu64 "\" target=\"n%" PRIu64
			"\"><data key=\"r\">%s</data><data "
			"key=\"w\">%.4f</data></edge>\n",
			edge.source, edge.target, edge.relation, edge.weight);
	}
	fputs("</graph>\n</graphml>\n", to);
	return written(to);
}

uint64_t bench_files_ndjson(FILE *to, uint64_t bytes)
{
	struct bench_random random = {FILES_SEED};
	struct entity entity;
	uint64_t size = 0, count = 0;
	char text[16];

	while (size < bytes) {
		int line;

		entity_next(&entity, &random, count++);
		line =
		    fprintf(to,
			    "{\"key\":\"%s\",\"type\":\"%s\",\"tags\":[\"%s\"],"
			    "\"properties\":{\"name\":\"%s\",\"born\":%d,"
			    "\"score\":%.4f,\"active\":%s},\"content\":\"",
			    entity.key, entity.type, syllables[entity.born % 8],
			    entity.name, entity.born, entity.score,
			    entity.is_active ? "true" : "false");
		size += (uint64_t)line;
		for (int i = 0; i < FILES_CONTENT; i++) {
			word(text, bench_random_below(&random, FILES_WORDS));
			size += (uint64_t)fprintf(to, "%s ", text);
		}
		fputs("\"}\n", to);
		size += 3;
	}
	return count;
}
