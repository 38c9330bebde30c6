SELECT
  "t5"."profile_no"
FROM (
  SELECT
    *
  FROM "profiles" AS "t0"
  WHERE
    "t0"."profile_no" IN (
      SELECT
        "t3"."profile_no"
      FROM (
        SELECT
          "t2"."profile_no",
          COUNT(*) AS "measure_0",
          COALESCE(SUM("t2"."amount"), 0) AS "measure_1"
        FROM (
          SELECT
            *
          FROM "events" AS "t1"
          WHERE
            "t1"."name" = 'Order Completed'
            AND "t1"."occurred_at" < MAKE_TIMESTAMP(2026, 11, 23, 11, 30, 0.0)
            AND "t1"."occurred_at" >= MAKE_TIMESTAMP(2026, 8, 24, 22, 0, 0.0)
            AND NOT (
              "t1"."p_category" = 'shoes'
            )
        ) AS "t2"
        GROUP BY
          1
      ) AS "t3"
      WHERE
        "t3"."measure_0" >= 3 AND "t3"."measure_1" > CAST(200.0000 AS DECIMAL(38, 4))
    )
) AS "t5"
