#include "release/evidence_mixture.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define FIRST_STAKE 0.5
#define MINUTE_NS 60e9

/* A factor's logarithm is cut here, far beyond any decision, so that no product
 * is infinite or nothing. */
#define LN_F_MAX 600.0

void
evidence_mixture_begin(struct evidence_mixture *mixture, unsigned n_grid)
{
	assert(n_grid >= 1 && n_grid <= EVIDENCE_GRID_MAX);
	memset(mixture, 0, sizeof(*mixture));
	mixture->n_grid = n_grid;
	mixture->e = 1;
	mixture->kept = 1;
}

/* The part of the stake that is due. */
static double
lay(struct evidence_mixture *mixture, uint64_t now_ns)
{
	double before = mixture->kept;
	double minutes;

	if (!mixture->has_begun) {
		mixture->has_begun = true;
		mixture->began_ns = now_ns;
	}
	minutes = (double)(now_ns - mixture->began_ns) / MINUTE_NS;
	mixture->kept = (1 - FIRST_STAKE) / (1 + minutes);
	return before - mixture->kept;
}

void
evidence_mixture_add(
	struct evidence_mixture *mixture, const double *ln_f, uint64_t now_ns)
{
	double stake = lay(mixture, now_ns);
	double sum = 0;

	for (unsigned k = 0; k < mixture->n_grid; k++) {
		double r = mixture->r[k] + stake;

		if (ln_f != NULL)
			r *= exp(fmax(fmin(ln_f[k], LN_F_MAX), -LN_F_MAX));
		mixture->r[k] = fmin(r, EVIDENCE_E_MAX);
		sum += mixture->r[k] / mixture->n_grid;
	}
	mixture->e = sum + mixture->kept;
}
