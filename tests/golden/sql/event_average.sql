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
          SUM("t2"."amount") AS "measure_0",
          CAST(COUNT("t2"."amount") AS DECIMAL(18, 0)) AS "measure_0_count"
        FROM (
          SELECT
            *
          FROM "events" AS "t1"
          WHERE
            "t1"."name" = 'Order Completed'
            AND "t1"."occurred_at" < MAKE_TIMESTAMP(2026, 11, 23, 11, 30, 0.0)
        ) AS "t2"
        GROUP BY
          1
      ) AS "t3"
      WHERE
        "t3"."measure_0" >= (
          CAST(9.9900 AS DECIMAL(38, 4)) * "t3"."measure_0_count"
        )
    )
) AS "t5"
