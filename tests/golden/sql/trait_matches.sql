SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  REGEXP_MATCHES("t0"."t_country", '^F.*''')
