SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  NOT (
    (
      "t0"."t_signed_up_at" >= MAKE_TIMESTAMP(2026, 10, 23, 22, 0, 0.0)
    )
    AND (
      "t0"."t_signed_up_at" < MAKE_TIMESTAMP(2026, 11, 23, 11, 30, 0.0)
    )
  )
  AND "t0"."t_birthday" < MAKE_DATE(2000, 1, 1)
