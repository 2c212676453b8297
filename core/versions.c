/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of one entity, vector or edge, newest first. */
#include "past.h"

/* ---- entities ----------------------------------------------------------- */

struct entities {
	cop_read *read;
	uint64_t id;
	cop_entity_version_visit *visit;
	void *user;
};

static cop_err entity_tell(void *user, uint64_t born, uint64_t died,
			   struct bytes record)
{
	const struct entities *entities = user;
	struct cop_version version = {born, died};
	struct cop_entity entity;
	cop_err err = codec_entity_check(record);

	if (!err)
		err = read_entity_view(entities->id, record, &entity);
	if (err)
		return err;
	error_clear();
	return error_answer(
	    entities->visit(entities->user, entities->read, &version, &entity));
}

cop_err cop_history(cop_read *read, uint64_t id,
		    cop_entity_version_visit *visit, void *user)
{
	struct entities entities = {read, id, visit, user};
	cop_err err = read_check(read);
	struct past past;

	if (err)
		return err;
	past = past_of(read);
	return past_history(&past, DB_ENTITIES, bytes_of(&id, sizeof id),
			    entity_tell, &entities);
}

/* ---- vectors ------------------------------------------------------------ */

struct vectors {
	cop_read *read;
	cop_vector_version_visit *visit;
	void *user;
};

static cop_err vector_tell(void *user, uint64_t born, uint64_t died,
			   struct bytes record)
{
	const struct vectors *vectors = user;
	struct cop_version version = {born, died};
	const float *floats =
	    codec_vector(record, vectors->read->store->config.dim);

	if (!floats)
		return error_set(COP_CORRUPT,
				 "%s: a vector has %zu bytes; restore a backup",
				 vectors->read->store->path, record.size);
	error_clear();
	return error_answer(
	    vectors->visit(vectors->user, vectors->read, &version, floats));
}

cop_err cop_vector_history(cop_read *read, uint64_t id,
			   cop_vector_version_visit *visit, void *user)
{
	struct vectors vectors = {read, visit, user};
	cop_err err = read_check(read);
	struct past past;

	if (err)
		return err;
	past = past_of(read);
	return past_history(&past, DB_VECTORS, bytes_of(&id, sizeof id),
			    vector_tell, &vectors);
}

/* ---- edges -------------------------------------------------------------- */

struct edges {
	cop_read *read;
	struct cop_edge name; /* ends and relation */
	cop_edge_version_visit *visit;
	void *user;
};

static cop_err edge_tell(void *user, uint64_t born, uint64_t died,
			 struct bytes record)
{
	const struct edges *edges = user;
	struct cop_version version = {born, died};
	struct cop_edge edge = edges->name;
	cop_err err = read_edge_view(record, &edge);

	if (err)
		return err;
	error_clear();
	return error_answer(
	    edges->visit(edges->user, edges->read, &version, &edge));
}

cop_err cop_edge_history(cop_read *read, uint64_t source, const char *relation,
			 size_t relation_size, uint64_t target,
			 uint32_t discriminator, cop_edge_version_visit *visit,
			 void *user)
{
	struct edges edges = {read,
			      {.source = source,
			       .target = target,
			       .discriminator = discriminator},
			      visit,
			      user};
	struct disk_edge_key key;
	struct past past;
	cop_err err = read_check(read);

	if (!err)
		err = read_symbol(read, NAME_RELATION, relation, relation_size,
				  &edges.name.relation);
	if (err || !edges.name.relation)
		return err;
	past = past_of(read);
	key =
	    format_edge_key(source, edges.name.relation, target, discriminator);
	return past_history(&past, DB_EDGES, bytes_of(&key, sizeof key),
			    edge_tell, &edges);
}
