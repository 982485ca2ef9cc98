/*
 * Subject grant: nothing is for PUBLIC; analysts get everything they can read
 * by one call.  Every object is in a configuration dump that is data.
 */
REVOKE ALL ON ALL TABLES IN SCHEMA credit FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA credit FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA credit FROM PUBLIC;

CREATE FUNCTION credit.grant_analyst(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	object text;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA credit TO %s', role);
	FOR object IN
		SELECT format('%I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'v'
	LOOP
		EXECUTE format('GRANT SELECT ON %s TO %s', object, role);
	END LOOP;
	/* functions that read and change nothing */
	FOR object IN
		SELECT p.oid::regprocedure FROM pg_proc p
		 WHERE p.pronamespace = 'credit'::regnamespace
		   AND (p.provolatile <> 'v' OR p.proname = 'check_order')
		   AND p.prorettype <> 'trigger'::regtype
	LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', object, role);
	END LOOP;
	/* exposure_on(), score_row() and their kind read these tables as the caller */
	EXECUTE format('GRANT SELECT ON credit.account, credit.account_limit, credit.item, credit.item_version, credit.settlement, credit.month_mark, credit.month_state, credit.year_state, credit.fold_day, credit.source, credit.dependency, credit.source_problem, credit.setting, credit.rule_reaction, credit.exchange_rate, credit.rate_change, credit.model, credit.model_characteristic, credit.model_calibration, credit.model_distribution, credit.feature_definition, credit.limit_change TO %s', role);
	/* and so are financial_ratios_on() and ratings_on() and theirs */
	EXECUTE format('GRANT SELECT ON credit.financials, credit.bureau_report, credit.company_fact, credit.default_event, credit.rating_scale, credit.rating_history, credit.rating_override TO %s', role);
END
$$;
COMMENT ON FUNCTION credit.grant_analyst(regrole) IS
'Lets a role read everything: all views, the functions behind them, and the dry run check_order(). It can change nothing.';

CREATE FUNCTION credit.revoke_analyst(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA credit FROM %s', role);
	EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA credit FROM %s', role);
	EXECUTE format('REVOKE ALL ON SCHEMA credit FROM %s', role);
END
$$;
COMMENT ON FUNCTION credit.revoke_analyst(regrole) IS 'Takes back what grant_analyst() gave.';
REVOKE ALL ON FUNCTION credit.grant_analyst(regrole), credit.revoke_analyst(regrole) FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('credit.setting', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rule_reaction', '');
SELECT pg_catalog.pg_extension_config_dump('credit.exchange_rate', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rate_change', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rate_change_rate_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account_account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account_limit', '');
SELECT pg_catalog.pg_extension_config_dump('credit.limit_change', '');
SELECT pg_catalog.pg_extension_config_dump('credit.limit_change_limit_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_source_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.dependency', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_problem', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_problem_problem_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.repair_run', '');
SELECT pg_catalog.pg_extension_config_dump('credit.repair_run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.repair_result', '');
SELECT pg_catalog.pg_extension_config_dump('credit.repair_task', '');
SELECT pg_catalog.pg_extension_config_dump('credit.repair_task_task_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.unchecked_raise', '');
SELECT pg_catalog.pg_extension_config_dump('credit.unchecked_raise_unchecked_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.item', '');
SELECT pg_catalog.pg_extension_config_dump('credit.item_version', '');
SELECT pg_catalog.pg_extension_config_dump('credit.settlement', '');
SELECT pg_catalog.pg_extension_config_dump('credit.month_mark', '');
SELECT pg_catalog.pg_extension_config_dump('credit.month_state', '');
SELECT pg_catalog.pg_extension_config_dump('credit.year_state', '');
SELECT pg_catalog.pg_extension_config_dump('credit.fold_day', '');
SELECT pg_catalog.pg_extension_config_dump('credit.journal', '');
SELECT pg_catalog.pg_extension_config_dump('credit.decision_log', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_characteristic', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_calibration', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_calibration_model_calibration_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_distribution', '');
SELECT pg_catalog.pg_extension_config_dump('credit.feature_definition', '');
SELECT pg_catalog.pg_extension_config_dump('credit.feature_definition_feature_definition_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.decision_log_decision_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financials', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financials_financials_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bureau_report', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bureau_report_bureau_report_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.company_fact', '');
SELECT pg_catalog.pg_extension_config_dump('credit.company_fact_company_fact_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.default_event', '');
SELECT pg_catalog.pg_extension_config_dump('credit.default_event_default_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_scale', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_scale_version_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_history', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_history_rating_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_override', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_override_rating_override_id_seq', '');
