SELECT
  "t0"."profile_no"
FROM "profiles" AS "t0"
WHERE
  "t0"."ltv__predicted_365d_amount" >= CAST(100.00 AS DECIMAL(18, 2))
  AND "t0"."ltv__predicted_365d_amount" <= CAST(120.50 AS DECIMAL(18, 2))
