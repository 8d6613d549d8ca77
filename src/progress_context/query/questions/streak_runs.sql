-- reads: streak_runs
SELECT first_day AS "from", last_day AS "to", days::int AS days, freezes_used::int AS "freezesUsed"
  FROM streak_runs
 ORDER BY first_day DESC
