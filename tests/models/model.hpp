/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relacy models share: mutation.
 *
 * relacy runs the threads of a model under C11's memory model: a relaxed
 * load may return any value that the orderings allow, and two accesses of a
 * plain word (rl::var) that no ordering separates are a data race.  It has no
 * load that reads from a store that comes later; where an ordering keeps loads
 * before a store, the model lets a plain word be overwritten after it, which
 * is a race if the ordering is missing.
 *
 * A model names each ordering once: order(MUTANT, mo) is mo, or relaxed in the
 * run in which that mutant is chosen; fence(MUTANT, mo) likewise.
 */
#ifndef TESTS_MODELS_MODEL_HPP
#define TESTS_MODELS_MODEL_HPP

#include <relacy/relacy.hpp>

#include <cstdint>

inline unsigned mutant;

inline rl::memory_order order(unsigned missing, rl::memory_order mo)
{
	return mutant == missing ? rl::mo_relaxed : mo;
}

inline void fence(unsigned missing, rl::memory_order mo)
{
	if (mutant != missing)
		rl::atomic_thread_fence(mo, $);
}

static const rl::memory_order relaxed = rl::mo_relaxed;
static const rl::memory_order acquire = rl::mo_acquire;
static const rl::memory_order release = rl::mo_release;
static const rl::memory_order acq_rel = rl::mo_acq_rel;
static const rl::memory_order seq_cst = rl::mo_seq_cst;

#endif
