SELECT
  "t3"."profile_no"
FROM (
  SELECT
    *
  FROM "profiles" AS "t0"
  WHERE
    "t0"."profile_no" IN (
      SELECT
        "t1"."profile_no"
      FROM "events" AS "t1"
      WHERE
        "t1"."name" = 'Order Completed'
        AND "t1"."occurred_at" < MAKE_TIMESTAMP(2026, 11, 23, 11, 30, 0.0)
        AND "t1"."occurred_at" >= MAKE_TIMESTAMP(2026, 8, 24, 22, 0, 0.0)
        AND NOT (
          "t1"."p_category" = 'shoes'
        )
    )
) AS "t3"
