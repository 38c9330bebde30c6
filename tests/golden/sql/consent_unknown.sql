SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  NOT (
    COALESCE(
      "t0"."c_advertising" IN ('granted', 'denied', 'withdrawn', 'expired', 'pending'),
      FALSE
    )
  )
