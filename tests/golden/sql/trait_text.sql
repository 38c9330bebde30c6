SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  "t0"."t_country" IN ('FR', 'x''; DROP TABLE profiles; --')
