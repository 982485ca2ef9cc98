/*
 * Subject setting: policy that no role can override with SET.
 *
 * The tables hold only what differs from the default, so that a dump carries
 * exactly the decisions somebody took and a restore meets no row of ours.
 * The defaults, meanings and allowed values are written once, in setting.c.
 */
CREATE TABLE credit.setting
(
	name		text COLLATE "C" PRIMARY KEY,
	value		text NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE credit.setting IS
'Settings that differ from their default; all of them with their meaning: view settings. Change through credit.set().';
COMMENT ON COLUMN credit.setting.name IS 'Name of the setting, as in view settings.';
COMMENT ON COLUMN credit.setting.value IS 'Value in force.';
COMMENT ON COLUMN credit.setting.changed_at IS 'When it was changed last.';
COMMENT ON COLUMN credit.setting.changed_by IS 'Session user who changed it last.';

CREATE TABLE credit.rule_reaction
(
	rule		text COLLATE "C" PRIMARY KEY,
	reaction	text NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE credit.rule_reaction IS
'Reactions of rules that differ from their default; all rules with their meaning: view rules. Change through credit.set_rule().';
COMMENT ON COLUMN credit.rule_reaction.rule IS 'Name of the rule, as in view rules.';
COMMENT ON COLUMN credit.rule_reaction.reaction IS 'off, shadow, warn or reject.';
COMMENT ON COLUMN credit.rule_reaction.changed_at IS 'When it was changed last.';
COMMENT ON COLUMN credit.rule_reaction.changed_by IS 'Session user who changed it last.';

CREATE FUNCTION credit.check_setting() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_check_setting';
COMMENT ON FUNCTION credit.check_setting() IS
'Trigger on setting and rule_reaction: refuses unknown names and values.';

CREATE FUNCTION credit.invalidate_setting() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_invalidate_setting';
COMMENT ON FUNCTION credit.invalidate_setting() IS
'Trigger on setting, rule_reaction and exchange_rate: makes every session read them anew.';

CREATE TRIGGER check_setting BEFORE INSERT OR UPDATE ON credit.setting
	FOR EACH ROW EXECUTE FUNCTION credit.check_setting('setting');
CREATE TRIGGER invalidate_setting AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.setting
	FOR EACH STATEMENT EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER check_setting BEFORE INSERT OR UPDATE ON credit.rule_reaction
	FOR EACH ROW EXECUTE FUNCTION credit.check_setting('rule');
CREATE TRIGGER invalidate_setting AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.rule_reaction
	FOR EACH STATEMENT EXECUTE FUNCTION credit.invalidate_setting();

/*
 * Where these tables are filled by logical replication, sessions must read them
 * anew all the same: whoever has the ledger replicated replicates its policy.
 * What applies rows fires row triggers only, and its first copy statement ones.
 */
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.setting
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.rule_reaction
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
ALTER TABLE credit.setting ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.setting ENABLE ALWAYS TRIGGER invalidate_setting;
ALTER TABLE credit.rule_reaction ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.rule_reaction ENABLE ALWAYS TRIGGER invalidate_setting;

CREATE FUNCTION credit.setting_catalog
	(OUT name text, OUT default_value text, OUT allowed text, OUT description text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 15
AS 'MODULE_PATHNAME', 'credit_setting_catalog';
COMMENT ON FUNCTION credit.setting_catalog() IS
'Every setting the library knows, with its default, allowed values and meaning.';

CREATE FUNCTION credit.rule_catalog
	(OUT rule text, OUT default_reaction text, OUT description text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 5
AS 'MODULE_PATHNAME', 'credit_rule_catalog';
COMMENT ON FUNCTION credit.rule_catalog() IS
'Every rule the library knows, with its default reaction and meaning.';

CREATE VIEW credit.settings AS
SELECT c.name,
	   COALESCE(s.value, c.default_value) AS value,
	   c.default_value,
	   c.allowed,
	   c.description,
	   s.changed_at,
	   s.changed_by
  FROM credit.setting_catalog() c
  LEFT JOIN credit.setting s ON s.name = c.name COLLATE "C";
COMMENT ON VIEW credit.settings IS 'All settings with the value in force.';
COMMENT ON COLUMN credit.settings.name IS 'Name of the setting.';
COMMENT ON COLUMN credit.settings.value IS 'Value in force.';
COMMENT ON COLUMN credit.settings.default_value IS 'Value where nothing was set.';
COMMENT ON COLUMN credit.settings.allowed IS 'What may be set.';
COMMENT ON COLUMN credit.settings.description IS 'What it does.';
COMMENT ON COLUMN credit.settings.changed_at IS 'When it was changed last; NULL: default.';
COMMENT ON COLUMN credit.settings.changed_by IS 'Session user who changed it last; NULL: default.';

CREATE VIEW credit.rules AS
SELECT c.rule,
	   COALESCE(r.reaction, c.default_reaction) AS reaction,
	   c.default_reaction,
	   c.description,
	   r.changed_at,
	   r.changed_by
  FROM credit.rule_catalog() c
  LEFT JOIN credit.rule_reaction r ON r.rule = c.rule COLLATE "C";
COMMENT ON VIEW credit.rules IS
'All rules with their own reaction. What happens is the weakest of setting mode, on_breach of the source, and this.';
COMMENT ON COLUMN credit.rules.rule IS 'Name of the rule; a refusal carries constraint name credit_<rule>.';
COMMENT ON COLUMN credit.rules.reaction IS 'Reaction of the rule itself: off, shadow, warn or reject.';
COMMENT ON COLUMN credit.rules.default_reaction IS 'Reaction where nothing was set.';
COMMENT ON COLUMN credit.rules.description IS 'When the rule is broken.';
COMMENT ON COLUMN credit.rules.changed_at IS 'When it was changed last; NULL: default.';
COMMENT ON COLUMN credit.rules.changed_by IS 'Session user who changed it last; NULL: default.';

CREATE FUNCTION credit.set(name text, value text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM credit.setting_catalog() c WHERE c.name = $1) THEN
		RAISE EXCEPTION 'there is no setting "%"', name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.settings lists them.';
	END IF;
	IF value IS NULL THEN
		DELETE FROM credit.setting s WHERE s.name = $1;
	ELSE
		INSERT INTO credit.setting AS s (name, value) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT setting_pkey
		DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at,
					  changed_by = excluded.changed_by;
	END IF;
	RETURN (SELECT s.value FROM credit.settings s WHERE s.name = $1);
END
$$;
COMMENT ON FUNCTION credit.set(text, text) IS
'Changes a setting and returns the value in force; NULL puts the default back. Acts on the next statement of every session once committed. Example: SELECT credit.set(''mode'', ''shadow'').';

CREATE FUNCTION credit.set_rule(rule text, reaction text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM credit.rule_catalog() c WHERE c.rule = $1) THEN
		RAISE EXCEPTION 'there is no rule "%"', rule
			USING ERRCODE = 'undefined_object', HINT = 'View credit.rules lists them.';
	END IF;
	IF reaction IS NULL THEN
		DELETE FROM credit.rule_reaction r WHERE r.rule = $1;
	ELSE
		INSERT INTO credit.rule_reaction AS r (rule, reaction) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT rule_reaction_pkey
		DO UPDATE SET reaction = excluded.reaction, changed_at = excluded.changed_at,
					  changed_by = excluded.changed_by;
	END IF;
	RETURN (SELECT r.reaction FROM credit.rules r WHERE r.rule = $1);
END
$$;
COMMENT ON FUNCTION credit.set_rule(text, text) IS
'Changes the reaction of one rule (off, shadow, warn, reject) and returns the one in force; NULL puts the default back.';
