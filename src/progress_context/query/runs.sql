SELECT first_day AS "from", last_day AS "to", days, freezes_used AS "freezesUsed"
  FROM streak_runs
 ORDER BY first_day DESC
