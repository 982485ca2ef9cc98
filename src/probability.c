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

/* Two-sided p of a standard normal z. */
double
probability_normal(double z)
{
	return erfc(fabs(z) * M_SQRT1_2);
}

/*
 * ln n! less Stirling's formula for it.  Where n is large, ln n! itself is so
 * large that differences of it have few digits left.
 */
static double
stirling_error(double n)
{
	double		n2 = n * n;

	if (n < 16)
		return lgamma(n + 1) - (n + 0.5) * log(n) + n - 0.5 * log(2 * M_PI);
	return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 -
												   1.0 / 1188 / n2) / n2) / n2) / n2) / n;
}

/*
 * x ln(x / m) + m - x, how far x is from its mean m, in units of ln
 * probability.  Near the mean all terms cancel, hence the series.
 */
static double
deviance(double x, double m)
{
	double		v = (x - m) / (x + m);
	double		term = 2 * x * v;
	double		sum = (x - m) * v;

	if (fabs(v) > 0.1)
		return x * log(x / m) + m - x;
	for (int j = 1; j < 100; j++)
	{
		double		before = sum;

		term *= v * v;
		sum += term / (2 * j + 1);
		if (sum == before)
			break;
	}
	return sum;
}

/* Probability of exactly k in n, 0 < k < n, 0 < p < 1 (Loader 2000). */
static double
binomial_point(double k, double n, double p)
{
	return exp(stirling_error(n) - stirling_error(k) - stirling_error(n - k) -
			   deviance(k, n * p) - deviance(n - k, n * (1 - p))) *
		sqrt(n / (2 * M_PI * k * (n - k)));
}

/*
 * Probability of k or more in n trials, 0 < p < 1: the incomplete beta
 * function of k and n - k + 1 at p.
 */
double
probability_binomial(int64 k, int64 n, double p)
{
	double		a = (double) k;
	double		b = (double) (n - k) + 1;
	double		point;

	if (k <= 0)
		return 1;
	if (k >= n)
		return k > n ? 0 : pow(p, (double) n);
	point = binomial_point(a, (double) n, p);
	if (p < (a + 1) / (a + b + 2))
		return Min(point * (1 - p) * beta_fraction(a, b, p), 1);
	/* less than k */
	return Max(1 - point * (1 - p) * a / b * beta_fraction(b, a, 1 - p), 0);
}
