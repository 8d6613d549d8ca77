SELECT count(*)
  FROM item_stats
 WHERE ($2::text[] IS NULL OR item_id = ANY ($2))
   AND CASE $3::text WHEN 'STRUGGLING'  THEN struggling
                     WHEN 'MASTERED'    THEN mastered
                     WHEN 'IN_PROGRESS' THEN NOT mastered
                     WHEN 'OVERDUE'     THEN overdue
                     ELSE true END
