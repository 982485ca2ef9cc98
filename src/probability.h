/*
 * probability.h
 *	  Tail probabilities of test statistics; see probability.c.
 */
#ifndef CREDIT_PROBABILITY_H
#define CREDIT_PROBABILITY_H

extern double probability_student(double t, double df);
extern double probability_normal(double z);
extern double probability_binomial(double d, double n, double p);

#endif							/* CREDIT_PROBABILITY_H */
