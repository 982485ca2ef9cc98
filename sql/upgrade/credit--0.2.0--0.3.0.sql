\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.2.0 to 0.3.0.
 *
 * Rights are revoked from PUBLIC object by object, at the end; why not with
 * REVOKE ... ON ALL ROUTINES stands in credit--0.1.0--0.2.0.sql.
 */

