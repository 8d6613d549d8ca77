SELECT count(*) AS rows, count(DISTINCT id) AS events FROM public.copied
