-- The counter row, locked until the commit: from here on nobody else can append.
SELECT position, profile_position, greatest(recorded_at, clock_timestamp()) AS recorded_at
  FROM log.head
   FOR UPDATE
