/*
 * probability.c
 *	  Tail probabilities of test statistics, to about twelve digits.
 *
 * PostgreSQL has neither the incomplete beta function nor, before 16, the
 * error function; libm has the latter.
 */
#include "postgres.h"

#include <math.h>

#include "probability.h"

/* The fraction needs a few times the root of the larger argument. */
#define MAX_ROUNDS 1000000
#define TINY 1e-300

/*
 * ln B(a, 1/2).  The difference of two values of lgamma() loses what both
 * have in common; from 20 on the series for it is exact to 15 digits.
 */
static double
log_beta_half(double a)
{
	double		b = 1 / (a * a);

	if (a < 20)
		return lgamma(a) + lgamma(0.5) - lgamma(a + 0.5);
	return lgamma(0.5) - 0.5 * log(a) +
		(1.0 / 8 - b * (1.0 / 192 - b * (1.0 / 640 - b * (17.0 / 14336 -
														  b * 31.0 / 18432)))) / a;
}

static inline double
not_zero(double value)
{
	return fabs(value) < TINY ? TINY : value;
}

/*
 * The continued fraction of the incomplete beta function by Lentz's method,
 * for x below (a + 1) / (a + b + 2), where it converges quickly.
 */
static double
beta_fraction(double a, double b, double x)
{
	double		c = 1;
	double		d = 1 / not_zero(1 - (a + b) * x / (a + 1));
	double		result = d;

	for (int m = 1; m <= MAX_ROUNDS; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x /
			((a + 2 * m) * (a + 2 * m + 1));
		double		factor;

		d = 1 / not_zero(1 + even * d);
		c = not_zero(1 + even / c);
		result *= d * c;
		d = 1 / not_zero(1 + odd * d);
		c = not_zero(1 + odd / c);
		factor = d * c;
		result *= factor;
		if (fabs(factor - 1) < 1e-15)
			break;
	}
	return result;
}

/* Two-sided p of Student's t with df degrees of freedom, df > 0. */
double
probability_student(double t, double df)
{
	double		a = df / 2;
	double		ratio = t * t / df;
	double		x = 1 / (1 + ratio);
	double		front;

	if (ratio == 0)
		return 1;
	if (isinf(ratio))
		return 0;
	/* x^a (1 - x)^(1/2) / B, without rounding x first */
	front = exp(-a * log1p(ratio) + 0.5 * (log(ratio) - log1p(ratio)) -
				log_beta_half(a));
	if (x < (a + 1) / (a + 2.5))
		return front * beta_fraction(a, 0.5, x) / a;
	return 1 - front * beta_fraction(0.5, a, ratio * x) / 0.5;
}

/* What ln Gamma(x) is more than (x - 1/2) ln x - x + ln(2 pi) / 2; x >= 10. */
static double
stirling_rest(double x)
{
	double		b = 1 / (x * x);

	return (1.0 / 12 - b * (1.0 / 360 - b * (1.0 / 1260 - b * (1.0 / 1680 -
															   b / 1188)))) / x;
}

/*
 * ln B(a, b).  Values of lgamma() of large arguments are never subtracted from
 * one another: what they have in common is taken out first.
 */
static double
log_beta(double a, double b)
{
	double		small = fmin(a, b);
	double		large = fmax(a, b);
	double		rest;

	if (large < 10)
		return lgamma(a) + lgamma(b) - lgamma(a + b);
	rest = stirling_rest(large) - stirling_rest(a + b);
	if (small < 10)
		return lgamma(small) + small - small * log(a + b) -
			(large - 0.5) * log1p(small / large) + rest;
	return 0.5 * log(2 * M_PI) + stirling_rest(small) + rest -
		0.5 * log(small) - small * log1p(large / small) -
		(large - 0.5) * log1p(small / large);
}

/*
 * P(X <= d) where X is how many of n come about, each with probability p;
 * 0 <= d < n, 0 < p < 1.
 */
double
probability_binomial(double d, double n, double p)
{
	double		a = d + 1;
	double		b = n - d;
	double		front = exp(a * log(p) + b * log1p(-p) - log_beta(a, b));

	if (p < (a + 1) / (a + b + 2))
		return 1 - front * beta_fraction(a, b, p) / a;
	return front * beta_fraction(b, a, 1 - p) / b;
}

/* Two-sided p of a standard normal z. */
double
probability_normal(double z)
{
	return erfc(fabs(z) * M_SQRT1_2);
}
