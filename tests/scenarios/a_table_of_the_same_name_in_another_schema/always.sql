-- the other table is as it was
SELECT count(*) = 100 AND (SELECT relkind = 'r' FROM pg_class WHERE oid = 'public.events'::regclass) FROM public.events WHERE kind = 'public'
