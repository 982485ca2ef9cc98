\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.3.0 to 0.4.0.
 */
