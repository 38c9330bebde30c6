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
          COUNT(
            DISTINCT CAST(CASE
              WHEN "t2"."occurred_at" >= MAKE_TIMESTAMP(2026, 10, 25, 1, 0, 0.0)
              THEN "t2"."occurred_at" + INTERVAL '3600' SECOND
              ELSE "t2"."occurred_at" + INTERVAL '7200' SECOND
            END AS DATE)
          ) AS "measure_0"
        FROM (
          SELECT
            *
          FROM "events" AS "t1"
          WHERE
            "t1"."name" = 'Order Completed'
            AND "t1"."occurred_at" < MAKE_TIMESTAMP(2026, 11, 23, 11, 30, 0.0)
            AND "t1"."occurred_at" >= MAKE_TIMESTAMP(2026, 8, 24, 22, 0, 0.0)
        ) AS "t2"
        GROUP BY
          1
      ) AS "t3"
      WHERE
        "t3"."measure_0" >= 2
    )
) AS "t5"
