/*
 * linalg.c
 *	  Small dense linear algebra: sums of products, and Cholesky's factor.
 *
 * Matrices are symmetric or triangular, n by n, stored row by row in full, of
 * which only the upper triangle is read and written.  A library would do no
 * better at this size, and none is on every server.
 *
 * The factor is taken in the given order of columns, without exchanging any:
 * the caller is told which column depends on those before it, and a user
 * expects the blame on the later one.
 */
#include "postgres.h"

#include <math.h>

#include "linalg.h"

/*
 * Adds sum(weights[r] * row r' * row r) of PRODUCT_ROWS rows to a.  Several
 * rows at a time, because loading and storing a is what costs.  The inner loop
 * is for the compiler to vectorise (see Makefile).
 */
void
credit_add_products(int n, double *a, const double *rows,
					const double *weights)
{
	const double *r0 = rows;
	const double *r1 = rows + n;
	const double *r2 = rows + 2 * n;
	const double *r3 = rows + 3 * n;
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		double	   *pg_restrict out = a + (Size) i * n;
		const double f0 = weights[0] * r0[i];
		const double f1 = weights[1] * r1[i];
		const double f2 = weights[2] * r2[i];
		const double f3 = weights[3] * r3[i];

		for (j = i; j < n; j++)
			out[j] += (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j]);
	}
}

/*
 * U with U'U = a.  Answers -1, or the first column of which no more than the
 * share "tolerance" is independent of the columns before it; then the factor
 * of the columns before it is complete.  NaN counts as dependent.
 */
int
credit_cholesky(int n, const double *a, double *u, double tolerance)
{
	int			i;
	int			j;
	int			k;

	for (j = 0; j < n; j++)
	{
		double	   *row = u + (Size) j * n;
		double		pivot;

		memcpy(row + j, a + (Size) j * n + j, sizeof(double) * (n - j));
		for (k = 0; k < j; k++)
		{
			const double *above = u + (Size) k * n;
			const double f = above[j];

			for (i = j; i < n; i++)
				row[i] -= f * above[i];
		}
		pivot = row[j];
		if (!(pivot > tolerance * a[(Size) j * n + j]) || isinf(pivot))
			return j;
		pivot = sqrt(pivot);
		for (i = j; i < n; i++)
			row[i] /= pivot;
	}
	return -1;
}

/* x with U'U x = b, for the first m columns of an n by n factor. */
void
credit_cholesky_solve(int m, int n, const double *u, const double *b,
					  double *x)
{
	int			i;
	int			j;

	for (i = 0; i < m; i++)
		x[i] = b[i];
	for (i = 0; i < m; i++)
	{
		const double *row = u + (Size) i * n;

		x[i] /= row[i];
		for (j = i + 1; j < m; j++)
			x[j] -= row[j] * x[i];
	}
	for (i = m - 1; i >= 0; i--)
	{
		const double *row = u + (Size) i * n;

		for (j = i + 1; j < m; j++)
			x[i] -= row[j] * x[j];
		x[i] /= row[i];
	}
}

/* The inverse of U'U, in full. */
void
credit_cholesky_inverse(int n, const double *u, double *inverse)
{
	double	   *unit = palloc0(sizeof(double) * n);
	int			i;

	for (i = 0; i < n; i++)
	{
		unit[i] = 1;
		credit_cholesky_solve(n, n, u, unit, inverse + (Size) i * n);
		unit[i] = 0;
	}
	pfree(unit);
}
