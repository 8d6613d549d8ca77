-- reads: user_summary
SELECT achieved->>'type' AS type, (achieved->>'threshold')::int AS threshold, achieved->>'level' AS level,
       (achieved->>'achieved_on')::date AS "achievedOn"
  FROM user_summary
 CROSS JOIN LATERAL jsonb_array_elements(recent_achievements) WITH ORDINALITY AS listed (achieved, number)
 ORDER BY number
