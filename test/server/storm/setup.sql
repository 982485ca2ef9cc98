-- The storm's shop: six customers whom everybody wants, and some others.
CALL shop.open();
SELECT credit.set('max_wait', '2s');
INSERT INTO erp.customers
SELECT 'h' || n, 1000 FROM generate_series(1, 6) n
UNION ALL
SELECT 'x' || n, 1000 FROM generate_series(1, 40) n;
CREATE SEQUENCE erp.number;
CREATE INDEX ON erp.orders (customer);

-- What drivers and ORMs do: a subtransaction for each row, some of which fail.
CREATE PROCEDURE erp.savepoint_per_row(customer text, n int)
LANGUAGE plpgsql
AS $$
BEGIN
  FOR i IN 1..n LOOP
    BEGIN
      IF i % 5 = 0 THEN
        INSERT INTO erp.payments VALUES (nextval('erp.number'), customer, 3);
      ELSE
        INSERT INTO erp.orders VALUES (nextval('erp.number'), customer, 1 + round(random() * 500) / 100);
      END IF;
      IF random() < 0.2 THEN
        RAISE division_by_zero;
      END IF;
    EXCEPTION WHEN check_violation OR division_by_zero THEN
      NULL;
    END;
  END LOOP;
END
$$;

-- Total of a vector by stage.
CREATE FUNCTION erp.total(stages numeric[]) RETURNS numeric
LANGUAGE sql IMMUTABLE
AS $$ SELECT COALESCE(sum(s), 0) FROM unnest(stages) s $$;

-- The history of each account in the order of commits, added up from the single
-- changes. No figure that the check itself has computed is used here.
CREATE VIEW erp.after_commit AS
SELECT customer, committed_at,
  sum(change) OVER (PARTITION BY customer ORDER BY committed_at) AS exposure
FROM (
  SELECT a.customer, pg_xact_commit_timestamp(j.xmin) AS committed_at,
    sum(erp.total(j.delta)) AS change
  FROM credit.journal j JOIN credit.account a USING (account_id)
  GROUP BY 1, 2
) c;

-- Every accepted increase beside the limit that was in force when it was posted.
-- A change of a limit that was committed before was written before the check
-- began, because both hold the account's short lock: the check has seen it.
CREATE VIEW erp.accepted AS
SELECT a.customer, j.seq, j.posted_at,
  erp.total(j.psum) + erp.total(j.xsum) AS exposure,
  (SELECT c.new_limit FROM credit.limit_change c
   WHERE c.account_id = j.account_id AND pg_xact_commit_timestamp(c.xmin) <= j.posted_at
   ORDER BY pg_xact_commit_timestamp(c.xmin) DESC LIMIT 1) AS credit_limit
FROM credit.journal j
JOIN credit.account a USING (account_id)
JOIN credit.source s ON s.source_id = j.source_id
WHERE s.kind = 'order' AND erp.total(j.delta) > 0;

-- Is the room of an account what its figures say? Nothing may be left reserved by
-- transactions that have ended. Changes nothing.
CREATE FUNCTION erp.room_is_wrong(customer text, headroom numeric) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  excess boolean := false;
BEGIN
  BEGIN
    INSERT INTO erp.orders VALUES (-1, customer, headroom);
    BEGIN
      INSERT INTO erp.orders VALUES (-2, customer, 0.01);
      excess := true;
    EXCEPTION WHEN check_violation THEN
      NULL;
    END;
    RAISE division_by_zero;
  EXCEPTION
    WHEN check_violation THEN
      RETURN format('%s: an order of %s does not fit: %s', customer, headroom, SQLERRM);
    WHEN division_by_zero THEN
      NULL;
  END;
  RETURN CASE WHEN excess THEN format('%s: more than %s fits', customer, headroom) END;
END
$$;
