-- One row: the count of all items that match, and where the page ends.
-- reads: item_matches, item_page
SELECT (SELECT count(*)::int FROM item_matches) AS "totalCount",
       (SELECT count(*) > :first::int FROM item_page) AS "pageInfo.hasNextPage",
       :seen_at::timestamptz IS NOT NULL AS "pageInfo.hasPreviousPage",
       (SELECT cursor FROM item_page WHERE number = 1 AND :first::int > 0) AS "pageInfo.startCursor",
       (SELECT cursor FROM item_page WHERE number <= :first::int ORDER BY number DESC LIMIT 1) AS "pageInfo.endCursor"
