/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: which one runs, and what all of them share.
 *
 * An exact cosine distance of near vectors must not be 1 - cos: with
 * cos = 1 - 1e-12 nothing would be left of it.  From the first pass the
 * vectors' squared lengths A and B and their product C are known.  If the
 * angle is small a second pass takes r = b - t a with t near C / A: for any t
 *
 *	A B - C^2 = A |r|^2 - <a,r>^2		(Lagrange; t drops out)
 *
 * and since r is nearly orthogonal to a nothing cancels on the right.  t is
 * held in two parts of 24 bits, so that a part times a float is exact and r is
 * as good as a double can be.  Then 1 - cos = sin^2 / (1 + cos).
 */
#include "kernel.h"

#include <math.h>
#include <string.h>
#if KERNEL_X86
#include <cpuid.h>
#elif KERNEL_NEON
#include <sys/auxv.h>
#endif

/* The leading 24 bits of a double. */
static double leading(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	bits &= ~(uint64_t)0x1fffffff;
	memcpy(&value, &bits, sizeof(bits));
	return value;
}

int kernel_cosine_split(struct kernel_cosine *sums, double *distance)
{
	double lengths = sqrt(sums->a) * sqrt(sums->b);
	double t;

	if (!(lengths > 0)) {
		*distance = 1;
		return 0;
	}
	if (sums->c < 0.5 * lengths) {
		*distance = 1 - sums->c / lengths;
		return 0;
	}
	t = sums->c / sums->a;
	sums->t_high = leading(t);
	sums->t_low = leading(t - sums->t_high);
	sums->r = 0;
	sums->p = 0;
	return 1;
}

double kernel_cosine_join(const struct kernel_cosine *sums)
{
	double cosine = sums->c / (sqrt(sums->a) * sqrt(sums->b));
	double sine2 = (sums->r - sums->p / sums->a * sums->p) / sums->b;

	return sine2 > 0 ? sine2 / (1 + cosine) : 0;
}

float kernel_between(int32_t metric, uint32_t dim, const struct row_code *a,
		     const struct row_code *b, int32_t dot)
{
	/* in this order: both scales may be small */
	float inner = a->scale * (float)dot * b->scale + a->offset * b->sum +
		      b->offset * a->sum - a->offset * b->offset * (float)dim;

	if (metric == METRIC_IP)
		return -inner;
	if (metric == METRIC_COSINE)
		return (a->norm + b->norm) * 0.5f - inner;
	return a->norm + b->norm - 2 * inner;
}

size_t kernel_unmarked(const _Atomic uint32_t *links, size_t count,
		       uint32_t limit, uint64_t *marks, uint32_t *fresh)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		/* relaxed: a link is a hint */
		uint32_t number =
		    atomic_load_explicit(&links[i], memory_order_relaxed);

		fresh[found] = number;
		found += number && number < limit;
	}
	return kernel_mark(marks, fresh, found);
}

#if KERNEL_X86
/* Not every compiler's __builtin_cpu_supports() knows f16c. */
static int cpu_has_avx2(void)
{
	unsigned int a;
	unsigned int b;
	unsigned int c;
	unsigned int d;

	return __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static int cpu_has_avx512(void)
{
	return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vnni");
}
#endif

const struct kernel *kernel_choose(const char *wanted)
{
#if KERNEL_X86
	__builtin_cpu_init();
	if ((!wanted || !strcmp(wanted, "avx512")) && cpu_has_avx512())
		return &kernel_avx512;
	if ((!wanted || !strcmp(wanted, "avx2")) && cpu_has_avx2())
		return &kernel_avx2;
#elif KERNEL_NEON
	if ((!wanted || !strcmp(wanted, "neon-dot")) &&
	    (getauxval(AT_HWCAP) & HWCAP_ASIMDDP))
		return &kernel_neon_dot;
	if (!wanted || !strcmp(wanted, "neon"))
		return &kernel_neon;
#endif
	if (!wanted || !strcmp(wanted, "scalar"))
		return &kernel_scalar;
	return NULL;
}
