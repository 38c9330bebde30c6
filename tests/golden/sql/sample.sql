SELECT
  "t1"."profile_no"
FROM (
  SELECT
    *
  FROM "profiles" AS "t0"
  WHERE
    SHA256('x''; DROP TABLE profiles; --:' || "t0"."profile_id") < '1999999999999a00'
) AS "t1"
