/*
 * linalg.h
 *	  Small dense linear algebra, as the fit of a model needs it.
 */
#ifndef CREDIT_LINALG_H
#define CREDIT_LINALG_H

extern void credit_add_products(int n, double *a, const double *rows,
								const double *weights);
extern int	credit_cholesky(int n, const double *a, double *u,
							double tolerance);
extern void credit_cholesky_solve(int m, int n, const double *u,
								  const double *b, double *x);
extern void credit_cholesky_inverse(int n, const double *u, double *inverse);

/* Rows that credit_add_products takes at a time. */
#define PRODUCT_ROWS 4

#endif							/* CREDIT_LINALG_H */
