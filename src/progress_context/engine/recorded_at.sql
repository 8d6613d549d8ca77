-- The head of the log, and when position $1 was recorded.
SELECT head.position AS head,
       coalesce((SELECT recorded_at FROM log.events WHERE position = greatest($1, 1)), now()) AS recorded_at
  FROM log.head AS head
