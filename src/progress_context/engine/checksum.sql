SELECT count(*) AS row_count, coalesce(sum(hash_record_extended(part, 0)), 0) AS checksum FROM :table AS part
