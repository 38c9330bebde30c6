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
      FROM "memberships" AS "t1"
      WHERE
        "t1"."segment_no" = 7
    )
) AS "t3"
