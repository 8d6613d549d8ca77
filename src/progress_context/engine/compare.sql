-- The rows of a table beside those computed: how many there are on either side, how many differ and how, and
-- the first of those, as [stored, computed].
SELECT :read_model AS read_model,
       count(*) AS rows,
       count(*) FILTER (WHERE only_computed) AS only_computed,
       count(*) FILTER (WHERE only_stored) AS only_stored,
       count(*) FILTER (WHERE differs AND NOT only_computed AND NOT only_stored) AS changed,
       to_jsonb((array_agg(jsonb_build_array(to_jsonb(stored), to_jsonb(computed)) ORDER BY :order)
                 FILTER (WHERE differs))[1 : :examples]) AS examples
  FROM (SELECT :columns FROM :table AS source WHERE :scope) AS stored
  FULL JOIN (SELECT :columns FROM :relation AS source) AS computed ON :same_grain
 CROSS JOIN LATERAL (
   SELECT stored.:key IS NULL AS only_computed, computed.:key IS NULL AS only_stored, :differs AS differs) AS row
