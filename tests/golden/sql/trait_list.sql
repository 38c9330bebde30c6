SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  ARRAY_CONTAINS("t0"."t_tags", 'a') AND ARRAY_CONTAINS("t0"."t_tags", 'b')
