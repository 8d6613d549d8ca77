SELECT count(*) AS row_count, coalesce(sum(hashtextextended(part::text, 0)), 0) AS checksum FROM :table AS part
