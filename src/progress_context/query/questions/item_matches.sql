-- The items asked about, of all pages.
-- reads: item_stats
SELECT item_stats.*, coalesce(last_reviewed_at, first_seen_at) AS seen_at
  FROM item_stats
 WHERE (:item_ids::text[] IS NULL OR item_id = ANY (:item_ids::text[]))
   AND (:search::text IS NULL OR strpos(lower(item_id), lower(:search::text)) > 0
        OR strpos(lower(spelling), lower(:search::text)) > 0)
   AND CASE :filter::text WHEN 'STRUGGLING'  THEN struggling
                          WHEN 'MASTERED'    THEN mastered
                          WHEN 'IN_PROGRESS' THEN NOT mastered
                          WHEN 'OVERDUE'     THEN overdue
                          ELSE true END
