/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer of the approximate search: hnswlib, as Debian packages it, compiled
 * for the machine at hand.
 *
 * idea
 *	One call of the library's a function, nothing kept between calls.  The
 *	answer comes out of its queue farthest first, so it is filled in from
 *	the end: who asks for neighbours has to do that too, and it is counted.
 *
 * source
 *	Malkov and Yashunin, Efficient and robust approximate nearest neighbor
 *	search using Hierarchical Navigable Small World graphs, 2016;
 *	https://github.com/nmslib/hnswlib
 */
#include "bench_hnswlib.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>

#include <hnswlib/hnswlib.h>

struct bench_hnswlib {
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
};

namespace
{

[[noreturn]] void fail(const std::exception &error)
{
	std::fprintf(stderr, "benchmark failed: hnswlib: %s\n", error.what());
	std::_Exit(1);
}

struct bench_hnswlib *create(size_t dim, size_t room, int is_dot, size_t links,
			     size_t ef)
try {
	auto index = std::make_unique<bench_hnswlib>();

	if (is_dot)
		index->space =
		    std::make_unique<hnswlib::InnerProductSpace>(dim);
	else
		index->space = std::make_unique<hnswlib::L2Space>(dim);
	index->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(
	    index->space.get(), room, links, ef);
	return index.release();
} catch (const std::exception &error) {
	fail(error);
}

void destroy(struct bench_hnswlib *index)
{
	delete index;
}

void add(struct bench_hnswlib *index, const float *vector, uint32_t label)
try {
	index->graph->addPoint(vector, label);
} catch (const std::exception &error) {
	fail(error);
}

void set_ef(struct bench_hnswlib *index, size_t ef)
{
	index->graph->setEf(ef);
}

/*
 * A vector's block on level 0, its lists on others and the pointer to them, its
 * level, its lock, its place in the table of labels (a node of two words and a
 * link, and a bucket).
 */
size_t bytes(struct bench_hnswlib *index)
{
	const auto &graph = *index->graph;
	size_t each = graph.size_data_per_element_ + sizeof(char *) +
		      sizeof(int) + sizeof(std::mutex) + 4 * sizeof(void *);
	size_t sum = 0;

	for (size_t at = 0; at < graph.cur_element_count; at++)
		sum += each + static_cast<size_t>(graph.element_levels_[at]) *
				  graph.size_links_per_element_;
	return sum;
}

size_t search(struct bench_hnswlib *index, const float *query, size_t k,
	      uint32_t *labels)
try {
	auto found = index->graph->searchKnn(query, k);
	size_t count = found.size();

	for (size_t at = count; at > 0; found.pop())
		labels[--at] = static_cast<uint32_t>(found.top().second);
	return count;
} catch (const std::exception &error) {
	fail(error);
}

} // namespace

extern const struct bench_peer_calls bench_peer = {create, destroy, add,
						   set_ef, bytes,   search};
